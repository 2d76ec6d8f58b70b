/** The contract of a key pool: its service, options and errors. */
import type { Clock, Duration, Redacted, Scope, Effect } from "effect"
import { Context, Schema } from "effect"
import type { ApiKey, Options as ApiKeyOptions } from "../vocabulary/ApiKey.js"
import type { Backoff } from "../vocabulary/backoff.js"
import type { KeyPoolExhaustedError, RateLimitError, SharedStateError } from "../vocabulary/LLMError.js"
import type { PoolStatus } from "./status.js"
import type { Strategy } from "./strategy.js"
import type { Verdict } from "./verdict.js"

/**
 * A key reserved for a call.
 *
 * @since 0.1.0
 * @category model
 */
export interface Lease {
  readonly key: ApiKey
  /** Gives the key back with the verdict of the call. Only the first call of any member has an effect. */
  readonly settle: (verdict: Verdict) => Effect.Effect<void>
  /**
   * Gives the key back after no call was made with it: it counts neither as served nor as started. Without it a call that has
   * waited for a key holds it while it waits for a permit of the limiter.
   *
   * @since 0.2.0
   */
  readonly giveBack?: Effect.Effect<void>
  /**
   * Reports that the provider has accepted the call, which goes on: the first event of a stream has come. So a stream that tests a key
   * after a cooldown does not keep the other calls waiting until its end.
   *
   * @since 0.2.0
   */
  readonly accept?: Effect.Effect<void>
  /**
   * Does what `settle` does, at once. See `Service.unsafeTryReserve`.
   *
   * @since 0.2.0
   */
  readonly unsafeSettle?: (clock: Clock.Clock, verdict: Verdict) => void
  /**
   * Does what `giveBack` does, at once. See `Service.unsafeTryReserve`.
   *
   * @since 0.2.0
   */
  readonly unsafeGiveBack?: (clock: Clock.Clock) => void
  /**
   * Does what `accept` does, at once. See `Service.unsafeTryReserve`.
   *
   * @since 0.2.0
   */
  readonly unsafeAccept?: (clock: Clock.Clock) => void
}

/**
 * A key reserved for a call that is given back without an effect.
 *
 * @since 0.2.0
 * @category model
 */
export interface UnsafeLease extends Required<Lease> {}

/**
 * Options of one acquisition.
 *
 * @since 0.1.0
 * @category model
 */
export interface LeaseOptions {
  /** Ids of keys that this call has tried already. @default none */
  readonly exclude?: ReadonlySet<string>
  /** The longest wait for a key, if shorter than the pool's `maxWait`. @default the pool's `maxWait` */
  readonly maxWait?: Duration.DurationInput
  /**
   * Whether to wait for a key in a cooldown, or to fail at once when no usable key is ready or busy, as after a failover
   * from another key. @default "wait"
   */
  readonly onCooldown?: "wait" | "fail"
  /**
   * Whether the call tries another key after a failure of the provider: it takes no key whose own latest calls have failed, and one that
   * returns from failures or a refusal only where there is no other. A key that has not succeeded since then gets one such call until that
   * succeeds, so that an outage does not double the requests. @default false
   *
   * @since 0.2.0
   */
  readonly failover?: boolean
  /**
   * What related calls have in common, such as the id of their conversation. A pool with the option `affinity` prefers the same key for
   * them; every other one ignores it. @default none
   *
   * @since 0.2.0
   */
  readonly affinity?: string
  /**
   * How long ago the caller arrived, when it waits again: it waits before callers that arrived later. @default zero
   *
   * @since 0.2.0
   */
  readonly arrivedAgo?: Duration.DurationInput
  /**
   * How long the caller has waited in this pool before. It is subtracted from the pool's `maxWait`, not from that of these
   * options. @default zero
   *
   * @since 0.2.0
   */
  readonly waited?: Duration.DurationInput
}

/**
 * Why there is no key: `RateLimitError` when keys are busy or in a cooldown after a rate limit, `KeyPoolExhaustedError` when all
 * usable keys are disabled, refused, out of quota or removed. `retryAfter` is the time until one can be ready, if known. A pool
 * shared by processes also fails with `SharedStateError` when the shared state is unreachable.
 *
 * @since 0.1.0
 * @category model
 */
export type NoKeyError = RateLimitError | KeyPoolExhaustedError | SharedStateError

/**
 * A pool of keys: calls acquire a key and settle it with a verdict.
 *
 * @since 0.1.0
 * @category model
 */
