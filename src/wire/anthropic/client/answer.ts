/**
 * Reads an answer block by block. A whole answer is read as a stream of complete blocks. Source: Anthropic, API reference,
 * "Create a Message" and "Streaming Messages".
 */
import type { ToolCall } from "../../../vocabulary/Chat.js"
import * as Usage from "../../../vocabulary/Usage.js"
import { hasError } from "../../inBand.js"
import type { Json } from "../../json.js"
import { array, isRecord, number, parseJson, record, string, withoutNulls } from "../../json.js"
import type { AnswerSource, WireEvent, WireFailure } from "../../Wire.js"
import { estimatedUsage, malformed, usageOf } from "../../Wire.js"
import { decodeStopReason } from "../stopReason.js"
import { decodeReasoning } from "../reasoning.js"
import { otherUsage, decodeUsage } from "../usage.js"

type Out = Array<WireEvent>

interface TextBlock {
  readonly kind: "text"
}

interface ReasoningBlock {
  readonly kind: "reasoning"
  /** The index among the reasoning parts of the answer, once the block has content. */
  index: number | undefined
  signature: string
}

interface CallBlock {
  readonly kind: "call"
  readonly index: number
  readonly id: string
  readonly name: string
  /** The arguments at the start of the block, used when no deltas follow. */
  readonly input: unknown
  /** The arguments emitted so far. */
  emitted: string
  ended: boolean
}

/** A block of a server tool, or of an unknown type: kept unchanged. */
interface OtherBlock {
  readonly kind: "other"
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

/** Some servers send the arguments as a string, as other protocols do. */
const toolCallOf = ({ emitted, id, input, name }: CallBlock): ToolCall => {
  const text = typeof input === "string" ? input : isAbsent(input) ? "" : JSON.stringify(input)
  return { id, name, arguments: emitted || text || "{}" }
}

const completeBlock = ({ block, input }: OtherBlock): Json =>
  input === "" ? block : { ...block, input: parseJson(input) ?? input }

/** Makes the reader of one answer. */
export const answerReader = (source: AnswerSource) => {
  let id = ""
  let model = ""
  let rawReason: string | undefined
  let usageFields: Json = {}
  /** Whether the final count of output tokens has arrived: that of `message_start` is provisional. */
  let outputCounted = false
  /** Text and reasoning so far, for an estimate of the usage. */
  let output = ""
  let reasoningParts = 0
  let metadata: Json = {}
  const blocks = new Map<number, Block>()
  const calls: Array<CallBlock> = []
  const others: Array<OtherBlock> = []
  const citations: Array<unknown> = []

  const emitText = (text: string, out: Out): void => {
    if (text === "") return
    output += text
    out.push({ _tag: "TextDelta", text })
  }

  const emitReasoning = (block: ReasoningBlock, delta: Json, out: Out): void => {
    const reasoning = decodeReasoning(delta)
    if (reasoning === undefined) return
    const { signature = "", ...fields } = reasoning
    block.index ??= reasoningParts++
    block.signature += signature
    output += reasoning.text
    out.push({
      _tag: "ReasoningDelta",
      index: block.index,
      ...fields,
      ...(signature === "" ? {} : { signature: block.signature }),
      provider: source.provider
    })
  }

  const emitArguments = (block: CallBlock, argumentsDelta: string, out: Out): void => {
    if (argumentsDelta === "") return
    block.emitted += argumentsDelta
    const { id, index, name } = block
    out.push({ _tag: "ToolCallDelta", index, id, name, argumentsDelta })
  }

  const endCall = (block: CallBlock, out: Out): void => {
    if (block.ended) return
    block.ended = true
    const call = toolCallOf(block)
    if (block.emitted === "" && call.arguments !== "{}") emitArguments(block, call.arguments, out)
    out.push({ _tag: "ToolCallEnd", index: block.index, call })
  }

  const openCall = (block: Json, position: number): CallBlock | WireFailure => {
    const name = string(block, "name") ?? ""
    if (name === "") return malformed(`content[${position}].name`, block["name"])
    const index = calls.length
    const input = block["input"]
    const call: CallBlock = {
      kind: "call",
      index,
      id: string(block, "id") || `call_${index}`,
      name,
      input: isRecord(input) && Object.keys(input).length === 0 ? undefined : input,
      emitted: "",
      ended: false
    }
    calls.push(call)
    return call
  }

  const openBlock = (block: Json, position: number, out: Out): Block | WireFailure => {
    switch (block["type"]) {
      case "text":
        emitText(string(block, "text") ?? "", out)
        citations.push(...(array(block, "citations") ?? []))
        return { kind: "text" }
      case "thinking":
      case "redacted_thinking": {
        const reasoning: ReasoningBlock = { kind: "reasoning", index: undefined, signature: "" }
        emitReasoning(reasoning, block, out)
        return reasoning
      }
      case "tool_use":
        return openCall(block, position)
      default: {
        const other: OtherBlock = { kind: "other", block, input: "" }
        others.push(other)
        return other
      }
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
      case "text_delta":
        if (block.kind === "text") emitText(string(delta, "text") ?? "", out)
        return
      case "citations_delta":
        if (!isAbsent(delta["citation"])) citations.push(delta["citation"])
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
    const text = output + calls.map((call) => toolCallOf(call).arguments).join("")
    const reported = usageOf(decodeUsage(usageFields), source, text)
    const estimate = estimatedUsage(source, text)
    return outputCounted
      ? reported
      : Usage.make({
          ...reported,
          outputTokens: Math.max(reported.outputTokens, estimate.outputTokens),
          totalTokens: reported.inputTokens + Math.max(reported.outputTokens, estimate.outputTokens),
          estimated: true
        })
  }

  const providerMetadata = (): Json => {
    const other = otherUsage(usageFields)
    return {
      ...metadata,
      ...(Object.keys(other).length === 0 ? {} : { usage: other }),
      ...(citations.length === 0 ? {} : { citations }),
      ...(others.length === 0 ? {} : { blocks: others.map(completeBlock) })
    }
  }

  const updateUsage = (from: Json): void => {
    const fields = record(from, "usage")
    if (fields !== undefined) usageFields = { ...usageFields, ...withoutNulls(fields) }
  }

  const blockStart = (position: number, block: Json, out: Out): WireFailure | undefined => {
    const opened = openBlock(block, position, out)
    if ("_tag" in opened) return opened
    blocks.set(position, opened)
    return undefined
  }

  const blockStop = (position: number, out: Out): void => {
    const block = blocks.get(position)
    if (block?.kind === "call") endCall(block, out)
    blocks.delete(position)
  }

  return {
    id: () => id,
    model: () => model || source.model,
    usage,
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
      for (const call of calls) endCall(call, out)
      out.push({
        _tag: "Finish",
        reason: decodeStopReason(rawReason ?? "", calls.length > 0),
        rawReason: rawReason ?? "",
        usage: usage(),
        latency: 0,
        providerMetadata: providerMetadata()
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
