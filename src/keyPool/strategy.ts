/** Orders of keys: which key the next call gets. Public by way of `KeyPool`. */
import { Order } from "effect"

/**
 * The state of a key that a strategy can compare.
 *
 * @since 0.1.0
 * @category model
 */
export interface KeyState {
  readonly id: string
  /** Position in the list of keys; added keys come last. */
  readonly position: number
  readonly weight: number
  /** Calls in flight with the key. */
  readonly inFlight: number
  /** Calls that were given the key. After a cooldown the key counts as if it had served its share meanwhile. */
  readonly served: number
  /** The most calls in flight with the key. */
  readonly maxConcurrency: number | undefined
  /** The moving average of the duration of its calls, in milliseconds; undefined while unmeasured. */
  readonly latency: number | undefined
  /** When the average was last updated, since the pool was made, in time constants of the average. */
  readonly measuredAt: number
  /** The number of the last call that was given the key, counted over the pool; 0 if there was none. */
  readonly lastServed: number
  /** When the key is next drawn at random: the arrivals of a Poisson process whose rate is the weight. */
  readonly ticket: number
}

/**
 * The order of use: the next call gets the first of the ready keys. It must depend on nothing but the two states.
 *
 * @since 0.1.0
 * @category strategies
 */
export type Strategy = Order.Order<KeyState>

/** Lowest score first. A plain comparison instead of `Order.mapInput`, because a lease of one of many keys makes dozens of them. */
const by =
  (score: (key: KeyState) => number): Strategy =>
  (left, right) => {
    const one = score(left)
    const other = score(right)
    return one < other ? -1 : one > other ? 1 : 0
  }

/**
 * Uses the keys in list order: the first for as long as it is ready, then the second.
 *
 * @since 0.1.0
 * @category strategies
 */
export const failover: Strategy = by((key) => key.position)

/**
 * Shares calls in proportion to the weights, however long the calls take.
 *
 * @since 0.1.0
 * @category strategies
 */
export const weighted: Strategy = Order.combine(
  by((key) => key.served / key.weight),
  failover
)

/**
 * Picks the key with the fewest calls in flight for its weight; among equals, the fewest served for its weight; then list order.
 * The default, known as "least loaded" in other libraries.
 *
 * @since 0.1.0
 * @category strategies
 */
export const leastLoaded: Strategy = Order.combine(
  by((key) => key.inFlight / key.weight),
  weighted
)

/**
 * Picks the key that has not been used for the longest time, whatever its weight.
 *
 * @since 0.1.0
 * @category strategies
 */
export const roundRobin: Strategy = Order.combine(
  by((key) => key.lastServed),
  failover
)

/**
 * All averages decay at the same rate while nothing is measured, so a slow key is tried again and the order of keys is stable.
 */
const fadedCost = (key: KeyState): number =>
  key.latency === undefined
    ? key.inFlight === 0
      ? -Infinity
      : Infinity
    : Math.log((Math.max(key.latency, 0.001) * (key.inFlight + 1)) / key.weight) + key.measuredAt

/**
 * Picks the key with the lowest expected duration: average latency × (calls in flight + 1) / weight. The average is a peak EWMA:
 * it rises at once and falls slowly, also while the key is not used, so that a slow key is tried again. An unmeasured key comes
 * first while idle and last while its first call is in flight.
 *
 * @since 0.1.0
 * @category strategies
 */
export const latency: Strategy = Order.combine(by(fadedCost), leastLoaded)

/**
 * Picks a key at random, in proportion to the weights, independently for each call.
 *
 * @since 0.1.0
 * @category strategies
 */
export const random: Strategy = Order.combine(
  by((key) => key.ticket),
  failover
)
