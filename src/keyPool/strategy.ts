/** Which key may speak next, as orders of keys. Public by way of `KeyPool`. */
import { Order } from "effect"

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
