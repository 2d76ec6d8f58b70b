/** The client reads a stream. */
import type { AnswerReader } from "../../answerReader.js"
import { streamDecoder, truncated } from "../../answerReader.js"
import type { Json } from "../../json.js"
import { array, isRecord, parseJson, record, string } from "../../json.js"
import * as TextRuns from "../../textRun.js"
import type { AnswerSource, StreamDecoder, WireEvent, WireFailure } from "../../Wire.js"
import { malformed, usageOf } from "../../Wire.js"
import { decodeUsage, metadataOf, reportedBy, stopOf } from "./response.js"
import * as Calls from "./streamCalls.js"
import * as Items from "./streamItems.js"
import * as Parts from "./streamParts.js"
import type { State } from "./streamState.js"
import * as Stream from "./streamState.js"

type Read = (state: State, event: Json, out: Array<WireEvent>) => WireFailure | undefined | void

/** The text of a delta, which was an object in the first version of the reasoning events. */
const delta = (event: Json): string => string(event, "delta") ?? string(record(event, "delta") ?? {}, "text") ?? ""

const readHead = (state: State, response: Json): void => {
  if (state.id === "") state.id = string(response, "id") ?? ""
  state.model = string(response, "model") || state.model
}

const start: Read = (state, event) => readHead(state, record(event, "response") ?? {})

/** The items of the response: the last event repeats all of them or none. */
const itemsOf = (state: State, response: Json): ReadonlyArray<unknown> => {
  const listed = array(response, "output") ?? []
  return listed.length > 0
    ? listed
    : [...state.finished.values()].sort((one, other) => one.position - other.position).map(({ item }) => item)
}

const outputText = (state: State): string => state.text + state.calls.map((item) => item.call.arguments).join("")

const end =
  (status: string): Read =>
  (state, event, out) => {
    const response = { status, ...record(event, "response") }
    readHead(state, response)
    const reported = reportedBy(response)
    if (reported !== undefined) return reported
    const items = itemsOf(state, response)
    const failure = Items.finishResponse(state, items, out) ?? Calls.endCalls(state, out)
    if (failure !== undefined) return failure
    const stop = stopOf(response, state.calls.length > 0)
    state.usage = usageOf(decodeUsage(response), state.source, outputText(state))
    state.finish = {
      _tag: "Finish",
      reason: stop.reason,
      rawReason: stop.raw,
      usage: state.usage,
      latency: 0,
      providerMetadata: metadataOf(response)
    }
    return undefined
  }

/** An error inside the stream: its fields are in the event (API reference), or in its `error` (as OpenAI sends it). */
const fail: Read = (_, event) => {
  const { sequence_number: _number, type: _type, ...fields } = event
  return { _tag: "Reported", body: isRecord(event["error"]) ? { error: event["error"] } : { error: fields } }
}

const partDone: Read = (state, event, out) => {
  const part = record(event, "part") ?? {}
  const text = string(part, "text") ?? ""
  switch (part["type"]) {
    case "refusal":
      return Parts.finishPart(state, event, "refusal", string(part, "refusal") ?? "", out)
    case "reasoning_text":
      return Parts.finishPart(state, event, "content", text, out)
    case "summary_text":
      return Parts.finishPart(state, event, "summary", text, out)
    case "output_text":
      return Parts.finishPart(state, event, "text", text, out)
    default:
      return undefined
  }
}

const text: Read = (state, event, out) => Parts.addDelta(state, event, "text", delta(event), out)
const content: Read = (state, event, out) => Parts.addDelta(state, event, "content", delta(event), out)
const contentDone: Read = (state, event, out) =>
  Parts.finishPart(state, event, "content", string(event, "text") ?? "", out)
const summary: Read = (state, event, out) => Parts.addDelta(state, event, "summary", delta(event), out)
const summaryDone: Read = (state, event, out) =>
  Parts.finishPart(state, event, "summary", string(event, "text") ?? "", out)
const argument: Read = (state, event, out) => Calls.addArgumentsDelta(state, event, delta(event), out)

/** An event whose content comes again later, or is not part of the vocabulary. */
const ignore: Read = () => undefined

const ignored = (tool: string, ...names: ReadonlyArray<string>): ReadonlyArray<readonly [string, Read]> =>
  names.map((name) => [`response.${tool}.${name}`, ignore])

