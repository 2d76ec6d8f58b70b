/** The client reads a stream. */
import { Either } from "effect"
import type { AnswerReader } from "../../answerReader.js"
import { streamDecoder, truncated } from "../../answerReader.js"
import type { Json } from "../../json.js"
import { array, isRecord, parseJson, record, string } from "../../json.js"
import type { AnswerSource, StreamDecoder, WireEvent, WireFailure } from "../../Wire.js"
import { malformed, usageOf } from "../../Wire.js"
import { readOutput } from "../output.js"
import { decodeUsage, metadataOf, reportedBy, stopOf } from "./response.js"
import type { State } from "./streamState.js"
import * as Said from "./streamState.js"

type Read = (state: State, event: Json, out: Array<WireEvent>) => WireFailure | undefined | void

/** A piece of text; an object in the first version of the reasoning events. */
const delta = (event: Json): string => string(event, "delta") ?? string(record(event, "delta") ?? {}, "text") ?? ""

const note = (state: State, response: Json): void => {
  if (state.id === "") state.id = string(response, "id") ?? ""
  state.model = string(response, "model") || state.model
}

const begins: Read = (state, event) => note(state, record(event, "response") ?? {})

/** What was said belongs to no item that ended: the last event of an answer tells all of them, or none. */
const itemsOf = (state: State, response: Json): ReadonlyArray<unknown> => {
  const listed = array(response, "output") ?? []
  return listed.length > 0
    ? listed
    : [...state.finished.values()].sort((one, other) => one.position - other.position).map(({ item }) => item)
}

const spent = (state: State): string =>
  state.thoughts.map((part) => part.text).join("") +
  state.text +
  state.refusal +
  state.calls.map((item) => item.call.arguments).join("")

const ends =
  (status: string): Read =>
  (state, event, out) => {
    const response = { status, ...record(event, "response") }
    note(state, response)
    const reported = reportedBy(response)
    if (reported !== undefined) return reported
    const items = itemsOf(state, response)
    const output = readOutput(items, state.source.provider)
    if (Either.isLeft(output)) return output.left
    Said.answerDone(state, items, output.right, out)
    const unnamed = Said.endCalls(state, out)
    if (unnamed !== undefined) return unnamed
    const stop = stopOf(response, state.calls.length > 0)
    state.usage = usageOf(decodeUsage(response), state.source, spent(state))
    state.finish = {
      _tag: "Finish",
      reason: stop.reason,
      rawReason: stop.raw,
      usage: state.usage,
      latency: 0,
      providerMetadata: metadataOf(response, items)
    }
    return undefined
  }

/** An error in the middle: as the API reference has it, its fields in the event; as OpenAI sends it, in its `error`. */
const breaksOff: Read = (_, event) => {
  const { sequence_number: _number, type: _type, ...fields } = event
  return { _tag: "Reported", body: isRecord(event["error"]) ? { error: event["error"] } : { error: fields } }
}

const partDone: Read = (state, event, out) => {
  const part = record(event, "part") ?? {}
  const text = string(part, "text") ?? ""
  switch (part["type"]) {
    case "refusal":
      return Said.finishPart(state, event, "refusal", string(part, "refusal") ?? "", out)
    case "reasoning_text":
      return Said.finishPart(state, event, "content", text, out)
    case "summary_text":
      return Said.finishPart(state, event, "summary", text, out)
    case "output_text":
      return Said.finishPart(state, event, "text", text, out)
    default:
      return undefined
  }
}

const text: Read = (state, event, out) => Said.addDelta(state, event, "text", delta(event), out)
const content: Read = (state, event, out) => Said.addDelta(state, event, "content", delta(event), out)
const contentDone: Read = (state, event, out) =>
  Said.finishPart(state, event, "content", string(event, "text") ?? "", out)
const summary: Read = (state, event, out) => Said.addDelta(state, event, "summary", delta(event), out)
const summaryDone: Read = (state, event, out) =>
  Said.finishPart(state, event, "summary", string(event, "text") ?? "", out)
const argument: Read = (state, event, out) => Said.argue(state, event, delta(event), out)

/** Says nothing that a later event does not say, or that an answer has room for. */
const passedOver: Read = () => undefined

const steps = (tool: string, ...names: ReadonlyArray<string>): ReadonlyArray<readonly [string, Read]> =>
  names.map((name) => [`response.${tool}.${name}`, passedOver])

