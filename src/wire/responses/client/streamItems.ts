/** Whole items and the whole response, which repeat what a stream has emitted. */
import type { ReasoningPart } from "../../../vocabulary/Chat.js"
import type { Json } from "../../json.js"
import { isRecord, number, string } from "../../json.js"
import type { Output } from "../output.js"
import { callOf, keyedReasoning, kindOf, messageParts } from "../output.js"
import { finishCall, isContinuedBy } from "./streamCalls.js"
import {
  channels,
  emitText,
  finishMessage,
  finishReasoning,
  itemsRepeatedBy,
  missingText,
  partsOf,
  textOf,
  textsOf,
  updateReasoning
} from "./streamParts.js"
import type { CallItem, ItemRef, Out, State } from "./streamState.js"
import { addItem, isCall, isTextItem, matching, pairUp, register, remainder, repetitions } from "./streamState.js"

export const itemAdded = (state: State, event: Json, item: Json): void => {
  const ref = { id: string(item, "id") || undefined, position: number(event, "output_index") }
  const added = addItem(state, kindOf(item), ref)
  if (!isCall(added)) return
  const call = callOf(item, added.index)
  if (call === undefined) return
  added.call = { ...call, arguments: "" }
  if (!state.byId.has(call.id)) state.byId.set(call.id, added)
}

/**
 * The call that a finished item repeats: by the id of the item or of the call, or by position; else by its arguments. A call that
 * has ended is another call, unless it is equal.
 */
const callDone = (state: State, ref: ItemRef, item: Json): CallItem | undefined => {
  const whole = callOf(item, 0)
  const callId = string(item, "call_id") || undefined
  const candidates = [
    ...matching(state, { id: ref.id, position: -1 }, "call").filter(isCall),
    ...state.calls.filter((one) => one.call.id === callId),
    ...matching(state, ref, "call").filter(isCall)
  ]
  const isLike = (one: CallItem) =>
    isContinuedBy(one, whole?.arguments ?? "") && (one.call.name === "" || one.call.name === whole?.name)
  return (
    candidates.find((one) => !one.complete) ??
    candidates.find((one) => one.call.name === whole?.name && one.call.arguments === whole.arguments) ??
    state.calls.find(isLike)
  )
}

/** Emits what is missing of an item that an event repeats whole. */
export const itemDone = (state: State, event: Json, whole: Json, out: Out): void => {
  const ref = { id: string(whole, "id") || undefined, position: number(event, "output_index") }
  const kind = kindOf(whole)
  state.finished.set(ref.id ?? ref.position ?? state.finished.size, {
    position: ref.position ?? state.finished.size,
    item: whole
  })
  if (kind === "other") return
  if (kind === "call") {
    const item = callDone(state, ref, whole) ?? addItem(state, kind, ref)
    const call = isCall(item) ? callOf(whole, item.index) : undefined
    if (isCall(item) && call !== undefined) finishCall(state, item, call, out)
    return
  }
  const text =
    kind === "message"
      ? messageParts(whole)
          .map((part) => part.text + part.refusal)
          .join("")
      : textOf(keyedReasoning(whole, undefined).map(({ part }) => part))
  const items = itemsRepeatedBy(state, ref, kind, text)
  const item = items.at(-1) ?? addItem(state, kind, ref)
  if (!isTextItem(item)) return
  register(state, item, ref)
  if (kind === "message") finishMessage(state, items, item, whole, out)
  else finishReasoning(state, items, item, whole, out)
  for (const one of [...items, item]) one.done = true
}

const isSameReasoning = (whole: ReasoningPart, emitted: ReasoningPart): boolean =>
  whole.id === emitted.id &&
  whole.format === emitted.format &&
  (whole.text === "" || whole.text.startsWith(emitted.text))

/** Emits what is missing of the whole response. */
export const finishResponse = (state: State, items: ReadonlyArray<unknown>, whole: Output, out: Out): void => {
  const pairs = pairUp(
    whole.reasoningParts,
    [...state.reasoning.keys()],
    [
      (part, index) => state.reasoning[index] !== undefined && isSameReasoning(part, state.reasoning[index]),
      ...[...repetitions, () => true].map(
        (test) => (part: ReasoningPart, index: number) => test(part, { text: state.reasoning[index]?.text ?? "" })
      )
    ]
  )
  // Emitted in other parts, it is complete all the same.
  const isComplete = textOf(whole.reasoningParts) === textOf(state.reasoning)
  for (const part of whole.reasoningParts) {
    const index = pairs.get(part) ?? state.reasoning.length
    updateReasoning(state, index, part, isComplete ? "" : remainder(part.text, state.reasoning[index]?.text ?? ""), out)
  }

  const messages = items.filter(isRecord).filter((item) => kindOf(item) === "message")
  const emitted = partsOf(state.items.filter(isTextItem))
  for (const channel of channels) {
    const texts = messages.flatMap((item) => textsOf(item, channel))
    const before = emitted.filter((part) => part.list === channel)
    emitText(state, channel, missingText(texts, before), out)
  }

  const calls = pairUp(whole.toolCalls, state.calls, [
    (call, item) => call.id === item.call.id,
    (call, item) => call.name === item.call.name && call.arguments === item.call.arguments,
    (call, item) => isContinuedBy(item, call.arguments) && (item.call.name === "" || item.call.name === call.name),
    () => true
  ])
  for (const call of whole.toolCalls) {
    const item = calls.get(call) ?? addItem(state, "call", { id: undefined, position: undefined })
    if (isCall(item)) finishCall(state, item, call, out)
  }
}
