/** What a provider.json says, read and checked. */
import type { Duration } from "effect"
import { Schema } from "effect"
import type { Protocol } from "../provider/registry.js"
import type * as ApiKey from "../vocabulary/ApiKey.js"
import type { Price } from "../vocabulary/price.js"

/**
 * One model of one provider.
 *
 * @since 0.1.0
 * @category model
 */
export interface ModelEntry {
  /** The name of the section. */
  readonly provider: string
  readonly model: string
  /** `type` in the file; absent where it is left open. */
  readonly wire: Protocol | undefined
  /** The provider's preset, by the section's name or its `preset`; absent where there is none. */
  readonly preset: string | undefined
  readonly baseUrl: string | undefined
  readonly headers: Readonly<Record<string, string>>
  readonly keys: ReadonlyArray<ApiKey.ApiKey>
  /** `max_retries`: attempts in all. @default 5 */
  readonly attempts: number
  /** `retry_delay`, in seconds in the file. @default 1 second */
  readonly retryDelay: Duration.Duration
  /** `rate_limit_capacity`. @default 10; where requests a minute or a day are limited, as many as those */
  readonly capacity: number
  /** `rate_limit_refill_rate`, requests a second. @default 1; where requests a minute or a day are limited, as many of that */
  readonly refillRate: number
  readonly tokensPerMinute: number | undefined
  /** `requests_per_minute`. */
  readonly requestsPerMinute: number | undefined
  /** `requests_per_day`. */
  readonly requestsPerDay: number | undefined
  /** `max_concurrency`: the most calls in flight. */
  readonly maxConcurrent: number | undefined
  /** In tokens. @default 200000 */
  readonly contextWindow: number
  /** `timeout`: of a whole call, in seconds in the file. */
  readonly timeout: Duration.Duration | undefined
  /** `default_temperature`. */
  readonly temperature: number | undefined
  /** `model_weight`: its share where several models serve as one. @default 1 */
  readonly weight: number
  /**
   * `price`, in dollars a million tokens. It wins over the prices in context. @default the prices in context
   *
   * @since 0.2.0
   */
  readonly price?: Price
}

/**
 * The strategies of `Balance` that have a name in the file.
 *
 * @since 0.1.0
 * @category model
 */
export type GroupStrategy = "least-loaded" | "weighted" | "round-robin" | "latency" | "cost" | "failover" | "random"

/**
 * One of the models of a group.
 *
 * @since 0.1.0
 * @category model
 */
export interface GroupMember {
  /** `provider/model`. */
  readonly model: string
  /** Its share of the calls. @default the `model_weight` of the model */
  readonly weight: number
  /** Those of the lowest order are asked for as long as one of them can be. @default 0 */
  readonly order: number
  /** For the strategy `cost`. @default its price */
  readonly cost?: number
  /** `max_concurrency`: the most calls that the group has in flight there. */
  readonly maxConcurrency?: number
}

/**
 * Models that serve as one: a `Balance` over them.
 *
 * @since 0.1.0
 * @category model
 */
export interface GroupEntry {
  readonly name: string
  /** @default "least-loaded" */
  readonly strategy: GroupStrategy
  readonly members: ReadonlyArray<GroupMember>
}

/**
 * @since 0.1.0
 * @category model
 */
export interface ProviderFile {
  readonly models: ReadonlyArray<ModelEntry>
  /** `$groups`. */
  readonly groups: ReadonlyArray<GroupEntry>
  /** Other names: each stands for `provider/model`, or for a group. */
  readonly aliases: Readonly<Record<string, string>>
  /** `provider/model`, a group, or an alias. */
  readonly default: string | undefined
  /** Fields that mean nothing here, each with its place. */
  readonly warnings: ReadonlyArray<string>
}

/**
 * A file that cannot be used. `faults` are all there are, each with its place, such as `openai[0].api_keys`.
 *
 * @since 0.1.0
 * @category errors
 */
export class ProviderFileError extends Schema.TaggedError<ProviderFileError>()("ProviderFileError", {
  file: Schema.String,
  faults: Schema.Array(Schema.Struct({ path: Schema.String, message: Schema.String })),
  /** Fields that mean nothing here, each with its place: a misspelt one is often behind one that is missing. */
  warnings: Schema.optionalWith(Schema.Array(Schema.String), { default: () => [] })
}) {
  override get message(): string {
    return `${this.file} cannot be used. ${this.faults
      .map(({ message, path }) => (path === "" ? message : `${path}: ${message}`))
      .join("; ")}`
  }
}
