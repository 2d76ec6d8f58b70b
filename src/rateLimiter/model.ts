/** The contract of a rate limiter: its service, options, status and errors. */
import type { Clock, Duration, Option, Schedule } from "effect"
import { Context, Data, Effect, Schema } from "effect"
import { dual } from "effect/Function"
import type { InvalidRequestError, RateLimitError, SharedStateError } from "../vocabulary/LLMError.js"
import type { RateLimits } from "../wire/headers/rateLimits.js"

/**
 * Limits of a rate limiter.
 *
 * @since 0.1.0
 * @category model
 */
export interface Options {
  /**
   * The most requests at once; with `refill`, the most between two recurrences. @default 10; with a limit per minute or day, that
   * limit; with `maxConcurrency` as the only limit on requests, not limited. `Infinity` for no limit
   */
  readonly capacity?: number
  /**
   * Requests per second, also a fraction. @default 1; with a limit per minute or day, the rate of that limit; with
   * `maxConcurrency` as the only limit on requests, not limited
   */
  readonly refillRate?: number
  /**
   * Fills the limiter to `capacity` at each recurrence, instead of continuously at `refillRate`:
   * `Schedule.cron("0 0 * * *", "America/Los_Angeles")` for a quota that resets at midnight in Los Angeles, `Schedule.fixed("1 minute")`
   * for fixed windows of a minute. Up to twice the capacity can be granted within a short time around a recurrence.
   *
   * The schedule starts when the limiter is made and follows the wall clock; recurrences are at least one millisecond apart. After
   * its end nothing is refilled: a call beyond what is left fails at once. Not allowed with `refillRate`, with `adaptive` or in
   * Redis. @default a continuous refill
   */
  readonly refill?: Schedule.Schedule<unknown, void>
  /** The most requests in any minute. @default not limited */
  readonly requestsPerMinute?: number
  /** The most requests in any 24 hours. @default not limited */
  readonly requestsPerDay?: number
  /** Tokens per minute, input and output together. @default not limited */
  readonly tokensPerMinute?: number
  /**
   * The most calls in flight: those started by `reserve`, `withPermits` or `withPermitsIfAvailable` and not ended. `take` reports
   * no end and does not count. @default not limited
   */
  readonly maxConcurrency?: number
  /** The longest wait of a caller. @default "30 seconds" */
  readonly maxWait?: Duration.DurationInput
  /**
   * The most callers that wait at the same time, each of which costs memory: the next one fails at once. A call that has a place and
   * waits again, because it found no key, keeps it. @default 10,000
   *
   * @since 0.2.0
   */
  readonly maxQueueLength?: number
  /** Options for callers of the priority "batch". @default those of all callers */
  readonly batch?: BatchOptions
  /**
   * Adapts to the provider's signals, which every `LLM` passes to `observe`. The configured limits are never exceeded.
   *
   * By default calls are never faster than what the headers of answers report as remaining lasts, so that the provider refuses none.
   * Headers have no effect for longer than a minute, and none where calls of several models or accounts share the limiter. `true` or
   * options also make it slower at once after a refusal, and faster step by step while calls are served. `false` turns all of it
   * off. With `refill` it is off. In Redis each process adapts by itself. @default the headers alone
   */
  readonly adaptive?: boolean | AdaptiveOptions
}

/**
 * Options for callers of the priority "batch".
 *
 * @since 0.1.0
 * @category model
 */
export interface BatchOptions {
  /**
   * How much later an interactive call can arrive and still pass a batch call. Later ones queue behind it, so that a busy limiter
   * serves batches too. @default "30 seconds"
   */
  readonly aging?: Duration.DurationInput
  /** The longest wait of a batch caller. @default "10 minutes" */
  readonly maxWait?: Duration.DurationInput
}

/**
 * Options of additive increase, multiplicative decrease: the pace is a share of the configured rates and of `maxConcurrency`,
 * between `minimum` and 1.
 *
 * @since 0.1.0
 * @category model
 */
export interface AdaptiveOptions {
  /** The factor of the pace after a refusal (429). @default 0.5 */
  readonly decrease?: number
  /** What a served call adds to the pace. @default 0.05 */
  readonly increase?: number
  /** The least time between a change and an increase. @default "1 second" */
  readonly every?: Duration.DurationInput
  /** The lowest pace. @default 0.05 */
  readonly minimum?: number
}

/**
 * The priority of waiting calls: "interactive" calls go before "batch" calls.
 *
 * @since 0.1.0
 * @category priorities
 */
export type Priority = "interactive" | "batch"

/**
 * The priority of the calls of a fiber. For a stream, use `Stream.provideService(RateLimiter.CurrentPriority, "batch")`.
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
 * Interactive calls that arrive up to `batch.aging` (30 seconds) later pass a batch call; all later ones queue behind it, so it
 * cannot starve. Calls of one priority and one client are served in order of arrival.
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
 * The client on whose behalf a call is made: a user, a team, a tenant.
 *
 * @since 0.2.0
 * @category clients
 */
