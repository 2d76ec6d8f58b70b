/** What a stream has said so far, by item and piece, so that nothing is said twice and nothing is left out. */
import type { ReasoningPart, ToolCall } from "../../Chat.js"
import type { Usage } from "../../Usage.js"
import type { Json } from "../json.js"
import { number, string } from "../json.js"
import type { AnswerSource, WireEvent, WireFailure } from "../Wire.js"
import { malformed } from "../Wire.js"
import { callOf, formats, kindOf, messageParts, pieceKey, reasoningPieces } from "./output.js"

type Out = Array<WireEvent>

interface Message {
  readonly kind: "message"
  /** What was said of each part, by {@link partKey}. */
  readonly parts: Map<string, string>
}

interface Thought {
  readonly kind: "reasoning"
  readonly id: string
  /** Where each piece stands among all pieces of the answer, by {@link pieceKey}. */
  readonly pieces: Map<string, number>
}

interface Call {
  readonly kind: "call"
  readonly index: number
  call: ToolCall
  /** How much of the arguments was given out. */
  told: number
  complete: boolean
}

type Item = Message | Thought | Call | { readonly kind: "other" }

export interface State {
  readonly source: AnswerSource
  id: string
  model: string
  done: boolean
  usage: Usage | undefined
  text: string
  refusal: string
  readonly thoughts: Array<ReasoningPart>
  readonly calls: Array<Call>
  /** How many calls have ended: they end in order, as they stand in a whole answer. */
  ended: number
  readonly items: Array<Item>
  readonly byId: Map<string, Item>
  readonly byPosition: Map<number, Item>
  /** Finished items as they came, for a stream whose last event does not repeat them. */
  readonly finished: Map<number, Json>
}

export const make = (source: AnswerSource): State => ({
  source,
  id: "",
  model: source.model,
  done: false,
  usage: undefined,
  text: "",
  refusal: "",
  thoughts: [],
  calls: [],
  ended: 0,
  items: [],
  byId: new Map(),
  byPosition: new Map(),
  finished: new Map()
})

// -------------------------------------------------------------------------------------
// items
// -------------------------------------------------------------------------------------

const newItem = (state: State, kind: Item["kind"], id: string): Item => {
  switch (kind) {
    case "message":
      return { kind, parts: new Map() }
    case "reasoning":
      return { kind, id, pieces: new Map() }
    case "call": {
      const call: Call = {
        kind,
        index: state.calls.length,
        call: { id: "", name: "", arguments: "" },
        told: 0,
        complete: false
      }
      state.calls.push(call)
      return call
    }
    case "other":
      return { kind }
  }
}

const open = (state: State, kind: Item["kind"], id: string | undefined, position: number | undefined): Item => {
  const item = newItem(state, kind, id ?? "")
  state.items.push(item)
  if (id !== undefined) state.byId.set(id, item)
  if (position !== undefined) state.byPosition.set(position, item)
  return item
}

/**
 * The item that an event is about: by its id, else by its position (there are servers whose ids change from event to
 * event), else the last of its kind. One that was never announced is opened.
 */
const itemOf = (state: State, event: Json, kind: Item["kind"]): Item => {
  const id = string(event, "item_id")
  const position = number(event, "output_index")
  const named = (id === undefined ? undefined : state.byId.get(id)) ?? state.byPosition.get(position ?? -1)
  if (named?.kind === kind) return named
  const last =
    id === undefined && position === undefined ? state.items.findLast((item) => item.kind === kind) : undefined
  return last ?? open(state, kind, id, position)
}

/** What is left to say of `whole` after `said`. Where one is not the beginning of the other, what was said stands. */
const rest = (whole: string, said: string): string => (whole.startsWith(said) ? whole.slice(said.length) : "")

// -------------------------------------------------------------------------------------
// text and refusal
// -------------------------------------------------------------------------------------

type Voice = "text" | "refusal"

const partKey = (voice: Voice, index: number): string => `${voice}:${index}`

