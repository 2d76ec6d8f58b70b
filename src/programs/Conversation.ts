/**
 * A history that remembers what was said, asks an `LLM` with it, and keeps itself within a budget of tokens.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Conversation } from "effect-llm"
 *
 * const program = Effect.gen(function* () {
 *   const conversation = yield* Conversation.make({ system: "You are brief.", budget: 8_000 })
 *   yield* conversation.send("My name is Ada.")
 *   const answer = yield* conversation.send("What is my name?")
 *   return answer.text
 * })
 * ```
 *
 * @since 0.1.0
 */
import { Array as Arr, Effect, Ref, Schema, Stream } from "effect"
import type { ParseResult } from "effect"
import * as Checks from "../internal/optionChecks.js"
import type { ChatRequest, ChatResponse } from "../vocabulary/Chat.js"
import * as Chat from "../vocabulary/Chat.js"
import type { ChatEvent } from "../vocabulary/ChatEvent.js"
import * as Events from "../vocabulary/ChatEvent.js"
import type { Strategy, Turn } from "./conversation/strategy.js"
import { keepNewest, newest, tokensOf } from "./conversation/strategy.js"
import { isPinned, turnsOf, weave } from "./conversation/turns.js"
import { LLM } from "../call/model.js"
import type { LLMError } from "../vocabulary/LLMError.js"
import type { Count } from "../tokens/counter.js"
import { TokenCounter } from "../tokens/counter.js"

export {
  dropToolOutputs,
  keepFirst,
  keepNewest,
  type Overfull,
  type Strategy,
  summarize,
  type SummaryOptions,
  type Turn
} from "./conversation/strategy.js"

/**
 * How a conversation begins, and how much of it is remembered.
 *
 * @since 0.1.0
 * @category model
 */
export interface Options<E = never, R = never> {
  /** What the model is told beforehand. It is never forgotten. @default nothing */
  readonly system?: string
  /** What was said already. @default [] */
  readonly messages?: ReadonlyArray<Chat.Message>
  /**
   * The most tokens that the messages of a request may have, as the `TokenCounter` counts them: system messages included,
   * tools and the answer not. @default Infinity
   */
  readonly budget?: number
  /** What is given up when the history is over its budget. @default `keepNewest` */
  readonly strategy?: Strategy<E, R>
}

/**
 * What is said next: a text of the user's, or messages, such as the results of tools. No messages at all: the model is to go
 * on with what is there.
 *
 * @since 0.1.0
 * @category model
 */
export type Said = string | Chat.Message | ReadonlyArray<Chat.Message>

/**
 * The rest of a request: tools, a temperature, a response format.
 *
 * @since 0.1.0
 * @category model
 */
export type RequestOptions = Omit<ChatRequest, "messages">

/**
 * A conversation.
 *
 * It asks the `LLM` in context, so that another model may go on with it. One question is on its way at a time: `send`, `stream`
 * and `trim` wait for one another, in no promised order. A stream is over when it has ended or was given up; to ask the same
 * conversation from inside of its own stream would wait for ever. All else never waits.
 *
 * @since 0.1.0
 * @category model
 */
export interface Conversation<E = never, R = never> {
  /** What was said so far. */
  readonly messages: Effect.Effect<ReadonlyArray<Chat.Message>>
  /** Adds messages without asking: results of tools, or what was said elsewhere. Behind an answer that is on its way. */
  readonly add: (...messages: ReadonlyArray<Chat.Message>) => Effect.Effect<void>
  /**
   * Asks, within the budget. Question and answer are recorded when the answer is there; if it fails or is interrupted, the
   * history is as before.
   */
  readonly send: (said: Said, options?: RequestOptions) => Effect.Effect<ChatResponse, LLMError | E, LLM | R>
  /**
   * Asks and streams. Question and answer are recorded when `Finish` arrives; a stream that breaks or is given up before leaves
   * the history as before.
   */
  readonly stream: (said: Said, options?: RequestOptions) => Stream.Stream<ChatEvent, LLMError | E, LLM | R>
  /** How many tokens the history has for the model in context. */
  readonly tokens: Effect.Effect<Count, never, LLM>
  /** Gets within the budget now, and not with the next question only. */
  readonly trim: Effect.Effect<void, E, LLM | R>
  /** Another conversation with the same past, and a future of its own. */
  readonly fork: Effect.Effect<Conversation<E, R>>
  /** Forgets everything but the system messages. An answer that is on its way is not recorded. */
  readonly clear: Effect.Effect<void>
  /**
   * What was said so far as JSON, for {@link restore}. `ParseError` where a message is none that could be sent, such as an image
   * whose URL is a path: it could not be read again either.
   */
  readonly snapshot: Effect.Effect<string, ParseResult.ParseError>
}

