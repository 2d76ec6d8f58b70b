/**
 * Many keys of one provider, shared by many calls: which key may speak next, how much each may do at once, and how long one
 * that was told to stop stays away.
 *
 * Those who come from a pool with a "least loaded key" and an "increment" and "decrement" of its task count: `acquire` (or
 * `lease`, or `withKey`) is the first two in one step, and giving the key back is the third. It happens exactly once, however
 * the call ends.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { KeyPool } from "effect-llm"
 *
 * const keys = KeyPool.layer({
 *   providerId: "openai",
 *   keys: ["sk-one", { key: "sk-two", weight: 2, maxConcurrency: 8 }],
 *   maxWait: "10 seconds"
 * })
 *
 * const program = Effect.gen(function* () {
 *   const pool = yield* KeyPool.KeyPool
 *   return yield* pool.withKey((key) => Effect.succeed(`spoke with ${key.id}`))
 * }).pipe(Effect.provide(keys))
 * ```
 *
 * @since 0.1.0
 */
import type { Duration, Redacted, Scope } from "effect"
import { Context, Data, Effect, Layer, Option, Order, Schema } from "effect"
import type { ApiKey, Options as ApiKeyOptions } from "./ApiKey.js"
import * as KeyCheck from "./internal/keyCheck.js"
import * as PoolService from "./internal/poolService.js"
import type { KeyPoolExhaustedError, RateLimitError } from "./LLMError.js"
import * as Errors from "./LLMError.js"
import type { ProviderClient } from "./ProviderClient.js"

/**
 * What a strategy sees of a key.
 *
 * @since 0.1.0
 * @category model
 */
export interface KeyState {
  readonly id: string
  /** Its place in the list of keys; keys that are added come last. */
  readonly position: number
  readonly weight: number
  /** Calls that have the key now. */
  readonly inFlight: number
  /** Calls that were given the key. A key that has been away counts as if it had done its share meanwhile. */
  readonly served: number
  /** The most calls that may have the key at once. */
  readonly maxConcurrency: number | undefined
  /** The moving average of the time that its calls take, in milliseconds; undefined while unmeasured. */
  readonly latency: number | undefined
  /** When that was last measured, since the pool was made, in time constants of the average. */
  readonly measuredAt: number
  /** The number of the last call that was given the key, counted over the pool; 0 where none was. */
  readonly lastServed: number
  /** When the key is next drawn by lot: the arrivals of a Poisson process whose rate is the weight. */
  readonly ticket: number
}

/**
 * Which key may speak next: the first in this order of those that are ready. It must not depend on anything but the two states.
 *
 * @since 0.1.0
 * @category strategies
 */
export type Strategy = Order.Order<KeyState>

const by = (score: (key: KeyState) => number): Strategy => Order.mapInput(Order.number, score)

/**
 * The order of the list: the first key for as long as it is ready, then the second.
 *
 * @since 0.1.0
 * @category strategies
 */
export const failover: Strategy = by((key) => key.position)

/**
 * Calls in proportion to the weights, however long they take.
 *
 * @since 0.1.0
 * @category strategies
 */
export const weighted: Strategy = Order.combine(
  by((key) => key.served / key.weight),
  failover
)

/**
 * Fewest calls in flight for its weight; among equals, fewest served for its weight; then list order. The default, and what
 * other libraries call the least-loaded key.
 *
 * @since 0.1.0
 * @category strategies
 */
export const leastLoaded: Strategy = Order.combine(
  by((key) => key.inFlight / key.weight),
  weighted
)

/**
 * The key that has not been used for the longest time, whatever its weight.
 *
 * @since 0.1.0
 * @category strategies
 */
export const roundRobin: Strategy = Order.combine(
  by((key) => key.lastServed),
  failover
)

/** Averages fade at one pace while nothing is measured, so a slow key is tried again and no two change places meanwhile. */
const fadedCost = (key: KeyState): number =>
  key.latency === undefined
    ? key.inFlight === 0
      ? -Infinity
      : Infinity
    : Math.log((Math.max(key.latency, 0.001) * (key.inFlight + 1)) / key.weight) + key.measuredAt

