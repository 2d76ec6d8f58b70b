/**
 * The state of a stream: its items, and how much of them was emitted. Servers repeat items whole, number them differently in
 * different events, or leave events out: each text must be emitted exactly once nevertheless.
 */
import type { ReasoningPart, ToolCall } from "../../../vocabulary/Chat.js"
import type { Usage } from "../../../vocabulary/Usage.js"
import type { Json } from "../../json.js"
import { number, string } from "../../json.js"
import type { AnswerSource, WireEvent } from "../../Wire.js"
import type { PartIndexes } from "../../answerReader.js"
import { partIndexes } from "../../answerReader.js"
import type { List } from "../output.js"

export type Out = Array<WireEvent>

/** What a part has beside its text. A text and a refusal have only `provider` and `native`. */
export type Fields = Pick<ReasoningPart, "signature" | "id" | "format" | "provider" | "native">

/** A part of a message or of a reasoning item. */
export interface Part {
  readonly list: List
  /** The text emitted so far. */
  text: string
  /** Whether an event has repeated the part whole. */
  repeated: boolean
  /** The fields emitted so far. */
  fields: Fields
  /** The index in the content of the answer, once the part has begun. */
  index?: number
}

/** A message or a reasoning item. */
export interface TextItem {
  readonly kind: "message" | "reasoning"
  readonly id: string
  /** The fields that the parts of a message keep, as far as they are known before the item is finished. */
  message: Json | undefined
  /** By list and index. A part that a server numbers in two ways has two entries. */
  readonly parts: Map<string, Part>
  /** Whether an event has repeated the item whole. */
  done: boolean
}

export interface CallItem {
  readonly kind: "call"
  /** The index in the content of the answer: a call always becomes a part. */
  readonly index: number
  /** The number of calls before it. */
  readonly number: number
  call: ToolCall
  /** Length of the arguments emitted so far. */
  emitted: number
  complete: boolean
}

/** An item that becomes a provider part. */
export interface OtherItem {
  readonly kind: "other"
  readonly index: number
  item: Json
  emitted: boolean
}

export type Item = TextItem | CallItem | OtherItem

export interface State {
  readonly source: AnswerSource
  id: string
  model: string
  /** The last event, once the response has ended. */
  finish: Extract<WireEvent, { readonly _tag: "Finish" }> | undefined
  usage: Usage | undefined
  readonly indexes: PartIndexes
  /** All text emitted so far, but for the arguments of calls. */
  text: string
  /** The part of the text that was emitted last. */
  lastPart: Part | undefined
  readonly calls: Array<CallItem>
  /** Number of ended tool calls: they end in the order of a whole response. */
  ended: number
  readonly items: Array<Item>
  readonly byId: Map<string, Item>
  readonly byPosition: Map<number, Item>
  /** Finished items, for a stream whose last event does not repeat them: by id, or else by position. */
  readonly finished: Map<string | number, { readonly position: number; readonly item: Json }>
}

export const make = (source: AnswerSource): State => ({
  source,
  id: "",
  model: source.model,
  finish: undefined,
  usage: undefined,
  indexes: partIndexes(),
  text: "",
  lastPart: undefined,
  calls: [],
  ended: 0,
  items: [],
  byId: new Map(),
  byPosition: new Map(),
  finished: new Map()
})

const newItem = (state: State, kind: Item["kind"], id: string): Item => {
  switch (kind) {
    case "message":
    case "reasoning":
      return { kind, id, message: id === "" ? undefined : { id }, parts: new Map(), done: false }
    case "call": {
      const call: CallItem = {
        kind,
        index: state.indexes.open(),
        number: state.calls.length,
        call: { type: "tool-call", id: "", name: "", arguments: "" },
        emitted: 0,
        complete: false
      }
      state.calls.push(call)
      return call
    }
    case "other":
      return { kind, index: state.indexes.open(), item: {}, emitted: false }
  }
}

/** How an event refers to an item. */
export interface ItemRef {
  readonly id: string | undefined
  readonly position: number | undefined
}

export const refOf = (event: Json): ItemRef => ({
  id: string(event, "item_id") || undefined,
  position: number(event, "output_index")
})

export const register = (state: State, item: Item, { id, position }: ItemRef): void => {
  if (id !== undefined) state.byId.set(id, item)
  if (position !== undefined) state.byPosition.set(position, item)
}

export const addItem = <Kind extends Item["kind"]>(
  state: State,
  kind: Kind,
  ref: ItemRef
): Extract<Item, { kind: Kind }> | Item => {
  const item = newItem(state, kind, ref.id ?? "")
  state.items.push(item)
  register(state, item, ref)
  return item
}

export const isTextItem = (item: Item | undefined): item is TextItem =>
  item?.kind === "message" || item?.kind === "reasoning"

export const isOther = (item: Item | undefined): item is OtherItem => item?.kind === "other"

export const isCall = (item: Item | undefined): item is CallItem => item?.kind === "call"

/**
 * The items of a kind that an event can refer to: that with its id, then that at its position (some servers change ids from event
 * to event). An event without both refers to the last item of the kind.
 */
export const matching = (state: State, { id, position }: ItemRef, kind: Item["kind"]): ReadonlyArray<Item> =>
  (id === undefined && position === undefined
    ? [state.items.findLast((item) => item.kind === kind)]
    : [state.byId.get(id ?? ""), state.byPosition.get(position ?? -1)]
  ).filter((item): item is Item => item?.kind === kind)

/** The part of `whole` that was not emitted yet. Nothing when `emitted` is not its beginning: emitted text cannot change. */
export const remainder = (whole: string, emitted: string): string =>
  whole.startsWith(emitted) ? whole.slice(emitted.length) : ""

/** Pairs each whole with the other that it repeats: the first unpaired one, by the first test that finds any. */
export const pairUp = <A, B>(
  wholes: ReadonlyArray<A>,
  others: ReadonlyArray<B>,
  tests: ReadonlyArray<(whole: A, other: B) => boolean>
): ReadonlyMap<A, B> => {
  const pairs = new Map<A, B>()
  const free = new Set(others)
  for (const test of tests) {
    for (const whole of wholes) {
      if (pairs.has(whole)) continue
      const other = [...free].find((one) => test(whole, one))
      if (other === undefined) continue
      pairs.set(whole, other)
      free.delete(other)
    }
  }
  return pairs
}

export interface Text {
  readonly text: string
}

/** Tests whether a whole text repeats an emitted one, entirely or its beginning, strictest first. */
export const repetitions: ReadonlyArray<(whole: Text, emitted: Text) => boolean> = [
  (whole, emitted) => whole.text === emitted.text,
  (whole, emitted) => emitted.text !== "" && whole.text.startsWith(emitted.text),
  (whole, emitted) => whole.text !== "" && emitted.text.startsWith(whole.text)
]

export const isRepeated = (whole: string, emitted: string): boolean =>
  repetitions.some((test) => test({ text: whole }, { text: emitted }))
