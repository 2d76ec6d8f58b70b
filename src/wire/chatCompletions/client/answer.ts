/** The reader of an answer, whole or in chunks. OpenAI, API reference: chat/object, chat/streaming. */
import type { Usage } from "../../../vocabulary/Usage.js"
import * as TextTokens from "../../../vocabulary/textTokens.js"
import { partIndexes } from "../../answerReader.js"
import { isError, hasError } from "../../inBand.js"
import type { Json } from "../../json.js"
import { array, isRecord, number, record, records, string } from "../../json.js"
import { knownFields, unknownFields } from "../../native.js"
import type { AnswerSource, WireEvent } from "../../Wire.js"
import { usageOf } from "../../Wire.js"
import { toolCallReader, withIndexes } from "../toolCalls.js"
import { decodeFinishReason, isFailure } from "../finishReason.js"
import { copyBodyFields, mergeOwnerFields } from "../metadata.js"
import { messagePart, native } from "../native.js"
import type { ThinkingEntry } from "../reasoning.js"
import { readThinkingEntry, reasoningReader } from "../reasoning.js"
import { decodeUsage, unknownCounts } from "../usage.js"

/** MiniMax sends a status with every answer ("Error Codes"): 0 is success. */
const isFailed = (status: Json | undefined): boolean => ((status && number(status, "status_code")) ?? 0) !== 0

/**
 * The error that a body reports in place of an answer: under `error`, in the choice (OpenRouter, "Errors"), as the finish reason,
 * or in a body without choices.
 */
export const reportedError = (body: Json): Json | undefined => {
  if (isError(body["error"]) || body["object"] === "error" || isFailed(record(body, "base_resp"))) return body
  const choices = array(body, "choices") ?? []
  if (choices.length === 0) return hasError(body) ? body : undefined
  const choice = choices[0]
  if (!isRecord(choice)) return undefined
  if (isError(choice["error"])) return { error: choice["error"] }
  const reason = string(choice, "finish_reason") ?? ""
  return isFailure(reason)
    ? { error: { code: reason, message: `The provider ended the answer with finish_reason ${reason}.` } }
    : undefined
}

/** A whole message, whose calls stay separate although some have equal ids. */
const withCallIndexes = (message: Json): Json =>
  array(message, "tool_calls") === undefined
    ? message
    : { ...message, tool_calls: withIndexes(records(message, "tool_calls")) }

const textFields = knownFields(["type", "text"])

const isThinking = (entry: unknown): boolean => isRecord(entry) && readThinkingEntry(entry) !== undefined

