/** The contract of a rate limiter: its service, options, status and errors. */
import type { Duration } from "effect"
import { Context, Data, Effect, Schema } from "effect"
import { dual } from "effect/Function"
import type { InvalidRequestError, RateLimitError, SharedStateError } from "../vocabulary/LLMError.js"
import type { RateLimits } from "../wire/headers/RateLimitHeaders.js"

/**
 * @since 0.1.0
 * @category model
 */
export interface Options {
  /**
   * The most requests at once. @default 10; where requests a minute or a day are limited, as many as those; where `maxConcurrent`
   * is the only limit on requests, not limited
   */
  readonly capacity?: number
  /**
   * Requests a second. May be a fraction. @default 1; where requests a minute or a day are limited, what makes as many of that;
   * where `maxConcurrent` is the only limit on requests, not limited
   */
  readonly refillRate?: number
  /** The most requests in any minute. @default not limited */
  readonly requestsPerMinute?: number
  /** The most requests in any 24 hours. @default not limited */
  readonly requestsPerDay?: number
  /** Tokens a minute, input and output together. @default not limited */
  readonly tokensPerMinute?: number
  /**
   * The most calls in flight: those that `reserve` or `limit` began and that are not over. `take` says nothing of its end and
   * does not count. @default not limited
   */
  readonly maxConcurrent?: number
  /** The longest that a caller may wait. @default "30 seconds" */
  readonly maxWait?: Duration.DurationInput
  /** What is different for callers of the priority "batch". */
  readonly batch?: BatchOptions
  /**
   * Follows what the provider says, if the service is asked to `observe` it, as every `LLM` does: slower at once when it
   * refuses, faster again step by step while it serves, and never faster than what its headers say is left would last.
   * @default false
   */
  readonly adaptive?: boolean | AdaptiveOptions
}

/**
 * @since 0.1.0
 * @category model
 */
export interface BatchOptions {
  /**
   * How much later a call may come and still pass: those who come later than that stand behind, so that a busy limiter
   * serves batches too. @default "30 seconds"
   */
  readonly aging?: Duration.DurationInput
  /** The longest that such a caller may wait. @default "10 minutes" */
  readonly maxWait?: Duration.DurationInput
}

/**
 * Additive increase, multiplicative decrease: the pace is a share of the configured rates and of `maxConcurrent`, between
 * `minimum` and 1.
 *
 * @since 0.1.0
 * @category model
 */
export interface AdaptiveOptions {
  /** What a refusal (429) leaves of the pace. @default 0.5 */
  readonly decrease?: number
  /** What is added to the pace by a call that is served. @default 0.05 */
  readonly increase?: number
  /** The time between one change and an increase. @default "1 second" */
  readonly every?: Duration.DurationInput
  /** The least that the pace comes to. @default 0.05 */
  readonly minimum?: number
}

/**
 * The order of waiting calls: "interactive" calls go before "batch" calls.
 *
 * @since 0.1.0
 * @category priorities
 */
export type Priority = "interactive" | "batch"

/**
 * The priority of the calls of a fiber. A stream is given one with `Stream.provideService(RateLimiter.CurrentPriority, "batch")`.
 *
 * @since 0.1.0
 * @category priorities
 */
export class CurrentPriority extends Context.Reference<CurrentPriority>()("effect-llm/RateLimiter/Priority", {
  defaultValue: (): Priority => "interactive"
}) {}

/**
 * Runs an effect whose calls wait at this priority.
 *
 * A batch call lets pass who comes up to `batch.aging` (30 seconds) later and stands before all who come after that, so it is
 * never passed for ever. Calls of one priority are served in the order they came.
 *
 * @since 0.1.0
 * @category priorities
 */
export const withPriority: {
  (priority: Priority): <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  <A, E, R>(effect: Effect.Effect<A, E, R>, priority: Priority): Effect.Effect<A, E, R>
} = dual(2, <A, E, R>(effect: Effect.Effect<A, E, R>, priority: Priority): Effect.Effect<A, E, R> =>
  Effect.provideService(effect, CurrentPriority, priority)
)

/**
 * @since 0.1.0
 * @category model
 */
export interface WaitOptions {
  /** The longest that this caller may wait, where that is shorter than the limiter's own `maxWait`. */
  readonly maxWait?: Duration.DurationInput
  /** Which model is asked. Matters to a limiter by `perModel` only. */
  readonly model?: string
}

/**
 * What a limiter may be told of the provider. `share` is the part of the whole that is spoken of: one divided by the number of
 * accounts whose keys share the limiter.
 *
 * - `Headers`: what its headers say is left. Only heeded where they speak of the whole.
 * - `Refused`: it refused a call (429) that had begun `elapsed` ago.
 * - `Served`: it served a call.
 *
 * @since 0.1.0
 * @category model
 */
export type Signal = Data.TaggedEnum<{
  Headers: { readonly limits: RateLimits; readonly share: number }
  Refused: { readonly elapsed: Duration.Duration; readonly share: number }
  Served: {}
}>

