/** Decodes the parts of a content as events, for answers and for assistant messages of requests. */
import type { ReasoningPart, ToolCall } from "../../vocabulary/Chat.js"
import type { Json } from "../json.js"
import { isRecord, record, records, string } from "../json.js"
import type { WireEvent, WireFailure } from "../Wire.js"
import { malformed } from "../Wire.js"
import { callSignature, storedPart, textSignature } from "./signatures.js"
import { camelCased } from "./names.js"
import type { ArgumentsWriter } from "./partialArgs.js"
import { argumentsWriter } from "./partialArgs.js"

/** The documented placeholder for a missing signature ("Thought signatures", FAQ). */
export const skipSignature = "skip_thought_signature_validator"

export interface PartReader {
  /** Decodes parts and appends their events. `path` is the path of the list. */
  readonly read: (parts: ReadonlyArray<unknown>, path: string, out: Array<WireEvent>) => WireFailure | undefined
  /** Ends the last tool call. */
  readonly end: (out: Array<WireEvent>) => void
  /** The number of tool calls. */
  readonly calls: () => number
  /** Parts other than text, reasoning and tool calls, such as executed code, searches and media. */
  readonly others: () => ReadonlyArray<Json>
  /** All output of the model, for an estimate of the usage. */
  readonly output: () => string
}

/** A tool call whose arguments are not complete. */
interface OpenCall {
  readonly index: number
  readonly id: string
  readonly name: string
  readonly streamed: ArgumentsWriter
  /** Arguments that arrived in one piece. */
  whole: string | undefined
}

/** Media are large and need not be sent back. */
const isMedia = (kind: string): boolean => kind === "inlineData" || kind === "fileData"

/** The field that determines the kind of a part. */
const kindOf = (part: Json): string | undefined =>
  Object.keys(part).find((field) => isRecord(part[field]) && field !== "partMetadata" && field !== "videoMetadata")

/** `idOf` generates the id of a call without one. */
export const partReader = (provider: string | undefined, idOf: (index: number) => string): PartReader => {
  const own = provider === undefined ? {} : { provider }
  const others: Array<Json> = []
  const output: Array<string> = []
  let reasoningParts = 0
  /** Whether the last reasoning part can continue: nothing followed it, and it has no signature. */
  let inReasoning = false
  let textLength = 0
  let calls = 0
  let open: OpenCall | undefined

  const emitReasoningPart = (part: ReasoningPart, out: Array<WireEvent>): void => {
    const { type: _, ...delta } = part
    out.push({ _tag: "ReasoningDelta", index: reasoningParts - 1, ...delta, ...own })
  }

  const emitSignature = (part: ReasoningPart, out: Array<WireEvent>): void => {
    inReasoning = false
    reasoningParts += 1
    emitReasoningPart(part, out)
  }

  const emitReasoning = (text: string, signature: string | undefined, out: Array<WireEvent>): void => {
    if (!inReasoning) reasoningParts += 1
    emitReasoningPart({ type: "reasoning", text, ...(signature === undefined ? {} : { signature }) }, out)
    inReasoning = signature === undefined
    output.push(text)
  }

  const emitText = (text: string, signature: string | undefined, out: Array<WireEvent>): void => {
    if (signature !== undefined) emitSignature(textSignature(textLength, textLength + text.length, signature), out)
    inReasoning = false
    if (text === "") return
    textLength += text.length
    output.push(text)
    out.push({ _tag: "TextDelta", text })
  }

  const emitArguments = ({ id, index, name }: OpenCall, argumentsDelta: string, out: Array<WireEvent>): void => {
    if (argumentsDelta === "") return
    output.push(argumentsDelta)
    out.push({ _tag: "ToolCallDelta", index, id, name, argumentsDelta })
  }

  const endCall = (out: Array<WireEvent>): void => {
    if (open === undefined) return
    const streamed = open.streamed.end()
    if (open.whole === undefined) emitArguments(open, streamed.remainder, out)
    const call: ToolCall = { id: open.id, name: open.name, arguments: open.whole ?? streamed.whole }
    out.push({ _tag: "ToolCallEnd", index: open.index, call })
    open = undefined
  }

  const readCall = (
    from: Json,
    signature: string | undefined,
    path: string,
    out: Array<WireEvent>
  ): WireFailure | undefined => {
    inReasoning = false
    const fields = camelCased(from)
    const name = string(fields, "name") ?? ""
    const args = record(fields, "args")
    const partialArgs = records(fields, "partialArgs")
    if (name !== "") {
      endCall(out)
      const index = calls
      calls += 1
      open = { index, id: string(fields, "id") || idOf(index), name, streamed: argumentsWriter(), whole: undefined }
    }
    if (open === undefined) {
      return args === undefined && partialArgs.length === 0 ? undefined : malformed(`${path}.name`, from)
    }
    if (signature !== undefined && signature !== skipSignature) emitSignature(callSignature(open.id, signature), out)
    if (args !== undefined) {
      open.whole = JSON.stringify(args)
      emitArguments(open, open.whole, out)
    }
    for (const [index, partialArg] of partialArgs.entries()) {
      const text = open.streamed.push(camelCased(partialArg))
      if (text === undefined) return malformed(`${path}.partialArgs[${index}].jsonPath`, partialArg)
      emitArguments(open, text, out)
    }
    if (fields["willContinue"] !== true) endCall(out)
    return undefined
  }

  const readOther = (part: Json, out: Array<WireEvent>): void => {
    const kind = kindOf(part)
    if (kind === undefined) return
    others.push(part)
    if (!isMedia(kind)) emitSignature(storedPart(textLength, kind, part), out)
  }

  const readPart = (from: unknown, path: string, out: Array<WireEvent>): WireFailure | undefined => {
    if (!isRecord(from)) return malformed(path, from)
    const part = camelCased(from)
    const signature = string(part, "thoughtSignature") || undefined
    const text = string(part, "text")
    const call = record(part, "functionCall")
    if (call !== undefined) return readCall(call, signature, `${path}.functionCall`, out)
    if (text === undefined && kindOf(part) !== undefined) readOther(part, out)
    else if (text !== undefined || signature !== undefined) {
      if ((text ?? "") === "" && signature === undefined) return undefined
      if (part["thought"] === true) emitReasoning(text ?? "", signature, out)
      else emitText(text ?? "", signature, out)
    }
    return undefined
  }

  return {
    read: (parts, path, out) => {
      for (const [index, part] of parts.entries()) {
        const failure = readPart(part, `${path}[${index}]`, out)
        if (failure !== undefined) return failure
      }
      return undefined
    },
    end: endCall,
    calls: () => calls,
    others: () => others,
    output: () => output.join("")
  }
}
