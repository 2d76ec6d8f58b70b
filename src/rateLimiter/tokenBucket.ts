/** A token bucket. A pure module; times are in milliseconds. */

/** A time in which a bucket is refilled more slowly. */
export interface Slowdown {
  readonly until: number
  /** Tokens per millisecond. */
  readonly rate: number
  /** What was withheld from the bucket when this began, and is there again when it ends. */
  readonly withheld: number
}

/** The moments at which a schedule fills a bucket. */
export interface Recurrences {
  /** The known ones after the bucket's time, in ascending order. */
  readonly times: ReadonlyArray<number>
  /** Whether the schedule ends with them. */
  readonly isComplete: boolean
}

export interface Bucket {
  readonly capacity: number
  /** Tokens per millisecond. */
  readonly rate: number
  readonly slowdown: Slowdown | undefined
  /** Fill the bucket instead of the rate, which is zero then. */
  readonly recurrences: Recurrences | undefined
  /** Below zero if more was used than reserved. */
  readonly available: number
  /** NaN if the bucket depends on a recurrence that is not known yet. */
  readonly updatedAt: number
}

export const make = (capacity: number, perSecond: number, now: number): Bucket => ({
  capacity,
  rate: perSecond / 1000,
  slowdown: undefined,
  recurrences: undefined,
  available: capacity,
  updatedAt: now
})

/** A literal instead of a spread: every call takes this path, and a spread is many times as slow in V8. */
const withAvailable = (bucket: Bucket, available: number, updatedAt: number): Bucket => ({
  capacity: bucket.capacity,
  rate: bucket.rate,
  slowdown: bucket.slowdown,
  recurrences: bucket.recurrences,
  available: Math.min(bucket.capacity, available),
  updatedAt
})

/** A bucket without limit has an infinite rate, and `0 * Infinity` is NaN. */
const refillOver = (time: number, rate: number): number => (time > 0 ? time * rate : 0)

const refillUntil = ({ slowdown, rate, updatedAt }: Bucket, now: number): number => {
  if (slowdown === undefined || updatedAt >= slowdown.until) return refillOver(now - updatedAt, rate)
  const turn = Math.min(now, slowdown.until)
  const slowly = refillOver(turn - updatedAt, Math.min(rate, slowdown.rate))
  return now < slowdown.until ? slowly : slowly + slowdown.withheld + refillOver(now - turn, rate)
}

const fillByRecurrences = (bucket: Bucket, { isComplete, times }: Recurrences, now: number): Bucket => {
  const next = times.findIndex((time) => time > now)
  if (next === -1 && !isComplete) return { ...bucket, updatedAt: Number.NaN }
  const due = next === -1 ? times.length : next
  return due === 0
    ? { ...bucket, updatedAt: now }
    : { ...bucket, recurrences: { times: times.slice(due), isComplete }, available: bucket.capacity, updatedAt: now }
}

/** The bucket at `now`. */
export const refill = (bucket: Bucket, now: number): Bucket =>
  now <= bucket.updatedAt
    ? bucket
    : bucket.recurrences !== undefined
      ? fillByRecurrences(bucket, bucket.recurrences, now)
      : withAvailable(bucket, bucket.available + refillUntil(bucket, now), now)

/** The full bucket, at its own rate. */
export const fill = (bucket: Bucket): Bucket => ({ ...bucket, available: bucket.capacity, slowdown: undefined })

/** Takes `amount` from the bucket, or gives it back if negative, up to the capacity. */
export const take = (bucket: Bucket, amount: number): Bucket =>
  withAvailable(bucket, bucket.available - amount, bucket.updatedAt)

/** Lowers the bucket to `left`, if that is a number. Never makes a debt, and keeps an existing one. */
export const lower = (bucket: Bucket, left: number | undefined): Bucket =>
  left === undefined || !(left < bucket.available)
    ? bucket
    : { ...bucket, available: Math.min(bucket.available, Math.max(0, left)) }

/**
 * Withholds what is above `left`, and refills until `until` no faster than at `rate`. Then the bucket is as if this had not been, but
 * for what was taken. Replaces what was withheld before, and returns the same bucket if this changes nothing.
 */
export const slowDown = (bucket: Bucket, left: number, until: number, rate: number): Bucket => {
  const { available, slowdown, updatedAt } = bucket
  const before = slowdown !== undefined && updatedAt < slowdown.until ? slowdown.withheld : 0
  const whole = Math.min(bucket.capacity, available + before)
  const isSlower = rate < bucket.rate
  if (whole <= left && !isSlower) {
    return slowdown === undefined ? bucket : { ...bucket, available: whole, slowdown: undefined }
  }
  const rest = Math.min(whole, left)
  return {
    ...bucket,
    available: rest,
    slowdown: { until, rate: Math.min(bucket.rate, rate), withheld: whole > rest ? whole - rest : 0 }
  }
}

const waitForRecurrence = ({ isComplete, times: [next] }: Recurrences, now: number): number =>
  next === undefined ? (isComplete ? Infinity : Number.NaN) : next - now

/**
 * How long until `amount` is available, from the bucket's time on: zero if it is, infinite if it never will be, NaN if that depends
 * on a recurrence that is not known yet.
 */
export const waitFor = (bucket: Bucket, amount: number): number => {
  const { available, rate, recurrences, slowdown, updatedAt } = bucket
  // Timers have whole milliseconds and sums of fractions are inexact: a tiny shortfall counts as available.
  if (available + 1e-9 >= amount) return 0
  if (recurrences !== undefined) return waitForRecurrence(recurrences, updatedAt)
  const missing = amount - available
  if (slowdown === undefined || updatedAt >= slowdown.until) return missing / rate
  const length = slowdown.until - updatedAt
  const slow = Math.min(rate, slowdown.rate)
  if (refillOver(length, slow) >= missing) return missing / slow
  return length + Math.max(0, missing - length * slow - slowdown.withheld) / rate
}

/** The current rate in tokens per millisecond. */
export const rateNow = ({ slowdown, rate, updatedAt }: Bucket): number =>
  slowdown === undefined || updatedAt >= slowdown.until ? rate : Math.min(rate, slowdown.rate)
