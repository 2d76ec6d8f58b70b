/** Messages and reasoning of a stream: texts by part, emitted once however often events repeat them. */
import type { ReasoningPart } from "../../../vocabulary/Chat.js"
import type { Json } from "../../json.js"
import { number } from "../../json.js"
import { formats, keyedReasoning, messageParts } from "../output.js"
import type { ItemRef, List, Out, Part, State, Text, TextItem } from "./streamState.js"
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

const kinds = { text: "message", refusal: "message", content: "reasoning", summary: "reasoning" } as const

const partKey = (list: List, event: Json): string =>
  `${list}:${number(event, list === "summary" ? "summary_index" : "content_index") ?? 0}`

export const textOf = (parts: ReadonlyArray<Text>): string => parts.map((part) => part.text).join("")

/** The parts of the items, each once. */
export const partsOf = (items: ReadonlyArray<TextItem>): ReadonlyArray<Part> => [
  ...new Set(items.flatMap((item) => [...item.parts.values()]))
]

const addPart = (item: TextItem, list: List, key: string): Part => {
  const part: Part = { list, text: "", repeated: false }
  item.parts.set(key, part)
  return part
}

const emitReasoning = (state: State, item: TextItem, part: Part, text: string, out: Out): void => {
  const index = part.index
  const before = index === undefined ? undefined : state.reasoning[index]
  if (index !== undefined && before !== undefined) {
    state.reasoning[index] = { ...before, text: before.text + text }
    out.push({ _tag: "ReasoningDelta", index, text: text })
    return
  }
  const fields = {
    ...(item.id === "" ? {} : { id: item.id }),
    format: part.list === "content" ? formats.content : formats.summary,
    provider: state.source.provider
  }
  part.index = state.reasoning.length
  out.push({ _tag: "ReasoningDelta", index: state.reasoning.length, text: text, ...fields })
  state.reasoning.push({ type: "reasoning", text: text, ...fields })
}

export const emitText = (state: State, channel: "text" | "refusal", text: string, out: Out): void => {
  if (text === "") return
  state[channel] += text
  out.push(channel === "text" ? { _tag: "TextDelta", text: text } : { _tag: "RefusalDelta", text: text })
}

const emitPart = (state: State, item: TextItem, part: Part, text: string, out: Out): void => {
  if (text === "") return
  part.text += text
  if (part.list === "text" || part.list === "refusal") emitText(state, part.list, text, out)
  else emitReasoning(state, item, part, text, out)
}

/** Adds a delta to a part. */
export const addDelta = (state: State, event: Json, list: List, text: string, out: Out): void => {
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
export const finishPart = (state: State, event: Json, list: List, whole: string, out: Out): void => {
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

/** The text of `wholes` that was not emitted yet, however the emitted texts were numbered. */
export const missingText = (wholes: ReadonlyArray<Text>, emitted: ReadonlyArray<Text>): string => {
  const all = textOf(wholes)
  const before = textOf(emitted)
  if (all.startsWith(before)) return all.slice(before.length)
  const pairs = pairUp(
    wholes.filter(({ text }) => text !== ""),
    emitted.filter(({ text }) => text !== ""),
    [...repetitions, () => true]
  )
  return wholes.map((whole) => remainder(whole.text, pairs.get(whole)?.text ?? "")).join("")
}

export const channels = ["text", "refusal"] as const

export const textsOf = (whole: Json, channel: "text" | "refusal"): ReadonlyArray<Text> =>
  messageParts(whole).map((part) => ({ text: part[channel] }))

export const finishMessage = (
  state: State,
  items: ReadonlyArray<TextItem>,
  item: TextItem,
  whole: Json,
  out: Out
): void => {
  for (const channel of channels) {
    const emitted = partsOf(items).filter((part) => part.list === channel)
    const text = missingText(textsOf(whole, channel), emitted)
    const part = emitted.at(-1) ?? addPart(item, channel, `${channel}:0`)
    emitPart(state, item, part, text, out)
  }
}

/** Emits what is new of a reasoning part; `text` is its missing text. */
export const updateReasoning = (state: State, index: number, whole: ReasoningPart, text: string, out: Out): void => {
  const before = state.reasoning[index]
  const { text: _, type: __, ...fields } = whole
  const isNew =
    before === undefined ||
    text !== "" ||
    fields.signature !== before.signature ||
    fields.id !== before.id ||
    fields.format !== before.format
  if (!isNew) return
  state.reasoning[index] = { ...before, ...whole, text: (before?.text ?? "") + text }
  out.push({ _tag: "ReasoningDelta", index, text, ...fields })
}

export const finishReasoning = (
  state: State,
  items: ReadonlyArray<TextItem>,
  item: TextItem,
  whole: Json,
  out: Out
): void => {
  const wholes = keyedReasoning(whole, state.source.provider).map(({ key, part }) => ({ key, part, text: part.text }))
  const emitted = partsOf(items).filter((part) => part.index !== undefined)
  const pairs = pairUp(
    wholes.filter(({ key }) => key !== "encrypted"),
    emitted,
    [...repetitions, () => true].map(
      (test) => (one: (typeof wholes)[number], part: Part) => one.key.startsWith(part.list) && test(one, part)
    )
  )
  for (const one of wholes) {
    const list = one.key.startsWith("content") ? "content" : "summary"
    const part =
      pairs.get(one) ?? (one.key === "encrypted" ? emitted.at(-1) : undefined) ?? addPart(item, list, one.key)
    part.index ??= state.reasoning.length
    const missing = remainder(one.text, part.text)
    updateReasoning(state, part.index, one.part, missing, out)
    part.text += missing
  }
}
