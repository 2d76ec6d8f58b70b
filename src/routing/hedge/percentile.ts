/** A percentile of the latest samples, in bounded memory. */

export interface Samples {
  /** The oldest first. */
  readonly recent: ReadonlyArray<number>
  readonly sorted: ReadonlyArray<number>
}

export const empty: Samples = { recent: [], sorted: [] }

/** The index of the first element that is not smaller than a value, in a sorted list. */
const lowerBound = (sorted: ReadonlyArray<number>, value: number): number => {
  let low = 0
  let high = sorted.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((sorted[middle] ?? Infinity) < value) low = middle + 1
    else high = middle
  }
  return low
}

/** Adds a sample, and removes the oldest if there are more than `capacity`. */
export const add = ({ recent, sorted }: Samples, value: number, capacity: number): Samples => {
  const [oldest] = recent
  const next = sorted.slice()
  if (recent.length >= capacity && oldest !== undefined) next.splice(lowerBound(next, oldest), 1)
  next.splice(lowerBound(next, value), 0, value)
  return { recent: [...(recent.length >= capacity ? recent.slice(1) : recent), value], sorted: next }
}

/** The smallest sample that at least `share` of all do not exceed; undefined if there is none. */
export const at = ({ sorted }: Samples, share: number): number | undefined =>
  sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)]