/**
 * @since 0.1.0
 * @category model
 */
export const Signal = Data.taggedEnum<Signal>()

/**
 * @since 0.1.0
 * @category status
 */
export interface BucketStatus {
  /** What could be taken now. Below zero where more tokens were used than had been reserved. */
  readonly available: number
  readonly capacity: number
  /** What is put back each second. */
  readonly refillRate: number
}

/**
 * @since 0.1.0
 * @category status
 */
export interface WindowStatus {
  /** What could be taken now. */
  readonly available: number
  readonly limit: number
}

/**
 * @since 0.1.0
 * @category status
 */
export interface LimiterStatus extends BucketStatus {
  /** How many callers wait; of a limiter that is shared, of all processes as far as their time is set. */
  readonly waiting: number
  /** The bucket of tokens, where they are limited. `reserved`: estimates that are not settled yet. */
  readonly tokens?: BucketStatus & { readonly reserved: number }
  /** Requests in the last minute, where they are limited. */
  readonly minute?: WindowStatus
  /** Requests in the last 24 hours, where they are limited. */
  readonly day?: WindowStatus
  /** Calls in flight, where they are limited. */
  readonly concurrency?: { readonly inFlight: number; readonly limit: number }
  /** The share of the configured rates that is used, where the limiter adapts. */
  readonly pace?: number
  /** Whether what is shared with other processes is out of reach; absent where nothing is shared. */
  readonly degraded?: boolean
  /** The limiters of the models that have one of their own. */
  readonly models?: Readonly<Record<string, LimiterStatus>>
}

/**
 * A permit for one request and an estimate of its tokens.
 *
 * @since 0.1.0
 * @category model
 */
export interface Reservation {
  /**
   * Says that the call is over, and replaces the estimate by the true usage, once: what was reserved too much is given back,
   * what was too little is owed and waited out by those who come later. What is no number of tokens leaves the estimate as it
   * is. The request itself stays spent.
   */
  readonly settle: (actualTokens: number) => Effect.Effect<void>
}

/**
 * Why a call was not let through: `RateLimitError` where it would wait, or has waited, longer than it may; `InvalidRequestError`
 * with the code `limit_too_small` where no wait would let it pass, because it needs more than the limit ever allows at once; of a
 * limiter that processes share also `SharedStateError`, where what they share is out of reach.
 *
 * @since 0.1.0
 * @category model
 */
export type LimitError = RateLimitError | InvalidRequestError | SharedStateError

/**
 * @since 0.1.0
 * @category model
 */
export interface Service {
  /** Takes `n` permits (1 unless given), waiting in line if need be. Interrupting the wait costs nothing. */
  readonly take: (n?: number, options?: WaitOptions) => Effect.Effect<void, LimitError>
  /** Takes `n` permits if they are available and no call waits; otherwise returns false and takes none. */
  readonly tryTake: (n?: number) => Effect.Effect<boolean>
  /** Runs an effect with one permit, and with a place among those in flight. */
  readonly limit: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E | LimitError, R>
  /**
   * Takes one permit, a place among those in flight, and reserves an estimate of tokens: all of it or nothing. Without a
   * bucket of tokens: just the permit and the place.
   *
   * The caller must settle the reservation. Run this where the fiber cannot be interrupted, such as the first argument of
   * `Effect.acquireUseRelease`: the wait, and nothing else of it, is interruptible even there.
   */
  readonly reserve: (tokens: number, options?: WaitOptions) => Effect.Effect<Reservation, LimitError>
  readonly status: Effect.Effect<LimiterStatus>
  /** Fills the buckets. */
  readonly reset: Effect.Effect<void>
  /** What a provider's headers say is left: lowers what is available, and never raises it. */
  readonly lower: (remaining: { readonly requests?: number; readonly tokens?: number }) => Effect.Effect<void>
  /** Takes note of what the provider says. Absent where the limiter does not adapt. */
  readonly observe?: (signal: Signal, model?: string) => Effect.Effect<void>
}

/**
 * @since 0.1.0
 * @category tags
 */
export class RateLimiter extends Context.Tag("effect-llm/RateLimiter")<RateLimiter, Service>() {}

/**
 * A limiter that cannot be: `faults` names every option that makes no sense.
 *
 * @since 0.1.0
 * @category errors
 */
export class InvalidLimitError extends Schema.TaggedError<InvalidLimitError>()("InvalidLimitError", {
  faults: Schema.Array(Schema.String)
}) {
  override get message(): string {
    return `The rate limit is not valid. ${this.faults.join("; ")}`
  }
}

/**
 * @since 0.1.0
 * @category model
 */
export interface PerModelOptions {
  /** The limits of each model, by the name that is asked for. */
  readonly models: Readonly<Record<string, Options>>
  /** What all other models share. @default not limited */
  readonly others?: Options
}