/**
 * The key that will answer first: average latency × (calls in flight + 1) / weight, the average being that of peak EWMA: it
 * rises at once and falls slowly, also while the key is not used, so that a key which was slow is tried again. An unmeasured
 * key comes first while idle and last while its first call is under way.
 *
 * @since 0.1.0
 * @category strategies
 */
export const latency: Strategy = Order.combine(by(fadedCost), leastLoaded)

/**
 * By lot, in proportion to the weights, each call independent of the others.
 *
 * @since 0.1.0
 * @category strategies
 */
export const random: Strategy = Order.combine(
  by((key) => key.ticket),
  failover
)

/**
 * What a call says about the key it used:
 * - `Served`: it works. `latency` is what the call took, in milliseconds.
 * - `RateLimited`: it rests for `retryAfter`, or longer each time.
 * - `OutOfQuota`: it rests for `retryAfter` or an hour; then one call at a time finds out whether it is good again.
 * - `Refused`: it is disabled for five minutes; then one call at a time finds out whether it is good again.
 * - `Neutral`: nothing.
 *
 * @since 0.1.0
 * @category verdicts
 */
export type Verdict = Data.TaggedEnum<{
  Served: { readonly latency?: number }
  RateLimited: { readonly retryAfter?: Duration.Duration }
  OutOfQuota: { readonly retryAfter?: Duration.Duration }
  Refused: {}
  Neutral: {}
}>

/**
 * @since 0.1.0
 * @category verdicts
 */
export const Verdict = Data.taggedEnum<Verdict>()

/**
 * What a failure says about the key: a provider's `RateLimitError`, `QuotaExceededError`, and `AuthenticationError` or
 * `PermissionError` speak of it, all else does not.
 *
 * @since 0.1.0
 * @category verdicts
 */
export const verdictOf = (error: unknown): Verdict => {
  if (!Errors.isLLMError(error)) return Verdict.Neutral()
  switch (error._tag) {
    case "RateLimitError":
      return error.source === "provider" ? Verdict.RateLimited(retryAfter(error)) : Verdict.Neutral()
    case "QuotaExceededError":
      return Verdict.OutOfQuota(retryAfter(error))
    case "AuthenticationError":
    case "PermissionError":
      return Verdict.Refused()
    default:
      return Verdict.Neutral()
  }
}

const retryAfter = (error: Errors.LLMError): { readonly retryAfter?: Duration.Duration } =>
  Option.match(Errors.retryAfter(error), { onNone: () => ({}), onSome: (retryAfter) => ({ retryAfter }) })

/**
 * Why a key is not used.
 *
 * @since 0.1.0
 * @category status
 */
export type Reason = "rate-limited" | "resting" | "out-of-quota" | "refused" | "by-hand"

/**
 * @since 0.1.0
 * @category status
 */
export interface Rest {
  readonly reason: Reason
  /** How long it lasts; infinite where it ends by `enable` alone. */
  readonly remaining: Duration.Duration
  /** When it ends, in milliseconds since the epoch; absent where it ends by `enable` alone. */
  readonly until?: number
}

/**
 * `Busy` is at its `maxConcurrency` or `requestsPerSecond`, or is being tried after a rest.
 *
 * @since 0.1.0
 * @category status
 */
export type State = Data.TaggedEnum<{ Ready: {}; Busy: {}; Cooling: Rest; Disabled: Rest }>

/**
 * @since 0.1.0
 * @category status
 */
export interface KeyStatus {
  readonly id: string
  readonly weight: number
  readonly maxConcurrency?: number
  readonly requestsPerSecond?: number
  readonly quotaGroup?: string
  readonly state: State
  /** Whether the key, once it is rested, must first show with one call at a time that it is good again. */
  readonly halfOpen: boolean
  readonly inFlight: number
  /** Calls that were started so lately that they count towards `requestsPerSecond`; absent where there is no such limit. */
  readonly recentStarts?: number
  /** Calls in flight for `maxConcurrency`, or for the weight where there is no such limit. */
  readonly loadFactor: number
  /** The moving average of the time that its calls take, in milliseconds; absent while unmeasured. */
  readonly latency?: number
  /** Calls that were given the key. The next four say how those that told ended. */
  readonly served: number
  readonly succeeded: number
  readonly rateLimited: number
  readonly outOfQuota: number
  readonly refused: number
}

