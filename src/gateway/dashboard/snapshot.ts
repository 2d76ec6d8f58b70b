/** What the page is told: how everything stands, and what has changed in the figures. Plain JSON, with ids and never secrets. */
import { Schema } from "effect"

const optional = <A, I, R>(schema: Schema.Schema<A, I, R>) => Schema.optionalWith(schema, { exact: true })

const Count = Schema.Int.pipe(Schema.nonNegative())

/** In milliseconds since the epoch. */
const Time = Schema.Number

const Percentiles = Schema.Struct({ p50: Schema.Number, p95: Schema.Number, p99: Schema.Number })

/** Milliseconds; each absent where nothing was measured. */
const Times = Schema.Struct({ latency: optional(Percentiles), firstEvent: optional(Percentiles) })

/** What ended within one stretch of time. */
const Bucket = Schema.Struct({
  ...Times.fields,
  /** Its beginning. */
  at: Time,
  /** Calls by how they ended: `ok`, `interrupted`, `defect`, or the `_tag` of the error. */
  outcomes: Schema.Record({ key: Schema.String, value: Count }),
  /** Consumed by all attempts, also by those that failed. What came from a cache consumed nothing. */
  inputTokens: Schema.Number,
  outputTokens: Schema.Number,
  /** In dollars, of all tokens whose price is known. */
  cost: Schema.Number,
  unpricedTokens: Schema.Number
})

const Key = Schema.Struct({
  id: Schema.String,
  state: Schema.Literal("ready", "busy", "cooling", "disabled"),
  reason: optional(Schema.String),
  /** When the state ends; absent where nobody knows. */
  until: optional(Time),
  inFlight: Count,
  maxConcurrency: optional(Schema.Number),
  load: Schema.Number,
  weight: Schema.Number,
  latency: optional(Schema.Number),
  served: Count,
  succeeded: Count,
  rateLimited: Count,
  outOfQuota: Count,
  refused: Count
})

/** How much of a limit is left. */
const Level = Schema.Struct({
  name: Schema.String,
  /** Below zero where more was used than had been reserved. */
  available: Schema.Number,
  limit: Schema.Number
})

const Deployment = Schema.Struct({
  id: Schema.String,
  provider: Schema.String,
  model: Schema.String,
  state: Schema.Literal("ready", "busy", "cooling", "open", "half-open", "disabled"),
  until: optional(Time),
  inFlight: Count,
  maxConcurrency: optional(Schema.Number),
  weight: Schema.Number,
  order: Schema.Number,
  latency: optional(Schema.Number),
  served: Count,
  failed: Count
})

const Model = Schema.Struct({
  ...Times.fields,
  /** As it is asked for. */
  id: Schema.String,
  aliases: Schema.Array(Schema.String),
  wire: Schema.String,
  inFlight: Count,
  /** Calls that wait for a key. */
  waiting: Count,
  /** Within the last hour. */
  requests: Count,
  failed: Count,
  inputTokens: Schema.Number,
  outputTokens: Schema.Number,
  cost: Schema.Number,
  /** Requests in each of the last 60 minutes, the current one last. */
  minutes: Schema.Array(Count),
  levels: Schema.Array(Level),
  /** Whether its keys are a pool that can be acted on, and not those of several. */
  hasPool: Schema.Boolean,
  keys: Schema.Array(Key),
  /** Where the calls go, where the model is a balanced group. */
  deployments: Schema.Array(Deployment)
})

const Budget = Schema.Struct({
  budget: Schema.String,
  label: optional(Schema.String),
  /** The id of the gateway's key that it is the budget of; `budget` is then what that is called. */
  key: optional(Schema.String),
  /** The unit of the calendar that it begins anew with, or `forever`; absent where nobody says. */
  period: optional(Schema.String),
  unit: Schema.Literal("dollars", "tokens"),
  limit: Schema.Number,
  spent: Schema.Number,
  reserved: Schema.Number,
  resetsAt: optional(Time)
})

const Cache = Schema.Struct({
  name: Schema.Literal("responses", "embeddings"),
  hits: Count,
  misses: Count,
  hitRate: Schema.Number,
  storeFailures: Count,
  entries: optional(Schema.Number)
})

export const Snapshot = Schema.Struct({
  /** By the clock of the gateway. */
  at: Time,
  startedAt: Time,
  /** The length of a bucket, in milliseconds. */
  width: Schema.Number,
  /** Whether whoever looks may also act. */
  mayAct: Schema.Boolean,
  inFlight: Count,
  /** Those that may have changed since the snapshot before; all of the last hour in the first. Empty ones are left out. */
  buckets: Schema.Array(Bucket),
  /** The percentiles of the last so many minutes. */
  windows: Schema.Array(Schema.Struct({ ...Times.fields, minutes: Count })),
  models: Schema.Array(Model),
  budgets: Schema.Array(Budget),
  caches: Schema.Array(Cache)
}).annotations({ identifier: "DashboardSnapshot" })

export type Snapshot = typeof Snapshot.Type
export type Times = typeof Times.Type
export type Percentiles = typeof Percentiles.Type
export type Bucket = typeof Bucket.Type
export type Model = typeof Model.Type
export type Key = typeof Key.Type
export type Level = typeof Level.Type
export type Deployment = typeof Deployment.Type
export type Budget = typeof Budget.Type
export type Cache = typeof Cache.Type
