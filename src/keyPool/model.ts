/** The contract of a key pool: its service, options and errors. */
import type { Duration, Redacted, Scope, Effect } from "effect"
import { Context, Schema } from "effect"
import type { ApiKey, Options as ApiKeyOptions } from "../vocabulary/ApiKey.js"
import type { KeyPoolExhaustedError, RateLimitError, SharedStateError } from "../vocabulary/LLMError.js"
import type { PoolStatus } from "./status.js"
import type { Strategy } from "./strategy.js"
import type { Verdict } from "./verdict.js"

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
 * What one call wants of a pool.
 *
 * @since 0.1.0
 * @category model
 */
export interface LeaseOptions {
  /** Ids of keys that this call has tried already. @default none */
  readonly exclude?: ReadonlySet<string>
  /** The longest this call may wait for a key, where that is shorter than the pool's own. @default the pool's `maxWait` */
  readonly maxWait?: Duration.DurationInput
  /**
   * Whether to wait for a key that rests, or to fail at once where no key that could serve is ready or merely busy: what a call
   * wants that came here from another key. @default "wait"
   */
  readonly cooling?: "wait" | "fail"
}

/**
 * Why there is no key: `RateLimitError` where keys are busy or rest after a rate limit, `KeyPoolExhaustedError` where all that
 * could serve are disabled, refused, out of quota or gone. `retryAfter` says when one may be ready, where that is known. Of a
 * pool that is shared by processes also `SharedStateError`, where what they share is out of reach.
 *
 * @since 0.1.0
 * @category model
 */
export type NoKeyError = RateLimitError | KeyPoolExhaustedError | SharedStateError

/**
 * A pool: keys are taken for a call and given back with what the call says of them.
 *
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
  /** How the pool and each of its keys stand now. */
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
 * A key as it may be given: as it is, as the secret alone, or as the secret with `ApiKey.Options`.
 *
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
 * The keys of a pool, the order in which they are used, and how long a call waits for one.
 *
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
  /** How long keys rest. @default see `CooldownOptions` */
  readonly cooldown?: CooldownOptions
  /** The time in which a measured latency loses its weight in the average. @default "10 seconds" */
  readonly latencyDecay?: Duration.DurationInput
}

export * from "./status.js"
export * from "./strategy.js"
export * from "./verdict.js"
