/**
 * Quantiles of any number of values in bounded memory, with a relative error of at most 1 %.
 *
 * It is a DDSketch (Masson, Rim, Lee: "DDSketch: a fast and fully-mergeable quantile sketch", VLDB 2019): values are counted in
 * buckets that grow by 2 %. Sketches of several models or processes merge without loss, and are plain JSON.
 */
import { Option, Schema } from "effect"

const Count = Schema.Int.pipe(Schema.nonNegative())

/**
 * The distribution of any number of values in bounded memory: a DDSketch, which counts values in buckets that grow by 2 %. Its
 * quantiles have a relative error of at most 1 %. Sketches of several models or processes merge without loss, and are plain JSON.
 *
 * @since 0.1.0
 * @category model
 */
export interface QuantileSketch extends Schema.Schema.Type<typeof quantileSketchSchema> {}

const quantileSketchSchema = Schema.Struct({
  count: Count,
  sum: Schema.Number,
  /** The smallest value; 0 when there are no values. */
  min: Schema.Number,
  /** The largest value; 0 when there are no values. */
  max: Schema.Number,
  /** The index and count of each bucket that is not empty, in ascending order. */
  buckets: Schema.Array(Schema.Tuple(Schema.Int, Count))
}).annotations({ identifier: "QuantileSketch" })

/**
 * @since 0.1.0
 * @category model
 */
export const QuantileSketch: Schema.Schema<QuantileSketch> = quantileSketchSchema

/** Maximum relative error of a quantile. */
const accuracy = 0.01

const growth = (1 + accuracy) / (1 - accuracy)

const logGrowth = Math.log(growth)

/** Smaller and larger values are counted as these bounds, which limits a sketch to 2,500 buckets. */
const smallest = 1e-9
const largest = 1e12

const bucketOf = (value: number): number =>
  Math.ceil(Math.log(Math.min(Math.max(value, smallest), largest)) / logGrowth)

const middleOf = (bucket: number): number => (2 * growth ** bucket) / (growth + 1)

/**
 * The sketch of no values: the identity of `merge`.
 *
 * @since 0.1.0
 * @category monoid
 */
export const empty: QuantileSketch = { count: 0, sum: 0, min: 0, max: 0, buckets: [] }

/**
 * A mutable sketch that counts values one by one.
 *
 * @since 0.1.0
 * @category recording
 */
export interface Recorder {
  /** Counts a value. Ignores negative values, NaN and infinity. */
  readonly unsafeRecord: (value: number) => void
  /** The sketch of the values so far. */
  readonly unsafeSnapshot: () => QuantileSketch
}

/**
 * Makes an empty recorder.
 *
 * @since 0.1.0
 * @category recording
 */
export const unsafeMake = (): Recorder => {
  const buckets = new Map<number, number>()
  let [count, sum, min, max] = [0, 0, Infinity, 0]
  return {
    unsafeRecord: (value) => {
      if (!(value >= 0 && value < Infinity)) return
      const bucket = bucketOf(value)
      buckets.set(bucket, (buckets.get(bucket) ?? 0) + 1)
      count += 1
      sum += value
      min = Math.min(min, value)
      max = Math.max(max, value)
    },
    unsafeSnapshot: () =>
      count === 0 ? empty : { count, sum, min, max, buckets: [...buckets].sort(([a], [b]) => a - b) }
  }
}

/**
 * Makes a sketch from values. Negative values, NaN and infinity are left out.
 *
 * @since 0.1.0
 * @category constructors
 */
export const fromIterable = (values: Iterable<number>): QuantileSketch => {
  const recorder = unsafeMake()
  for (const value of values) recorder.unsafeRecord(value)
  return recorder.unsafeSnapshot()
}

/**
 * Merges two sketches: a commutative monoid with `empty`.
 *
 * @since 0.1.0
 * @category monoid
 */
export const merge = (self: QuantileSketch, that: QuantileSketch): QuantileSketch => {
  if (self.count === 0) return that
  if (that.count === 0) return self
  const buckets = new Map(self.buckets)
  for (const [bucket, count] of that.buckets) buckets.set(bucket, (buckets.get(bucket) ?? 0) + count)
  return {
    count: self.count + that.count,
    sum: self.sum + that.sum,
    min: Math.min(self.min, that.min),
    max: Math.max(self.max, that.max),
    buckets: [...buckets].sort(([a], [b]) => a - b)
  }
}

/**
 * Merges any number of sketches.
 *
 * @since 0.1.0
 * @category monoid
 */
export const mergeAll = (all: Iterable<QuantileSketch>): QuantileSketch => {
  let merged = empty
  for (const sketch of all) merged = merge(merged, sketch)
  return merged
}

/**
 * Returns a quantile, such as `quantile(latencies, 0.95)`, with a relative error of at most 1 %. A share of 0 returns the
 * smallest value and 1 the largest. Returns `None` when the sketch is empty.
 *
 * @since 0.1.0
 * @category reading
 */
export const quantile = (self: QuantileSketch, share: number): Option.Option<number> => {
  if (self.count === 0) return Option.none()
  if (share <= 0) return Option.some(self.min)
  if (share >= 1) return Option.some(self.max)
  const rank = share * (self.count - 1)
  let below = 0
  for (const [bucket, count] of self.buckets) {
    below += count
    if (below > rank) return Option.some(Math.min(Math.max(middleOf(bucket), self.min), self.max))
  }
  return Option.some(self.max)
}

/**
 * Summary statistics in the unit of the values; all are 0 for an empty sketch.
 *
 * @since 0.1.0
 * @category model
 */
export interface Summary {
  readonly count: number
  readonly mean: number
  readonly min: number
  readonly p50: number
  readonly p90: number
  readonly p95: number
  readonly p99: number
  readonly max: number
}

/**
 * Returns the count, mean, extremes and usual percentiles of a sketch.
 *
 * @since 0.1.0
 * @category reading
 */
export const summary = (self: QuantileSketch): Summary => {
  const at = (share: number): number => Option.getOrElse(quantile(self, share), () => 0)
  return {
    count: self.count,
    mean: self.count === 0 ? 0 : self.sum / self.count,
    min: self.min,
    p50: at(0.5),
    p90: at(0.9),
    p95: at(0.95),
    p99: at(0.99),
    max: self.max
  }
}
