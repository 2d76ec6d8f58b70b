/**
 * Conversations: a message history that is sent with each question to an `LLM` and kept within a token budget.
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
import * as OptionChecks from "../internal/optionChecks.js"
import type { ChatRequest, ChatResponse } from "../vocabulary/Chat.js"
import * as Chat from "../vocabulary/Chat.js"
import type { ChatEvent } from "../vocabulary/ChatEvent.js"
import { addTo, collector } from "../vocabulary/chatEvent/collected.js"
import type { Strategy, Turn } from "./conversation/strategy.js"
import { keepNewest, newest, tokensOf } from "./conversation/strategy.js"
import { isPinned, turnsOf, weave } from "./conversation/turns.js"
import * as Format1 from "./format1.js"
import { LLM } from "../call/model.js"
import type { LLMError } from "../vocabulary/LLMError.js"
import type { Count } from "../tokens/counter.js"
import { TokenCounter } from "../tokens/counter.js"

export {
  dropToolOutputs,
  important,
  keepFirst,
  keepImportant,
  keepNewest,
  type Overfull,
  type Strategy,
  summarize,
  type SummaryOptions,
  type Turn
} from "./conversation/strategy.js"

/**
 * The first messages of a conversation, and how much of it is kept.
 *
 * @since 0.1.0
 * @category model
 */
export interface Options<E = never, R = never> {
  /** The system message, which is always kept. @default none */
  readonly system?: string
  /** Earlier messages. @default [] */
  readonly messages?: ReadonlyArray<Chat.Message>
  /**
   * The maximum tokens of a request's messages as counted by the `TokenCounter`, including system messages, but not tools and the
   * answer. @default Infinity
   */
  readonly budget?: number
  /** What is removed when the history is over its budget. @default `keepNewest` */
  readonly strategy?: Strategy<E, R>
}

/**
 * The input of the next request: a user text, or messages such as tool results. With no messages the model continues from the
 * history.
 *
 * @since 0.1.0
 * @category model
 */
export type UserInput = string | Chat.Message | ReadonlyArray<Chat.Message>

/**
 * The fields of a request other than its messages: tools, a temperature, a response format.
 *
 * @since 0.1.0
 * @category model
 */
export type RequestOptions = Omit<ChatRequest, "messages">

/**
 * A conversation.
 *
 * It uses the `LLM` in context, so another model can continue it. One request is in flight at a time: `send`, `stream` and `trim`
 * wait for each other, in no guaranteed order. A stream holds its turn until it ends or its consumer stops; asking the same
 * conversation from inside its own stream is a deadlock. All other members never wait.
 *
 * @since 0.1.0
 * @category model
 */
export interface Conversation<E = never, R = never> {
  /** The history. */
  readonly messages: Effect.Effect<ReadonlyArray<Chat.Message>>
  /** Adds messages without a request, such as tool results. They come behind an answer that is in flight. */
  readonly add: (...messages: ReadonlyArray<Chat.Message>) => Effect.Effect<void>
  /**
   * Sends the history and the input, within the budget. Both input and answer are recorded when the answer is complete; a call that
   * fails or is interrupted leaves the history unchanged.
   */
  readonly send: (input: UserInput, options?: RequestOptions) => Effect.Effect<ChatResponse, LLMError | E, LLM | R>
  /**
   * The same as a stream. Input and answer are recorded when `Finish` arrives; a stream that breaks or whose consumer stops before
   * leaves the history unchanged.
   */
  readonly stream: (input: UserInput, options?: RequestOptions) => Stream.Stream<ChatEvent, LLMError | E, LLM | R>
  /** Counts the tokens of the history for the model in context. */
  readonly tokens: Effect.Effect<Count, never, LLM>
  /** Applies the budget now instead of with the next request. */
  readonly trim: Effect.Effect<void, E, LLM | R>
  /** A new, independent conversation with the same history and options. */
  readonly fork: Effect.Effect<Conversation<E, R>>
  /** Removes all messages except system messages. An answer in flight is not recorded. */
  readonly clear: Effect.Effect<void>
  /**
   * The history as JSON, for {@link restore}. Fails with `ParseError` when a message is invalid and could not be read again, such
   * as an image whose URL is a path.
   */
  readonly snapshot: Effect.Effect<string, ParseResult.ParseError>
}

// -------------------------------------------------------------------------------------
// trimming
// -------------------------------------------------------------------------------------

/**
 * The options of {@link trim}.
 *
 * @since 0.1.0
 * @category trimming
 */
export interface TrimOptions<E = never, R = never> {
  /** The maximum tokens of all messages. */
  readonly budget: number
  /** The model whose tokens are counted. @default none: an estimate */
  readonly model?: string
  /** What is removed when the history is over its budget. @default `keepNewest` */
  readonly strategy?: Strategy<E, R>
}

const checkBudget = (budget = Infinity): void =>
  OptionChecks.valid("Conversation", ({ number }) => {
    number("budget", budget, budget >= 0, "a number of at least 0")
  })

/** The turns that a strategy chose, with the last turn added when the strategy removed it. */
const withLast = (chosen: ReadonlyArray<Turn>, last: Turn): ReadonlyArray<Turn> =>
  chosen[chosen.length - 1]?.messages.some((message) => last.messages.includes(message)) === true
    ? chosen
    : [...chosen.filter((turn) => turn !== last), last]

/**
 * Trims messages to a budget.
 *
 * System and developer messages are kept in their order. The last turn is kept even if it alone is over the budget. A tool result
 * stays with its call. Messages within the budget are returned unchanged.
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
        const turn = (messages: Turn["messages"]): Effect.Effect<Turn> =>
          Effect.map(tokens(messages), (tokens) => ({ messages, tokens }))

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
  /** The number of times that `clear` ran. */
  readonly generation: number
}