export interface Client {
  /** Calls with the same id are of one client. Calls without a client share the empty id. */
  readonly id: string
  /** What the client gets of a limit for which others wait, too, relative to their weights. @default 1 */
  readonly weight?: number
}

/**
 * The client of the calls of a fiber. For a stream, use `Stream.provideService(RateLimiter.CurrentClient, client)`.
 *
 * @since 0.2.0
 * @category clients
 */
export class CurrentClient extends Context.Reference<CurrentClient>()("effect-llm/RateLimiter/Client", {
  defaultValue: (): Client => ({ id: "" })
}) {}

/**
 * Runs an effect whose calls are made on behalf of a client.
 *
 * Where calls of several clients wait for a limit, each client gets its share. What two of them that wait get, in tokens divided by
 * their weights, differs at most by the largest call of each (in requests, where the limiter limits no tokens). Calls of one
 * client are served in order of arrival, and interactive calls of every client go before batch calls. What a client does not use is
 * there for the others. A limiter in Redis is fair among the calls of each process.
 *
 * @example
 * ```ts
 * import { LLM, RateLimiter } from "effect-llm"
 *
 * const answer = RateLimiter.withClient(LLM.chat("Hello!"), { id: "team-a", weight: 2 })
 * ```
 *
 * @since 0.2.0
 * @category clients
 */
export const withClient: {
  (client: Client): <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  <A, E, R>(effect: Effect.Effect<A, E, R>, client: Client): Effect.Effect<A, E, R>
} = dual(2, <A, E, R>(effect: Effect.Effect<A, E, R>, client: Client): Effect.Effect<A, E, R> =>
  Effect.provideService(effect, CurrentClient, client)
)

/**
 * Options of one wait.
 *
 * @since 0.1.0
 * @category model
 */
export interface WaitOptions {
  /** The longest wait of this caller, if shorter than the limiter's `maxWait`. @default that of the limiter */
  readonly maxWait?: Duration.DurationInput
  /** The model of the call. Only used by a limiter of `makePerModel`. @default that of the `LLM` */
  readonly model?: string
  /**
   * How long ago the caller arrived, when it waits again: it is served before callers that arrived later or at the same time.
   * @default a new caller
   *
   * @since 0.2.0
   */
  readonly arrivedAgo?: Duration.DurationInput
  /**
   * How long the caller has waited in this limiter before. It is subtracted from the limiter's `maxWait`, not from that of these
   * options. @default zero
   *
   * @since 0.2.0
   */
  readonly waited?: Duration.DurationInput
}

/**
 * Options of a reservation that does not wait.
 *
 * @since 0.2.0
 * @category model
 */
export interface TryReserveOptions extends Pick<WaitOptions, "model" | "arrivedAgo"> {
  /** The priority of the caller. @default "interactive" */
  readonly priority?: Priority
  /** The client of the caller. @default none */
  readonly client?: Client
}

/**
 * A report about the provider. `share` is the part of the limits that it concerns: one divided by the number of accounts whose
 * keys share the limiter.
 *
 * - `Headers`: what the provider's headers report as remaining. Only used if `share` is 1.
 * - `Refused`: the provider refused a call (429) that had begun `elapsed` ago.
 * - `Served`: the provider served a call.
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
  /** What can be taken now. Below zero if more tokens were used than reserved. */
  readonly available: number
  readonly capacity: number
  /** The amount refilled per second; 0 if a schedule refills (`refill`). */
  readonly refillRate: number
}

/**
 * @since 0.1.0
 * @category status
 */
export interface WindowStatus {
  /** What can be taken now. */
  readonly available: number
  readonly limit: number
}

/**
 * @since 0.1.0
 * @category status
 */
export interface LimiterStatus extends BucketStatus {
  /** Waiting callers; of a shared limiter, those of this process. */
  readonly waiting: number
  /** The bucket of tokens, if limited. `reserved`: estimates that are not settled yet. */
  readonly tokens?: BucketStatus & { readonly reserved: number }
  /** Requests in the last minute, if limited. */
  readonly minute?: WindowStatus
  /** Requests in the last 24 hours, if limited. */
  readonly day?: WindowStatus
  /** Calls in flight, if limited. */
  readonly concurrency?: { readonly inFlight: number; readonly limit: number }
  /** The share of the configured rates in use, if the limiter adapts. */
  readonly pace?: number
  /** Whether the state shared with other processes is unreachable; absent if nothing is shared. */
  readonly degraded?: boolean
  /** The limiters of the models with limits of their own. */
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
   * Ends the call and replaces the estimate by the actual usage, once: unused tokens are given back, and later callers wait for
   * the refill of those used beyond the estimate. An invalid number keeps the estimate. The request itself stays spent. Only the
   * first call of any member has an effect.
   */
  readonly settle: (actualTokens: number) => Effect.Effect<void>
  /**
   * Gives everything back, the request included, because nothing was sent. A limiter without it keeps the request of a call that
   * finds no key: its bound holds, but it lets fewer calls through than it could.
   *
   * @since 0.2.0
   */
  readonly giveBack?: Effect.Effect<void>
  /**
   * Does what `settle` does, at once. See `Service.unsafeTryReserve`.
   *
   * @since 0.2.0
   */
  readonly unsafeSettle?: (clock: Clock.Clock, actualTokens: number) => void
  /**
   * Does what `giveBack` does, at once. See `Service.unsafeTryReserve`.
   *
   * @since 0.2.0
   */
  readonly unsafeGiveBack?: (clock: Clock.Clock) => void
}