/**
 * @since 0.1.0
 * @category status
 */
export interface PoolStatus {
  readonly providerId: string
  /** By their place in the list. */
  readonly keys: ReadonlyArray<KeyStatus>
  /** Calls that wait for a key. */
  readonly waiting: number
}

/**
 * A key in the hands of a call.
 *
 * @since 0.1.0
 * @category model
 */
export interface Lease {
  readonly key: ApiKey
  /** Gives the key back with what the call says about it. The first time counts; later ones do nothing. */
  readonly settle: (verdict: Verdict) => Effect.Effect<void>
}

/**
 * @since 0.1.0
 * @category model
 */
export interface LeaseOptions {
  /** Ids of keys that this call has tried already. @default none */
  readonly exclude?: ReadonlySet<string>
  /** The longest this call may wait for a key, where that is shorter than the pool's own `maxWait`. */
  readonly maxWait?: Duration.DurationInput
  /**
   * Whether to wait for a key that rests, or to fail at once where no key that could serve is ready or merely busy: what a call
   * wants that came here from another key. @default "wait"
   */
  readonly cooling?: "wait" | "fail"
}

/**
 * Why there is no key: `RateLimitError` where keys are busy or rest after a rate limit, `KeyPoolExhaustedError` where all that
 * could serve are disabled, refused, out of quota or gone. `retryAfter` says when one may be ready, where that is known.
 *
 * @since 0.1.0
 * @category model
 */
export type NoKeyError = RateLimitError | KeyPoolExhaustedError

/**
 * @since 0.1.0
 * @category model
 */
export interface Service {
  readonly providerId: string
  /**
   * Picks the first ready key and reserves it, in one step. Where none is ready it waits its turn, or fails as soon as it is
   * known that none will be ready in time.
   *
   * The caller must settle the lease. Run this where the fiber cannot be interrupted, such as the first argument of
   * `Effect.acquireUseRelease`: the wait, and nothing else of it, is interruptible even there, so that no key is ever lost.
   * Do not make it interruptible as a whole: what has just been acquired when the interruption comes would be lost.
   */
  readonly acquire: (options?: LeaseOptions) => Effect.Effect<Lease, NoKeyError>
  /** A key for as long as the scope is open. Settle it to say how the call ended. */
  readonly lease: (options?: LeaseOptions) => Effect.Effect<Lease, NoKeyError, Scope.Scope>
  /**
   * A key for as long as `use` runs. Its success is `Served` with the time it took, its failure is judged by `verdictOf`, a
   * defect or an interruption says nothing about the key.
   */
  readonly withKey: <A, E, R>(
    use: (key: ApiKey) => Effect.Effect<A, E, R>,
    options?: LeaseOptions
  ) => Effect.Effect<A, E | NoKeyError, R>
  readonly status: Effect.Effect<PoolStatus>
  /** The keys, in their order, for what is done to each of them, such as `check`. To speak with one, take a lease. */
  readonly keys: Effect.Effect<ReadonlyArray<ApiKey>>
  /** Adds a key, and says under which id. It starts level with the others. */
  readonly add: (key: KeyInput) => Effect.Effect<string, InvalidPoolError>
  /** Takes a key out for good, and says whether it was there. Calls that have it may end in peace. */
  readonly remove: (id: string) => Effect.Effect<boolean>
  /** Changes the weight of a key. */
  readonly reweight: (id: string, weight: number) => Effect.Effect<void, InvalidPoolError>
  /** Makes a key ready again, whatever kept it from that, and says whether the pool has it. */
  readonly enable: (id: string) => Effect.Effect<boolean>
  /** Takes a key out of use until it is enabled, and says whether the pool has it. Calls that have it may end in peace. */
  readonly disable: (id: string) => Effect.Effect<boolean>
  /** Lets a key rest, for instance because its rate limit headers say that nothing is left. A longer rest stays as it is. */
  readonly rest: (id: string, duration: Duration.DurationInput) => Effect.Effect<void>
}

