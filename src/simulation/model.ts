/** The contract of simulations: workload, behaviour of providers, options, report and errors. */
import type { Duration, Effect } from "effect"
import { Schema } from "effect"
import type { Middleware } from "../call/model.js"

// -------------------------------------------------------------------------------------
// workload
// -------------------------------------------------------------------------------------

/**
 * A number, or a log-normal distribution by its median and its 95th percentile.
 *
 * @since 0.2.0
 * @category workload
 */
export type Distribution<A> = A | { readonly p50: A; readonly p95: A }

/**
 * Calls that arrive at a rate.
 *
 * @since 0.2.0
 * @category workload
 */
export interface Load {
  /** Calls per second, or the calls of each minute, which start again at the end of the list. */
  readonly rate: number | { readonly perMinute: ReadonlyArray<number> }
  /** The time in which calls arrive. The simulation ends when the last one has ended. */
  readonly duration: Duration.DurationInput
  /** The input of a call. @default 500 */
  readonly inputTokens?: Distribution<number>
  /** The output of a call. @default 200 */
  readonly outputTokens?: Distribution<number>
  /** `random`: a Poisson process, as independent clients are. `even`: the same time between calls. @default "random" */
  readonly spacing?: "random" | "even"
}

/**
 * A call of a trace.
 *
 * @since 0.2.0
 * @category workload
 */
export interface Arrival {
  /** The time since the start, in milliseconds. */
  readonly at: number
  readonly inputTokens: number
  readonly outputTokens: number
  /** A model or group of the file, or without a file a model of the provider, as in a request. @default that of the options */
  readonly model?: string
  /** The client of the call, for fairness (`RateLimiter.withClient`), and its label for budgets (`UsageLedger.label`). */
  readonly client?: string
}

/**
 * Calls at a rate, or a trace of calls in any order.
 *
 * @since 0.2.0
 * @category workload
 */
export type Workload = Load | { readonly trace: ReadonlyArray<Arrival> }

// -------------------------------------------------------------------------------------
// providers
// -------------------------------------------------------------------------------------

/**
 * A time in which a provider answers with an error. Absent fields match everything.
 *
 * @since 0.2.0
 * @category providers
 */
export interface Outage {
  /** Since the start of the simulation. */
  readonly from: Duration.DurationInput
  readonly to: Duration.DurationInput
  /** @default 503 */
  readonly status?: number
  /** The name of the provider. */
  readonly provider?: string
  readonly model?: string
  /** The id of the key. */
  readonly key?: string
}

/**
 * What a provider allows an account with a model: requests beyond it get a 429 with the exact Retry-After at once. An account is a quota
 * group of a `provider.json`, or a key.
 *
 * @since 0.2.0
 * @category providers
 */
export interface AccountLimits {
  /** The most requests in any period of the length `per`. @default unlimited */
  readonly requests?: number
  /** The most tokens of input and output in any period of the length `per`. @default unlimited */
  readonly tokens?: number
  /** @default "1 minute" */
  readonly per?: Duration.DurationInput
}

/**
 * The behaviour of providers.
 *
 * @since 0.2.0
 * @category providers
 */
export interface Provider {
  /** The duration of an answer without its tokens. @default { p50: "1 second", p95: "3 seconds" } */
  readonly latency?: Distribution<Duration.DurationInput>
  /** What each token of the output adds to the duration of its answer. @default zero */
  readonly perOutputToken?: Duration.DurationInput
  /** @default none */
  readonly limits?: AccountLimits
  /** @default none */
  readonly outages?: ReadonlyArray<Outage>
}

// -------------------------------------------------------------------------------------
// options
// -------------------------------------------------------------------------------------

/**
 * Workload, behaviour of providers and seed of a simulation.
 *
 * @since 0.2.0
 * @category options
 */
export interface Options {
  readonly workload: Workload
  /** @default answers that take `{ p50: "1 second", p95: "3 seconds" }`, no limits, no outages */
  readonly provider?: Provider
  /** The `maxTokens` of each request, which budgets and limits of tokens reserve. @default none */
  readonly maxTokens?: number
  /** Simulations with equal options and seeds have equal reports. @default 0 */
  readonly seed?: number
}

/**
 * Options of a simulation of a `provider.json`.
 *
 * @since 0.2.0
 * @category options
 */
export interface FileOptions<E = never, R = never> extends Options {
  /** The name of a model or group. @default the default of the file */
  readonly model?: string
  /** Makes what is put around each model, such as a budget, at the start of each simulation. @default none */
  readonly makeMiddleware?: Effect.Effect<Middleware<E, R>, E, R>
}

// -------------------------------------------------------------------------------------
// report
// -------------------------------------------------------------------------------------

/**
 * What calls waited for or were refused by:
 * - `requests`, `requestsPerMinute`, `requestsPerDay`, `tokensPerMinute`, `concurrency`: limits of the limiter; `requests` is its bucket
 *   (`rate_limit_capacity` and `rate_limit_refill_rate` in a file)
 * - `keyConcurrency`, `keyRate`: `maxConcurrency` and `requestsPerSecond` of the keys
 * - `providerLimits`, `providerQuota`: keys in a cooldown after the provider has refused calls, or tested after it
 * - `keyFailures`: keys in a cooldown after failures, or refused
 * - `deployments`: a balance whose deployments are all at their limits or unavailable
 * - `retryDelay`: pauses between attempts
 * - `budget`: a budget that is spent
 *
 * @since 0.2.0
 * @category report
 */
export type Limit = typeof Limit.Type