const say = (state: State, voice: Voice, words: string, out: Out): void => {
  if (words === "") return
  state[voice] += words
  out.push(voice === "text" ? { _tag: "TextDelta", text: words } : { _tag: "RefusalDelta", text: words })
}

const sayPart = (state: State, item: Message, voice: Voice, index: number, words: string, out: Out): void => {
  const key = partKey(voice, index)
  item.parts.set(key, (item.parts.get(key) ?? "") + words)
  say(state, voice, words, out)
}

const finishPart = (state: State, item: Message, voice: Voice, index: number, whole: string, out: Out): void =>
  sayPart(state, item, voice, index, rest(whole, item.parts.get(partKey(voice, index)) ?? ""), out)

/** A piece of a message's text or refusal. */
export const speak = (state: State, event: Json, voice: Voice, words: string, out: Out): void => {
  const item = itemOf(state, event, "message")
  if (item.kind === "message") sayPart(state, item, voice, number(event, "content_index") ?? 0, words, out)
}

/** All of a message's text or refusal: what no piece has said is said now. */
export const spoken = (state: State, event: Json, voice: Voice, whole: string, out: Out): void => {
  const item = itemOf(state, event, "message")
  if (item.kind === "message") finishPart(state, item, voice, number(event, "content_index") ?? 0, whole, out)
}

// -------------------------------------------------------------------------------------
// thoughts
// -------------------------------------------------------------------------------------

const thinkAt = (state: State, item: Thought, key: string, words: string, out: Out): void => {
  if (words === "") return
  const index = item.pieces.get(key)
  const before = index === undefined ? undefined : state.thoughts[index]
  if (index !== undefined && before !== undefined) {
    state.thoughts[index] = { ...before, text: before.text + words }
    out.push({ _tag: "ReasoningDelta", index, text: words })
    return
  }
  const fields = {
    ...(item.id === "" ? {} : { id: item.id }),
    format: key.startsWith("content") ? formats.content : formats.summary,
    provider: state.source.provider
  }
  item.pieces.set(key, state.thoughts.length)
  out.push({ _tag: "ReasoningDelta", index: state.thoughts.length, text: words, ...fields })
  state.thoughts.push({ type: "reasoning", text: words, ...fields })
}

/** What is known of a thought now and was not before. */
const settle = (state: State, index: number, whole: ReasoningPart, out: Out): void => {
  const before = state.thoughts[index]
  const { text: _, type: __, ...fields } = whole
  const text = rest(whole.text, before?.text ?? "")
  const news =
    before === undefined ||
    text !== "" ||
    fields.signature !== before.signature ||
    fields.id !== before.id ||
    fields.format !== before.format
  if (!news) return
  state.thoughts[index] = { ...before, ...whole, text: (before?.text ?? "") + text }
  out.push({ _tag: "ReasoningDelta", index, text, ...fields })
}

const finishThought = (state: State, item: Thought, whole: Json, out: Out): void => {
  for (const { key, part } of reasoningPieces(whole, state.source.provider)) {
    const index = item.pieces.get(key) ?? (key === "sealed" ? [...item.pieces.values()].at(-1) : undefined)
    item.pieces.set(key, index ?? state.thoughts.length)
    settle(state, index ?? state.thoughts.length, part, out)
  }
}

type Shown = "content" | "summary"

const pieceIndex = (event: Json, list: Shown): number =>
  number(event, list === "content" ? "content_index" : "summary_index") ?? 0

/** A piece of a thought. */
export const think = (state: State, event: Json, list: Shown, words: string, out: Out): void => {
  const item = itemOf(state, event, "reasoning")
  if (item.kind === "reasoning") thinkAt(state, item, pieceKey(list, pieceIndex(event, list)), words, out)
}

/** All of a thought. */
export const thought = (state: State, event: Json, list: Shown, whole: string, out: Out): void => {
  const item = itemOf(state, event, "reasoning")
  if (item.kind !== "reasoning") return
  const key = pieceKey(list, pieceIndex(event, list))
  const index = item.pieces.get(key)
  const said = index === undefined ? "" : (state.thoughts[index]?.text ?? "")
  thinkAt(state, item, key, rest(whole, said), out)
}

