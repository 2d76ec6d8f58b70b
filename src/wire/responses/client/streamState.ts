/** What a stream has said so far, by item and piece, so that nothing is said twice and nothing is left out. */
import type { ReasoningPart, ToolCall } from "../../../vocabulary/Chat.js"
import type { Usage } from "../../../vocabulary/Usage.js"
import type { Json } from "../../json.js"
import { isRecord, number, string } from "../../json.js"
import type { AnswerSource, WireEvent, WireFailure } from "../../Wire.js"
import { malformed } from "../../Wire.js"
import type { Output } from "../output.js"
import { callOf, formats, kindOf, messageParts, reasoningPieces } from "../output.js"

type Out = Array<WireEvent>

/** The lists of an item that hold text. */
export type List = "text" | "refusal" | "content" | "summary"

/** A part of a message or of a thought. */
interface Part {
  readonly list: List
  /** What was given out of it. */
  text: string
  /** Whether an event has repeated it whole. */
  repeated: boolean
  /** Where it stands among the thoughts of the answer. */
  thought?: number
}

interface Spoken {
  readonly kind: "message" | "reasoning"
  readonly id: string
  /** By list and index. A server that numbers a part in two ways has it under both. */
  readonly parts: Map<string, Part>
  /** Whether an event has repeated the item whole. */
  done: boolean
}

interface Call {
  readonly kind: "call"
  readonly index: number
  call: ToolCall
  /** How much of the arguments was given out. */
  told: number
  complete: boolean
}

type Item = Spoken | Call | { readonly kind: "other" }

export interface State {
  readonly source: AnswerSource
  id: string
  model: string
  /** The last event, once the response has ended. */
  finish: Extract<WireEvent, { readonly _tag: "Finish" }> | undefined
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
  /** Finished items as they came, for a stream whose last event does not repeat them: by id, or else by position. */
  readonly finished: Map<string | number, { readonly position: number; readonly item: Json }>
}

