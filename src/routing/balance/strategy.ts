/** The strategies that pick a deployment of a balance. */
import { Order } from "effect"
import type { ChatRequest } from "../../vocabulary/Chat.js"
import type { KeyState } from "../../keyPool/model.js"
import * as KeyPool from "../../keyPool/strategy.js"

/**
 * The state of a deployment that a strategy can use: the fields of a key (`KeyPool.KeyState`), and its group, cost and failures.
 *
 * @since 0.1.0
 * @category model
 */
export interface DeploymentState extends KeyState {
  /** Its priority group, which is compared before every strategy. */
  readonly order: number
  /** What its calls cost, by its `cost` or by its price; undefined if unknown. */
  readonly cost: number | undefined
  /** Failed calls in the breaker's window, when a result was last counted. */
  readonly failures: number
}

/**
 * An order of deployments: the first of those that are ready is picked. It must depend on nothing but the two states. Every
 * strategy of a `KeyPool` is one.
 *
 * @since 0.1.0
 * @category strategies
 */
export type Strategy = Order.Order<DeploymentState>

export {
  /**
   * Picks the first deployment of the list that is ready. See `order` for groups of deployments.
   *
   * @since 0.1.0
   * @category strategies
   */
  failover,
  /**
   * Picks the deployment that is expected to answer first, by the moving average of its latency: of whole answers, and of streams
   * until their first event.
   *
   * @since 0.1.0
   * @category strategies
   */
  latency,
  /**
   * Picks the deployment with the fewest calls in flight for its weight; among equals, the fewest served for its weight. The
   * default.
   *
   * @since 0.1.0
   * @category strategies
   */
  leastLoaded,
  /**
   * Picks at random, in proportion to the weights.
   *
   * @since 0.1.0
   * @category strategies
   */
  random,
  /**
   * Picks the least recently used deployment, whatever its weight.
   *
   * @since 0.1.0
   * @category strategies
   */
  roundRobin,
  /**
   * Spreads calls in proportion to the weights, however long they take.
   *
   * @since 0.1.0
   * @category strategies
   */
  weighted
} from "../../keyPool/strategy.js"

/**
 * Picks the cheapest deployment; among equals the least loaded. An unknown cost comes last.
 *
 * @since 0.1.0
 * @category strategies
 */
export const cost: Strategy = Order.combine(
  Order.mapInput(Order.number, (deployment: DeploymentState) => deployment.cost ?? Infinity),
  KeyPool.leastLoaded
)

/**
 * A strategy that sends related requests to one deployment, so that they hit the prompt cache of its provider.
 *
 * @since 0.1.0
 * @category strategies
 */
export interface Sticky {
  readonly _tag: "Sticky"
  /** @default what the requests of one conversation have in common */
  readonly keyOf?: (request: ChatRequest) => string | undefined
  readonly bound: number
  readonly otherwise: Strategy
}

/**
 * Sends all requests with one key to one deployment, among the ready ones of the lowest order, by weighted rendezvous hashing.
 * Keys spread in proportion to the weights, the keys of a deployment that is out move to others until it is back, and no other
 * key moves.
 *
 * A deployment with `bound` times its share of all calls in flight gets no more: the request goes to the next deployment in its
 * key's ranking. Requests without a key, and embeddings, use the strategy `otherwise`.
 *
 * @since 0.1.0
 * @category strategies
 */
export const sticky = (
  /**
   * The key that related requests share: a conversation, a user, a hash of the system prompt. @default the conversation: its id
   * (`prompt_cache_key`, `session_id` or `conversation` in `extra`), or else its tools, system messages and first message of the user; and
   * the client (`RateLimiter.CurrentClient`)
   */
  keyOf?: (request: ChatRequest) => string | undefined,
  options: {
    /** At least 1. The nearer to 1, the more evenly calls spread, and the less they stick. @default 1.25 */
    readonly bound?: number
    /** @default `leastLoaded` */
    readonly otherwise?: Strategy
  } = {}
): Sticky => ({
  _tag: "Sticky",
  ...(keyOf === undefined ? {} : { keyOf }),
  bound: options.bound ?? 1.25,
  otherwise: options.otherwise ?? KeyPool.leastLoaded
})
