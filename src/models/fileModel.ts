/** The content of a provider.json, parsed and checked. */
import type { Duration } from "effect"
import { Schema } from "effect"
import type { OnDisconnect } from "../call/disconnect.js"
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
  /** Name of the section. */
  readonly provider: string
  readonly model: string
  /** `type` in the file; absent when the file has none. */
  readonly wire: Protocol | undefined
  /** The preset with the name in `preset`, else with the section's name; absent when there is none. */
  readonly preset: string | undefined
  readonly baseUrl: string | undefined
  readonly headers: Readonly<Record<string, string>>
  readonly keys: ReadonlyArray<ApiKey.ApiKey>
  /** `max_retries`: attempts in total. @default 5 */
  readonly attempts: number
  /** `retry_delay`, in seconds in the file. @default 1 second */
  readonly retryDelay: Duration.Duration
  /** `rate_limit_capacity`; infinite when it is null. @default 10; with `requests_per_minute` or `requests_per_day`, that number */
  readonly capacity: number
  /** `rate_limit_refill_rate`, requests per second. @default 1; with `requests_per_minute` or `requests_per_day`, that rate */
  readonly refillRate: number
  /**
   * Whether the file sets no limit on requests, so that the default of 10 at once and then one a second holds. @default false
   *
   * @since 0.2.0
   */
  readonly hasDefaultLimit?: boolean
  readonly tokensPerMinute: number | undefined
  /** `requests_per_minute`. */
  readonly requestsPerMinute: number | undefined
  /** `requests_per_day`. */
  readonly requestsPerDay: number | undefined
  /** `max_concurrency`: the most calls in flight. */
  readonly maxConcurrency: number | undefined
  /** In tokens. @default 200000 */
  readonly contextWindow: number
  /** `timeout` of a whole call, in seconds in the file. */
  readonly timeout: Duration.Duration | undefined
  /**
   * `on_disconnect`: what happens to the request of a stream whose consumer leaves. @default "cancel"
   *
   * @since 0.2.0
   */
  readonly onDisconnect?: OnDisconnect
  /**
   * `on_unsupported`: what a gateway does with what the provider's protocol cannot express. @default "error"
   *
   * @since 0.2.0
   */
  readonly onUnsupported?: "error" | "drop"
  /**
   * `on_owner_unavailable`: what a gateway does while no key of the account is ready that made the reasoning in a request. @default "drop"
   *
   * @since 0.2.0
   */
  readonly onOwnerUnavailable?: "drop" | "wait"
  /** `default_temperature`. */
  readonly temperature: number | undefined
  /** `model_weight`: its share of the calls of a group. @default 1 */
  readonly weight: number
  /**
   * `price`, in dollars per million tokens. It takes precedence over the prices in context. @default the prices in context
   *
   * @since 0.2.0
   */
  readonly price?: Price
  /**
   * `affinity`: whether the calls of one conversation prefer the same key, see `KeyPool.Options`. @default false
   *
   * @since 0.2.0
   */
  readonly affinity?: boolean
}

/**
 * Names of `Balance` strategies in the file.
 *
 * @since 0.1.0
 * @category model
 */
export type GroupStrategy =
  | "least-loaded"
  | "weighted"
  | "round-robin"
  | "latency"
  | "cost"
  | "failover"
  | "random"
  | "sticky"

/**
 * A member of a group.
 *
 * @since 0.1.0
 * @category model
 */
export interface GroupMember {
  /** `provider/model`. */
  readonly model: string
  /** Its share of the calls. @default the `model_weight` of the model */
  readonly weight: number
  /** Members with the lowest order get all calls while one of them is available. @default 0 */
  readonly order: number
  /** Cost for the strategy `cost`. @default the model's price */
  readonly cost?: number
  /** `max_concurrency`: the most calls that the group has in flight on the model. */
  readonly maxConcurrency?: number
}

/**
 * A group of models: a `Balance` over them.
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
 * A parsed provider file.
 *
 * @since 0.1.0
 * @category model
 */
export interface ProviderFile {
  readonly models: ReadonlyArray<ModelEntry>
  /** `$groups`. */
  readonly groups: ReadonlyArray<GroupEntry>
  /** Aliases of `provider/model` or of a group. */
  readonly aliases: Readonly<Record<string, string>>
  /** `provider/model`, a group, or an alias. */
  readonly default: string | undefined
  /** Unknown fields, each with its path. */
  readonly warnings: ReadonlyArray<string>
}

/**
 * The file cannot be used. `faults` lists every fault with its path, such as `openai[0].api_keys`.
 *
 * @since 0.1.0
 * @category errors
 */
export class ProviderFileError extends Schema.TaggedError<ProviderFileError>()("ProviderFileError", {
  file: Schema.String,
  faults: Schema.Array(Schema.Struct({ path: Schema.String, message: Schema.String })),
  /** Unknown fields, each with its path: a misspelt field is often the cause of a missing one. */
  warnings: Schema.optionalWith(Schema.Array(Schema.String), { default: () => [] })
}) {
  override get message(): string {
    return `${this.file} cannot be used. ${this.faults
      .map(({ message, path }) => (path === "" ? message : `${path}: ${message}`))
      .join("; ")}`
  }
}
