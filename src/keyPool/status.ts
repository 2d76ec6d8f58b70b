/** The status of a pool and its keys. Public by way of `KeyPool`. */
import type { Data, Duration } from "effect"

/**
 * Why a key is not used.
 *
 * @since 0.1.0
 * @category status
 */
export type Reason = "rate-limited" | "resting" | "out-of-quota" | "refused" | "failing" | "by-hand"

/**
 * A cooldown of a key, or the time for which it is disabled.
 *
 * @since 0.1.0
 * @category status
 */
export interface Rest {
  readonly reason: Reason
  /** The remaining time; infinite if only `enable` ends it. */
  readonly remaining: Duration.Duration
  /** When it ends, in milliseconds since the epoch; absent if only `enable` ends it. */
  readonly until?: number
}

/**
 * The state of a key. `Busy`: at its `maxConcurrency` or `requestsPerSecond`, or in use by as many calls as it takes so soon after a
 * cooldown.
 *
 * @since 0.1.0
 * @category status
 */
export type State = Data.TaggedEnum<{ Ready: {}; Busy: {}; Cooling: Rest; Disabled: Rest }>

/**
 * The status of a key, without its secret.
 *
 * @since 0.1.0
 * @category status
 */
export interface KeyStatus {
  readonly id: string
  readonly weight: number
  /** The limits of the key as configured; each absent if not set. */
  readonly maxConcurrency?: number
  readonly requestsPerSecond?: number
  readonly quotaGroup?: string
  readonly state: State
  /** Whether calls use the key one at a time after its cooldown, until one succeeds. */
  readonly halfOpen: boolean
  /** Calls in flight; of a shared pool, those of all processes. The other counts are of this process. */
  readonly inFlight: number
  /** Calls started within the window of `requestsPerSecond`; absent without that limit. */
  readonly recentStarts?: number
  /** Calls in flight divided by `maxConcurrency`, or by the weight without that limit. */
  readonly loadFactor: number
  /** The moving average of the duration of its calls, in milliseconds; absent while unmeasured. */
  readonly latency?: number
  /** Calls that were given the key. The next four count the verdicts of those that ended with one. */
  readonly served: number
  readonly succeeded: number
  readonly rateLimited: number
  readonly outOfQuota: number
  readonly refused: number
  /**
   * Calls that failed with an error of the provider or a time limit; absent in a pool that does not count them.
   *
   * @since 0.2.0
   */
  readonly failed?: number
}

/**
 * The status of a pool, as for a dashboard.
 *
 * @since 0.1.0
 * @category status
 */
export interface PoolStatus {
  readonly provider: string
  /** In list order. */
  readonly keys: ReadonlyArray<KeyStatus>
  /** Calls that wait for a key; of a shared pool, those of this process. */
  readonly waiting: number
  /** Whether the state shared with other processes is unreachable; absent if nothing is shared. */
  readonly degraded?: boolean
}