/**
 * The pool that an `LLM` takes its keys from.
 *
 * @since 0.1.0
 * @category tags
 */
export class KeyPool extends Context.Tag("effect-llm/KeyPool")<KeyPool, Service>() {}

/**
 * A pool that cannot be made, or a change that cannot be made to it. All faults are told at once, none with a secret.
 *
 * @since 0.1.0
 * @category errors
 */
export class InvalidPoolError extends Schema.TaggedError<InvalidPoolError>()("InvalidPoolError", {
  providerId: Schema.String,
  /** Each with its place, such as `keys[2].weight: must be a positive number`. */
  faults: Schema.Array(Schema.String)
}) {
  override get message(): string {
    return `The key pool of ${this.providerId} cannot be as asked for: ${this.faults.join("; ")}`
  }
}

/**
 * @since 0.1.0
 * @category constructors
 */
export type KeyInput =
  | ApiKey
  | string
  | Redacted.Redacted<string>
  | ({ readonly key: string | Redacted.Redacted<string> } & ApiKeyOptions)

/**
 * How long keys rest.
 *
 * @since 0.1.0
 * @category constructors
 */
export interface CooldownOptions {
  /** The first rest after a rate limit without a Retry-After. @default "1 second" */
  readonly base?: Duration.DurationInput
  /** How much longer each further one is, with no success between them. @default 2 */
  readonly factor?: number
  /** The longest rest that this leads to. A Retry-After may be longer and is honoured in full. @default "60 seconds" */
  readonly max?: Duration.DurationInput
  /** The rest of a key that is out of quota. @default "1 hour" */
  readonly quota?: Duration.DurationInput
  /** How long a refused key (401, 403) is disabled. @default "5 minutes" */
  readonly refused?: Duration.DurationInput
}

/**
 * @since 0.1.0
 * @category constructors
 */
export interface Options {
  /** The name of the provider, as it stands in status and errors. */
  readonly providerId: string
  readonly keys: ReadonlyArray<KeyInput>
  /** @default `leastLoaded` */
  readonly strategy?: Strategy
  /** The longest that a call may wait for a key. @default "30 seconds" */
  readonly maxWait?: Duration.DurationInput
  readonly cooldown?: CooldownOptions
  /** The time in which a measured latency loses its weight in the average. @default "10 seconds" */
  readonly latencyDecay?: Duration.DurationInput
}

/**
 * A pool of keys. It needs no scope: nothing runs in the background.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: Options): Effect.Effect<Service, InvalidPoolError> =>
  PoolService.make(options, {
    strategy: options.strategy ?? leastLoaded,
    verdictOf,
    invalid: (faults) => new InvalidPoolError({ providerId: options.providerId, faults })
  })

/**
 * @since 0.1.0
 * @category layers
 */
export const layer = (options: Options): Layer.Layer<KeyPool, InvalidPoolError> => Layer.effect(KeyPool, make(options))

export {
  /**
   * @since 0.1.0
   * @category checking
   */
  type CheckedKey,
  /**
   * @since 0.1.0
   * @category checking
   */
  type CheckOptions,
  /**
   * @since 0.1.0
   * @category checking
   */
  type Condition
} from "./internal/keyCheck.js"

/**
 * Tries every key of the pool in context, resting and disabled ones too, and says which work. Neither the pool's state nor a
 * rate limiter is touched. `UnsupportedError` where the provider can list no models and `ask` is false;
 * `InvalidRequestError` where `ask` is true and there is no model to ask.
 *
 * @since 0.1.0
 * @category checking
 */
export const check = (
  options: KeyCheck.CheckOptions = {}
): Effect.Effect<
  ReadonlyArray<KeyCheck.CheckedKey>,
  Errors.UnsupportedError | Errors.InvalidRequestError,
  KeyPool | ProviderClient
> => Effect.flatMap(KeyPool, (pool) => KeyCheck.check(pool, options))
