/** The arithmetic of a token bucket: data in, data out. Times are in milliseconds. */

export interface Bucket {
  readonly capacity: number
  /** Tokens a millisecond. */
  readonly rate: number
  /** Below zero when more was used than had been reserved. */
  readonly available: number
  readonly updatedAt: number
}

export const full = (capacity: number, perSecond: number, now: number): Bucket => ({
  capacity,
  rate: perSecond / 1000,
  available: capacity,
  updatedAt: now
})

/** The bucket as it is at `now`. */
export const refilled = (bucket: Bucket, now: number): Bucket =>
  now <= bucket.updatedAt
    ? bucket
    : {
        ...bucket,
        available: Math.min(bucket.capacity, bucket.available + (now - bucket.updatedAt) * bucket.rate),
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
export const waitFor = (bucket: Bucket, amount: number): number =>
  // Timers tick in whole milliseconds and sums of fractions are inexact: a hair short is enough.
  bucket.available + 1e-9 >= amount ? 0 : (amount - bucket.available) / bucket.rate