const toMessages = (input: UserInput): ReadonlyArray<Chat.Message> =>
  typeof input === "string" ? [Chat.user(input)] : "role" in input ? [input] : input

/**
 * Makes a conversation. It needs no scope.
 *
 * Without a `budget` the history grows without a limit. A call that fails, such as with `ContextLengthError`, leaves the history unchanged.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Conversation } from "effect-llm"
 *
 * const program = Effect.gen(function* () {
 *   const conversation = yield* Conversation.make({ system: "Answer in one sentence.", budget: 8000 })
 *   yield* conversation.send("Name a river.")
 *   const { text } = yield* conversation.send("How long is it?")
 *   return text
 * })
 * ```
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
      generation: 0
    })
    const lock = yield* Effect.makeSemaphore(1)

    const withinBudget = (messages: ReadonlyArray<Chat.Message>, model: string) =>
      trim(messages, { ...rest, budget: rest.budget ?? Infinity, model })

    /** Replaces the messages of `before` by `now`. Messages added in the meantime stay behind them. */
    const record = (before: State, now: ReadonlyArray<Chat.Message>): Effect.Effect<void> =>
      Ref.update(state, (current) =>
        current.generation === before.generation
          ? { ...current, messages: [...now, ...current.messages.slice(before.messages.length)] }
          : current
      )

    /** The request within the budget, and an effect that records its answer. */
    const prepare = (input: UserInput, options: RequestOptions) =>
      Effect.gen(function* () {
        const llm = yield* LLM
        const before = yield* Ref.get(state)
        const messages = yield* withinBudget(
          [...before.messages, ...toMessages(input)],
          options.model ?? llm.info.model
        )
        return {
          llm,
          request: { ...options, messages },
          recordAnswer: (answer: Pick<ChatResponse, "content">) => record(before, [...messages, Chat.toMessage(answer)])
        }
      })

    const conversation: Conversation<E, R> = {
      messages: Effect.map(Ref.get(state), ({ messages }) => messages),
      add: (...messages) =>
        Ref.update(state, (current) => ({ ...current, messages: [...current.messages, ...messages] })),
      send: (input, options = {}) =>
        lock.withPermits(1)(
          Effect.flatMap(prepare(input, options), ({ recordAnswer, llm, request }) =>
            Effect.tap(llm.chat(request), recordAnswer)
          )
        ),
      stream: (input, options = {}) =>
        Stream.unwrapScoped(
          Effect.gen(function* () {
            yield* Effect.uninterruptibleMask((restore) =>
              Effect.zipRight(
                restore(lock.take(1)),
                Effect.addFinalizer(() => lock.release(1))
              )
            )
            const { recordAnswer, llm, request } = yield* prepare(input, options)
            const collected = collector()
            return Stream.mapChunksEffect(llm.chatStream(request), (events) => {
              const finished = collected.finish !== undefined
              for (const event of events) addTo(collected, event)
              const recorded = finished || collected.finish === undefined ? Effect.void : recordAnswer(collected)
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
      trim: lock.withPermits(1)(
        Effect.gen(function* () {
          const llm = yield* LLM
          const before = yield* Ref.get(state)
          yield* record(before, yield* withinBudget(before.messages, llm.info.model))
        })
      ),
      fork: Effect.flatMap(Ref.get(state), ({ messages }) => make({ ...rest, messages })),
      clear: Ref.update(state, ({ generation, messages }) => ({
        messages: messages.filter(isPinned),
        generation: generation + 1
      })),
      snapshot: Effect.flatMap(Ref.get(state), ({ messages }) => encodeMessages(messages))
    }
    return conversation
  })
}

// -------------------------------------------------------------------------------------
// storing
// -------------------------------------------------------------------------------------

/** The version of a stored history. Version 1, of 0.1.0, was the list of messages alone. */
const version = 2

const History = Schema.Struct({
  version: Schema.Number.pipe(
    Schema.filter(
      (actual) =>
        actual === version ||
        `The history has version ${actual}, and this version of effect-llm reads versions 1 and ${version}.`
    )
  ),
  messages: Schema.Array(Chat.Message)
})

/** Reads a history of version 1 as one of version 2. */
const currentVersion = Schema.transform(Schema.Unknown, Schema.Unknown, {
  decode: (json) => (Array.isArray(json) ? { version, messages: json.map(Format1.messageOf) } : json),
  encode: (json) => json
})

/**
 * The JSON of messages, for programs that store histories without `snapshot`. It contains a version; the JSON of 0.1.0 can be read.
 *
 * @since 0.1.0
 * @category storing
 */
export const Messages: Schema.Schema<ReadonlyArray<Chat.Message>, string> = Schema.parseJson(currentVersion).pipe(
  Schema.compose(History, { strict: false }),
  Schema.transform(Schema.typeSchema(History.fields.messages), {
    decode: ({ messages }) => messages,
    encode: (messages) => ({ version, messages })
  })
)

const encodeMessages = Schema.encode(Messages)

const decodeMessages = Schema.decode(Messages)

/**
 * Makes a conversation from a snapshot, also from one of 0.1.0. Fails with `ParseError` when the text is not a snapshot, or one of
 * a later version.
 *
 * @since 0.1.0
 * @category constructors
 */
export const restore = <E = never, R = never>(
  snapshot: string,
  options: Omit<Options<E, R>, "system" | "messages"> = {}
): Effect.Effect<Conversation<E, R>, ParseResult.ParseError> =>
  Effect.flatMap(decodeMessages(snapshot), (messages) => make({ ...options, messages }))