// -------------------------------------------------------------------------------------
// trimming
// -------------------------------------------------------------------------------------

/**
 * How much of a history is kept, and what is given up.
 *
 * @since 0.1.0
 * @category trimming
 */
export interface TrimOptions<E = never, R = never> {
  /** The most tokens that the messages may have together. */
  readonly budget: number
  /** The model that they are counted for. @default any: the estimate */
  readonly model?: string
  /** @default `keepNewest` */
  readonly strategy?: Strategy<E, R>
}

const checkBudget = (budget = Infinity): void =>
  Checks.valid("Conversation", ({ number }) => {
    number("budget", budget, budget >= 0, "a number of at least 0")
  })

/** What a strategy chose, and behind it the turn that is being asked, if it has forgotten that. */
const withLast = (chosen: ReadonlyArray<Turn>, asked: Turn): ReadonlyArray<Turn> =>
  chosen[chosen.length - 1]?.messages.some((message) => asked.messages.includes(message)) === true
    ? chosen
    : [...chosen.filter((turn) => turn !== asked), asked]

/**
 * Messages within a budget.
 *
 * System and developer messages are kept, in their order. The last turn is kept, even if it is over the budget by itself. A
 * tool's result stays with its call. What is within the budget is given back unchanged.
 *
 * @since 0.1.0
 * @category trimming
 */
export const trim = <E = never, R = never>(
  messages: ReadonlyArray<Chat.Message>,
  options: TrimOptions<E, R>
): Effect.Effect<ReadonlyArray<Chat.Message>, E, R> => {
  checkBudget(options.budget)
  return options.budget === Infinity
    ? Effect.succeed(messages)
    : Effect.gen(function* () {
        const counter = yield* TokenCounter
        const tokens = (counted: ReadonlyArray<Chat.Message>) =>
          Effect.map(counter.count(counted, options.model ?? ""), (count) => count.tokens)
        const turn = (said: Turn["messages"]): Effect.Effect<Turn> =>
          Effect.map(tokens(said), (tokens) => ({ messages: said, tokens }))

        const turns = yield* Effect.forEach(turnsOf(messages), turn)
        const budget = options.budget - (yield* tokens(messages.filter(isPinned)))
        if (!Arr.isNonEmptyReadonlyArray(turns) || tokensOf(turns) <= budget) return messages
        const chosen = yield* (options.strategy ?? keepNewest)({ turns, budget, turn })
        const kept = newest(withLast(chosen, Arr.lastNonEmpty(turns)), budget)
        return weave(
          messages,
          kept.flatMap((turn) => turn.messages)
        )
      })
}

// -------------------------------------------------------------------------------------
// conversations
// -------------------------------------------------------------------------------------

interface State {
  readonly messages: ReadonlyArray<Chat.Message>
  /** How often everything was forgotten. */
  readonly era: number
}

const toMessages = (said: Said): ReadonlyArray<Chat.Message> =>
  typeof said === "string" ? [Chat.user(said)] : "role" in said ? [said] : said

/** What of an answer is remembered. */
type Answer = Pick<ChatResponse, "text" | "refusal" | "reasoningParts" | "toolCalls">

/** Who declined has said so in words of its own, which are its answer. */
const answerOf = (said: Answer): Chat.Message =>
  Chat.toMessage({ ...said, text: said.text === "" ? said.refusal : said.text })