// -------------------------------------------------------------------------------------
// calls
// -------------------------------------------------------------------------------------

/** Nothing is given out of a call until its name is known. */
const tell = (item: Call, out: Out): void => {
  const { arguments: text, id, name } = item.call
  if (id === "" || name === "" || item.told === text.length) return
  out.push({ _tag: "ToolCallDelta", index: item.index, id, name, argumentsDelta: text.slice(item.told) })
  item.told = text.length
}

const endInOrder = (state: State, out: Out): void => {
  for (let next = state.calls[state.ended]; next?.complete; next = state.calls[state.ended]) {
    out.push({ _tag: "ToolCallEnd", index: next.index, call: next.call })
    state.ended++
  }
}

const finishCall = (state: State, item: Call, whole: ToolCall, out: Out): void => {
  if (item.complete) return
  const left = rest(whole.arguments, item.call.arguments)
  item.call = { ...whole, arguments: left === "" && item.call.arguments !== "" ? item.call.arguments : whole.arguments }
  tell(item, out)
  item.complete = true
  endInOrder(state, out)
}

/** A piece of a call's arguments. */
export const argue = (state: State, event: Json, words: string, out: Out): void => {
  const item = itemOf(state, event, "call")
  if (item.kind !== "call" || item.complete) return
  item.call = { ...item.call, arguments: item.call.arguments + words }
  tell(item, out)
}

/** All of a call's arguments. */
export const argued = (state: State, event: Json, whole: string, out: Out): void => {
  const item = itemOf(state, event, "call")
  if (item.kind === "call") argue(state, event, rest(whole, item.call.arguments), out)
}

// -------------------------------------------------------------------------------------
// whole items
// -------------------------------------------------------------------------------------

export const itemAdded = (state: State, event: Json, item: Json): void => {
  const added = open(state, kindOf(item), string(item, "id"), number(event, "output_index"))
  if (added.kind !== "call") return
  const call = callOf(item, added.index)
  if (call !== undefined) added.call = { ...call, arguments: "" }
}

/** A whole item: whatever of it has not been said yet is said now. */
export const itemDone = (state: State, event: Json, whole: Json, out: Out): void => {
  const position = number(event, "output_index")
  state.finished.set(position ?? state.finished.size, whole)
  const item = itemOf(state, { item_id: whole["id"], output_index: position }, kindOf(whole))
  switch (item.kind) {
    case "message":
      for (const [index, part] of messageParts(whole).entries()) {
        finishPart(state, item, "text", index, part.text, out)
        finishPart(state, item, "refusal", index, part.refusal, out)
      }
      return
    case "reasoning":
      return finishThought(state, item, whole, out)
    case "call": {
      const call = callOf(whole, item.index)
      if (call !== undefined) finishCall(state, item, call, out)
      return
    }
    case "other":
      return
  }
}

/** A whole answer: whatever of it no item has said. */
export const answerDone = (
  state: State,
  whole: {
    readonly text: string
    readonly refusal: string
    readonly reasoningParts: ReadonlyArray<ReasoningPart>
    readonly toolCalls: ReadonlyArray<ToolCall>
  },
  out: Out
): void => {
  for (const [index, part] of whole.reasoningParts.entries()) settle(state, index, part, out)
  say(state, "text", rest(whole.text, state.text), out)
  say(state, "refusal", rest(whole.refusal, state.refusal), out)
  for (const [index, call] of whole.toolCalls.entries()) {
    const item = state.calls[index] ?? open(state, "call", undefined, undefined)
    if (item.kind === "call") finishCall(state, item, call, out)
  }
}

/** No more will come of calls that are still open, cut off perhaps. */
export const endCalls = (state: State, out: Out): WireFailure | undefined => {
  for (const item of state.calls) {
    const { call } = item
    if (item.complete) continue
    if (call.name === "") return malformed("item.name", call.name)
    const text = call.arguments === "" && call.type === undefined ? "{}" : call.arguments
    finishCall(state, item, { ...call, arguments: text }, out)
  }
  return undefined
}