export interface Service {
  readonly provider: string
  /**
   * Picks the first ready key and reserves it, in one step. When none is ready, waits in a FIFO queue, or fails as soon as it is
   * certain that none will be ready in time.
   *
   * The caller must settle the lease. Run this in an uninterruptible region, such as the first argument of
   * `Effect.acquireUseRelease`: only the wait is interruptible, even there, so that no key is lost. Do not make the whole effect
   * interruptible: an interruption just after the acquisition would lose the key.
   */
  readonly reserve: (options?: LeaseOptions) => Effect.Effect<Lease, NoKeyError>
  /** Reserves a key until the scope closes. Settle the lease to report how the call ended. */
  readonly lease: (options?: LeaseOptions) => Effect.Effect<Lease, NoKeyError, Scope.Scope>
  /**
   * Runs `use` with a reserved key. A success is `Served` with its duration, `verdictOf` judges a failure, and a defect or an
   * interruption is `Neutral`.
   */
  readonly withKey: <A, E, R>(
    use: (key: ApiKey) => Effect.Effect<A, E, R>,
    options?: LeaseOptions
  ) => Effect.Effect<A, E | NoKeyError, R>
  /** The current state of the pool and of each key. */
  readonly status: Effect.Effect<PoolStatus>
  /** The keys in order, for operations on each of them, such as `check`. To call the provider with one, take a lease. */
  readonly keys: Effect.Effect<ReadonlyArray<ApiKey>>
  /** Adds a key and returns its id. It starts with the same share as the others. */
  readonly add: (key: KeyInput) => Effect.Effect<string, InvalidPoolError>
  /** Removes a key for good and returns whether the pool had it. Calls in flight with it continue. */
  readonly remove: (id: string) => Effect.Effect<boolean>
  /** Changes the weight of a key. */
  readonly reweight: (id: string, weight: number) => Effect.Effect<void, InvalidPoolError>
  /** Makes a key ready again, whatever its state, and returns whether the pool has it. */
  readonly enable: (id: string) => Effect.Effect<boolean>
  /** Takes a key out of use until it is enabled, and returns whether the pool has it. Calls in flight with it continue. */
  readonly disable: (id: string) => Effect.Effect<boolean>
  /**
   * Puts a key into a cooldown of at most `maxCooldown`, for instance because its rate limit headers report nothing left. Never
   * shortens a longer one. The key needs no probe after it.
   */
  readonly rest: (id: string, duration: Duration.DurationInput) => Effect.Effect<void>
  /**
   * Does what `reserve` does, at once, if a key is ready that is not excluded; otherwise returns undefined and changes nothing.
   * It never waits, and does not say why there is no key: `reserve` waits or fails.
   *
   * The members whose names start with `unsafe` run outside of Effect, with the clock of the caller's fiber, so that a call pays no
   * fiber steps for them. They are absent where a change needs an effect, such as a message to other processes. Only this one can
   * throw: what the strategy throws.
   *
   * The caller must settle the lease or give it back exactly once.
   *
   * @since 0.2.0
   */
  readonly unsafeTryReserve?: (
    clock: Clock.Clock,
    exclude?: ReadonlySet<string>,
    failover?: boolean,
    affinity?: string
  ) => UnsafeLease | undefined
  /**
   * Does what `rest` does, at once. See `unsafeTryReserve`.
   *
   * @since 0.2.0
   */
  readonly unsafeRest?: (clock: Clock.Clock, id: string, duration: Duration.DurationInput) => void
  /**
   * Whether the pool uses the `affinity` of calls; otherwise they compute none. @default false
   *
   * @since 0.2.0
   */
  readonly usesAffinity?: boolean
  /**
   * The number of accounts to which the keys belong: quota groups, and keys without one. See `unsafeTryReserve`.
   *
   * @since 0.2.0
   */
  readonly unsafeAccounts?: () => number
  /**
   * The keys of the pool. See `unsafeTryReserve`.
   *
   * @since 0.2.0
   */
  readonly unsafeKeys?: () => ReadonlyArray<ApiKey>
  /**
   * The pool for the calls to one model, where several models use the same keys. What a key has in flight, its limits and weight, its
   * refusals, and `disable`, `enable`, `add` and `remove` are those of the key, whichever model it is used for. A rate limit, failures of
   * the provider, a cooldown by `rest`, and what only concerns the model (403) are those of the key with this model: other models use
   * the key as before. The calls of all models wait in one queue, each for its own keys.
   *
   * Pools of the same `model` share what is known. Absent in the pool of a model.
   *
   * @since 0.2.0
   */
  readonly forModel?: (model: string, options?: ModelViewOptions) => Service
}

/**
 * Options of the pool for one model.
 *
 * @since 0.2.0
 * @category model
 */
