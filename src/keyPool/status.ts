/** What a pool tells of its keys. Public by way of `KeyPool`. */
import type { Data, Duration } from "effect"

/**
 * Why a key is not used.
 *
 * @since 0.1.0
 * @category status
 */
export type Reason = "rate-limited" | "resting" | "out-of-quota" | "refused" | "by-hand"

/**
 * A time in which a key is not used.
 *
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
 * How a key stands, without its secret.
 *
 * @since 0.1.0
 * @category status
 */
export interface KeyStatus {
  readonly id: string
  readonly weight: number
  /** As the key was given; each absent where the key has no such limit. */
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
 * How a pool stands: what a dashboard needs.
 *
 * @since 0.1.0
 * @category status
 */
export interface PoolStatus {
  readonly providerId: string
  /** By their place in the list. */
  readonly keys: ReadonlyArray<KeyStatus>
  /** Calls that wait for a key; of a pool that is shared, those of this process. */
  readonly waiting: number
  /** Whether what is shared with other processes is out of reach; absent where nothing is shared. */
  readonly degraded?: boolean
}
