/**
 * Thousands of requests: so many at once, each with a result or an error of its own, in their order, and none asked twice
 * when a killed process begins again.
 *
 * A request that fails in a way that time may mend is asked once more when all others are over. All of them wait at the
 * priority "batch": calls for which somebody waits pass them at the rate limiter.
 *
 * @example
 * ```ts
 * import { NodeContext } from "@effect/platform-node"
 * import { Effect, Exit } from "effect"
 * import { Batch } from "effect-llm"
 *
 * const program = Effect.gen(function* () {
 *   const journal = yield* Batch.journal("answers.ndjson")
 *   const { exits } = yield* Batch.run(["What is 1 + 1?", "What is 2 + 2?"], { task: Batch.chat, journal, concurrency: 16 })
 *   return exits.map(Exit.match({ onFailure: () => "", onSuccess: (answer) => answer.text }))
 * }).pipe(Effect.provide(NodeContext.layer))
 * ```
 *
 * @since 0.1.0
 */
import { FileSystem } from "@effect/platform"
import type { Duration, Exit, Schema, Scope, Stream } from "effect"
import { Effect, Option } from "effect"
import type { ChatRequest } from "../vocabulary/Chat.js"
import { ChatResponse } from "../vocabulary/Chat.js"
import type { EmbeddingRequest } from "../vocabulary/Embedding.js"
import { EmbeddingResponse } from "../vocabulary/Embedding.js"
import type { Codec } from "./batch/journal.js"
import * as Journals from "./batch/journal.js"
import type { JournalError } from "./batch/journal.js"
import * as BatchRun from "./batch/run.js"
import { LLM } from "../call/model.js"
import * as Errors from "../vocabulary/LLMError.js"

/**
 * What is done with each request. `chat` and `embed` are tasks; `makeTask` makes others.
 *
 * @since 0.1.0
 * @category model
 */
export interface Task<In, A, E, R> {
  /** Tells the journals of different tasks apart. */
  readonly name: string
  readonly ask: (request: In) => Effect.Effect<A, E, R>
  /** What tells one request from another. */
  readonly identify: (request: In) => string
  /** Whether the same request may succeed when it is asked again later. */
  readonly isRetryable: (error: E) => boolean
  /** How long an error says to wait. */
  readonly retryAfter: (error: E) => Option.Option<Duration.Duration>
  /** What a result consumed. */
  readonly tokensOf: (result: A) => number
  /** How results and errors are kept in a journal. */
  readonly codec: Codec<A, E>
}

/**
 * @since 0.1.0
 * @category model
 */
export interface TaskOptions<In, A, I, E, EI, R> {
  readonly name: string
  readonly ask: (request: In) => Effect.Effect<A, E, R>
  readonly success: Schema.Schema<A, I>
  readonly failure: Schema.Schema<E, EI>
  /** @default its JSON */
  readonly identify?: (request: In) => string
  /** @default none is */
  readonly isRetryable?: (error: E) => boolean
  /** @default none says */
  readonly retryAfter?: (error: E) => Option.Option<Duration.Duration>
  /** @default none */
  readonly tokensOf?: (result: A) => number
}

/**
 * A task of your own, such as a conversation with tools, or one that gives a value of a schema.
 *
 * @since 0.1.0
 * @category constructors
 */
export const makeTask = <In, A, I, E, EI, R>(options: TaskOptions<In, A, I, E, EI, R>): Task<In, A, E, R> => ({
  name: options.name,
  ask: options.ask,
  identify: options.identify ?? ((request) => JSON.stringify(request)),
  isRetryable: options.isRetryable ?? (() => false),
  retryAfter: options.retryAfter ?? Option.none,
  tokensOf: options.tokensOf ?? (() => 0),
  codec: Journals.codec(options.success, options.failure)
})

const ofLLM = {
  failure: Errors.LLMError,
  isRetryable: Errors.isRetryable,
  retryAfter: Errors.retryAfter,
  tokensOf: (response: { readonly usage: { readonly totalTokens: number } }) => response.usage.totalTokens
}

/**
 * Asks the `LLM` in context for an answer to each request.
 *
 * @since 0.1.0
 * @category tasks
 */
export const chat: Task<ChatRequest.Input, ChatResponse, Errors.LLMError, LLM> = makeTask({
  ...ofLLM,
  name: "chat",
  ask: (request) => Effect.flatMap(LLM, (llm) => llm.chat(request)),
  success: ChatResponse
})

/**
 * Asks the `LLM` in context for the vectors of each request.
 *
 * @since 0.1.0
 * @category tasks
 */
