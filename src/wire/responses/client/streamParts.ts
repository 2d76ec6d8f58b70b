/** Messages and reasoning of a stream: texts by part, emitted once however often events repeat them. */
import type { AddText } from "../../answerReader.js"
import type { Json } from "../../json.js"
import { number } from "../../json.js"
import { native } from "../native.js"
import type { ItemPart, List } from "../output.js"
import { formats, keyOf } from "../output.js"
import type { Fields, ItemRef, Out, Part, State, Text, TextItem } from "./streamState.js"
import {
  addItem,
  isRepeated,
  isTextItem,
  matching,
  pairUp,
  refOf,
  register,
  remainder,
  repetitions
} from "./streamState.js"

/** The lists whose texts are streamed. */
type TextList = Exclude<List, "sealed">

const kinds = { text: "message", refusal: "message", content: "reasoning", summary: "reasoning" } as const

const partKey = (list: TextList, event: Json): string =>
  keyOf(list, number(event, list === "summary" ? "summary_index" : "content_index") ?? 0)

export const textOf = (parts: ReadonlyArray<Text>): string => parts.map((part) => part.text).join("")

/** The parts of the items, each once. */
export const partsOf = (items: ReadonlyArray<TextItem>): ReadonlyArray<Part> => [
  ...new Set(items.flatMap((item) => [...item.parts.values()]))
]

const newPart = (list: List): Part => ({ list, text: "", repeated: false, fields: {} })

const addPart = (item: TextItem, list: List, key: string): Part => {
  const part = newPart(list)
  item.parts.set(key, part)
  return part
}

const tags = {
  text: "TextDelta",
  refusal: "RefusalDelta",
  content: "ReasoningDelta",
  summary: "ReasoningDelta",
  sealed: "ReasoningDelta"
} as const

/** Emits a piece of a part, and with it the fields that it adds, if any. A part begins with its first piece. */
const emitPiece = (state: State, part: Part, text: string, fields: Fields | undefined, out: Out): void => {
  const index = (part.index ??= state.indexes.open())
  const _tag = tags[part.list]
  part.text += text
  state.text += text
  state.lastPart = part
  if (fields === undefined) {
    out.push({ _tag, index, text })
    return
  }
  part.fields = { ...part.fields, ...fields }
  out.push({ _tag, index, text, ...fields })
}

/** The fields that are known when a part begins. */
const firstFields = ({ source: { provider } }: State, item: TextItem, list: List): Fields =>
  list === "content" || list === "summary"
    ? { ...(item.id === "" ? {} : { id: item.id }), format: formats[list], provider }
    : native.answered(item.message === undefined ? undefined : { message: item.message }, provider)

const emitPart = (state: State, item: TextItem, part: Part, text: string, out: Out): void => {
  if (text === "") return
  emitPiece(state, part, text, part.index === undefined ? firstFields(state, item, part.list) : undefined, out)
}

/** Continues the text that was emitted last. */
export const addText = (state: State): AddText | undefined => {
  const part = state.lastPart
  return part && ((text, out) => emitPiece(state, part, text, undefined, out))
}

/** Adds a delta to a part. */
export const addDelta = (state: State, event: Json, list: TextList, text: string, out: Out): void => {
  const ref = refOf(event)
  // Nothing follows an item that was repeated whole: the delta belongs to another item with its position or id.
  const item =
    matching(state, ref, kinds[list])
      .filter(isTextItem)
      .find((one) => !one.done) ?? addItem(state, kinds[list], ref)
  if (!isTextItem(item)) return
  const key = partKey(list, event)
  emitPart(state, item, item.parts.get(key) ?? addPart(item, list, key), text, out)
}

/**
 * Emits the missing text of a part that an event repeats whole. Some servers (Bedrock, vLLM) number it, or its item, differently
 * than in its deltas: then it is found by its text among the parts that no event has repeated yet.
 */
export const finishPart = (state: State, event: Json, list: TextList, whole: string, out: Out): void => {
  const ref = refOf(event)
  const key = partKey(list, event)
  const matched = matching(state, ref, kinds[list])
    .filter(isTextItem)
    .find((one) => !one.done || isRepeated(whole, one.parts.get(key)?.text ?? ""))
  const emitted = matched === undefined ? [] : partsOf([matched]).filter((part) => part.text !== "")
  const items = matched !== undefined && emitted.length > 0 ? [matched] : unfinishedItems(state, kinds[list])
  const open = partsOf(items).filter((part) => part.list === list && part.text !== "" && !part.repeated)
  const numbered = matched?.parts.get(key)
  const run = open.length > 1 && whole.startsWith(textOf(open)) ? open : []
  const existing = run.at(-1) ?? numbered ?? open.find((part) => isRepeated(whole, part.text))
  const holder = items.find((one) => existing !== undefined && partsOf([one]).includes(existing)) ?? matched
  const item = holder ?? addItem(state, kinds[list], ref)
  if (!isTextItem(item)) return
  const part = existing ?? addPart(item, list, key)
  if (run.length > 0) join(items, run, part)
  item.parts.set(key, part)
  register(state, item, ref)
  emitPart(state, item, part, remainder(whole, part.text), out)
  part.repeated = true
}

/** Joins several parts that an event repeats as one. */
const join = (items: ReadonlyArray<TextItem>, run: ReadonlyArray<Part>, into: Part): void => {
  into.text = textOf(run)
  for (const { parts } of items) for (const [key, part] of parts) if (run.includes(part)) parts.set(key, into)
}

/** The items of a kind that no event has repeated whole. */
const unfinishedItems = (state: State, kind: TextItem["kind"]): ReadonlyArray<TextItem> =>
  state.items.filter(isTextItem).filter((item) => item.kind === kind && !item.done)

