/** Collects the events of one stream in place, for everything that needs what has come so far. */
import type { ChatEvent, Collected } from "../vocabulary/ChatEvent.js"
import { generatedText } from "../vocabulary/ChatEvent.js"
import { addTo, collector } from "../vocabulary/chatEvent/collected.js"

/** The answer of a stream so far. */
export interface AnswerSoFar {
  /** It grows with the stream. */
  readonly collected: Collected
  /** All text that the model generated, for an estimate of its tokens, with the arguments of calls that are not complete. */
  readonly generatedText: () => string
}

export interface Collector extends AnswerSoFar {
  readonly add: (event: ChatEvent) => void
}

export const make = (): Collector => {
  const collected = collector()
  /** The arguments so far of the tool calls that are not complete, by their index. */
  const openCalls = new Map<number, string>()
  return {
    collected,
    add: (event) => {
      if (event._tag === "ToolCallDelta") {
        openCalls.set(event.index, (openCalls.get(event.index) ?? "") + event.argumentsDelta)
      } else if (event._tag === "ToolCallEnd") openCalls.delete(event.index)
      addTo(collected, event)
    },
    generatedText: () => generatedText(collected) + [...openCalls.values()].join("")
  }
}
