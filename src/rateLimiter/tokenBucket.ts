/** The arithmetic of a token bucket: data in, data out. Times are in milliseconds. */

/** A time in which a bucket is refilled more slowly. */
export interface Lull {
  readonly until: number
  /** Tokens a millisecond. */
  readonly rate: number
}

export interface Bucket {
  readonly capacity: number
  /** Tokens a millisecond. */
  readonly rate: number
  readonly lull: Lull | undefined
  /** Below zero when more was used than had been reserved. */
  readonly available: number
  readonly updatedAt: number
}

export const full = (capacity: number, perSecond: number, now: number): Bucket => ({
  capacity,
  rate: perSecond / 1000,
  lull: undefined,
  available: capacity,
  updatedAt: now
})

/** A bucket that is not limited has an infinite rate, and no time at all brings nothing even there. */
const over = (time: number, rate: number): number => (time > 0 ? time * rate : 0)

const gained = ({ lull, rate, updatedAt }: Bucket, now: number): number => {
  if (lull === undefined || updatedAt >= lull.until) return over(now - updatedAt, rate)
  const turn = Math.min(now, lull.until)
  return over(turn - updatedAt, Math.min(rate, lull.rate)) + over(now - turn, rate)
}

/** The bucket as it is at `now`. */
export const refilled = (bucket: Bucket, now: number): Bucket =>
  now <= bucket.updatedAt
    ? bucket
    : {
        ...bucket,
        available: Math.min(bucket.capacity, bucket.available + gained(bucket, now)),
        updatedAt: now
      }

/** The bucket after `amount` is taken from it, or given back where it is negative. Never more than full. */
export const taken = (bucket: Bucket, amount: number): Bucket => ({
  ...bucket,
  available: Math.min(bucket.capacity, bucket.available - amount)
})

/** The bucket with no more than `left`, where that is a number; more than nothing is never owed for it. */
export const lowered = (bucket: Bucket, left: number | undefined): Bucket =>
  left === undefined || !(left < bucket.available)
    ? bucket
    : { ...bucket, available: Math.min(bucket.available, Math.max(0, left)) }

/** How long until `amount` is there, from the bucket's own time on; zero where it is. */
export const waitFor = ({ available, lull, rate, updatedAt }: Bucket, amount: number): number => {
  // Timers tick in whole milliseconds and sums of fractions are inexact: a hair short is enough.
  if (available + 1e-9 >= amount) return 0
  const missing = amount - available
  if (lull === undefined || updatedAt >= lull.until) return missing / rate
  const length = lull.until - updatedAt
  const slow = Math.min(rate, lull.rate)
  return length * slow >= missing ? missing / slow : length + (missing - length * slow) / rate
}

/** Tokens a millisecond, as things are. */
export const rateNow = ({ lull, rate, updatedAt }: Bucket): number =>
  lull === undefined || updatedAt >= lull.until ? rate : Math.min(rate, lull.rate)
