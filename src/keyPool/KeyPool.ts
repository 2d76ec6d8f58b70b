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
import { Context, Effect, Layer, Schema } from "effect"
import type { ApiKey, Options as ApiKeyOptions } from "../vocabulary/ApiKey.js"
import * as KeyCheck from "./check.js"
import * as PoolService from "./service.js"
import type { PoolStatus } from "./status.js"
import type { Strategy } from "./strategy.js"
import { leastLoaded } from "./strategy.js"
import type { Verdict } from "./verdict.js"
import { verdictOf } from "./verdict.js"
import type {
  InvalidRequestError,
  KeyPoolExhaustedError,
  RateLimitError,
  SharedStateError,
  UnsupportedError
} from "../vocabulary/LLMError.js"
import type { ProviderClient } from "../wire/client.js"

export * from "./status.js"
export * from "./strategy.js"
export * from "./verdict.js"

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
 * Whose keys a pool has, which of them is used next, and how long a call waits.
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
 * A pool of keys as a layer. `InvalidPoolError` where it makes no sense; it tells every fault, and no secret.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (options: Options): Layer.Layer<KeyPool, InvalidPoolError> => Layer.effect(KeyPool, make(options))

/**
 * How the pools of a configuration (`Models`) are made, by the default strategy: in memory, unless another way is in context, such
 * as that of `effect-llm/redis`.
 *
 * @since 0.1.0
 * @category references
 */
export class Maker extends Context.Reference<Maker>()("effect-llm/KeyPool/Maker", {
  defaultValue: (): ((options: Omit<Options, "strategy">) => Effect.Effect<Service, InvalidPoolError>) => make
}) {}

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
} from "./check.js"

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
  UnsupportedError | InvalidRequestError,
  KeyPool | ProviderClient
> => Effect.flatMap(KeyPool, (pool) => KeyCheck.check(pool, options))
