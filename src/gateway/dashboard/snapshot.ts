/** The data of the page: the current state, and the figures that may have changed. Plain JSON with ids and no secrets. */
import { Schema } from "effect"

const optional = <A, I, R>(schema: Schema.Schema<A, I, R>) => Schema.optionalWith(schema, { exact: true })

const Count = Schema.Int.pipe(Schema.nonNegative())

/** In milliseconds since the epoch. */
const Time = Schema.Number

const Percentiles = Schema.Struct({ p50: Schema.Number, p95: Schema.Number, p99: Schema.Number })

/** In milliseconds; each absent if nothing was measured. */
export const Times = Schema.Struct({ latency: optional(Percentiles), firstEvent: optional(Percentiles) })

/** The calls that ended, and the usage, within one time slot. */
export const Bucket = Schema.Struct({
  ...Times.fields,
  /** The start of the slot. */
  at: Time,
  /** Calls by how they ended: `ok`, `interrupted`, `defect`, `refused` by the gateway itself, or the `_tag` of the error. */
  outcomes: Schema.Record({ key: Schema.String, value: Count }),
  /** Consumed by all attempts, including failed ones. Cached answers consume nothing. */
  inputTokens: Schema.Number,
  outputTokens: Schema.Number,
  /** In dollars, for all tokens with a known price. */
  cost: Schema.Number,
  unpricedTokens: Schema.Number
})

const Key = Schema.Struct({
  id: Schema.String,
  state: Schema.Literal("ready", "busy", "cooling", "disabled"),
  reason: optional(Schema.String),
  /** When the state ends; absent if that is not known. */
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

/** The remaining part of a limit. */
const Level = Schema.Struct({
  name: Schema.String,
  /** Below zero if more was used than was reserved. */
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

/** The ended calls that the alerts are about. */
const Recent = Schema.Struct({
  /** In the time of `LlmErrorShare`, without interrupted ones. */
  ended: Count,
  failed: Count,
  /** In the time of `LlmSlow`, and those of them that took longer than its threshold. */
  measured: Count,
  slow: Count
})

const Model = Schema.Struct({
  ...Times.fields,
  /** The name in requests. */
  id: Schema.String,
  aliases: Schema.Array(Schema.String),
  wire: Schema.String,
  inFlight: Count,
  /** The calls that wait for a key. */
  waiting: Count,
  waitingForPermit: Count,
  /** Whether the store that a limiter or a pool shares is unreachable. */
  isAway: Schema.Boolean,
  /** Within the last hour. */
  requests: Count,
  failed: Count,
  inputTokens: Schema.Number,
  outputTokens: Schema.Number,
  /** In dollars, for all tokens with a known price. */
  cost: Schema.Number,
  unpricedTokens: Schema.Number,
  /** Requests in each of the last 60 minutes, the current one last. */
  minutes: Schema.Array(Count),
  recent: Recent,
  levels: Schema.Array(Level),
  /** Whether the model has one key pool, whose keys can be changed. */
  hasPool: Schema.Boolean,
  keys: Schema.Array(Key),
  /** The deployments of a balanced group. */
  deployments: Schema.Array(Deployment)
})

const Budget = Schema.Struct({
  budget: Schema.String,
  label: optional(Schema.String),
  /** The id of the gateway's key that has this budget; `budget` is then the label of the key, else its id. */
  key: optional(Schema.String),
  /** The calendar unit after which the budget resets, or `forever`; absent if the budget does not report it. */
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

/** An alert whose reason holds. It fires when that has lasted for the time of its rule. */
const Alert = Schema.Struct({
  /** That of the rule in `docs/prometheus/alerts.yml`. */
  name: Schema.String,
  severity: Schema.Literal("critical", "warning"),
  /** The model or the budget. */
  subject: Schema.String,
  text: Schema.String,
  since: Time,
  isFiring: Schema.Boolean
})

export const Snapshot = Schema.Struct({
  /** By the clock of the gateway. */
  at: Time,
  startedAt: Time,
  /** The length of a bucket, in milliseconds. */
  width: Schema.Number,
  /** Whether the page can change keys, deployments and caches. */
  mayAct: Schema.Boolean,
  /** Whether `/dashboard/history` has figures of more than the last hour. */
  hasHistory: Schema.Boolean,
  /** Whether the request log has bodies. */
  hasBodies: Schema.Boolean,
  inFlight: Count,
  /** The buckets that may have changed since the previous snapshot; in the first, all of the last hour. Without empty ones. */
  buckets: Schema.Array(Bucket),
  /** The percentiles of each time window. */
  windows: Schema.Array(Schema.Struct({ ...Times.fields, minutes: Count })),
  alerts: Schema.Array(Alert),
  models: Schema.Array(Model),
  budgets: Schema.Array(Budget),
  caches: Schema.Array(Cache)
}).annotations({ identifier: "DashboardSnapshot" })

export interface Snapshot extends Schema.Schema.Type<typeof Snapshot> {}
export type Times = typeof Times.Type
export type Percentiles = typeof Percentiles.Type
export type Bucket = typeof Bucket.Type
export type Alert = typeof Alert.Type
export type Recent = typeof Recent.Type
export type Model = typeof Model.Type
export type Key = typeof Key.Type
export type Level = typeof Level.Type
export type Deployment = typeof Deployment.Type
export type Budget = typeof Budget.Type
export type Cache = typeof Cache.Type
