/** What a history gives up when it is over its budget: strategies as values. Public by way of `Conversation`. */
import type { Array as Arr } from "effect"
import { Effect } from "effect"
import type { Message, ToolMessage } from "../../vocabulary/Chat.js"
import * as Chat from "../../vocabulary/Chat.js"
import { LLM } from "../../call/model.js"
import type { LLMError } from "../../vocabulary/LLMError.js"

/**
 * A user message and everything up to the next: the answer, the calls of tools and their results.
 *
 * @since 0.1.0
 * @category strategies
 */
export interface Turn {
  readonly messages: Arr.NonEmptyReadonlyArray<Message>
  readonly tokens: number
}

/**
 * A history whose turns have more tokens than they may.
 *
 * @since 0.1.0
 * @category strategies
 */
export interface Overfull {
  /** Oldest first, without system messages; the last is the turn that is being asked. */
  readonly turns: Arr.NonEmptyReadonlyArray<Turn>
  /** What the turns may have together, in tokens: the budget, less what the system messages take. */
  readonly budget: number
  /** Makes a turn of messages, and counts it. */
  readonly turn: (messages: Arr.NonEmptyReadonlyArray<Message>) => Effect.Effect<Turn>
}

/**
 * What is kept of a history. Turns are kept or dropped as a whole, or replaced by turns that say less.
 *
 * A strategy needs not get below the budget: of what it leaves, the newest turns are kept that fit. The turn that is being asked
 * is kept in any case, whole or as the strategy has made it.
 * System messages are none of its business; they are put back where they were.
 *
 * @since 0.1.0
 * @category strategies
 */
export type Strategy<E = never, R = never> = (history: Overfull) => Effect.Effect<ReadonlyArray<Turn>, E, R>

/** What turns have together, in tokens. */
export const tokensOf = (turns: ReadonlyArray<Turn>): number => turns.reduce((sum, turn) => sum + turn.tokens, 0)

/** The newest turns that fit, without a gap; the last in any case. */
export const newest = (turns: ReadonlyArray<Turn>, budget: number): ReadonlyArray<Turn> => {
  let from = Math.max(0, turns.length - 1)
  let tokens = tokensOf(turns.slice(from))
  while (from > 0) {
    tokens += turns[from - 1]?.tokens ?? 0
    if (tokens > budget) break
    from--
  }
  return turns.slice(from)
}

/**
 * Keeps the newest turns and forgets the oldest.
 *
 * @since 0.1.0
 * @category strategies
 */
export const keepNewest: Strategy = ({ budget, turns }) => Effect.succeed(newest(turns, budget))

/**
 * Keeps the first turns (one, unless said otherwise), in which the task was set, and the newest; forgets those between.
 *
 * @since 0.1.0
 * @category strategies
 */
export const keepFirst =
  (count = 1): Strategy =>
  ({ budget, turns }) => {
    const first = turns.slice(0, Math.min(count, turns.length - 1))
    return Effect.succeed([...first, ...newest(turns.slice(first.length), budget - tokensOf(first))])
  }

const removedNote = "[This result was removed to save space.]"

const withoutOutput = (message: ToolMessage): ToolMessage => ({ ...message, content: removedNote })

/**
 * Puts a short note in the place of what tools returned, the oldest results first, until the history fits. What the model has
 * not seen yet, the results behind its last answer, is left alone. Where that is not enough, the oldest turns are forgotten.
 *
 * @since 0.1.0
 * @category strategies
 */
export const dropToolOutputs: Strategy = ({ budget, turn, turns }) =>
  Effect.gen(function* () {
    let excess = tokensOf(turns) - budget
    const kept: Array<Turn> = []
    for (const [index, current] of turns.entries()) {
      const { messages } = current
      const seen =
        index < turns.length - 1 ? messages.length : messages.findLastIndex((message) => message.role === "assistant")
      const shorter = yield* Effect.forEach(messages, (message, position) =>
        Effect.gen(function* () {
          if (excess <= 0 || position >= seen || message.role !== "tool") return message
          const note = withoutOutput(message)
          const saved = (yield* turn([message])).tokens - (yield* turn([note])).tokens
          if (saved <= 0) return message
          excess -= saved
          return note
        })
      )
      kept.push(shorter.some((message, position) => message !== messages[position]) ? yield* turn(shorter) : current)
    }
    return kept
  })

/**
 * How a history is summarised, and how much of it is not.
 *
 * @since 0.1.0
 * @category strategies
 */
export interface SummaryOptions {
  /** How to summarise. @default in at most 200 words: facts, decisions, names, figures and open questions */
  readonly instructions?: string
  /** The part of the budget for the newest turns, which stay as they are. Between 0 and 1. @default 0.5 */
  readonly keep?: number
}

const usualInstructions =
  "Summarise the following conversation in at most 200 words, for the assistant who will go on with it." +
  " Keep facts, decisions, names, figures and open questions. Answer with the summary alone."

const request = "What have we said so far?"

const partInWords = (part: Chat.UserPart | Chat.AssistantPart): string => {
  switch (part.type) {
    case "text":
      return part.text
    case "reasoning":
      return ""
    case "file":
      return `[file ${part.filename ?? ""}]`
    default:
      return `[${part.type}]`
  }
}

const inWords = (message: Message): string => {
  const said =
    typeof message.content === "string"
      ? message.content
      : message.content.map((part: Chat.UserPart | Chat.AssistantPart) => partInWords(part)).join("\n")
  const calls =
    message.role === "assistant"
      ? (message.toolCalls ?? []).map((call) => `\n[calls ${call.name} with ${call.arguments}]`).join("")
      : ""
  return `${message.role}: ${said}${calls}`
}

/**
 * Has the `LLM` in context summarise the oldest turns, and keeps the newest as they are. The summary becomes the first turn:
 * a question for it, and the answer. It is a call of its own, with its own costs, and where it fails, so does what needed it;
 * `(history) => Effect.catchAll(summarize()(history), () => keepNewest(history))` forgets instead.
 *
 * @since 0.1.0
 * @category strategies
 */
export const summarize =
  (options: SummaryOptions = {}): Strategy<LLMError, LLM> =>
  ({ budget, turn, turns }) =>
    Effect.gen(function* () {
      const kept = newest(turns, budget * (options.keep ?? 0.5))
      const older = turns.slice(0, turns.length - kept.length)
      if (older.length === 0) return turns
      const llm = yield* LLM
      const { text } = yield* llm.chat({
        messages: [
          Chat.system(options.instructions ?? usualInstructions),
          Chat.user(older.flatMap(({ messages }) => messages.map(inWords)).join("\n\n"))
        ]
      })
      return text.trim() === "" ? kept : [yield* turn([Chat.user(request), Chat.assistant(text)]), ...kept]
    })
