/**
 * Reads an answer block by block. A whole answer is read as a stream of complete blocks. Source: Anthropic, API reference,
 * "Create a Message" and "Streaming Messages".
 */
import * as Usage from "../../../vocabulary/Usage.js"
import * as TextTokens from "../../../vocabulary/textTokens.js"
import type { AddText } from "../../answerReader.js"
import { partIndexes } from "../../answerReader.js"
import { hasError } from "../../inBand.js"
import type { Json } from "../../json.js"
import { array, isRecord, number, record, string, withoutNulls } from "../../json.js"
import type { PartWithNative } from "../../native.js"
import { knownFields, unknownFields } from "../../native.js"
import type { AnswerSource, WireEvent, WireFailure } from "../../Wire.js"
import { estimatedUsage, malformed, usageOf } from "../../Wire.js"
import { containerPart } from "../container.js"
import { native } from "../native.js"
import { decodeReasoning, reasoningFields } from "../reasoning.js"
import { decodeStopReason } from "../stopReason.js"
import { callFields, inputOf } from "../toolCalls.js"
import { otherUsage, decodeUsage } from "../usage.js"

type Out = Array<WireEvent>

interface TextBlock {
  readonly kind: "text"
  /** The index of the part, once the block has content: an empty block is no part. */
  index: number | undefined
  /** The fields that only this protocol has, and the citations so far. */
  fields: Json | undefined
  /** Whether no delta has delivered the last citations. */
  due: boolean
}

interface ReasoningBlock {
  readonly kind: "reasoning"
  /** The index of the part, once the block has content: an empty block is no part. */
  index: number | undefined
  readonly answered: PartWithNative
  signature: string
}

interface CallBlock {
  readonly kind: "call"
  readonly index: number
  readonly id: string
  readonly name: string
  /** The arguments at the start of the block, used when no deltas follow. */
  readonly input: unknown
  readonly answered: PartWithNative
  /** The arguments emitted so far. */
  emitted: string
}

/** A block of a server tool, or of an unknown type: kept unchanged. */
interface OtherBlock {
  readonly kind: "other"
  readonly index: number
  block: Json
  input: string
}

type Block = TextBlock | ReasoningBlock | CallBlock | OtherBlock

/** The type of the block that a delta belongs to. */
const blockTypes: ReadonlyMap<unknown, string> = new Map([
  ["text_delta", "text"],
  ["thinking_delta", "thinking"],
  ["signature_delta", "thinking"]
])

const isAbsent = (value: unknown): boolean => value === undefined || value === null

/** The fields that are neither known nor null. */
const otherFields = (from: Json, known: ReadonlySet<string>): Json =>
  Object.fromEntries(Object.entries(from).filter(([field, value]) => !known.has(field) && !isAbsent(value)))

const messageFields: ReadonlySet<string> = new Set(["id", "type", "role", "model", "content", "stop_reason", "usage"])

const deltaEventFields: ReadonlySet<string> = new Set(["type", "delta", "usage"])

const textFields = knownFields(["type", "text"])

/** The fields of a text block that only this protocol has. An empty list of citations, with which a stream begins, is none. */
const fieldsOfText = (block: Json): Json | undefined => {
  const { citations, ...others } = block
  return unknownFields(array(block, "citations")?.length === 0 ? others : { ...others, citations }, textFields)
}

/** The arguments at the start of a block as text. Some servers send them as a string, as other protocols do. */
const inputText = (input: unknown): string =>
  typeof input === "string" ? input : isAbsent(input) ? "" : JSON.stringify(input)

/** The block with its streamed input, which the API accepts as an object alone, also when the answer reached its token limit. */
const completeBlock = ({ block, input }: OtherBlock): Json =>
  input === "" ? block : { ...block, input: inputOf({ arguments: input }) }

