/** Tool calls of a stream. */
import type { ToolCall } from "../../../vocabulary/Chat.js"
import type { Json } from "../../json.js"
import type { WireFailure } from "../../Wire.js"
import { malformed } from "../../Wire.js"
import type { CallItem, ItemRef, Out, State } from "./streamState.js"
import { addItem, isCall, matching, refOf, register, remainder } from "./streamState.js"

/** Emits arguments once the name of the call is known. */
const emitArguments = (item: CallItem, out: Out): void => {
  const { arguments: text, id, name } = item.call
  if (id === "" || name === "" || item.emitted === text.length) return
  out.push({ _tag: "ToolCallDelta", index: item.index, id, name, argumentsDelta: text.slice(item.emitted) })
  item.emitted = text.length
}

const endInOrder = (state: State, out: Out): void => {
  for (let next = state.calls[state.ended]; next?.complete; next = state.calls[state.ended]) {
    out.push({ _tag: "ToolCallEnd", index: next.index, call: next.call })
    state.ended++
  }
}

export const finishCall = (state: State, item: CallItem, whole: ToolCall, out: Out): void => {
  if (item.complete) return
  const missing = remainder(whole.arguments, item.call.arguments)
  item.call = {
    ...whole,
    arguments: missing === "" && item.call.arguments !== "" ? item.call.arguments : whole.arguments
  }
  emitArguments(item, out)
  item.complete = true
  endInOrder(state, out)
}

/**
 * The call that an event refers to: by the id of the item or of the call, or by position; else the call that was added last, if it
 * has no arguments yet.
 */
const findCall = (state: State, ref: ItemRef): CallItem | undefined => {
  const matched = matching(state, ref, "call").find(isCall)
  const last = state.items.at(-1)
  return (
    matched ??
    (isCall(last) && !last.complete && last.call.name !== "" && last.call.arguments === "" ? last : undefined)
  )
}

const findOrAddCall = (state: State, ref: ItemRef): CallItem | undefined => {
  const item = findCall(state, ref) ?? addItem(state, "call", ref)
  register(state, item, ref)
  return isCall(item) ? item : undefined
}

const addArguments = (item: CallItem, text: string, out: Out): void => {
  if (item.complete) return
  item.call = { ...item.call, arguments: item.call.arguments + text }
  emitArguments(item, out)
}

/** Adds a delta to the arguments of a call. */
export const addArgumentsDelta = (state: State, event: Json, text: string, out: Out): void => {
  const item = findOrAddCall(state, refOf(event))
  if (item !== undefined) addArguments(item, text, out)
}

/** Whether whole arguments begin with those of a call that has not ended. */
export const isContinuedBy = (item: CallItem, args: string): boolean =>
  !item.complete && item.call.arguments !== "" && args.startsWith(item.call.arguments)

/** Emits the missing arguments of a call that an event repeats whole. */
export const finishArguments = (state: State, event: Json, whole: string, out: Out): void => {
  const ref = refOf(event)
  const item =
    findCall(state, ref) ?? state.calls.find((item) => isContinuedBy(item, whole)) ?? findOrAddCall(state, ref)
  if (item !== undefined) addArguments(item, remainder(whole, item.call.arguments), out)
}

/** Ends the calls that are still open, whose arguments can be incomplete. */
export const endCalls = (state: State, out: Out): WireFailure | undefined => {
  for (const item of state.calls) {
    const { call } = item
    if (item.complete) continue
    if (call.name === "") return malformed("item.name", call.name)
    const text = call.arguments === "" && call.custom !== true ? "{}" : call.arguments
    finishCall(state, item, { ...call, arguments: text }, out)
  }
  return undefined
}
