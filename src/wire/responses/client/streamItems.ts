/** Whole items and the whole response, which repeat what a stream has emitted. */
import type { ToolCall } from "../../../vocabulary/Chat.js"
import type { Json } from "../../json.js"
import { isRecord, number, string } from "../../json.js"
import type { WireFailure } from "../../Wire.js"
import { malformed } from "../../Wire.js"
import { native } from "../native.js"
import { callOf, itemParts, kindOf, messageFields } from "../output.js"
import { finishCall, isContinuedBy } from "./streamCalls.js"
import { finishItem, finishPartOfResponse, itemsRepeatedBy, missingOf, partsOf, textOf } from "./streamParts.js"
import type { CallItem, ItemRef, OtherItem, Out, State } from "./streamState.js"
import { addItem, isCall, isOther, isTextItem, matching, pairUp, register } from "./streamState.js"

/** Notes what a new item has. The status of a message or call, which changes, comes when it is finished. */
export const itemAdded = (state: State, event: Json, whole: Json): void => {
  const { status: _, ...item } = whole
  const ref = { id: string(item, "id") || undefined, position: number(event, "output_index") }
  const added = addItem(state, kindOf(item), ref)
  if (added.kind === "message") {
    added.message = messageFields(item)
  } else if (isOther(added)) {
    added.item = whole
  }
  if (!isCall(added)) return
  const call = callOf(item, added.number, state.source.provider)
  if (call === undefined) return
  added.call = { ...call, arguments: "" }
  if (!state.byId.has(call.id)) state.byId.set(call.id, added)
}

/**
 * The call that a finished item repeats: by the id of the item or of the call, or by position; else by its arguments. A call that
 * has ended is another call, unless it is equal.
 */
const callDone = (state: State, ref: ItemRef, item: Json): CallItem | undefined => {
  const whole = callOf(item, 0, state.source.provider)
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

const emitOther = (state: State, item: OtherItem, whole: Json, out: Out): void => {
  if (item.emitted) return
  item.emitted = true
  item.item = whole
  out.push({ _tag: "ProviderPart", index: item.index, part: native.part({ item: whole }, state.source.provider) })
}

const isSameOther = (whole: Json, { item }: OtherItem): boolean => {
  const id = string(whole, "id")
  return id === undefined || id === "" ? JSON.stringify(whole) === JSON.stringify(item) : id === item["id"]
}

/** Emits a finished item as a provider part, once. An item that has ended is another one, unless it is equal. */
const otherDone = (state: State, ref: ItemRef, whole: Json, out: Out): void => {
  const candidates = matching(state, ref, "other").filter(isOther)
  const item =
    candidates.find((one) => !one.emitted) ??
    candidates.find((one) => isSameOther(whole, one)) ??
    addItem(state, "other", ref)
  if (isOther(item)) emitOther(state, item, whole, out)
}

/** Emits what is missing of an item that an event repeats whole. */
export const itemDone = (state: State, event: Json, whole: Json, out: Out): void => {
  const ref = { id: string(whole, "id") || undefined, position: number(event, "output_index") }
  const kind = kindOf(whole)
  state.finished.set(ref.id ?? ref.position ?? state.finished.size, {
    position: ref.position ?? state.finished.size,
    item: whole
  })
  if (kind === "other") return otherDone(state, ref, whole, out)
  if (kind === "call") {
    const item = callDone(state, ref, whole) ?? addItem(state, kind, ref)
    const call = isCall(item) ? callOf(whole, item.number, state.source.provider) : undefined
    if (isCall(item) && call !== undefined) finishCall(state, item, call, out)
    return
  }
  const wholes = itemParts(whole, state.source.provider)
  const items = itemsRepeatedBy(state, ref, kind, textOf(wholes.map(({ part }) => part)))
  const item = items.at(-1) ?? addItem(state, kind, ref)
  if (!isTextItem(item)) return
  register(state, item, ref)
  finishItem(state, items, item, wholes, out)
  for (const one of [...items, item]) one.done = true
}

/** The calls of a whole response by item. */
const callsOf = (items: ReadonlyArray<unknown>, provider: string): ReadonlyMap<Json, ToolCall | undefined> =>
  new Map(
    items
      .filter(isRecord)
      .filter((item) => kindOf(item) === "call")
      .map((item, index) => [item, callOf(item, index, provider)])
  )

/** Emits what is missing of the whole response, in the order of its items. */
export const finishResponse = (state: State, items: ReadonlyArray<unknown>, out: Out): WireFailure | undefined => {
  const { provider } = state.source
  const listed = items.filter(isRecord)
  const wholes = new Map(listed.map((item) => [item, itemParts(item, provider)]))
  const missing = missingOf([...wholes.values()].flat(), partsOf(state.items.filter(isTextItem)))
  const wholeCalls = callsOf(items, provider)
  const calls = pairUp(
    [...wholeCalls.values()].filter((call) => call !== undefined),
    state.calls,
    [
      (call, item) => call.id === item.call.id,
      (call, item) => call.name === item.call.name && call.arguments === item.call.arguments,
      (call, item) => isContinuedBy(item, call.arguments) && (item.call.name === "" || item.call.name === call.name),
      () => true
    ]
  )
  const others = pairUp(
    listed.filter((item) => kindOf(item) === "other"),
    state.items.filter(isOther),
    [isSameOther, (whole, { item }) => whole["type"] === item["type"]]
  )
  const unnumbered: ItemRef = { id: undefined, position: undefined }
  for (const [index, whole] of items.entries()) {
    if (!isRecord(whole)) return malformed(`output[${index}]`, whole)
    switch (kindOf(whole)) {
      case "message":
      case "reasoning":
        for (const part of wholes.get(whole) ?? []) finishPartOfResponse(state, part, missing.get(part), out)
        break
      case "call": {
        const call = wholeCalls.get(whole)
        if (call === undefined) return malformed(`output[${index}].name`, whole["name"])
        const item = calls.get(call) ?? addItem(state, "call", unnumbered)
        if (isCall(item)) finishCall(state, item, call, out)
        break
      }
      case "other": {
        const item = others.get(whole) ?? addItem(state, "other", unnumbered)
        if (isOther(item)) emitOther(state, item, whole, out)
        break
      }
    }
  }
  // The index of an item that was only added is taken.
  for (const item of state.items) if (isOther(item)) emitOther(state, item, item.item, out)
  return undefined
}
