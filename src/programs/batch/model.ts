/** The types of a batch: tasks, options, progress and results. */
import type { FileSystem } from "@effect/platform"
import type { Duration, Exit, Schema, Stream } from "effect"
import type { Effect, Option } from "effect"
import type { Codec } from "./exitCodec.js"

/**
 * The operation of a batch on each request. `chat` and `embed` are tasks; `makeTask` makes others.
 *
 * @since 0.1.0
 * @category model
 */
export interface Task<In, A, E, R> {
  /** Distinguishes the journals of different tasks. */
  readonly name: string
  readonly ask: (request: In) => Effect.Effect<A, E, R>
  /** A text that identifies the request. */
  readonly identify: (request: In) => string
  /** Whether the same request can succeed later. */
  readonly isRetryable: (error: E) => boolean
  /** How long to wait after an error. */
  readonly retryAfter: (error: E) => Option.Option<Duration.Duration>
  /** The tokens that a result consumed. */
  readonly tokensOf: (result: A) => number
  /** Encodes results and errors for the journal. */
  readonly codec: Codec<A, E>
}

/**
 * The options of `makeTask`.
 *
 * @since 0.1.0
 * @category model
 */
export interface TaskOptions<In, A, I, E, EI, R> {
  readonly name: string
  readonly ask: (request: In) => Effect.Effect<A, E, R>
  readonly success: Schema.Schema<A, I>
  readonly failure: Schema.Schema<E, EI>
  /** A text that identifies the request. @default the request as JSON */
  readonly identify?: (request: In) => string
  /** Whether an error is retried. @default never */
  readonly isRetryable?: (error: E) => boolean
  /** How long to wait after an error. @default no wait */
  readonly retryAfter?: (error: E) => Option.Option<Duration.Duration>
  /** The tokens that a result consumed. @default 0 */
  readonly tokensOf?: (result: A) => number
}

/**
 * A file with one line of JSON for each finished request. Of several lines for one request, the last counts.
 *
 * @since 0.1.0
 * @category journal
 */
export interface Journal {
  readonly path: string
  readonly fileSystem: FileSystem.FileSystem
}

/**
 * The options of a batch.
 *
 * @since 0.1.0
 * @category model
 */
export interface Options<In, A, E, R> {
  readonly task: Task<In, A, E, R>
  /** The maximum number of concurrent requests. @default 8 */
  readonly concurrency?: number
  /** Where results are recorded. @default nowhere */
  readonly journal?: Journal
  /**
   * Which requests with a recorded failure are asked again. A request with a recorded answer is never asked again.
   * - `"retryable"`: those with a retryable error.
   * - `"failed"`: all, for example after a key or a budget was fixed.
   * - `"unfinished"`: none.
   *
   * @default "retryable"
   */
  readonly resume?: "retryable" | "failed" | "unfinished"
  /** How often requests with a retryable error are asked again, when all others are over. @default 1 */
  readonly retries?: number
  /** The longest wait before a retry, when the errors have a `retryAfter`. @default "1 minute" */
  readonly maxRetryWait?: Duration.DurationInput
}

/**
 * The progress of a batch.
 *
 * @since 0.1.0
 * @category progress
 */
export interface Progress {
  /** The number of requests; absent while a stream of requests goes on. */
  readonly total?: number
  /** Finished requests: `succeeded` and `failed`. A request that will be asked again is not finished. */
  readonly done: number
  readonly succeeded: number
  readonly failed: number
  /** Those of `done` that come from the journal and were not asked again. */
  readonly resumed: number
  /** Requests that failed and will be asked again. */
  readonly toRetry: number
  /** The tokens of all results, including those from the journal. */
  readonly tokens: number
  /** The time since the start of this run. */
  readonly elapsed: Duration.Duration
  /** Requests per second, in this run. */
  readonly rate: number
  /** The estimated remaining time at this rate; absent when it cannot be estimated. */
  readonly timeLeft?: Duration.Duration
  /** Whether the batch is over and the progress final. */
  readonly isOver: boolean
}

/**
 * The result of a batch.
 *
 * @since 0.1.0
 * @category model
 */
export interface Result<A, E> {
  /** One exit for each request, in order. A defect of the task is an exit, too. */
  readonly exits: ReadonlyArray<Exit.Exit<A, E>>
  readonly progress: Progress
}

/**
 * A running batch.
 *
 * @since 0.1.0
 * @category model
 */
export interface Running<A, E, Failure> {
  /** The current progress and every change until the batch is over. Supports any number of subscribers. */
  readonly progress: Stream.Stream<Progress>
  /** Waits for the end of the batch. */
  readonly result: Effect.Effect<Result<A, E>, Failure>
}