export const make = (source: AnswerSource): State => ({
  source,
  id: "",
  model: source.model,
  finish: undefined,
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
    case "reasoning":
      return { kind, id, parts: new Map(), done: false }
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

/** What an event calls an item: its id, where it has one, and its position. */
interface Name {
  readonly id: string | undefined
  readonly position: number | undefined
}

const nameOf = (event: Json): Name => ({
  id: string(event, "item_id") || undefined,
  position: number(event, "output_index")
})

const name = (state: State, item: Item, { id, position }: Name): void => {
  if (id !== undefined) state.byId.set(id, item)
  if (position !== undefined) state.byPosition.set(position, item)
}

const open = <Kind extends Item["kind"]>(state: State, kind: Kind, as: Name): Extract<Item, { kind: Kind }> | Item => {
  const item = newItem(state, kind, as.id ?? "")
  state.items.push(item)
  name(state, item, as)
  return item
}

const isSpoken = (item: Item | undefined): item is Spoken => item?.kind === "message" || item?.kind === "reasoning"

const isCall = (item: Item | undefined): item is Call => item?.kind === "call"

/**
 * The items of a kind that an event can be about: that with its id, then that at its position (there are servers whose ids
 * change from event to event). Where it has neither, the last of the kind.
 */
const named = (state: State, { id, position }: Name, kind: Item["kind"]): ReadonlyArray<Item> =>
  (id === undefined && position === undefined
    ? [state.items.findLast((item) => item.kind === kind)]
    : [state.byId.get(id ?? ""), state.byPosition.get(position ?? -1)]
  ).filter((item): item is Item => item?.kind === kind)

/** What is left to say of `whole` after `said`. Where one is not the beginning of the other, what was said stands. */
const rest = (whole: string, said: string): string => (whole.startsWith(said) ? whole.slice(said.length) : "")

/** For each of the wholes, which of the others it repeats: the first that is free, by the first test that finds one. */
const pairs = <A, B>(
  wholes: ReadonlyArray<A>,
  others: ReadonlyArray<B>,
  tests: ReadonlyArray<(whole: A, other: B) => boolean>
): ReadonlyMap<A, B> => {
  const found = new Map<A, B>()
  const free = new Set(others)
  for (const test of tests) {
    for (const whole of wholes) {
      if (found.has(whole)) continue
      const other = [...free].find((one) => test(whole, one))
      if (other === undefined) continue
      found.set(whole, other)
      free.delete(other)
    }
  }
  return found
}

interface Text {
  readonly text: string
}

/** Whether one repeats the other, all of it or its beginning; the first that holds. */
const repeats: ReadonlyArray<(whole: Text, said: Text) => boolean> = [
  (whole, said) => whole.text === said.text,
  (whole, said) => said.text !== "" && whole.text.startsWith(said.text),
  (whole, said) => whole.text !== "" && said.text.startsWith(whole.text)
]

const isRepeated = (whole: string, said: string): boolean =>
  repeats.some((test) => test({ text: whole }, { text: said }))

// -------------------------------------------------------------------------------------
// messages and thoughts
// -------------------------------------------------------------------------------------

const kinds = { text: "message", refusal: "message", content: "reasoning", summary: "reasoning" } as const

const partKey = (list: List, event: Json): string =>
  `${list}:${number(event, list === "summary" ? "summary_index" : "content_index") ?? 0}`

const textOf = (parts: ReadonlyArray<Text>): string => parts.map((part) => part.text).join("")

/** The parts of the items, each once. */
const partsOf = (items: ReadonlyArray<Spoken>): ReadonlyArray<Part> => [
  ...new Set(items.flatMap((item) => [...item.parts.values()]))
]

const addPart = (item: Spoken, list: List, key: string): Part => {
  const part: Part = { list, text: "", repeated: false }
  item.parts.set(key, part)
  return part
}

const thinkOf = (state: State, item: Spoken, part: Part, words: string, out: Out): void => {
  const index = part.thought
  const before = index === undefined ? undefined : state.thoughts[index]
  if (index !== undefined && before !== undefined) {
    state.thoughts[index] = { ...before, text: before.text + words }
    out.push({ _tag: "ReasoningDelta", index, text: words })
    return
  }
  const fields = {
    ...(item.id === "" ? {} : { id: item.id }),
    format: part.list === "content" ? formats.content : formats.summary,
    provider: state.source.provider
  }
  part.thought = state.thoughts.length
  out.push({ _tag: "ReasoningDelta", index: state.thoughts.length, text: words, ...fields })
  state.thoughts.push({ type: "reasoning", text: words, ...fields })
}

const say = (state: State, voice: "text" | "refusal", words: string, out: Out): void => {
  if (words === "") return
  state[voice] += words
  out.push(voice === "text" ? { _tag: "TextDelta", text: words } : { _tag: "RefusalDelta", text: words })
}

const tellPart = (state: State, item: Spoken, part: Part, words: string, out: Out): void => {
  if (words === "") return
  part.text += words
  if (part.list === "text" || part.list === "refusal") say(state, part.list, words, out)
  else thinkOf(state, item, part, words, out)
}

/** A piece of a part. */
export const addDelta = (state: State, event: Json, list: List, words: string, out: Out): void => {
  const as = nameOf(event)
  // Nothing follows an item that was repeated whole: another has its position, or its id.
  const item =
    named(state, as, kinds[list])
      .filter(isSpoken)
      .find((one) => !one.done) ?? open(state, kinds[list], as)
  if (!isSpoken(item)) return
  const key = partKey(list, event)
  tellPart(state, item, item.parts.get(key) ?? addPart(item, list, key), words, out)
}

/**
 * A part that an event repeats whole: what was not given out of it is given out. Not all servers number it, or its item, as in
 * its deltas (Bedrock, vLLM): then it is known by its text among what no event has repeated yet.
 */
export const finishPart = (state: State, event: Json, list: List, whole: string, out: Out): void => {
  const as = nameOf(event)
  const key = partKey(list, event)
  const found = named(state, as, kinds[list])
    .filter(isSpoken)
    .find((one) => !one.done || isRepeated(whole, one.parts.get(key)?.text ?? ""))
  const said = found === undefined ? [] : partsOf([found]).filter((part) => part.text !== "")
  const items = found !== undefined && said.length > 0 ? [found] : spokenOf(state, kinds[list])
  const left = partsOf(items).filter((part) => part.list === list && part.text !== "" && !part.repeated)
  const numbered = found?.parts.get(key)
  const run = left.length > 1 && whole.startsWith(textOf(left)) ? left : []
  const known = run.at(-1) ?? numbered ?? left.find((part) => isRepeated(whole, part.text))
  const holder = items.find((one) => known !== undefined && partsOf([one]).includes(known)) ?? found
  const item = holder ?? open(state, kinds[list], as)
  if (!isSpoken(item)) return
  const part = known ?? addPart(item, list, key)
  if (run.length > 0) join(items, run, part)
  item.parts.set(key, part)
  name(state, item, as)
  tellPart(state, item, part, rest(whole, part.text), out)
  part.repeated = true
}

/** Makes one part of several that an event repeats as one. */
const join = (items: ReadonlyArray<Spoken>, run: ReadonlyArray<Part>, into: Part): void => {
  into.text = textOf(run)
  for (const { parts } of items) for (const [key, part] of parts) if (run.includes(part)) parts.set(key, into)
}

/** The items of a kind that no event has repeated whole. */
const spokenOf = (state: State, kind: Spoken["kind"]): ReadonlyArray<Spoken> =>
  state.items.filter(isSpoken).filter((item) => item.kind === kind && !item.done)

/** The items that a whole one repeats; none where nothing was given out of it. */
const repeatedBy = (state: State, as: Name, kind: Spoken["kind"], whole: string): ReadonlyArray<Spoken> => {
  const candidates = named(state, as, kind).filter(isSpoken)
  const found = candidates.find((item) => !item.done || isRepeated(whole, textOf(partsOf([item]))))
  if (found !== undefined && partsOf([found]).some((part) => part.text !== "")) return [found]
  const left = spokenOf(state, kind).filter((item) => partsOf([item]).some((part) => part.text !== ""))
  if (left.length > 0 && whole.startsWith(textOf(partsOf(left)))) return left
  const like = left.find((item) => isRepeated(whole, textOf(partsOf([item]))))
  return like !== undefined ? [like] : found !== undefined ? [found] : []
}

/** What was not given out of texts that were given out in part, however these were numbered. */
const unsaid = (wholes: ReadonlyArray<Text>, said: ReadonlyArray<Text>): string => {
  const all = textOf(wholes)
  const before = textOf(said)
  if (all.startsWith(before)) return all.slice(before.length)
  const known = pairs(
    wholes.filter(({ text }) => text !== ""),
    said.filter(({ text }) => text !== ""),
    [...repeats, () => true]
  )
  return wholes.map((whole) => rest(whole.text, known.get(whole)?.text ?? "")).join("")
}

const voices = ["text", "refusal"] as const

const textsOf = (whole: Json, voice: "text" | "refusal"): ReadonlyArray<Text> =>
  messageParts(whole).map((part) => ({ text: part[voice] }))

const finishMessage = (state: State, items: ReadonlyArray<Spoken>, item: Spoken, whole: Json, out: Out): void => {
  for (const voice of voices) {
    const said = partsOf(items).filter((part) => part.list === voice)
    const words = unsaid(textsOf(whole, voice), said)
    const part = said.at(-1) ?? addPart(item, voice, `${voice}:0`)
    tellPart(state, item, part, words, out)
  }
}

/** What is known of a thought now and was not before; `text` is what was not given out of it. */
const settle = (state: State, index: number, whole: ReasoningPart, text: string, out: Out): void => {
  const before = state.thoughts[index]
  const { text: _, type: __, ...fields } = whole
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

const finishThought = (state: State, items: ReadonlyArray<Spoken>, item: Spoken, whole: Json, out: Out): void => {
  const wholes = reasoningPieces(whole, state.source.provider).map(({ key, part }) => ({ key, part, text: part.text }))
  const said = partsOf(items).filter((part) => part.thought !== undefined)
  const known = pairs(
    wholes.filter(({ key }) => key !== "sealed"),
    said,
    [...repeats, () => true].map(
      (test) => (one: (typeof wholes)[number], part: Part) => one.key.startsWith(part.list) && test(one, part)
    )
  )
  for (const one of wholes) {
    const list = one.key.startsWith("content") ? "content" : "summary"
    const part = known.get(one) ?? (one.key === "sealed" ? said.at(-1) : undefined) ?? addPart(item, list, one.key)
    part.thought ??= state.thoughts.length
    const left = rest(one.text, part.text)
    settle(state, part.thought, one.part, left, out)
    part.text += left
  }
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

/**
 * The call that an event is about: by its id, by that of the call, or by its position; else one that was announced last and of
 * which nothing has come.
 */
const callNamed = (state: State, as: Name): Call | undefined => {
  const found = named(state, as, "call").find(isCall)
  const last = state.items.at(-1)
  return (
    found ?? (isCall(last) && !last.complete && last.call.name !== "" && last.call.arguments === "" ? last : undefined)
  )
}

const callFor = (state: State, as: Name): Call | undefined => {
  const item = callNamed(state, as) ?? open(state, "call", as)
  name(state, item, as)
  return isCall(item) ? item : undefined
}

const addArguments = (item: Call, words: string, out: Out): void => {
  if (item.complete) return
  item.call = { ...item.call, arguments: item.call.arguments + words }
  tell(item, out)
}

/** A piece of a call's arguments. */
export const argue = (state: State, event: Json, words: string, out: Out): void => {
  const item = callFor(state, nameOf(event))
  if (item !== undefined) addArguments(item, words, out)
}

/** Whether these arguments are the rest of those of a call that has not ended. */
const goesOn = (item: Call, args: string): boolean =>
  !item.complete && item.call.arguments !== "" && args.startsWith(item.call.arguments)

/** All of a call's arguments. */
export const argued = (state: State, event: Json, whole: string, out: Out): void => {
  const as = nameOf(event)
  const known = callNamed(state, as) ?? state.calls.find((item) => goesOn(item, whole)) ?? callFor(state, as)
  if (known !== undefined) addArguments(known, rest(whole, known.call.arguments), out)
}

// -------------------------------------------------------------------------------------
// whole items
// -------------------------------------------------------------------------------------

export const itemAdded = (state: State, event: Json, item: Json): void => {
  const as = { id: string(item, "id") || undefined, position: number(event, "output_index") }
  const added = open(state, kindOf(item), as)
  if (!isCall(added)) return
  const call = callOf(item, added.index)
  if (call === undefined) return
  added.call = { ...call, arguments: "" }
  if (!state.byId.has(call.id)) state.byId.set(call.id, added)
}

/**
 * The call that a finished item repeats: by the item's id, the call's, or the item's position; else by its arguments. One that
 * has ended is another, but for one that says the same.
 */
const callDone = (state: State, as: Name, item: Json): Call | undefined => {
  const whole = callOf(item, 0)
  const callId = string(item, "call_id") || undefined
  const candidates = [
    ...named(state, { id: as.id, position: -1 }, "call").filter(isCall),
    ...state.calls.filter((one) => one.call.id === callId),
    ...named(state, as, "call").filter(isCall)
  ]
  const isLike = (one: Call) =>
    goesOn(one, whole?.arguments ?? "") && (one.call.name === "" || one.call.name === whole?.name)
  return (
    candidates.find((one) => !one.complete) ??
    candidates.find((one) => one.call.name === whole?.name && one.call.arguments === whole.arguments) ??
    state.calls.find(isLike)
  )
}

/** A whole item: whatever of it has not been said yet is said now. */
export const itemDone = (state: State, event: Json, whole: Json, out: Out): void => {
  const as = { id: string(whole, "id") || undefined, position: number(event, "output_index") }
  const kind = kindOf(whole)
  state.finished.set(as.id ?? as.position ?? state.finished.size, {
    position: as.position ?? state.finished.size,
    item: whole
  })
  if (kind === "other") return
  if (kind === "call") {
    const item = callDone(state, as, whole) ?? open(state, kind, as)
    const call = isCall(item) ? callOf(whole, item.index) : undefined
    if (isCall(item) && call !== undefined) finishCall(state, item, call, out)
    return
  }
  const text =
    kind === "message"
      ? messageParts(whole)
          .map((part) => part.text + part.refusal)
          .join("")
      : textOf(reasoningPieces(whole, undefined).map(({ part }) => part))
  const items = repeatedBy(state, as, kind, text)
  const item = items.at(-1) ?? open(state, kind, as)
  if (!isSpoken(item)) return
  name(state, item, as)
  if (kind === "message") finishMessage(state, items, item, whole, out)
  else finishThought(state, items, item, whole, out)
  for (const one of [...items, item]) one.done = true
}

const isSameThought = (whole: ReasoningPart, said: ReasoningPart): boolean =>
  whole.id === said.id && whole.format === said.format && (whole.text === "" || whole.text.startsWith(said.text))

/** A whole answer: whatever of it no item has said. */
export const answerDone = (state: State, items: ReadonlyArray<unknown>, whole: Output, out: Out): void => {
  const thoughts = pairs(
    whole.reasoningParts,
    [...state.thoughts.keys()],
    [
      (part, index) => state.thoughts[index] !== undefined && isSameThought(part, state.thoughts[index]),
      ...[...repeats, () => true].map(
        (test) => (part: ReasoningPart, index: number) => test(part, { text: state.thoughts[index]?.text ?? "" })
      )
    ]
  )
  // Said in other pieces, it is said all the same.
  const isSaid = textOf(whole.reasoningParts) === textOf(state.thoughts)
  for (const part of whole.reasoningParts) {
    const index = thoughts.get(part) ?? state.thoughts.length
    settle(state, index, part, isSaid ? "" : rest(part.text, state.thoughts[index]?.text ?? ""), out)
  }

  const messages = items.filter(isRecord).filter((item) => kindOf(item) === "message")
  const said = partsOf(state.items.filter(isSpoken))
  for (const voice of voices) {
    const texts = messages.flatMap((item) => textsOf(item, voice))
    const before = said.filter((part) => part.list === voice)
    say(state, voice, unsaid(texts, before), out)
  }

  const calls = pairs(whole.toolCalls, state.calls, [
    (call, item) => call.id === item.call.id,
    (call, item) => call.name === item.call.name && call.arguments === item.call.arguments,
    (call, item) => goesOn(item, call.arguments) && (item.call.name === "" || item.call.name === call.name),
    () => true
  ])
  for (const call of whole.toolCalls) {
    const item = calls.get(call) ?? open(state, "call", { id: undefined, position: undefined })
    if (isCall(item)) finishCall(state, item, call, out)
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
