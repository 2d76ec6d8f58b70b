/** The contract of a balance: its service, deployments, options and errors. */
import type { Duration, Effect } from "effect"
import { Context, Schema } from "effect"
import type { Service as LLMService } from "../../call/model.js"
import type { Backoff } from "../../vocabulary/backoff.js"
import type { LLMError } from "../../vocabulary/LLMError.js"
import type { DeploymentStatus } from "./status.js"
import type { Sticky, Strategy } from "./strategy.js"
import type { Verdict } from "./verdict.js"

/**
 * What a deployment supports; an absent capability is assumed to be supported. A request is not sent to a deployment that lacks a
 * capability which it needs.
 *
 * @since 0.1.0
 * @category model
 */
export interface Capabilities {
  /** Chat, and not only embeddings. @default true */
  readonly chat?: boolean
  /** Tools. @default true */
  readonly tools?: boolean
  /** Images in messages. @default true */
  readonly images?: boolean
  /** Audio in messages. @default true */
  readonly audio?: boolean
  /** Documents in messages. @default true */
  readonly files?: boolean
  /** Answers that match a JSON Schema (`responseFormat`). @default true */
  readonly jsonSchema?: boolean
  /**
   * Embeddings, or the name of their family. Vectors of different models cannot be compared, so all texts go to the family of the
   * first deployment that supports embeddings. @default the family of its `LLM`
   */
  readonly embeddings?: boolean | string
  /** The most tokens that a request and its answer can have together. @default the `contextWindow` of its `LLM` */
  readonly contextWindow?: number
}

/**
 * One `LLM` that calls are routed to.
 *
 * @since 0.1.0
 * @category model
 */
export interface Deployment<L = LLMService> {
  /**
   * The `LLM` that its calls go to. It needs time limits (as `LLM.layer` has them), since a call that hangs in it is never handed
   * on; and few retries, since the next deployment is usually the better retry.
   */
  readonly llm: L
  /**
   * Its name in status, in errors and in a `DeploymentHealth`, where the same id in another balance is the same deployment.
   *
   * @default provider and model, numbered where there are several
   */
  readonly id?: string
  /** Its share of the calls, in proportion to the other weights. @default 1 */
  readonly weight?: number
  /** Its priority group: a deployment is used only when none of a lower order is ready. @default 0 */
  readonly order?: number
  /**
   * What its calls cost, for the strategy `cost`; in any unit, if every deployment has it.
   *
   * @default dollars a million tokens, three of input to one of output (of embeddings: input alone), by the `price` of the
   * `LLM`, else by the `Pricing` in context when the balance is made; unknown where neither has a price, and then picked last
   */
  readonly cost?: number
  /** The most calls in flight at once. @default unlimited */
  readonly maxConcurrency?: number
  readonly capabilities?: Capabilities
}

/**
 * An `LLM` over several deployments, with their status and administration. `info` is that of the first deployment, with the
 * largest context window of all; `status` is the sum over the keys and limiters of all.
 *
 * @since 0.1.0
 * @category model
 */
export interface Service extends LLMService {
  /** The status of each deployment, in the order of the list. */
  readonly deployments: Effect.Effect<ReadonlyArray<DeploymentStatus>>
  /** Makes a deployment ready again, whatever took it out, and returns whether the id exists. */
  readonly enable: (id: string) => Effect.Effect<boolean>
  /** Takes a deployment out of use until it is enabled, and returns whether the id exists. Its calls in flight go on. */
  readonly disable: (id: string) => Effect.Effect<boolean>
  /** Changes the weight of a deployment. */
  readonly reweight: (id: string, weight: number) => Effect.Effect<void, InvalidBalanceError>
}

/**
 * The balance behind an `LLM`.
 *
 * @since 0.1.0
 * @category tags
 */
export class Balance extends Context.Tag("effect-llm/Balance")<Balance, Service>() {}

/**
 * Invalid options of a balance, or an invalid change to it. Lists all faults.
 *
 * @since 0.1.0
 * @category errors
 */
export class InvalidBalanceError extends Schema.TaggedError<InvalidBalanceError>()("InvalidBalanceError", {
  /** Each with its path, such as `deployments[2].weight: must be a positive number`. */
  faults: Schema.Array(Schema.String)
}) {
  override get message(): string {
    return `Invalid balance options: ${this.faults.join("; ")}`
  }
}

/**
 * When the circuit of a deployment opens, and for how long.
 *
 * @since 0.1.0
 * @category constructors
 */
export interface BreakerOptions {
  /** How many calls must have failed within the window. @default 5 */
  readonly failures?: number
  /** The share of all calls within the window that they must be, from 0 to 1. @default 0.5 */
  readonly ratio?: number
  /** How long the result of a call is counted. @default "30 seconds" */
  readonly window?: Duration.DurationInput
  /**
   * How long the circuit stays open before one call at a time probes the deployment; longer after each failed probe, until a call
   * succeeds. @default 10 seconds, doubling up to 5 minutes
   */
  readonly cooldown?: Omit<Backoff, "jitter">
}

/**
 * @since 0.1.0
 * @category constructors
 */
export interface Options {
  /** @default `leastLoaded` */
  readonly strategy?: Strategy | Sticky
  /** Which errors hand the call on to the next deployment. @default `handsOn` */
  readonly on?: (error: LLMError) => boolean
  /** Maps an error to a verdict on the deployment. @default `verdictOf` */
  readonly verdict?: (error: LLMError) => Verdict
  /** `false`: failures are counted but open no circuit; a Retry-After or an overload still starts a cooldown. @default `{}` */
  readonly breaker?: BreakerOptions | false
  /** The cooldown of an overloaded deployment that sent no Retry-After. @default 1 second, doubling up to 60 seconds */
  readonly cooldown?: Omit<Backoff, "jitter">
  /**
   * The longest that a deployment can wait (retry, key, limiter) while another one is ready. @default "1 second"; a retry without a
   * Retry-After does not wait: the other deployment takes the call at once
   */
  readonly failoverAfter?: Duration.DurationInput
  /** The longest that a call can wait for a deployment to become ready. @default "30 seconds" */
  readonly maxWait?: Duration.DurationInput
  /** The time constant of the moving average of the latency. @default "10 seconds" */
  readonly latencyDecay?: Duration.DurationInput
}

export * from "./status.js"
export * from "./strategy.js"
export * from "./verdict.js"
