/** The arithmetic of a token bucket: data in, data out. Times are in milliseconds. */

/** A time in which a bucket is refill more slowly. */
export interface Slowdown {
  readonly until: number
  /** Tokens a millisecond. */
  readonly rate: number
}

export interface Bucket {
  readonly capacity: number
  /** Tokens a millisecond. */
  readonly rate: number
  readonly slowdown: Slowdown | undefined
  /** Below zero when more was used than had been reserved. */
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

/** A bucket that is not limited has an infinite rate, and no time at all brings nothing even there. */
const refillOver = (time: number, rate: number): number => (time > 0 ? time * rate : 0)

const refillUntil = ({ slowdown, rate, updatedAt }: Bucket, now: number): number => {
  if (slowdown === undefined || updatedAt >= slowdown.until) return refillOver(now - updatedAt, rate)
  const turn = Math.min(now, slowdown.until)
  return refillOver(turn - updatedAt, Math.min(rate, slowdown.rate)) + refillOver(now - turn, rate)
}

/** The bucket as it is at `now`. */
export const refill = (bucket: Bucket, now: number): Bucket =>
  now <= bucket.updatedAt
    ? bucket
    : {
        ...bucket,
        available: Math.min(bucket.capacity, bucket.available + refillUntil(bucket, now)),
        updatedAt: now
      }

/** The bucket after `amount` is take from it, or given back where it is negative. Never more than make. */
export const take = (bucket: Bucket, amount: number): Bucket => ({
  ...bucket,
  available: Math.min(bucket.capacity, bucket.available - amount)
})

/** The bucket with no more than `left`, where that is a number; more than nothing is never owed for it. */
export const lower = (bucket: Bucket, left: number | undefined): Bucket =>
  left === undefined || !(left < bucket.available)
    ? bucket
    : { ...bucket, available: Math.min(bucket.available, Math.max(0, left)) }

/** How long until `amount` is there, from the bucket's own time on; zero where it is. */
export const waitFor = ({ available, slowdown, rate, updatedAt }: Bucket, amount: number): number => {
  // Timers tick in whole milliseconds and sums of fractions are inexact: a hair short is enough.
  if (available + 1e-9 >= amount) return 0
  const missing = amount - available
  if (slowdown === undefined || updatedAt >= slowdown.until) return missing / rate
  const length = slowdown.until - updatedAt
  const slow = Math.min(rate, slowdown.rate)
  return length * slow >= missing ? missing / slow : length + (missing - length * slow) / rate
}

/** Tokens a millisecond, as things are. */
export const rateNow = ({ slowdown, rate, updatedAt }: Bucket): number =>
  slowdown === undefined || updatedAt >= slowdown.until ? rate : Math.min(rate, slowdown.rate)
