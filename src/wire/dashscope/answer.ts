/** The reader of an answer from its events; a whole answer is a single event. */
import type { Usage } from "../../vocabulary/Usage.js"
import * as TextTokens from "../../vocabulary/textTokens.js"
import { partIndexes } from "../answerReader.js"
import { toolCallReader } from "../chatCompletions/toolCalls.js"
import { decodeFinishReason } from "../chatCompletions/finishReason.js"
import { accumulateFields } from "../chatCompletions/metadata.js"
import { hasError } from "../inBand.js"
import type { Json } from "../json.js"
import { isRecord, pick, number, record, records, string } from "../json.js"
import type { AnswerSource, WireEvent } from "../Wire.js"
import { usageOf } from "../Wire.js"
import type { ChannelText, Evidence } from "./deltas.js"
import { deltaReader } from "./deltas.js"
import { unknownCounts, decodeUsage, hasCounts } from "./usage.js"

/** Metadata of the choice. Values of several events are merged. */
export const choiceFields = ["logprobs"]

/** Metadata of the message. Values of several events are merged. */
export const messageFields = ["annotations", "audio"]

/** Metadata of the output: search results. */
export const outputFields = ["search_info"]

/**
 * The error that a body reports in place of an answer: `code` and `message`. Answers can have both fields too, but empty.
 * alibabacloud.com/help/en/model-studio/error-code
 */
export const reportedError = (body: Json): Json | undefined =>
  string(body, "code") || (record(body, "output") === undefined && hasError(body)) ? body : undefined

/** Reads content: a string, or parts, of which those without text are kept unchanged. */
const readContent = (content: unknown): { readonly text: string; readonly others: ReadonlyArray<Json> } => {
  if (typeof content === "string") return { text: content, others: [] }
  const parts = Array.isArray(content) ? content.filter(isRecord) : []
  return {
    text: parts.map((part) => string(part, "text") ?? "").join(""),
    others: parts.filter((part) => typeof part["text"] !== "string")
  }
}

export const answerReader = (source: AnswerSource) => {
  let id = ""
  let model = ""
  let rawReason: string | undefined
  /** The latest counts. Every event has them and only the last ones count, so `usage` decodes them. */
  let counts: Json | undefined
  let outputTokens: number | undefined
  /** All output, for an estimate when the provider sends no counts. */
  const outputText = TextTokens.growing()
  const metadata: Record<string, unknown> = {}
  const deltas = deltaReader()
  const parts = partIndexes()
  const toolCalls = toolCallReader(parts.open)

  const emitReasoning: ChannelText["emit"] = (text, out) => {
    if (text === "") return
    outputText.add(text)
    const index = parts.continue("reasoning")
    toolCalls.append({ _tag: "ReasoningDelta", index, text, provider: source.provider }, out)
  }

  const emitText: ChannelText["emit"] = (text, out) => {
    if (text === "") return
    outputText.add(text)
    toolCalls.append({ _tag: "TextDelta", index: parts.continue("text"), text }, out)
  }

  const emitArguments = (call: Json, text: string, out: Array<WireEvent>): void => {
    const delta = toolCalls.read({ ...call, function: { ...record(call, "function"), arguments: text } })
    if (delta === undefined) return
    outputText.add(delta.argumentsDelta)
    toolCalls.append(delta, out)
  }

  const argumentsText = (call: Json, position: number): ChannelText => {
    const args = record(call, "function")?.["arguments"]
    return {
      channel: `call ${number(call, "index") ?? (string(call, "id") || position)}`,
      text: typeof args === "string" ? args : isRecord(args) ? JSON.stringify(args) : "",
      emit: (text, out) => emitArguments(call, text, out)
    }
  }

  const readMessage = (message: Json, event: Omit<Evidence, "alone">, out: Array<WireEvent>): void => {
    const { others, text } = readContent(message["content"])
    const reasoning = string(message, "reasoning_content") ?? ""
    const calls = records(message, "tool_calls")
    const channelCount = calls.length + (reasoning === "" ? 0 : 1) + (text === "" ? 0 : 1)
    const reasoningDelta: ChannelText = { channel: "reasoning", text: reasoning, emit: emitReasoning }
    const textDelta: ChannelText = { channel: "text", text, emit: emitText }
    // The pending text of a channel that the event has no text for comes before what is new.
    const channels = text === "" ? [textDelta, reasoningDelta] : [reasoningDelta, textDelta]
    deltas.read([...channels, ...calls.map(argumentsText)], { ...event, alone: channelCount < 2 }, out)
    accumulateFields(metadata, message, messageFields)
    accumulateFields(metadata, { content: others }, ["content"])
  }

  /** Reads running totals. Returns whether the output tokens advanced; undefined without counts. */
  const readCounts = (body: Json): boolean | undefined => {
    const before = outputTokens
    const latest = record(body, "usage")
    outputTokens = latest === undefined ? undefined : number(latest, "output_tokens")
    if (latest !== undefined && hasCounts(latest)) counts = latest
    return before === undefined || outputTokens === undefined ? undefined : outputTokens > before
  }

  const usage = (): Usage => usageOf(counts && decodeUsage(counts), source, outputText.tokens)

  return {
    id: () => id,
    model: () => model || source.model,
    usage,
    /** Whether the latest event has counts. */
    hasUsage: () => outputTokens !== undefined,
    /** Whether the finish reason has arrived. */
    stopped: () => rawReason !== undefined,
    /** Reads an event. Choices after the first are ignored. */
    read: (body: Json, out: Array<WireEvent>): void => {
      id ||= string(body, "request_id") ?? ""
      model ||= string(body, "model") ?? ""
      const advanced = readCounts(body)
      const output = record(body, "output") ?? {}
      const choice = records(output, "choices").find((each) => (number(each, "index") ?? 0) === 0)
      // Until the end the reason is the string "null".
      const reason = string(choice ?? output, "finish_reason") ?? ""
      if (reason !== "" && reason !== "null") rawReason = reason
      const evidence = { advanced, last: rawReason !== undefined }
      // Without `result_format: "message"`, or from older models, the answer is only a text.
      const plain = typeof output["text"] === "string" ? { content: output["text"] } : undefined
      const message = choice === undefined ? plain : record(choice, "message")
      if (message !== undefined) readMessage(message, evidence, out)
      if (choice !== undefined) accumulateFields(metadata, choice, choiceFields)
      Object.assign(metadata, pick(output, outputFields))
    },
    /** Emits pending text, the ends of tool calls and `Finish`. */
    finish: (out: Array<WireEvent>): void => {
      deltas.flush(out)
      const completed = toolCalls.completed()
      const otherCounts = unknownCounts(counts ?? {})
      for (const { call, index } of completed) out.push({ _tag: "ToolCallEnd", index, call })
      out.push({
        _tag: "Finish",
        reason: decodeFinishReason(rawReason ?? "", completed.length > 0),
        rawReason: rawReason ?? "",
        usage: usage(),
        latency: 0,
        providerMetadata: Object.keys(otherCounts).length === 0 ? metadata : { ...metadata, usage: otherCounts }
      })
    }
  }
}
