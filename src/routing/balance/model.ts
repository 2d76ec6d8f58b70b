/** The contract of a balance: its service, deployments, options and errors. */
import type { Duration, Effect } from "effect"
import { Context, Schema } from "effect"
import type { Service as LLMService } from "../../call/model.js"
import type { CooldownOptions } from "../../keyPool/model.js"
import type { LLMError } from "../../vocabulary/LLMError.js"
import type { DeploymentStatus } from "./status.js"
import type { Sticky, Strategy } from "./strategy.js"
import type { Verdict } from "./verdict.js"

/**
 * What a deployment can do; what is absent it can, as far as is known. A request that needs what a deployment lacks is not sent
 * to it.
 *
 * @since 0.1.0
 * @category model
 */
export interface Capabilities {
  /** Answers at all, and not embeddings alone. @default true */
  readonly chat?: boolean
  /** Tools. @default true */
  readonly tools?: boolean
  /** Images in messages. @default true */
  readonly images?: boolean
  /** Recorded sound in messages. @default true */
  readonly audio?: boolean
  /** Documents in messages. @default true */
  readonly files?: boolean
  /** Answers that fit a JSON Schema (`responseFormat`). @default true */
  readonly jsonSchema?: boolean
  /**
   * Embeddings, and of which family: vectors of different models mean nothing to each other, so that all texts go to the family
   * of the first deployment that has any. @default the model's name
   */
  readonly embeddings?: boolean | string
  /** The most tokens that a request and its answer may have together. @default the `contextWindow` of its `LLM` */
  readonly contextWindow?: number
}

/**
 * One of those that a call may go to.
 *
 * @since 0.1.0
 * @category model
 */
export interface Deployment<L = LLMService> {
  /**
   * Where its calls go. It needs time limits of its own (as `LLM.layer` has them), or a call that hangs in it is never handed on;
   * and few retries, for the next deployment is the better one.
   */
  readonly llm: L
  /**
   * What status and errors call it, and by what other balances know it where there is a `BalanceHealth`.
   *
   * @default provider and model, numbered where there are several
   */
  readonly id?: string
  /** Its share of the calls, in proportion to the other weights. @default 1 */
  readonly weight?: number
  /** Its group: those of the lowest order are asked for as long as one of them can be. @default 0 */
  readonly order?: number
  /**
   * What its calls cost, for the strategy `cost`; in a unit of your own where every deployment has it.
   *
   * @default dollars a million tokens, three of input to one of output (of embeddings: input alone), by the `price` of the
   * `LLM`, else by the `Pricing` in context when the balance is made; where neither knows a price, unknown, which is not cheap
   */
  readonly cost?: number
  /** The most calls in flight at once. @default unlimited */
  readonly maxConcurrency?: number
  readonly capabilities?: Capabilities
}

/**
 * An `LLM`, and what may be asked and done about its deployments. `info` is that of the first of them, with the largest context
 * window of all; `status` tells of all keys and limiters, added up.
 *
 * @since 0.1.0
 * @category model
 */
export interface Service extends LLMService {
  /** How the deployments are doing, in the order of the list. */
  readonly deployments: Effect.Effect<ReadonlyArray<DeploymentStatus>>
  /** Makes a deployment ready again, whatever kept it from that, and says whether there is one of that id. */
  readonly enable: (id: string) => Effect.Effect<boolean>
  /** Takes a deployment out of use until it is enabled, and says whether there is one of that id. Its calls may end in peace. */
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
 * A balance that cannot be made, or a change that cannot be made to it. All faults are told at once.
 *
 * @since 0.1.0
 * @category errors
 */
export class InvalidBalanceError extends Schema.TaggedError<InvalidBalanceError>()("InvalidBalanceError", {
  /** Each with its place, such as `deployments[2].weight: must be a positive number`. */
  faults: Schema.Array(Schema.String)
}) {
  override get message(): string {
    return `The balance cannot be as asked for: ${this.faults.join("; ")}`
  }
}

/**
 * When a deployment counts as out of order, and for how long.
 *
 * @since 0.1.0
 * @category constructors
 */
export interface BreakerOptions {
  /** How many calls must have failed within the window. @default 5 */
  readonly failures?: number
  /** Which share of all calls within the window they must be, from 0 to 1. @default 0.5 */
  readonly ratio?: number
  /** How long a call is remembered. @default "30 seconds" */
  readonly window?: Duration.DurationInput
  /** The first rest, after which one call at a time finds out whether the deployment is good again. @default "10 seconds" */
  readonly rest?: Duration.DurationInput
  /** How much longer each further rest is, with no success between them. @default 2 */
  readonly factor?: number
  /** The longest rest that this leads to. @default "5 minutes" */
  readonly maxRest?: Duration.DurationInput
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
  /** What an error says about the deployment. @default `verdictOf` */
  readonly verdict?: (error: LLMError) => Verdict
  /** `false`: failures are counted and nothing comes of them, but rests after a Retry-After or an overload. @default `{}` */
  readonly breaker?: BreakerOptions | false
  /** How long a deployment rests that said it has too much to do, where it did not say how long: 1 s, doubling to 60 s. */
  readonly cooldown?: Pick<CooldownOptions, "base" | "factor" | "max">
  /** The longest that a deployment may sleep while another one is ready. @default "1 second" */
  readonly patience?: Duration.DurationInput
  /** The longest that a call may wait for a deployment to come back. @default "30 seconds" */
  readonly maxWait?: Duration.DurationInput
  /** The time in which a measured latency loses its weight in the average. @default "10 seconds" */
  readonly latencyDecay?: Duration.DurationInput
}

export * from "./status.js"
export * from "./strategy.js"
export * from "./verdict.js"
