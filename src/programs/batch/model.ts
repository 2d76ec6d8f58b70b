/** The contract of a batch: tasks, options, progress and results. */
import type { FileSystem } from "@effect/platform"
import type { Duration, Exit, Schema, Stream } from "effect"
import type { Effect, Option } from "effect"
import type { Codec } from "./journal.js"

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
