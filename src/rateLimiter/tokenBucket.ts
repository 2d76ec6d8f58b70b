/** A token bucket. A pure module; times are in milliseconds. */

/** A time in which a bucket is refilled more slowly. */
export interface Slowdown {
  readonly until: number
  /** Tokens per millisecond. */
  readonly rate: number
}

export interface Bucket {
  readonly capacity: number
  /** Tokens per millisecond. */
  readonly rate: number
  readonly slowdown: Slowdown | undefined
  /** Below zero if more was used than reserved. */
  readonly available: number
  readonly updatedAt: number
}

export const make = (capacity: number, perSecond: number, now: number): Bucket => ({
  capacity,
  rate: perSecond / 1000,
  slowdown: undefined,
  available: capacity,
  updatedAt: now
})

/** A bucket without limit has an infinite rate, and `0 * Infinity` is NaN. */
const refillOver = (time: number, rate: number): number => (time > 0 ? time * rate : 0)

const refillUntil = ({ slowdown, rate, updatedAt }: Bucket, now: number): number => {
  if (slowdown === undefined || updatedAt >= slowdown.until) return refillOver(now - updatedAt, rate)
  const turn = Math.min(now, slowdown.until)
  return refillOver(turn - updatedAt, Math.min(rate, slowdown.rate)) + refillOver(now - turn, rate)
}

/** The bucket at `now`. */
export const refill = (bucket: Bucket, now: number): Bucket =>
  now <= bucket.updatedAt
    ? bucket
    : {
        ...bucket,
        available: Math.min(bucket.capacity, bucket.available + refillUntil(bucket, now)),
        updatedAt: now
      }

/** Takes `amount` from the bucket, or gives it back if negative, up to the capacity. */
export const take = (bucket: Bucket, amount: number): Bucket => ({
  ...bucket,
  available: Math.min(bucket.capacity, bucket.available - amount)
})

/** Lowers the bucket to `left`, if that is a number. Never makes a debt, and keeps an existing one. */
export const lower = (bucket: Bucket, left: number | undefined): Bucket =>
  left === undefined || !(left < bucket.available)
    ? bucket
    : { ...bucket, available: Math.min(bucket.available, Math.max(0, left)) }

/** How long until `amount` is available, from the bucket's time on; zero if it is. */
export const waitFor = ({ available, slowdown, rate, updatedAt }: Bucket, amount: number): number => {
  // Timers have whole milliseconds and sums of fractions are inexact: a tiny shortfall counts as available.
  if (available + 1e-9 >= amount) return 0
  const missing = amount - available
  if (slowdown === undefined || updatedAt >= slowdown.until) return missing / rate
  const length = slowdown.until - updatedAt
  const slow = Math.min(rate, slowdown.rate)
  return length * slow >= missing ? missing / slow : length + (missing - length * slow) / rate
}

/** The current rate in tokens per millisecond. */
export const rateNow = ({ slowdown, rate, updatedAt }: Bucket): number =>
  slowdown === undefined || updatedAt >= slowdown.until ? rate : Math.min(rate, slowdown.rate)