/** The items that a whole one repeats; none when nothing of it was emitted. */
export const itemsRepeatedBy = (
  state: State,
  ref: ItemRef,
  kind: TextItem["kind"],
  whole: string
): ReadonlyArray<TextItem> => {
  const candidates = matching(state, ref, kind).filter(isTextItem)
  const matched = candidates.find((item) => !item.done || isRepeated(whole, textOf(partsOf([item]))))
  if (matched !== undefined && partsOf([matched]).some((part) => part.text !== "")) return [matched]
  const open = unfinishedItems(state, kind).filter((item) => partsOf([item]).some((part) => part.text !== ""))
  if (open.length > 0 && whole.startsWith(textOf(partsOf(open)))) return open
  const repeated = open.find((item) => isRepeated(whole, textOf(partsOf([item])))) ?? matched
  return repeated === undefined ? [] : [repeated]
}

/** What was not emitted yet of a whole part: the rest of its text, and the part that it repeats, if any. */
interface Missing {
  readonly part: Part | undefined
  readonly text: string
}

/** The texts of one list, emitted as the beginning of the whole texts, however they were divided: paired by their positions. */
const missingByPosition = (wholes: ReadonlyArray<ItemPart>, emitted: ReadonlyArray<Part>): ReadonlyArray<Missing> => {
  let before = 0
  const ends = emitted.map(({ text }) => (before += text.length))
  let start = 0
  return wholes.map(({ part: { text } }) => {
    const from = start
    start += text.length
    const part = emitted.findLast((_, at) => (ends[at] ?? 0) > from && (ends[at - 1] ?? 0) < start)
    return { part, text: text.slice(Math.max(0, before - from)) }
  })
}

/** What was not emitted yet of the whole texts of one list, however the emitted texts were numbered. */
const missingOfList = (wholes: ReadonlyArray<ItemPart>, emitted: ReadonlyArray<Part>): ReadonlyArray<Missing> => {
  if (textOf(wholes.map(({ part }) => part)).startsWith(textOf(emitted))) return missingByPosition(wholes, emitted)
  const pairs = pairUp(
    wholes,
    emitted,
    [...repetitions, () => true].map(
      (test) =>
        ({ part }: ItemPart, other: Part) =>
          test(part, other)
    )
  )
  return wholes.map((whole) => {
    const part = pairs.get(whole)
    return { part, text: remainder(whole.part.text, part?.text ?? "") }
  })
}

const lists = ["text", "refusal", "content", "summary"] as const

/** The emitted part of reasoning that is whole without text: by its id, else the next one without text. */
const sealedPart = (whole: ItemPart, free: ReadonlyArray<Part>): Part | undefined => {
  const id = whole.part.type === "reasoning" ? whole.part.id : undefined
  const ofId = free.filter((part) => part.fields.id === id)
  return ofId.find(({ list }) => list === "sealed") ?? ofId.at(-1) ?? free.find(({ list }) => list === "sealed")
}

const isReasoningPart = ({ list }: Part): boolean => list !== "text" && list !== "refusal"

/** What was not emitted yet of whole parts, given the parts that were. */
export const missingOf = (
  wholes: ReadonlyArray<ItemPart>,
  emitted: ReadonlyArray<Part>
): ReadonlyMap<ItemPart, Missing> => {
  const missing = new Map<ItemPart, Missing>()
  const begun = emitted.filter((part) => part.index !== undefined)
  for (const list of lists) {
    const ofList = wholes.filter((whole) => whole.list === list)
    const found = missingOfList(
      ofList,
      begun.filter((part) => part.list === list && part.text !== "")
    )
    for (const [at, each] of found.entries()) {
      const whole = ofList[at]
      if (whole !== undefined) missing.set(whole, each)
    }
  }
  const free = new Set(begun.filter(isReasoningPart))
  for (const { part } of missing.values()) if (part !== undefined) free.delete(part)
  for (const whole of wholes) {
    if (whole.list !== "sealed") continue
    const part = sealedPart(whole, [...free])
    if (part !== undefined) free.delete(part)
    missing.set(whole, { part, text: "" })
  }
  return missing
}

/** Emits what is missing of a whole part; `part` is what was emitted of it. */
const finishWhole = (state: State, whole: ItemPart, part: Part, text: string, out: Out): void => {
  const { text: _, type: __, ...fields } = whole.part
  const isNew =
    part.index === undefined ||
    text !== "" ||
    JSON.stringify({ ...part.fields, ...fields }) !== JSON.stringify(part.fields)
  if (isNew) emitPiece(state, part, text, fields, out)
}

/** Emits what is missing of a finished item. Reasoning that is whole without text repeats the last part of its item. */
export const finishItem = (
  state: State,
  items: ReadonlyArray<TextItem>,
  item: TextItem,
  wholes: ReadonlyArray<ItemPart>,
  out: Out
): void => {
  const emitted = partsOf(items)
  const missing = missingOf(wholes, emitted)
  for (const whole of wholes) {
    const { part, text = "" } = missing.get(whole) ?? {}
    const last = whole.list === "sealed" ? emitted.findLast((one) => one.index !== undefined) : undefined
    finishWhole(state, whole, part ?? last ?? addPart(item, whole.list, whole.key), text, out)
  }
}

/** Emits what is missing of a part of the whole response, of which `missing` was not emitted. */
export const finishPartOfResponse = (state: State, whole: ItemPart, missing: Missing | undefined, out: Out): void =>
  finishWhole(state, whole, missing?.part ?? newPart(whole.list), missing?.text ?? "", out)