/**
 * A conversation that knows nothing but what the options say. It needs no scope.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = <E = never, R = never>(options: Options<E, R> = {}): Effect.Effect<Conversation<E, R>> => {
  checkBudget(options.budget)
  return Effect.gen(function* () {
    const { system, messages: earlier = [], ...rest } = options
    const state = yield* Ref.make<State>({
      messages: system === undefined ? earlier : [Chat.system(system), ...earlier],
      era: 0
    })
    const turnstile = yield* Effect.makeSemaphore(1)

    const withinBudget = (messages: ReadonlyArray<Chat.Message>, model: string) =>
      trim(messages, { ...rest, budget: rest.budget ?? Infinity, model })

    /** Puts `now` in the place of what was there `before`. What was added meanwhile stays behind it. */
    const record = (before: State, now: ReadonlyArray<Chat.Message>): Effect.Effect<void> =>
      Ref.update(state, (current) =>
        current.era === before.era
          ? { ...current, messages: [...now, ...current.messages.slice(before.messages.length)] }
          : current
      )

    /** The question within the budget, and how its answer is recorded. */
    const prepare = (said: Said, options: RequestOptions) =>
      Effect.gen(function* () {
        const llm = yield* LLM
        const before = yield* Ref.get(state)
        const messages = yield* withinBudget([...before.messages, ...toMessages(said)], options.model ?? llm.info.model)
        return {
          llm,
          request: { ...options, messages },
          answered: (answer: Answer) => record(before, [...messages, answerOf(answer)])
        }
      })

    const conversation: Conversation<E, R> = {
      messages: Effect.map(Ref.get(state), ({ messages }) => messages),
      add: (...messages) =>
        Ref.update(state, (current) => ({ ...current, messages: [...current.messages, ...messages] })),
      send: (said, options = {}) =>
        turnstile.withPermits(1)(
          Effect.flatMap(prepare(said, options), ({ answered, llm, request }) =>
            Effect.tap(llm.chat(request), answered)
          )
        ),
      stream: (said, options = {}) =>
        Stream.unwrapScoped(
          Effect.gen(function* () {
            yield* Effect.uninterruptibleMask((restore) =>
              Effect.zipRight(
                restore(turnstile.take(1)),
                Effect.addFinalizer(() => turnstile.release(1))
              )
            )
            const { answered, llm, request } = yield* prepare(said, options)
            let collected = Events.nothing
            return Stream.mapChunksEffect(llm.chatStream(request), (events) => {
              const finished = collected.finish !== undefined
              for (const event of events) collected = Events.append(collected, event)
              const recorded = finished || collected.finish === undefined ? Effect.void : answered(collected)
              return Effect.as(recorded, events)
            })
          })
        ),
      tokens: Effect.gen(function* () {
        const llm = yield* LLM
        const counter = yield* TokenCounter
        const { messages } = yield* Ref.get(state)
        return yield* counter.count(messages, llm.info.model)
      }),
      trim: turnstile.withPermits(1)(
        Effect.gen(function* () {
          const llm = yield* LLM
          const before = yield* Ref.get(state)
          yield* record(before, yield* withinBudget(before.messages, llm.info.model))
        })
      ),
      fork: Effect.flatMap(Ref.get(state), ({ messages }) => make({ ...rest, messages })),
      clear: Ref.update(state, ({ era, messages }) => ({ messages: messages.filter(isPinned), era: era + 1 })),
      snapshot: Effect.flatMap(Ref.get(state), ({ messages }) => write(messages))
    }
    return conversation
  })
}

// -------------------------------------------------------------------------------------
// storing
// -------------------------------------------------------------------------------------

/**
 * Messages as JSON, for histories that are stored by other means than a conversation's `snapshot`.
 *
 * @since 0.1.0
 * @category storing
 */
export const Messages = Schema.parseJson(Schema.Array(Chat.Message))

const write = Schema.encode(Messages)

const read = Schema.decode(Messages)

/**
 * A conversation from the snapshot of another.
 *
 * @since 0.1.0
 * @category constructors
 */
export const restore = <E = never, R = never>(
  snapshot: string,
  options: Omit<Options<E, R>, "system" | "messages"> = {}
): Effect.Effect<Conversation<E, R>, ParseResult.ParseError> =>
  Effect.flatMap(read(snapshot), (messages) => make({ ...options, messages }))
