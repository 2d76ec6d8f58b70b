/** The history of the dashboard: what is asked, and the answer. */
import type { Effect } from "effect"
import { Context, Schema } from "effect"
import { Bucket, Times } from "../snapshot.js"

const Count = Schema.Int.pipe(Schema.nonNegative())

/** The figures of a model within a time range. */
const ModelHistory = Schema.Struct({
  ...Times.fields,
  /** The name in requests; empty for requests that were refused before their model was known. */
  id: Schema.String,
  requests: Count,
  failed: Count,
  inputTokens: Schema.Number,
  outputTokens: Schema.Number,
  cost: Schema.Number,
  unpricedTokens: Schema.Number
})

export type ModelHistory = typeof ModelHistory.Type

/**
 * The figures of a time range, in steps of equal length. Times are in milliseconds since the epoch.
 *
 * @since 0.2.0
 * @category model
 */
export const History = Schema.Struct({
  /** The percentiles of the whole range, with a relative error of at most 5 %. */
  ...Times.fields,
  /** The start of the first step. */
  from: Schema.Number,
  to: Schema.Number,
  /** The length of a step, in milliseconds. */
  step: Schema.Number,
  /** The first time of the whole history; absent if it is empty. */
  since: Schema.optionalWith(Schema.Number, { exact: true }),
  /** One for each step that is not empty. */
  buckets: Schema.Array(Bucket),
  models: Schema.Array(ModelHistory)
})

/**
 * @since 0.2.0
 * @category model
 */
export interface History extends Schema.Schema.Type<typeof History> {}

/** The most models of a slot and of an answer. The figures of further ones are added up under `otherModels`. */
export const maxModels = 20

/** A name that no model can have. */
export const otherModels = "other models"

/** The longest history, in milliseconds. */
export const defaultMaxAge = 30 * 24 * 3_600_000

/**
 * Where a gateway keeps the figures of its dashboard for more than an hour. No operation fails: what cannot be stored is logged.
 *
 * @since 0.2.0
 * @category model
 */
export interface Service {
  /** Adds lines, each the figures of one model and minute. Those of the same model and minute add up. */
  readonly add: (lines: ReadonlyArray<string>) => Effect.Effect<void>
  /** The figures from one time to another, in milliseconds since the epoch. */
  readonly query: (from: number, to: number) => Effect.Effect<History>
}

/**
 * @since 0.2.0
 * @category tags
 */
export class DashboardHistory extends Context.Tag("effect-llm/gateway/DashboardHistory")<DashboardHistory, Service>() {}
