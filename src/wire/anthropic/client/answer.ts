/**
 * An answer, read block by block. A whole answer is a stream of blocks that are complete from their beginning, so both are
 * read here. Anthropic, API reference: "Create a Message", "Streaming Messages".
 */
import type { ToolCall } from "../../../vocabulary/Chat.js"
import * as Usage from "../../../vocabulary/Usage.js"
import { saysError } from "../../inBand.js"
import type { Json } from "../../json.js"
import { array, isRecord, number, parseJson, record, string } from "../../json.js"
import type { AnswerSource, WireEvent, WireFailure } from "../../Wire.js"
import { estimatedUsage, malformed, usageOf } from "../../Wire.js"
import { readStopReason } from "../stopReason.js"
import { readThought } from "../reasoning.js"
import { furtherUsage, readUsage } from "../usage.js"

type Out = Array<WireEvent>

interface TextBlock {
  readonly kind: "text"
}

interface ThoughtBlock {
  readonly kind: "thought"
  /** Its place among the thoughts that say something, once it does. */
  index: number | undefined
  signature: string
}

interface CallBlock {
  readonly kind: "call"
  readonly index: number
  readonly id: string
  readonly name: string
  /** The arguments as they stand at the beginning, which only counts where no pieces follow. */
  readonly input: unknown
  pieces: string
  ended: boolean
}

/** A block of a tool that the provider ran itself, or of a kind that is yet to come: kept as it is. */
interface OtherBlock {
  readonly kind: "other"
  block: Json
  input: string
}

type Block = TextBlock | ThoughtBlock | CallBlock | OtherBlock

/** What a block must be for a delta to be of it. */
const kinds: ReadonlyMap<unknown, string> = new Map([
  ["text_delta", "text"],
  ["thinking_delta", "thinking"],
  ["signature_delta", "thinking"]
])

const isEmpty = (value: unknown): boolean => value === undefined || value === null

/** Fields that say something. */
const told = (from: Json, known: ReadonlySet<string>): Json =>
  Object.fromEntries(Object.entries(from).filter(([field, value]) => !known.has(field) && !isEmpty(value)))

const messageFields: ReadonlySet<string> = new Set(["id", "type", "role", "model", "content", "stop_reason", "usage"])

const deltaEventFields: ReadonlySet<string> = new Set(["type", "delta", "usage"])

/** Some write the arguments as a text, as other protocols do. */
const whole = ({ id, input, name, pieces }: CallBlock): ToolCall => {
  const text = typeof input === "string" ? input : isEmpty(input) ? "" : JSON.stringify(input)
  return { id, name, arguments: pieces || text || "{}" }
}

const finished = ({ block, input }: OtherBlock): Json =>
  input === "" ? block : { ...block, input: parseJson(input) ?? input }

