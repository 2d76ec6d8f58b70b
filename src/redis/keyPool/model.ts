/** The options of a key pool in Redis. */
import type { Duration } from "effect"
import type { Options as PoolOptions } from "../../keyPool/model.js"

/**
 * The strategies of `KeyPool`, by name. One of your own cannot be: the choice is made in Redis.
 *
 * @since 0.1.0
 * @category model
 */
export type Strategy = "least-loaded" | "weighted" | "round-robin" | "latency" | "random" | "failover"

/**
 * What a pool does while Redis is away.
 *
 * - `{ share }`: the process goes on by itself, with this part of each key's `maxConcurrency` (at least 1) and
 *   `requestsPerSecond`. Keys that were disabled or rested, as far as it had heard, stay so. With as many processes as
 *   1 / share the limits hold; keys without limits have nothing to divide.
 * - `"fail"`: calls fail with `SharedStateError`, for a fallback to take over.
 *
 * @since 0.1.0
 * @category model
 */
export type WhenAway = "fail" | { readonly share: number }

/**
 * @since 0.1.0
 * @category model
 */
export interface Options extends Omit<PoolOptions, "strategy"> {
  /** @default "least-loaded" */
  readonly strategy?: Strategy
  /** How long after the end of a process the keys it held are free again, at the latest. @default "30 seconds" */
  readonly leaseTime?: Duration.DurationInput
  /**
   * How often a process asks again while calls of it wait for keys that other processes have. It asks once for all of them, and
   * at once when it gave a key back itself. @default "50 millis"
   */
  readonly pollInterval?: Duration.DurationInput
  /**
   * The default keeps answers coming, at a pace that four processes together may have: an outage of Redis is then slowness and
   * not an outage of everything behind it, and the providers' limits are not multiplied. @default { share: 0.25 }
   */
  readonly whenAway?: WhenAway
}