export interface ModelViewOptions {
  /** The ids of the keys that the model uses. @default all keys, also those that are added later */
  readonly keys?: ReadonlySet<string>
  /** The name in status and errors. @default the name of the pool */
  readonly name?: string
  /** Whether calls of one conversation prefer the same key. @default as in the options of the pool */
  readonly affinity?: boolean
}

/**
 * The status of a pool's keys and the changes of them, by id. It hands out no key.
 *
 * @since 0.2.0
 * @category model
 */
export interface KeyAdministration extends Pick<
  Service,
  "status" | "add" | "remove" | "reweight" | "enable" | "disable" | "rest"
> {}

/**
 * The key pool of an `LLM`.
 *
 * @since 0.1.0
 * @category tags
 */
export class KeyPool extends Context.Tag("effect-llm/KeyPool")<KeyPool, Service>() {}

/**
 * The options of a pool, or a change of its keys, are not valid. Lists all faults at once, none with a secret.
 *
 * @since 0.1.0
 * @category errors
 */
export class InvalidPoolError extends Schema.TaggedError<InvalidPoolError>()("InvalidPoolError", {
  provider: Schema.String,
  /** Each with its path, such as `keys[2].weight: must be a positive number`. */
  faults: Schema.Array(Schema.String)
}) {
  override get message(): string {
    return `The options of the key pool of ${this.provider} are not valid. ${this.faults.join("; ")}`
  }
}

/**
 * The forms in which a key can be passed: an `ApiKey`, a secret, or a secret with `ApiKey.Options`.
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
 * Lengths of cooldowns. `base`, `factor` and `max` are the backoff after rate limits without a Retry-After, until a call succeeds:
 * by default 1 second, doubling up to 60 seconds. A Retry-After is honoured also where it is longer than `max`, up to `maxCooldown`.
 *
 * After a cooldown for a rate limit, a quota, a refusal or failures one call tests the key. Each call that then succeeds admits two
 * others, so that the calls that wait for the key do not all meet the same limit at once.
 *
 * @since 0.1.0
 * @category constructors
 */
export interface CooldownOptions extends Omit<Backoff, "jitter"> {
  /** The cooldown of a key that is out of quota. @default "1 hour" */
  readonly quota?: Duration.DurationInput
  /** How long a refused key (401, 403) is disabled. @default "5 minutes" */
  readonly refused?: Duration.DurationInput
  /**
   * The longest cooldown that a provider can ask for: after a longer Retry-After one call tests the key each `maxCooldown`.
   * @default "1 hour"
   *
   * @since 0.2.0
   */
  readonly maxCooldown?: Duration.DurationInput
  /**
   * The consecutive failures of the provider (5xx, broken connections, time limits) with a key after which it is cooled, for `base` up
   * to `max`. At least half of the keys stay usable, and at least one: where all fail alike the provider is at fault, and calls fail
   * at once with its error. From the first failure on calls prefer the other keys. `Infinity`: no key is cooled. @default 5
   *
   * @since 0.2.0
   */
  readonly maxFailures?: number
}

/**
 * The affinity of conversations to keys, by weighted rendezvous hashing: conversations spread over the keys in proportion to the weights,
 * those of a key that is not ready move to others until it is, and no other conversation moves. The strategy picks the key where a call has
 * no affinity.
 *
 * @since 0.2.0
 * @category constructors
 */
export interface AffinityOptions {
  /**
   * A key with this many times its share of the calls in flight gets no more: the next key of the conversation is used. At least 1. The
   * nearer to 1, the more evenly calls spread, and the less they stay with their key. @default 1.25
   */
  readonly bound?: number
}

/**
 * The keys of a pool, their order of use, and how long a call waits for one.
 *
 * @since 0.1.0
 * @category constructors
 */
export interface Options {
  /** The name of the provider in status and errors. */
  readonly provider: string
  readonly keys: ReadonlyArray<KeyInput>
  /** @default `leastLoaded` */
  readonly strategy?: Strategy
  /**
   * Prefers the same key for all calls of one conversation, so that they find their prompt in the cache of the provider.
   * @default false
   *
   * @since 0.2.0
   */
  readonly affinity?: boolean | AffinityOptions
  /** The longest wait of a call for a key. @default "30 seconds" */
  readonly maxWait?: Duration.DurationInput
  /**
   * The most calls that wait for a key at the same time, each of which costs memory: the next one fails at once. @default 10,000
   *
   * @since 0.2.0
   */
  readonly maxQueueLength?: number
  /** Lengths of cooldowns. @default see `CooldownOptions` */
  readonly cooldown?: CooldownOptions
  /** The time constant of the average latency: how fast old measurements lose their weight. @default "10 seconds" */
  readonly latencyDecay?: Duration.DurationInput
}

export * from "./status.js"
export * from "./strategy.js"
export * from "./verdict.js"