/**
 * @since 0.2.0
 * @category report
 */
export const Limit = Schema.Literal(
  "requests",
  "requestsPerMinute",
  "requestsPerDay",
  "tokensPerMinute",
  "concurrency",
  "keyConcurrency",
  "keyRate",
  "providerLimits",
  "providerQuota",
  "keyFailures",
  "deployments",
  "retryDelay",
  "budget"
)

const Count = Schema.Int.pipe(Schema.nonNegative())

/** Milliseconds. */
const Millis = Schema.Number

const summarySchema = Schema.Struct({
  mean: Millis,
  p50: Millis,
  p95: Millis,
  p99: Millis,
  max: Millis
}).annotations({ identifier: "Simulation.Times" })

/**
 * Mean and percentiles of durations, in milliseconds, with an error of at most 1 %.
 *
 * @since 0.2.0
 * @category report
 */
export interface Times extends Schema.Schema.Type<typeof summarySchema> {}

const limitReportSchema = Schema.Struct({
  limit: Limit,
  /** What has the limit: the name of a pool, such as `openai/gpt-4o`; absent for what concerns whole calls. */
  of: Schema.optionalWith(Schema.String, { exact: true }),
  /** The sum of the waits, in milliseconds. */
  waited: Millis,
  /** Its share of all waits, from 0 to 1. */
  share: Schema.Number,
  /** Calls that it refused. */
  refused: Count,
  /** The share of the limit that was used over the whole time, from 0 to 1; absent where that is not known. */
  used: Schema.optionalWith(Schema.Number, { exact: true })
}).annotations({ identifier: "Simulation.LimitReport" })

/**
 * A limit, the waits for it, and the calls that it refused.
 *
 * @since 0.2.0
 * @category report
 */
export interface LimitReport extends Schema.Schema.Type<typeof limitReportSchema> {}

const keyReportSchema = Schema.Struct({
  provider: Schema.String,
  id: Schema.String,
  requests: Count,
  /** Requests that the provider refused with a 429. */
  rateLimited: Count,
  /** Requests that ended with another error. */
  failed: Count,
  tokens: Count,
  /** The mean number of requests in flight. */
  inFlight: Schema.Number
}).annotations({ identifier: "Simulation.KeyReport" })

/**
 * The use of a key.
 *
 * @since 0.2.0
 * @category report
 */
export interface KeyReport extends Schema.Schema.Type<typeof keyReportSchema> {}

const periodSchema = Schema.Struct({ offered: Count, answered: Count, failed: Count }).annotations({
  identifier: "Simulation.Period"
})

/**
 * The calls that arrived, were answered and failed in one period.
 *
 * @since 0.2.0
 * @category report
 */
export interface Period extends Schema.Schema.Type<typeof periodSchema> {}

const reportSchema = Schema.Struct({
  seed: Schema.Number,
  /** From the start to the end of the last call, in milliseconds. */
  duration: Millis,
  offered: Count,
  answered: Count,
  failed: Count,
  /** Failed calls by the `_tag` of their error. */
  errors: Schema.Record({ key: Schema.String, value: Count }),
  /** Answered calls by `provider/model`. */
  answeredBy: Schema.Record({ key: Schema.String, value: Count }),
  /** Requests that were sent. */
  requests: Count,
  /** Requests that the providers refused with a 429. */
  rateLimited: Count,
  /** The durations of answered calls, waits included. */
  latency: summarySchema,
  /** The waits of all calls that arrived: for a permit of the limiter, for a key, and together with pauses between attempts. */
  wait: Schema.Struct({ limiter: summarySchema, key: summarySchema, total: summarySchema }),
  tokens: Schema.Struct({ input: Count, output: Count }),
  /** Dollars; absent when no answer has a price. */
  cost: Schema.optionalWith(Schema.Number, { exact: true }),
  /** Periods of equal length: a minute, or the 1440th part of a longer simulation than a day. */
  throughput: Schema.Struct({ period: Millis, periods: Schema.Array(periodSchema) }),
  keys: Schema.Array(keyReportSchema),
  /** The limits that calls waited for or were refused by, the binding one first, and the other limits whose use is known. */
  limits: Schema.Array(limitReportSchema),
  /** The limit that refused most calls, or that calls waited for longest when none was refused. Absent when no call waited. */
  bindingLimit: Schema.optionalWith(limitReportSchema, { exact: true })
}).annotations({ identifier: "Simulation.Report" })

/**
 * The result of a simulation.
 *
 * @since 0.2.0
 * @category report
 */
export interface Report extends Schema.Schema.Type<typeof reportSchema> {}

/**
 * @since 0.2.0
 * @category report
 */
export const Report: Schema.Schema<Report> = reportSchema

/**
 * The same workload with a change of the configuration.
 *
 * @since 0.2.0
 * @category report
 */
export interface Variant {
  /** Such as `one more key` or `without tokens_per_minute`. */
  readonly change: string
  readonly report: Report
  /** Calls answered more than without the change. */
  readonly gain: number
}

// -------------------------------------------------------------------------------------
// errors
// -------------------------------------------------------------------------------------

/**
 * The options of a simulation are not valid. Lists all faults at once, each with its path.
 *
 * @since 0.2.0
 * @category errors
 */
export class InvalidSimulationError extends Schema.TaggedError<InvalidSimulationError>()("InvalidSimulationError", {
  faults: Schema.Array(Schema.String)
}) {
  override get message(): string {
    return `The simulation is not valid. ${this.faults.join("; ")}`
  }
}