/**
 * Every event of the API reference ("Streaming events") and of its earlier versions. Other events are ignored unless they contain an
 * error, since the protocol grows.
 */
export const events: ReadonlyMap<string, Read> = new Map<string, Read>([
  ["response.created", start],
  ["response.queued", start],
  ["response.in_progress", start],
  ["response.completed", end("completed")],
  ["response.done", end("completed")],
  ["response.incomplete", end("incomplete")],
  ["response.cancelled", end("cancelled")],
  ["response.failed", end("failed")],
  ["error", fail],

  ["response.output_item.added", (state, event) => Items.itemAdded(state, event, record(event, "item") ?? {})],
  ["response.output_item.done", (state, event, out) => Items.itemDone(state, event, record(event, "item") ?? {}, out)],
  ["response.content_part.added", ignore],
  ["response.content_part.done", partDone],
  ["response.output_text.delta", text],
  [
    "response.output_text.done",
    (state, event, out) => Parts.finishPart(state, event, "text", string(event, "text") ?? "", out)
  ],
  ["response.output_text.annotation.added", ignore],
  ["response.refusal.delta", (state, event, out) => Parts.addDelta(state, event, "refusal", delta(event), out)],
  [
    "response.refusal.done",
    (state, event, out) => Parts.finishPart(state, event, "refusal", string(event, "refusal") ?? "", out)
  ],

  ["response.reasoning_text.delta", content],
  ["response.reasoning_text.done", contentDone],
  ["response.reasoning.delta", content],
  ["response.reasoning.done", contentDone],
  ["response.reasoning_part.added", ignore],
  ["response.reasoning_part.done", partDone],
  ["response.reasoning_summary_part.added", ignore],
  ["response.reasoning_summary_part.done", partDone],
  ["response.reasoning_summary_text.delta", summary],
  ["response.reasoning_summary_text.done", summaryDone],
  ["response.reasoning_summary.delta", summary],
  ["response.reasoning_summary.done", summaryDone],

  ["response.function_call_arguments.delta", argument],
  [
    "response.function_call_arguments.done",
    (state, event, out) => Calls.finishArguments(state, event, string(event, "arguments") ?? "", out)
  ],
  ["response.custom_tool_call_input.delta", argument],
  [
    "response.custom_tool_call_input.done",
    (state, event, out) => Calls.finishArguments(state, event, string(event, "input") ?? "", out)
  ],

  ...ignored("web_search_call", "in_progress", "searching", "completed"),
  ...ignored("file_search_call", "in_progress", "searching", "completed"),
  ...ignored("code_interpreter_call", "in_progress", "interpreting", "completed"),
  ...ignored("code_interpreter_call_code", "delta", "done"),
  ...ignored("image_generation_call", "in_progress", "generating", "partial_image", "completed"),
  ...ignored("mcp_call", "in_progress", "completed", "failed"),
  ...ignored("mcp_call_arguments", "delta", "done"),
  ...ignored("mcp_list_tools", "in_progress", "completed", "failed"),
  ...ignored("shell_call_command", "added", "delta", "done"),
  ...ignored("shell_call_output_content", "delta", "done"),
  ...ignored("apply_patch_call_operation_diff", "delta", "done"),
  ...ignored("audio", "delta", "done"),
  ...ignored("audio.transcript", "delta", "done"),
  ["keepalive", ignore]
])

const runs = TextRuns.make({ text: "delta", ignored: ["obfuscation", "sequence_number"] })

export const decodeStream = (source: AnswerSource): StreamDecoder => {
  const state = Stream.make(source)
  const answer: AnswerReader = {
    id: () => state.id,
    model: () => state.model,
    usage: () => usageOf(state.usage, source, outputText(state)),
    finish: (out) => {
      if (state.finish !== undefined) out.push(state.finish)
    }
  }
  return streamDecoder(
    answer,
    ({ data, event: name }, out) => {
      const text = data.trim()
      if (text === "") return undefined
      // Some servers add the end mark of another protocol; before the end of the answer it means that the answer is cut off.
      if (text === "[DONE]") return truncated
      const event = parseJson(data)
      if (!isRecord(event)) return malformed("", data)
      const read = events.get(string(event, "type") ?? name ?? "")
      const failure = read === undefined ? reportedBy(event) : read(state, event, out)
      return failure ?? (state.finish === undefined ? undefined : "done")
    },
    { begin: runs, addText: () => Parts.addText(state) }
  )
}