export const embed: Task<EmbeddingRequest.Input, EmbeddingResponse, Errors.LLMError, LLM> = makeTask({
  ...ofLLM,
  name: "embed",
  ask: (request) => Effect.flatMap(LLM, (llm) => llm.embed(request)),
  success: EmbeddingResponse
})

/**
 * A file that keeps what is done, a line of JSON for each request that is over. Of several for one request, the last counts.
 *
 * @since 0.1.0
 * @category journal
 */
export interface Journal {
  readonly path: string
  readonly fileSystem: FileSystem.FileSystem
}

/**
 * A journal in a file, which need not be there yet. Every line is on the disk before the batch goes on. One process at a time
 * may use it.
 *
 * @since 0.1.0
 * @category journal
 */
export const journal = (path: string): Effect.Effect<Journal, never, FileSystem.FileSystem> =>
  Effect.map(FileSystem.FileSystem, (fileSystem) => ({ path, fileSystem }))

export {
  /**
   * A journal that cannot be used, with the `reason`.
   *
   * @since 0.1.0
   * @category errors
   */
  JournalError
} from "./batch/journal.js"

/**
 * @since 0.1.0
 * @category model
 */
export interface Options<In, A, E, R> {
  readonly task: Task<In, A, E, R>
  /** The most requests under way at once. @default 8 */
  readonly concurrency?: number
  /** Where what is done is kept. @default nowhere */
  readonly journal?: Journal
  /**
   * Which requests are asked that the journal has a failure of; what it has an answer to is never asked again.
   * - `"retryable"`: those whose failure time may mend, as it has had time. Others stand as they are.
   * - `"failed"`: all of them, for instance with keys or a budget that have been seen to.
   * - `"unfinished"`: none.
   *
   * @default "retryable"
   */
  readonly resume?: "retryable" | "failed" | "unfinished"
  /** How often those that failed in a way that time may mend are asked again, when all others are over. @default 1 */
  readonly retries?: number
  /** The longest wait before they are, where their errors say to wait. @default "1 minute" */
  readonly maxRetryWait?: Duration.DurationInput
}

/**
 * How far a batch is.
 *
 * @since 0.1.0
 * @category progress
 */
export interface Progress {
  /** How many requests there are; absent while a stream of them goes on. */
  readonly total?: number
  /** Requests that are over: `succeeded` and `failed`. One that will be asked again is not. */
  readonly done: number
  readonly succeeded: number
  readonly failed: number
  /** Those of `done` that the journal knew and that were not asked again. */
  readonly resumed: number
  /** Requests that failed and will be asked again. */
  readonly toRetry: number
  /** What the results consumed, those of the journal too. */
  readonly tokens: number
  /** Since this run began. */
  readonly elapsed: Duration.Duration
  /** Requests a second, in this run. */
  readonly rate: number
  /** How long the rest will take at this rate; absent where that cannot be said. */
  readonly timeLeft?: Duration.Duration
  /** Whether this is the last word. */
  readonly isOver: boolean
}

/**
 * @since 0.1.0
 * @category model
 */
export interface Result<A, E> {
  /** One for each request, in their order. A defect of the task is one, too. */
  readonly exits: ReadonlyArray<Exit.Exit<A, E>>
  readonly progress: Progress
}

/**
 * A batch under way.
 *
 * @since 0.1.0
 * @category model
 */
export interface Running<A, E, Failure> {
  /** How far it is now and whenever that changes, until it is over. Any number may listen. */
  readonly progress: Stream.Stream<Progress>
  /** Waits for its end. */
  readonly result: Effect.Effect<Result<A, E>, Failure>
}

/**
 * Starts a batch in the scope, and goes on at once. Fails where the journal is not one of this batch.
 *
 * Requests from a stream are asked as they come. If the stream fails, so does the result; what is done by then is in the
 * journal.
 *
 * @since 0.1.0
 * @category running
 */
export const start = <In, A, E, R, SE = never, SR = never>(
  requests: Iterable<In> | Stream.Stream<In, SE, SR>,
  options: Options<In, A, E, R>
): Effect.Effect<Running<A, E, JournalError | SE>, JournalError, R | SR | Scope.Scope> =>
  BatchRun.start(requests, options)

/**
 * Runs a batch to its end. No request's failure is one of the batch: each has its own exit, in the order of the requests.
 *
 * Interrupting it aborts what is under way; run again with the same journal, it goes on from there. To watch it, use `start`.
 *
 * @since 0.1.0
 * @category running
 */
export const run = <In, A, E, R, SE = never, SR = never>(
  requests: Iterable<In> | Stream.Stream<In, SE, SR>,
  options: Options<In, A, E, R>
): Effect.Effect<Result<A, E>, JournalError | SE, R | SR> =>
  Effect.scoped(Effect.flatMap(start(requests, options), ({ result }) => result))
