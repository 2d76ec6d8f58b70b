/** Collects the events of one stream in place, for everything that needs what has come so far. */
import type { ChatEvent, Collected } from "../vocabulary/ChatEvent.js"
import { addTo, collector } from "../vocabulary/chatEvent/collected.js"
import * as TextTokens from "../vocabulary/textTokens.js"
import { deltaText } from "./deltaText.js"

/** The answer of a stream so far. */
export interface AnswerSoFar {
  /** It grows with the stream. */
  readonly collected: Collected
  /** The estimated tokens of all text that the model generated, with the arguments of calls that are not complete. */
  readonly generatedTokens: () => number
}

export interface Collector extends AnswerSoFar {
  readonly add: (event: ChatEvent) => void
}

export const make = (): Collector => {
  const collected = collector()
  const estimate = TextTokens.growing()
  return {
    collected,
    add: (event) => {
      estimate.add(deltaText(event))
      addTo(collected, event)
    },
    generatedTokens: estimate.tokens
  }
}