export const answerReader = (source: AnswerSource) => {
  let id = ""
  let model = ""
  let rawReason: string | undefined
  let usage: Usage | undefined
  /** Number of chunks with counts. */
  let countedChunks = 0
  let lastChunkCounts = false
  /** Counts that `Usage` does not cover. */
  let otherCounts: Json | undefined
  /** All output, for an estimate when the provider sends no counts. */
  const output = TextTokens.growing()
  const metadata: Record<string, unknown> = {}
  const parts = partIndexes()
  const reasoning = reasoningReader(source.provider, parts)
  const toolCalls = toolCallReader(parts.open)
  let hasToolCalls = false
  /** Whether each choice after the first has its `finish_reason`, by index. */
  const otherChoices = new Map<number, boolean>()

  const readCallDelta = (call: Json, out: Array<WireEvent>): void => {
    const delta = toolCalls.read(call)
    if (delta === undefined) return
    output.add(delta.argumentsDelta)
    toolCalls.append(delta, out)
  }

  const readCalls = (message: Json, out: Array<WireEvent>): void => {
    for (const call of array(message, "tool_calls") ?? []) {
      if (!isRecord(call)) continue
      hasToolCalls = true
      readCallDelta(call, out)
    }
    const legacy = record(message, "function_call")
    if (legacy !== undefined && !hasToolCalls) readCallDelta({ index: 0, function: legacy }, out)
  }

  /** Emits a delta of a text or a refusal. `isNew`: it does not continue the part before it. */
  const emit = (
    _tag: "TextDelta" | "RefusalDelta",
    text: string,
    fields: Json | undefined,
    isNew: boolean,
    out: Array<WireEvent>
  ): void => {
    if (text === "" && fields === undefined) return
    output.add(text)
    const kind = _tag === "TextDelta" ? "text" : "refusal"
    const index = isNew ? parts.open(kind) : parts.continue(kind)
    toolCalls.append(
      fields === undefined ? { _tag, index, text } : { _tag, index, text, ...native.answered(fields, source.provider) },
      out
    )
  }

  const emitThinking = (entry: ThinkingEntry, isNew: boolean, out: Array<WireEvent>): void => {
    const delta = reasoning.readEntry(entry, isNew)
    if (delta === undefined) return
    output.add(delta.text)
    toolCalls.append(delta, out)
  }

  /** The entries of one message or one delta. The first one can continue a part, those after one of their own kind are new parts. */
  const readEntries = (entries: ReadonlyArray<unknown>, out: Array<WireEvent>): void => {
    let before: string | undefined
    for (const entry of entries) {
      if (!isRecord(entry)) continue
      const thinking = readThinkingEntry(entry)
      const refusal = entry["type"] === "refusal" ? string(entry, "refusal") : undefined
      const text = string(entry, "text")
      const kind =
        thinking !== undefined ? "thinking" : refusal !== undefined ? "refusal" : text !== undefined ? "text" : "other"
      if (thinking !== undefined) emitThinking(thinking, before === kind, out)
      else if (refusal !== undefined) {
        emit("RefusalDelta", refusal, undefined, before === kind, out)
      } else if (text !== undefined) {
        emit("TextDelta", text, unknownFields(entry, textFields), before === kind, out)
      } else if (typeof entry["type"] === "string") {
        toolCalls.append({ _tag: "ProviderPart", index: parts.open(), part: native.part(entry, source.provider) }, out)
      }
      before = kind
    }
  }

  const readMessage = (message: Json, out: Array<WireEvent>): void => {
    const content = message["content"]
    for (const delta of reasoning.read(message, Array.isArray(content) && content.some(isThinking))) {
      output.add(delta.text)
      toolCalls.append(delta, out)
    }
    if (typeof content === "string") emit("TextDelta", content, undefined, false, out)
    else if (Array.isArray(content)) readEntries(content, out)
    emit("RefusalDelta", string(message, "refusal") ?? "", undefined, false, out)
    readCalls(message, out)
    mergeOwnerFields(metadata, message, "message")
  }

  /** Some servers repeat the whole message after its deltas. */
  const messageOf = (choice: Json): Json | undefined =>
    record(choice, "delta") ?? (output.isEmpty() ? record(choice, "message") : undefined)

  const readChoice = (choice: Json, message: Json | undefined, out: Array<WireEvent>): void => {
    if (message !== undefined) readMessage(message, out)
    mergeOwnerFields(metadata, choice, "choice")
    rawReason = string(choice, "finish_reason") || rawReason
  }

  const readBody = (body: Json): void => {
    id ||= string(body, "id") ?? ""
    model ||= string(body, "model") ?? ""
    // Running totals: the last one counts.
    const counts = decodeUsage(body)
    lastChunkCounts = counts !== undefined
    if (lastChunkCounts) countedChunks++
    usage = counts ?? usage
    copyBodyFields(metadata, body)
    otherCounts = unknownCounts(body) ?? otherCounts
  }

  return {
    /** The first id that is not empty; the same for the model. */
    id: () => id,
    model: () => model || source.model,
    usage: () => usageOf(usage, source, output.tokens),
    /** Whether the provider has sent its counts. */
    hasUsage: () => usage !== undefined,
    /** Whether every choice has its `finish_reason`. */
    stopped: () => rawReason !== undefined && [...otherChoices.values()].every(Boolean),
    /**
     * Whether the last chunk has counts and no other has. Some servers (Snowflake Cortex, some behind OpenRouter) never send a
     * `finish_reason` and send the counts last. Running totals do not mark the end.
     */
    endedWithUsage: () => lastChunkCounts && countedChunks === 1,
    /** Reads a chunk. Of choices after the first only the `finish_reason` is read. */
    read: (chunk: Json, out: Array<WireEvent>): void => {
      readBody(chunk)
      for (const choice of array(chunk, "choices") ?? []) {
        if (!isRecord(choice)) continue
        const index = number(choice, "index") ?? 0
        if (index === 0) readChoice(choice, messageOf(choice), out)
        else otherChoices.set(index, otherChoices.get(index) === true || Boolean(string(choice, "finish_reason")))
      }
    },
    /** Continues the text of the last chunk. */
    addText: (text: string, out: Array<WireEvent>): void => emit("TextDelta", text, undefined, false, out),
    /** Reads a whole answer, of which this is the choice. */
    readWhole: (body: Json, choice: Json, out: Array<WireEvent>): void => {
      readBody(body)
      const message = record(choice, "message")
      readChoice(choice, message && withCallIndexes(message), out)
    },
    /** Emits the ends of tool calls, the part with the fields of the message, and `Finish`. */
    finish: (out: Array<WireEvent>): void => {
      const completed = toolCalls.completed()
      for (const { call, fields, index, signature } of completed) {
        const answered = {
          ...call,
          ...(signature === "" ? {} : { signature, provider: source.provider }),
          ...native.answered(fields, source.provider)
        }
        out.push({ _tag: "ToolCallEnd", index, call: answered })
      }
      // OpenAI, API reference, chat/create: the next turn names the audio of this answer by its id.
      const audioId = string(record(metadata, "audio") ?? {}, "id") ?? ""
      if (audioId !== "") {
        const part = messagePart({ audio: { id: audioId } }, source.provider)
        out.push({ _tag: "ProviderPart", index: parts.open(), part })
      }
      out.push({
        _tag: "Finish",
        reason: decodeFinishReason(rawReason ?? "", completed.length > 0),
        rawReason: rawReason ?? "",
        usage: usageOf(usage, source, output.tokens),
        latency: 0,
        providerMetadata: otherCounts === undefined ? metadata : { ...metadata, usage: otherCounts }
      })
    }
  }
}