/**
 * A reservation that is settled or given back without an effect.
 *
 * @since 0.2.0
 * @category model
 */
export interface UnsafeReservation extends Required<Reservation> {}

/**
 * Why a call is refused: `RateLimitError` when its wait would exceed or has exceeded `maxWait`, or the queue is full; `InvalidRequestError` with the
 * code `limit_too_small` when it needs more than the limit ever allows at once. A limiter that processes share also fails with
 * `SharedStateError`, when the shared state is unreachable.
 *
 * @since 0.1.0
 * @category model
 */
export type LimitError = RateLimitError | InvalidRequestError | SharedStateError

/**
 * A rate limiter.
 *
 * @since 0.1.0
 * @category model
 */
export interface Service {
  /** Takes `n` permits (default 1), waiting in the queue if necessary. An interrupted wait takes none. */
  readonly take: (n?: number, options?: WaitOptions) => Effect.Effect<void, LimitError>
  /** Takes `n` permits if they are available and no call waits; otherwise returns false and takes none. */
  readonly tryTake: (n?: number) => Effect.Effect<boolean>
  /**
   * Takes `n` permits, waiting in the queue if necessary, and runs an effect that counts as one call in flight until it succeeds,
   * fails or is interrupted. The permits stay spent; only a refill returns them. An interrupted wait takes none.
   *
   * @since 0.2.0
   */
  readonly withPermits: (
    n: number,
    options?: WaitOptions
  ) => <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E | LimitError, R>
  /**
   * Like `withPermits`, if the permits and a call in flight are available and no call waits; otherwise returns none at once,
   * without running the effect or taking a permit.
   *
   * @since 0.2.0
   */
  readonly withPermitsIfAvailable: (
    n: number
  ) => <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<Option.Option<A>, E, R>
  /**
   * The whole number of permits that `tryTake` would take now: what the bucket and the windows hold, and 0 while calls wait.
   * Infinite if requests are not limited.
   *
   * @since 0.2.0
   */
  readonly available: Effect.Effect<number>
  /**
   * Takes one permit, counts the call in flight, and reserves an estimate of tokens: all of it or nothing. Without
   * `tokensPerMinute` it reserves no tokens.
   *
   * The caller must settle the reservation. Run this in an uninterruptible region, such as the first argument of
   * `Effect.acquireUseRelease`: only the wait is interruptible, even there.
   */
  readonly reserve: (tokens: number, options?: WaitOptions) => Effect.Effect<Reservation, LimitError>
  readonly status: Effect.Effect<LimiterStatus>
  /** Fills the buckets and empties the windows. */
  readonly reset: Effect.Effect<void>
  /** Lowers what is available to what a provider's headers report as remaining. Never raises it. */
  readonly lower: (remaining: { readonly requests?: number; readonly tokens?: number }) => Effect.Effect<void>
  /** Applies a signal from the provider. Absent if the limiter does not adapt. */
  readonly observe?: (signal: Signal, model?: string) => Effect.Effect<void>
  /**
   * Does what `reserve` does, at once, if everything is available and no caller waits that is served before; otherwise returns
   * undefined and changes nothing. It never waits, and does not say why it returns undefined: `reserve` waits or fails.
   *
   * The members whose names start with `unsafe` run outside of Effect, with the clock of the caller's fiber, so that a call pays no
   * fiber steps for them. They never throw. They are absent where a change needs an effect, such as a message to other processes.
   *
   * The caller must settle the reservation or give it back exactly once.
   *
   * @since 0.2.0
   */
  readonly unsafeTryReserve?: (
    clock: Clock.Clock,
    tokens: number,
    options?: TryReserveOptions
  ) => UnsafeReservation | undefined
  /**
   * Does what `observe` does, at once. Absent if the limiter does not adapt. See `unsafeTryReserve`.
   *
   * @since 0.2.0
   */
  readonly unsafeObserve?: (clock: Clock.Clock, signal: Signal, model?: string) => void
}

/**
 * The rate limiter of an `LLM`.
 *
 * @since 0.1.0
 * @category tags
 */
export class RateLimiter extends Context.Tag("effect-llm/RateLimiter")<RateLimiter, Service>() {}

/**
 * The limits are not valid: `faults` names every invalid option.
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
 * Limits by model.
 *
 * @since 0.1.0
 * @category model
 */
export interface PerModelOptions {
  /** The limits of each model, by the requested name. */
  readonly models: Readonly<Record<string, Options>>
  /** The limits that all other models share. @default not limited */
  readonly others?: Options
}