/**
 * Every event of the API reference ("Streaming events"), and those of its earlier versions. What is not here is unknown, and
 * no failure: the protocol grows.
 */
export const events: ReadonlyMap<string, Read> = new Map<string, Read>([
  ["response.created", begins],
  ["response.queued", begins],
  ["response.in_progress", begins],
  ["response.completed", ends("completed")],
  ["response.done", ends("completed")],
  ["response.incomplete", ends("incomplete")],
  ["response.cancelled", ends("cancelled")],
  ["response.failed", ends("failed")],
  ["error", breaksOff],

  ["response.output_item.added", (state, event) => Said.itemAdded(state, event, record(event, "item") ?? {})],
  ["response.output_item.done", (state, event, out) => Said.itemDone(state, event, record(event, "item") ?? {}, out)],
  ["response.content_part.added", passedOver],
  ["response.content_part.done", partDone],
  ["response.output_text.delta", text],
  [
    "response.output_text.done",
    (state, event, out) => Said.finishPart(state, event, "text", string(event, "text") ?? "", out)
  ],
  ["response.output_text.annotation.added", passedOver],
  ["response.refusal.delta", (state, event, out) => Said.addDelta(state, event, "refusal", delta(event), out)],
  [
    "response.refusal.done",
    (state, event, out) => Said.finishPart(state, event, "refusal", string(event, "refusal") ?? "", out)
  ],

  ["response.reasoning_text.delta", content],
  ["response.reasoning_text.done", contentDone],
  ["response.reasoning.delta", content],
  ["response.reasoning.done", contentDone],
  ["response.reasoning_part.added", passedOver],
  ["response.reasoning_part.done", partDone],
  ["response.reasoning_summary_part.added", passedOver],
  ["response.reasoning_summary_part.done", partDone],
  ["response.reasoning_summary_text.delta", summary],
  ["response.reasoning_summary_text.done", summaryDone],
  ["response.reasoning_summary.delta", summary],
  ["response.reasoning_summary.done", summaryDone],

  ["response.function_call_arguments.delta", argument],
  [
    "response.function_call_arguments.done",
    (state, event, out) => Said.argued(state, event, string(event, "arguments") ?? "", out)
  ],
  ["response.custom_tool_call_input.delta", argument],
  [
    "response.custom_tool_call_input.done",
    (state, event, out) => Said.argued(state, event, string(event, "input") ?? "", out)
  ],

  ...steps("web_search_call", "in_progress", "searching", "completed"),
  ...steps("file_search_call", "in_progress", "searching", "completed"),
  ...steps("code_interpreter_call", "in_progress", "interpreting", "completed"),
  ...steps("code_interpreter_call_code", "delta", "done"),
  ...steps("image_generation_call", "in_progress", "generating", "partial_image", "completed"),
  ...steps("mcp_call", "in_progress", "completed", "failed"),
  ...steps("mcp_call_arguments", "delta", "done"),
  ...steps("mcp_list_tools", "in_progress", "completed", "failed"),
  ...steps("shell_call_command", "added", "delta", "done"),
  ...steps("shell_call_output_content", "delta", "done"),
  ...steps("apply_patch_call_operation_diff", "delta", "done"),
  ...steps("audio", "delta", "done"),
  ...steps("audio.transcript", "delta", "done"),
  ["keepalive", passedOver]
])

export const decodeStream = (source: AnswerSource): StreamDecoder => {
  const state = Said.make(source)
  const answer: AnswerReader = {
    id: () => state.id,
    model: () => state.model,
    usage: () => usageOf(state.usage, source, spent(state)),
    finish: (out) => {
      if (state.finish !== undefined) out.push(state.finish)
    }
  }
  return streamDecoder(answer, ({ data, event: name }, out) => {
    const text = data.trim()
    if (text === "") return undefined
    // Some servers add the end mark of another protocol; before the end of the answer it means that the answer is cut off.
    if (text === "[DONE]") return truncated
    const event = parseJson(data)
    if (!isRecord(event)) return malformed("", data)
    const read = events.get(string(event, "type") ?? name ?? "")
    const failure = read === undefined ? reportedBy(event) : read(state, event, out)
    return failure ?? (state.finish === undefined ? undefined : "done")
  })
}
