/** The options of a key pool in Redis. */
import type { Duration } from "effect"
import type { Options as PoolOptions } from "../../keyPool/model.js"

/**
 * The strategies of `KeyPool`, by name. Each process orders its keys by its own calls.
 *
 * @since 0.1.0
 * @category model
 */
export type Strategy = "least-loaded" | "weighted" | "round-robin" | "latency" | "random" | "failover"

/**
 * The behavior of a pool while Redis is away.
 *
 * - `{ share }`: the process continues alone with this part of each key's `maxConcurrency` (at least 1) and `requestsPerSecond`.
 *   Its calls in flight count, and what it knows of its keys stays. With up to 1 / share processes the limits hold; keys without limits
 *   are not restricted.
 * - `"fail"`: calls fail with `SharedStateError`, so that a fallback can answer.
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
  /** The longest time until the keys of a lost process are free again. @default "30 seconds" */
  readonly leaseTime?: Duration.DurationInput
  /**
   * The interval at which a process asks for the keys of other processes while its calls wait, or while other processes use up
   * a key: one request for all of them. @default "50 millis"
   */
  readonly pollInterval?: Duration.DurationInput
  /**
   * The default keeps calls going with limits that hold for up to four processes: an outage of Redis slows calls down instead of
   * failing them, and does not multiply the limits. @default { share: 0.25 }
   */
  readonly whenAway?: WhenAway
}