/** Makes the reader of one answer. */
export const answerReader = (source: AnswerSource) => {
  let id = ""
  let model = ""
  let rawReason: string | undefined
  let usageFields: Json = {}
  /** Whether the final count of output tokens has arrived: that of `message_start` is provisional. */
  let outputCounted = false
  /** Text, reasoning and arguments so far, for an estimate of the usage. */
  const output = TextTokens.growing()
  let metadata: Json = {}
  const parts = partIndexes()
  /** The open blocks by their position, in the order of their starts. */
  const blocks = new Map<number, Block>()
  let calls = 0
  /** The block of the last delta, if it is a text. */
  let lastText: TextBlock | undefined

  const emitText = (block: TextBlock, text: string, out: Out): void => {
    output.add(text)
    const fields = block.index === undefined || block.due ? native.answered(block.fields, source.provider) : {}
    block.due = false
    out.push({ _tag: "TextDelta", index: (block.index ??= parts.open()), text, ...fields })
  }

  const addCitation = (block: TextBlock, citation: unknown): void => {
    block.fields = { ...block.fields, citations: [...(array(block.fields ?? {}, "citations") ?? []), citation] }
    block.due = true
  }

  const emitReasoning = (block: ReasoningBlock, delta: Json, out: Out): void => {
    const reasoning = decodeReasoning(delta)
    if (reasoning === undefined) return
    const { signature = "", ...fields } = reasoning
    block.signature += signature
    output.add(reasoning.text)
    out.push({
      _tag: "ReasoningDelta",
      index: (block.index ??= parts.open()),
      ...fields,
      ...(signature === "" ? {} : { signature: block.signature }),
      provider: source.provider,
      ...block.answered
    })
  }

  const emitArguments = (block: CallBlock, argumentsDelta: string, out: Out): void => {
    if (argumentsDelta === "") return
    const { answered, emitted, id, index, name } = block
    block.emitted += argumentsDelta
    output.add(argumentsDelta)
    out.push({ _tag: "ToolCallDelta", index, id, name, argumentsDelta, ...(emitted === "" ? answered : {}) })
  }

  const endCall = (block: CallBlock, out: Out): void => {
    if (block.emitted === "") emitArguments(block, inputText(block.input), out)
    const { answered, emitted, id, index, name } = block
    if (emitted === "") output.add("{}")
    out.push({
      _tag: "ToolCallEnd",
      index,
      call: { type: "tool-call", id, name, arguments: emitted || "{}", ...answered }
    })
  }

  const openCall = (block: Json, position: number): CallBlock | WireFailure => {
    const name = string(block, "name") ?? ""
    if (name === "") return malformed(`content[${position}].name`, block["name"])
    const input = block["input"]
    const id = string(block, "id") || `call_${calls}`
    calls += 1
    return {
      kind: "call",
      index: parts.open(),
      id,
      name,
      input: isRecord(input) && Object.keys(input).length === 0 ? undefined : input,
      answered: native.answered(unknownFields(block, callFields), source.provider),
      emitted: ""
    }
  }

  const openBlock = (block: Json, position: number, out: Out): Block | WireFailure => {
    switch (block["type"]) {
      case "text": {
        const text: TextBlock = { kind: "text", index: undefined, fields: fieldsOfText(block), due: false }
        const begun = string(block, "text") ?? ""
        if (begun !== "") emitText(text, begun, out)
        return text
      }
      case "thinking":
      case "redacted_thinking": {
        const answered = native.answered(unknownFields(block, reasoningFields), source.provider)
        const reasoning: ReasoningBlock = { kind: "reasoning", index: undefined, answered, signature: "" }
        emitReasoning(reasoning, block, out)
        return reasoning
      }
      case "tool_use":
        return openCall(block, position)
      default:
        return { kind: "other", index: parts.open(), block, input: "" }
    }
  }

  /** The block that a delta belongs to. A block without a start event gets the type that its first delta implies. */
  const blockOf = (position: number, delta: Json, out: Out): Block | undefined => {
    const existing = blocks.get(position)
    if (existing !== undefined) return existing
    const type = blockTypes.get(delta["type"])
    const opened = type === undefined ? undefined : openBlock({ type }, position, out)
    if (opened === undefined || "_tag" in opened) return undefined
    blocks.set(position, opened)
    return opened
  }

  const readDelta = (block: Block, delta: Json, out: Out): void => {
    switch (delta["type"]) {
      case "text_delta": {
        const text = string(delta, "text") ?? ""
        if (block.kind !== "text" || text === "") return
        lastText = block
        return emitText(block, text, out)
      }
      case "citations_delta":
        if (block.kind === "text" && !isAbsent(delta["citation"])) addCitation(block, delta["citation"])
        return
      case "thinking_delta":
      case "signature_delta":
        if (block.kind === "reasoning") emitReasoning(block, { ...delta, type: "thinking" }, out)
        return
      case "input_json_delta":
        if (block.kind === "call") emitArguments(block, string(delta, "partial_json") ?? "", out)
        if (block.kind === "other") block.input += string(delta, "partial_json") ?? ""
        return
      case "compaction_delta":
        if (block.kind === "other") {
          const { content } = delta
          const before = string(block.block, "content") ?? ""
          const { type: _, ...fields } = delta
          block.block = { ...block.block, ...fields, content: typeof content === "string" ? before + content : content }
        }
        return
      default:
        return
    }
  }

  const usage = (): Usage.Usage => {
    const reported = usageOf(decodeUsage(usageFields), source, output.tokens)
    const estimate = estimatedUsage(source, output.tokens)
    return outputCounted
      ? reported
      : Usage.make({
          ...reported,
          outputTokens: Math.max(reported.outputTokens, estimate.outputTokens),
          totalTokens: reported.inputTokens + Math.max(reported.outputTokens, estimate.outputTokens),
          estimated: true
        })
  }

  const withOtherUsage = (fields: Json): Json => {
    const other = otherUsage(usageFields)
    return Object.keys(other).length === 0 ? fields : { ...fields, usage: other }
  }

  const updateUsage = (from: Json): void => {
    const fields = record(from, "usage")
    if (fields !== undefined) usageFields = { ...usageFields, ...withoutNulls(fields) }
  }

  const blockStart = (position: number, block: Json, out: Out): WireFailure | undefined => {
    lastText = undefined
    blockStop(position, out)
    const opened = openBlock(block, position, out)
    if ("_tag" in opened) return opened
    blocks.set(position, opened)
    return undefined
  }

  const endBlock = (block: Block, out: Out): void => {
    switch (block.kind) {
      case "text":
        if (block.due || (block.index === undefined && block.fields !== undefined)) emitText(block, "", out)
        return
      case "reasoning":
        return
      case "call":
        return endCall(block, out)
      case "other": {
        const part = native.part(completeBlock(block), source.provider)
        out.push({ _tag: "ProviderPart", index: block.index, part })
      }
    }
  }

  const blockStop = (position: number, out: Out): void => {
    const block = blocks.get(position)
    blocks.delete(position)
    if (block !== undefined) endBlock(block, out)
  }

  return {
    id: () => id,
    model: () => model || source.model,
    usage,
    /** Continues the text of the last delta. */
    addText: (): AddText | undefined => {
      const block = lastText
      return block && ((text, out) => emitText(block, text, out))
    },
    /** Reads the fields of the answer, but not its content. */
    begin: (message: Json): void => {
      id ||= string(message, "id") ?? ""
      model ||= string(message, "model") ?? ""
      rawReason = string(message, "stop_reason") || rawReason
      metadata = { ...metadata, ...otherFields(message, messageFields) }
      updateUsage(message)
    },
    /** Reads complete blocks: those of a whole answer, or of `message_start`. */
    wholeBlocks: (content: ReadonlyArray<unknown>, path: string, out: Out): WireFailure | undefined => {
      for (const [position, block] of content.entries()) {
        const failure = isRecord(block) ? blockStart(position, block, out) : malformed(`${path}[${position}]`, block)
        if (failure !== undefined) return failure
        blockStop(position, out)
      }
      return undefined
    },
    blockStart,
    blockDelta: (position: number, delta: Json, out: Out): void => {
      const block = blockOf(position, delta, out)
      if (block !== undefined) readDelta(block, delta, out)
    },
    blockStop,
    /** Reads the end of the answer, whose counts replace the earlier ones. Returns whether it has a stop reason. */
    messageDelta: (event: Json): boolean => {
      const delta = record(event, "delta") ?? {}
      rawReason = string(delta, "stop_reason") || rawReason
      metadata = { ...metadata, ...otherFields(event, deltaEventFields), ...otherFields(delta, messageFields) }
      updateUsage(event)
      outputCounted ||= number(record(event, "usage") ?? {}, "output_tokens") !== undefined
      return Boolean(string(delta, "stop_reason"))
    },
    finish: (out: Out): void => {
      for (const position of blocks.keys()) blockStop(position, out)
      const { container, ...fields } = metadata
      if (isRecord(container)) {
        out.push({ _tag: "ProviderPart", index: parts.open(), part: containerPart(container, source.provider) })
      }
      out.push({
        _tag: "Finish",
        reason: decodeStopReason(rawReason ?? "", calls > 0),
        rawReason: rawReason ?? "",
        usage: usage(),
        latency: 0,
        providerMetadata: withOtherUsage(isRecord(container) ? fields : metadata)
      })
    }
  }
}

/** The failure when the body of a response or event is an error. */
export const reportedError = (body: Json): WireFailure | undefined =>
  body["type"] === "error" ||
  (!isAbsent(body["error"]) && body["content"] === undefined) ||
  // An error of a gateway: an event and an answer have a type.
  ((body["type"] === undefined || body["object"] === "error") && body["content"] === undefined && hasError(body))
    ? { _tag: "Reported", body }
    : undefined
