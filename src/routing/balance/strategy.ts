/** Which deployment of a balance is asked. */
import { Order } from "effect"
import type { ChatRequest } from "../../vocabulary/Chat.js"
import type { KeyState } from "../../keyPool/model.js"
import * as KeyPool from "../../keyPool/strategy.js"

/**
 * What a strategy sees of a deployment: what it sees of a key (`KeyPool.KeyState`), and what it costs and how it does.
 *
 * @since 0.1.0
 * @category model
 */
export interface DeploymentState extends KeyState {
  /** Its group. Groups come before every strategy. */
  readonly order: number
  /** What its calls cost, as it was given or by its price; undefined where that is not known. */
  readonly cost: number | undefined
  /** How many of its latest calls failed, as far as the breaker's window reaches. */
  readonly failures: number
}

/**
 * Which deployment is asked: the first in this order of those that are ready. It must not depend on anything but the two states.
 * Every strategy of a `KeyPool` is one.
 *
 * @since 0.1.0
 * @category strategies
 */
export type Strategy = Order.Order<DeploymentState>

export {
  /**
   * The order of the list, as long as each can be asked. See `order` for whole groups.
   *
   * @since 0.1.0
   * @category strategies
   */
  failover,
  /**
   * The one that will answer first, by the moving average of its latencies: of whole answers, of streams until their first event.
   *
   * @since 0.1.0
   * @category strategies
   */
  latency,
  /**
   * Fewest calls in flight for its weight; among equals, fewest served for its weight. The default.
   *
   * @since 0.1.0
   * @category strategies
   */
  leastLoaded,
  /**
   * By lot, in proportion to the weights.
   *
   * @since 0.1.0
   * @category strategies
   */
  random,
  /**
   * The one that has not been asked for the longest time, whatever its weight.
   *
   * @since 0.1.0
   * @category strategies
   */
  roundRobin,
  /**
   * Calls in proportion to the weights, however long they take.
   *
   * @since 0.1.0
   * @category strategies
   */
  weighted
} from "../../keyPool/strategy.js"

/**
 * The cheapest; among equals the least loaded. One whose cost is not known comes last.
 *
 * @since 0.1.0
 * @category strategies
 */
export const cost: Strategy = Order.combine(
  Order.mapInput(Order.number, (deployment: DeploymentState) => deployment.cost ?? Infinity),
  KeyPool.leastLoaded
)

/**
 * A strategy by which calls of one kind go to one deployment, so that what its provider remembers of their prompts is there.
 *
 * @since 0.1.0
 * @category strategies
 */
export interface Sticky {
  readonly _tag: "Sticky"
  readonly keyOf: (request: ChatRequest) => string | undefined
  readonly bound: number
  readonly otherwise: Strategy
}

/**
 * Sends the requests with one key to one deployment, of those of the lowest order that can be asked: each key to the one that a
 * hash of both ranks highest (rendezvous hashing), so that keys spread by the weights, and those of a deployment that is out go
 * to others and come back with it, while no other key moves.
 *
 * A deployment that has `bound` times its share of all calls in flight gets no more: the key goes on to its next. Requests
 * without a key, and embeddings, go by the strategy `otherwise`.
 *
 * @since 0.1.0
 * @category strategies
 */
export const sticky = (
  /** What binds requests together: a conversation, a user, a hash of the system prompt. */
  keyOf: (request: ChatRequest) => string | undefined,
  options: {
    /** At least 1. The nearer it is, the more evenly calls spread, and the less they stick. @default 1.25 */
    readonly bound?: number
    /** @default `leastLoaded` */
    readonly otherwise?: Strategy
  } = {}
): Sticky => ({
  _tag: "Sticky",
  keyOf,
  bound: options.bound ?? 1.25,
  otherwise: options.otherwise ?? KeyPool.leastLoaded
})