/** The reader of one answer. */
export const answerReader = (source: AnswerSource) => {
  let id = ""
  let model = ""
  let rawReason: string | undefined
  let counts: Json = {}
  /** Whether the tokens of the output are counted: at the beginning they are not. */
  let counted = false
  /** All that was said beside calls, for an estimate where nobody counts. */
  let said = ""
  let thoughts = 0
  let metadata: Json = {}
  const blocks = new Map<number, Block>()
  const calls: Array<CallBlock> = []
  const others: Array<OtherBlock> = []
  const citations: Array<unknown> = []

  const say = (text: string, out: Out): void => {
    if (text === "") return
    said += text
    out.push({ _tag: "TextDelta", text })
  }

  const think = (block: ThoughtBlock, piece: Json, out: Out): void => {
    const thought = readThought(piece)
    if (thought === undefined) return
    const { signature = "", ...rest } = thought
    block.index ??= thoughts++
    block.signature += signature
    said += thought.text
    out.push({
      _tag: "ReasoningDelta",
      index: block.index,
      ...rest,
      ...(signature === "" ? {} : { signature: block.signature }),
      provider: source.provider
    })
  }

  const argue = (block: CallBlock, piece: string, out: Out): void => {
    if (piece === "") return
    block.pieces += piece
    const { id, index, name } = block
    out.push({ _tag: "ToolCallDelta", index, id, name, argumentsDelta: piece })
  }

  const endCall = (block: CallBlock, out: Out): void => {
    if (block.ended) return
    block.ended = true
    const call = whole(block)
    if (block.pieces === "" && call.arguments !== "{}") argue(block, call.arguments, out)
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
      pieces: "",
      ended: false
    }
    calls.push(call)
    return call
  }

  const open = (block: Json, position: number, out: Out): Block | WireFailure => {
    switch (block["type"]) {
      case "text":
        say(string(block, "text") ?? "", out)
        citations.push(...(array(block, "citations") ?? []))
        return { kind: "text" }
      case "thinking":
      case "redacted_thinking": {
        const thought: ThoughtBlock = { kind: "thought", index: undefined, signature: "" }
        think(thought, block, out)
        return thought
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

  /** The block that a delta belongs to; where its beginning was not told, it is of the delta's kind. */
  const blockOf = (position: number, delta: Json, out: Out): Block | undefined => {
    const known = blocks.get(position)
    if (known !== undefined) return known
    const type = kinds.get(delta["type"])
    const opened = type === undefined ? undefined : open({ type }, position, out)
    if (opened === undefined || "_tag" in opened) return undefined
    blocks.set(position, opened)
    return opened
  }

  const readDelta = (block: Block, delta: Json, out: Out): void => {
    switch (delta["type"]) {
      case "text_delta":
        if (block.kind === "text") say(string(delta, "text") ?? "", out)
        return
      case "citations_delta":
        if (!isEmpty(delta["citation"])) citations.push(delta["citation"])
        return
      case "thinking_delta":
      case "signature_delta":
        if (block.kind === "thought") think(block, { ...delta, type: "thinking" }, out)
        return
      case "input_json_delta":
        if (block.kind === "call") argue(block, string(delta, "partial_json") ?? "", out)
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
    const written = said + calls.map((call) => whole(call).arguments).join("")
    const known = usageOf(readUsage(counts), source, written)
    const estimate = estimatedUsage(source, written)
    return counted
      ? known
      : Usage.make({
          ...known,
          outputTokens: Math.max(known.outputTokens, estimate.outputTokens),
          totalTokens: known.inputTokens + Math.max(known.outputTokens, estimate.outputTokens),
          estimated: true
        })
  }

  const providerMetadata = (): Json => {
    const further = furtherUsage(counts)
    return {
      ...metadata,
      ...(Object.keys(further).length === 0 ? {} : { usage: further }),
      ...(citations.length === 0 ? {} : { citations }),
      ...(others.length === 0 ? {} : { blocks: others.map(finished) })
    }
  }

  const count = (from: Json): void => {
    const counting = record(from, "usage")
    if (counting !== undefined) counts = { ...counts, ...told(counting, new Set()) }
  }

  const blockStart = (position: number, block: Json, out: Out): WireFailure | undefined => {
    const opened = open(block, position, out)
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
    /** The answer without what it says. */
    begin: (message: Json): void => {
      id ||= string(message, "id") ?? ""
      model ||= string(message, "model") ?? ""
      rawReason = string(message, "stop_reason") || rawReason
      metadata = { ...metadata, ...told(message, messageFields) }
      count(message)
    },
    /** Blocks that are complete: all of a whole answer, or those that a stream begins with. */
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
    /**
     * How the answer ended. Its counts are running totals: they take the place of the earlier ones. True: it has the reason why
     * the model stopped.
     */
    messageDelta: (event: Json): boolean => {
      const delta = record(event, "delta") ?? {}
      rawReason = string(delta, "stop_reason") || rawReason
      metadata = { ...metadata, ...told(event, deltaEventFields), ...told(delta, messageFields) }
      count(event)
      counted ||= number(record(event, "usage") ?? {}, "output_tokens") !== undefined
      return Boolean(string(delta, "stop_reason"))
    },
    /** Gives out what is owed at the end. */
    finish: (out: Out): void => {
      for (const call of calls) endCall(call, out)
      out.push({
        _tag: "Finish",
        reason: readStopReason(rawReason ?? "", calls.length > 0),
        rawReason: rawReason ?? "",
        usage: usage(),
        latency: 0,
        providerMetadata: providerMetadata()
      })
    }
  }
}

/** An error that stands where an answer should. */
export const reportedError = (body: Json): WireFailure | undefined =>
  body["type"] === "error" ||
  (!isEmpty(body["error"]) && body["content"] === undefined) ||
  // The words of a gateway: an event and an answer have a type.
  ((body["type"] === undefined || body["object"] === "error") && body["content"] === undefined && saysError(body))
    ? { _tag: "Reported", body }
    : undefined
