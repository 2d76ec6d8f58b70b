/**
 * Decodes the parts of a content as events, for answers and for assistant messages of requests.
 *
 * A text continues the text before it, in one content as in the chunks of a stream, unless one of the two has a signature or other
 * fields: "Thought signatures" forbids to merge parts with and without a signature. Thoughts continue in the same way, and a
 * signature ends its thought. Every other part is a part of its own.
 */
import type { ToolCall } from "../../vocabulary/Chat.js"
import { partIndexes } from "../answerReader.js"
import type { Json } from "../json.js"
import { isRecord, record, records, string } from "../json.js"
import { knownFields, mergeFields, unknownFields } from "../native.js"
import type { WireEvent, WireFailure } from "../Wire.js"
import { malformed } from "../Wire.js"
import { camelCased } from "./names.js"
import { native } from "./native.js"
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
  signature: string | undefined
  fields: Json | undefined
}

const textFields = knownFields(["text", "thought", "thoughtSignature"])

const callFields = knownFields(["thoughtSignature"], {
  functionCall: ["args", "id", "name", "partialArgs", "willContinue"]
})

/** Fields of every kind of part (Gemini API reference, `Part`). */
const commonFields: ReadonlySet<string> = new Set(["mediaResolution", "partMetadata", "videoMetadata"])

/** Whether a part without text and call has content, such as executed code and media. */
export const hasContent = (part: Json): boolean =>
  Object.keys(part).some((field) => isRecord(part[field]) && !commonFields.has(field))

/** `idOf` generates the id of a call without one. The provider of the parts of a request is unknown. */
export const partReader = (provider: string | undefined, idOf: (index: number) => string): PartReader => {
  const indexes = partIndexes()
  const output: Array<string> = []
  let calls = 0
  let open: OpenCall | undefined
  /** The index of the thought that can continue: the last part, without a signature. */
  let thought: number | undefined

  /** The index of a part that no other continues. */
  const next = (): number => {
    thought = undefined
    return indexes.open()
  }

  /** The origin of a part with a signature. Without a provider, native fields mark it as a part of this protocol. */
  const origin = (fields: Json | undefined) =>
    provider === undefined
      ? native.wrap(fields ?? {})
      : { provider, ...(fields === undefined ? {} : native.wrap(fields)) }

  const emitThought = (
    text: string,
    signature: string | undefined,
    fields: Json | undefined,
    out: Array<WireEvent>
  ): void => {
    const index = (fields === undefined ? thought : undefined) ?? next()
    out.push({
      _tag: "ReasoningDelta",
      index,
      text,
      ...(signature === undefined ? {} : { signature }),
      ...origin(fields)
    })
    thought = signature === undefined && fields === undefined ? index : undefined
  }

  const emitText = (text: string, fields: Json | undefined, out: Array<WireEvent>): void => {
    thought = undefined
    if (fields === undefined) out.push({ _tag: "TextDelta", index: indexes.continue("text"), text })
    else out.push({ _tag: "TextDelta", index: next(), text, ...origin(fields) })
  }

  const readText = (part: Json, text: string, signature: string | undefined, out: Array<WireEvent>): void => {
    const fields = unknownFields(part, textFields)
    if (text === "" && signature === undefined && fields === undefined) return
    output.push(text)
    if (part["thought"] === true) emitThought(text, signature, fields, out)
    else emitText(text, signature === undefined ? fields : { ...fields, thoughtSignature: signature }, out)
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
    const { fields, id, name, signature } = open
    const call: ToolCall = {
      type: "tool-call",
      id,
      name,
      arguments: open.whole ?? streamed.whole,
      ...(signature === undefined ? {} : { signature }),
      ...(signature === undefined && fields === undefined ? {} : origin(fields))
    }
    out.push({ _tag: "ToolCallEnd", index: open.index, call })
    open = undefined
  }

  const readCall = (
    part: Json,
    from: Json,
    signature: string | undefined,
    path: string,
    out: Array<WireEvent>
  ): WireFailure | undefined => {
    const fields = camelCased(from)
    const name = string(fields, "name") ?? ""
    const args = record(fields, "args")
    const partialArgs = records(fields, "partialArgs")
    if (name !== "") {
      endCall(out)
      const id = string(fields, "id") || idOf(calls)
      calls += 1
      open = {
        index: next(),
        id,
        name,
        streamed: argumentsWriter(),
        whole: undefined,
        signature: undefined,
        fields: undefined
      }
    }
    if (open === undefined) {
      return args === undefined && partialArgs.length === 0 ? undefined : malformed(`${path}.name`, from)
    }
    if (signature !== undefined && signature !== skipSignature) open.signature = signature
    const unknown = unknownFields({ ...part, functionCall: fields }, callFields)
    if (unknown !== undefined) open.fields = mergeFields(open.fields ?? {}, unknown)
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

  const readPart = (from: unknown, path: string, out: Array<WireEvent>): WireFailure | undefined => {
    if (!isRecord(from)) return malformed(path, from)
    const part = camelCased(from)
    const signature = string(part, "thoughtSignature") || undefined
    const text = string(part, "text")
    const call = record(part, "functionCall")
    if (call !== undefined) return readCall(part, call, signature, `${path}.functionCall`, out)
    if (text === undefined && hasContent(part)) {
      out.push({ _tag: "ProviderPart", index: next(), part: native.part(part, provider) })
    } else if (text !== undefined || signature !== undefined) {
      readText(part, text ?? "", signature, out)
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
    output: () => output.join("")
  }
}
