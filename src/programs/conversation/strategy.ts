/** Strategies that trim a history over its budget. `Conversation` re-exports them. */
import type { Array as Arr } from "effect"
import { Effect } from "effect"
import type { Message, ToolMessage } from "../../vocabulary/Chat.js"
import * as Chat from "../../vocabulary/Chat.js"
import { LLM } from "../../call/model.js"
import type { LLMError } from "../../vocabulary/LLMError.js"

/**
 * A user message and all messages up to the next one: the answer, tool calls and their results.
 *
 * @since 0.1.0
 * @category strategies
 */
export interface Turn {
  readonly messages: Arr.NonEmptyReadonlyArray<Message>
  readonly tokens: number
}

/**
 * A history whose turns are over their budget.
 *
 * @since 0.1.0
 * @category strategies
 */
export interface Overfull {
  /** Oldest first, without system messages; the last one is the current turn. */
  readonly turns: Arr.NonEmptyReadonlyArray<Turn>
  /** The maximum tokens of all turns: the budget less the tokens of system messages. */
  readonly budget: number
  /** Makes a turn from messages and counts its tokens. */
  readonly turn: (messages: Arr.NonEmptyReadonlyArray<Message>) => Effect.Effect<Turn>
}

/**
 * Chooses the turns of a history to keep. Turns are kept or dropped as a whole, or replaced by shorter ones.
 *
 * The result can be over the budget: then only its newest turns that fit are kept. The current turn is always kept, whole or as
 * replaced by the strategy. Strategies get no system messages; these are put back where they were.
 *
 * @since 0.1.0
 * @category strategies
 */
export type Strategy<E = never, R = never> = (history: Overfull) => Effect.Effect<ReadonlyArray<Turn>, E, R>

/** The tokens of all turns. */
export const tokensOf = (turns: ReadonlyArray<Turn>): number => turns.reduce((sum, turn) => sum + turn.tokens, 0)

/** The newest turns that fit, without a gap; at least the last one. */
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
 * Keeps the newest turns and removes the oldest.
 *
 * @since 0.1.0
 * @category strategies
 */
export const keepNewest: Strategy = ({ budget, turns }) => Effect.succeed(newest(turns, budget))

/**
 * Keeps the first turns (by default one), which describe the task, and the newest, and removes those between.
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

/** The name under which a message carries its mark; no provider's protocol has it, so that it is never sent. */
const markName = "effect-llm"

/**
 * Marks a message, and so its turn, as important: {@link keepImportant} keeps it before others. The mark is part of a snapshot and is not
 * sent.
 *
 * @example
 * ```ts
 * import { Chat, Conversation } from "effect-llm"
 *
 * const program = Conversation.make({
 *   messages: [Conversation.important(Chat.user("I am allergic to nuts.")), Chat.assistant("Noted.")],
 *   budget: 4_000,
 *   strategy: Conversation.keepImportant()
 * })
 * ```
 *
 * @since 0.2.0
 * @category strategies
 */
export const important = (message: Message): Message => ({
  ...message,
  native: { ...message.native, [markName]: { important: true } }
})

const isImportant = ({ messages }: Turn): boolean =>
  messages.some(({ native }) => native?.[markName]?.["important"] === true)

/**
 * Keeps the most important turns, in their order, and of equally important ones the newest. The current turn is always kept.
 *
 * @param importance - The importance of a turn, and how many turns are newer. @default 1 for a turn with a message marked by
 *   {@link important}, else 0
 * @since 0.2.0
 * @category strategies
 */
export const keepImportant =
  (importance: (turn: Turn, newer: number) => number = (turn) => (isImportant(turn) ? 1 : 0)): Strategy =>
  ({ budget, turns }) =>
    Effect.sync(() => {
      const current = turns.length - 1
      const ranked = turns.map((turn, index) => ({
        turn,
        index,
        rank: index === current ? Infinity : importance(turn, current - index)
      }))
      const kept = new Set<Turn>()
      let left = budget
      let closed: number | undefined
      for (const { index, rank, turn } of ranked.toSorted((a, b) => b.rank - a.rank || b.index - a.index)) {
        // Of equally important turns those older than one that does not fit are left out as well, so that no gap is between them.
        if (rank === closed || (turn.tokens > left && index !== current)) {
          closed = rank
          continue
        }
        left -= turn.tokens
        kept.add(turn)
      }
      return turns.filter((turn) => kept.has(turn))
    })

const removedNote = "[This result was removed to save space.]"

const withoutOutput = (message: ToolMessage): ToolMessage => ({ ...message, content: removedNote })

/**
 * Replaces tool results by a short note, the oldest first, until the history fits. Results behind the last answer, which the model
 * has not read yet, are kept. If that is not enough, the oldest turns are removed.
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
 * The options of {@link summarize}.
 *
 * @since 0.1.0
 * @category strategies
 */
export interface SummaryOptions {
  /** The system message of the summary call. @default at most 200 words: facts, decisions, names, figures and open questions */
  readonly instructions?: string
  /** The share of the budget, from 0 to 1, for the newest turns, which stay unchanged. @default 0.5 */
  readonly keep?: number
}

const defaultInstructions =
  "Summarise the following conversation in at most 200 words, for the assistant who will go on with it." +
  " Keep facts, decisions, names, figures and open questions. Answer with the summary alone."

const summaryQuestion = "What have we said so far?"

/** The text of a part in a transcript; empty for reasoning, which is left out. */
const partText = (part: Chat.UserPart | Chat.AssistantPart): string => {
  switch (part.type) {
    case "text":
    case "refusal":
      return part.text
    case "reasoning":
      return ""
    case "tool-call":
      return `[calls ${part.name} with ${part.arguments}]`
    case "file":
      return `[file ${part.filename ?? ""}]`
    default:
      return `[${part.type}]`
  }
}

const transcriptOf = (message: Message): string => {
  const text =
    typeof message.content === "string"
      ? message.content
      : message.content
          .map((part: Chat.UserPart | Chat.AssistantPart) => partText(part))
          .filter((text) => text !== "")
          .join("\n")
  return `${message.role}: ${text}`
}

/**
 * Summarises the oldest turns with the `LLM` in context and keeps the newest unchanged. The summary becomes the first turn, as a
 * question and its answer. The summary is a separate call with its own costs, and its error fails the trim;
 * `(history) => Effect.catchAll(summarize()(history), () => keepNewest(history))` removes the oldest turns instead.
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
          Chat.system(options.instructions ?? defaultInstructions),
          Chat.user(older.flatMap(({ messages }) => messages.map(transcriptOf)).join("\n\n"))
        ]
      })
      return text.trim() === "" ? kept : [yield* turn([Chat.user(summaryQuestion), Chat.assistant(text)]), ...kept]
    })
