/** A percentile of the latest samples, in bounded memory. Every call adds a sample, so they change in place. */

export interface Samples {
  /** Adds a sample, and removes the oldest if there are more than the capacity. */
  readonly add: (value: number) => void
  /** The smallest sample that at least `share` of all do not exceed; undefined if there is none. */
  readonly at: (share: number) => number | undefined
  readonly size: () => number
}

/** The index of the first element that is not smaller than a value, among the first `size` of a sorted list. */
const lowerBound = (sorted: Float64Array, size: number, value: number): number => {
  let low = 0
  let high = size
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((sorted[middle] ?? Infinity) < value) low = middle + 1
    else high = middle
  }
  return low
}

export const make = (capacity: number): Samples => {
  /** By time, from `oldest` on when it is full. */
  const recent = new Float64Array(capacity)
  const sorted = new Float64Array(capacity)
  let size = 0
  let oldest = 0
  return {
    add: (value) => {
      if (size === capacity) {
        const removed = lowerBound(sorted, size, recent[oldest] ?? 0)
        sorted.copyWithin(removed, removed + 1, size)
        size--
      }
      const index = lowerBound(sorted, size, value)
      sorted.copyWithin(index + 1, index, size)
      sorted[index] = value
      size++
      recent[oldest] = value
      oldest = (oldest + 1) % capacity
    },
    at: (share) => (size === 0 ? undefined : sorted[Math.max(0, Math.ceil(share * size) - 1)]),
    size: () => size
  }
}
