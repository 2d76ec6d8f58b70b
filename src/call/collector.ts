/**
 * Collects the events of one stream in place, at a constant cost for each event: the same content as `ChatEvent.append`, which copies
 * the parts for each event.
 */
import type { AssistantPart } from "../vocabulary/Chat.js"
import type {
  ChatEvent,
  Collected,
  Finish,
  ReasoningDelta,
  RefusalDelta,
  Start,
  TextDelta
} from "../vocabulary/ChatEvent.js"
import * as Events from "../vocabulary/ChatEvent.js"

/** The answer of a stream so far: each member returns the current state. */
export interface AnswerSoFar {
  /** The parts so far. Makes new objects: call it at an end, not for each event. */
  readonly collected: () => Collected
  /** All text that the model generated, for an estimate of its tokens, with the arguments of calls that are not complete. */
  readonly generatedText: () => string
}

export interface Collector extends AnswerSoFar {
  readonly add: (event: ChatEvent) => void
}

type TextualPart = Extract<AssistantPart, { readonly text: string }>

/** A part. The text of a textual part is apart from it, so that a piece of text changes only the text. */
type Slot =
  | { readonly index: number; part: TextualPart; text: string }
  | { readonly index: number; part: Exclude<AssistantPart, TextualPart>; readonly text?: never }

const types = { TextDelta: "text", RefusalDelta: "refusal", ReasoningDelta: "reasoning" } as const

const hasFields = (piece: TextDelta | RefusalDelta | ReasoningDelta): boolean =>
  piece.provider !== undefined ||
  piece.native !== undefined ||
  (piece._tag === "ReasoningDelta" &&
    (piece.signature !== undefined || piece.id !== undefined || piece.format !== undefined))

const partOf = (slot: Slot): AssistantPart => (slot.text === undefined ? slot.part : { ...slot.part, text: slot.text })

export const make = (): Collector => {
  let start: Start | undefined
  let finish: Finish | undefined
  const slots: Array<Slot> = []
  /** The arguments so far of the tool calls that are not complete, by their index. */
  const openCalls = new Map<number, string>()

  /** The position behind the last part with this index or a lower one. */
  const positionAfter = (index: number): number => {
    let at = slots.length
    for (let before = slots[at - 1]; before !== undefined && before.index > index; before = slots[at - 1]) at--
    return at
  }

  /** The part of this type at an index, if there is one, searched for from the end. */
  const find = (index: number, type: AssistantPart["type"]): Slot | undefined => {
    for (let at = positionAfter(index) - 1; at >= 0; at--) {
      const slot = slots[at]
      if (slot?.index !== index) return undefined
      if (slot.part.type === type) return slot
    }
    return undefined
  }

  const insert = (slot: Slot): void => {
    slots.splice(positionAfter(slot.index), 0, slot)
  }

  const addPiece = (piece: TextDelta | RefusalDelta | ReasoningDelta): void => {
    const { _tag, index, text, ...fields } = piece
    const type = types[_tag]
    const slot = find(index, type)
    if (slot?.text === undefined) return insert({ index, part: { type, ...fields, text: "" }, text })
    slot.text += text
    if (hasFields(piece)) slot.part = { ...slot.part, ...fields }
  }

  const addPart = (index: number, part: Exclude<AssistantPart, TextualPart>): void => {
    const slot = find(index, part.type)
    if (slot === undefined || slot.text !== undefined) insert({ index, part })
    else slot.part = part
  }

  return {
    add: (event) => {
      switch (event._tag) {
        case "Start":
        case "Continued":
          start = Events.append(Events.nothing, event).start
          return
        case "TextDelta":
        case "RefusalDelta":
        case "ReasoningDelta":
          return addPiece(event)
        case "ToolCallDelta":
          openCalls.set(event.index, (openCalls.get(event.index) ?? "") + event.argumentsDelta)
          return
        case "ToolCallEnd":
          openCalls.delete(event.index)
          return addPart(event.index, event.call)
        case "ProviderPart":
          return addPart(event.index, event.part)
        case "Finish":
          finish = event
          return
      }
    },
    collected: () => ({ start, content: slots.map(partOf), indexes: slots.map(({ index }) => index), finish }),
    generatedText: () => Events.generatedText({ content: slots.map(partOf) }) + [...openCalls.values()].join("")
  }
}
