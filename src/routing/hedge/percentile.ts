/** A percentile of the last so many samples, in bounded memory. */

export interface Samples {
  /** In the order in which they came, the oldest first. */
  readonly recent: ReadonlyArray<number>
  readonly sorted: ReadonlyArray<number>
}

export const none: Samples = { recent: [], sorted: [] }

/** Where a value stands, or would stand, in a sorted list. */
const placeOf = (sorted: ReadonlyArray<number>, value: number): number => {
  let low = 0
  let high = sorted.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((sorted[middle] ?? Infinity) < value) low = middle + 1
    else high = middle
  }
  return low
}

/** The samples with one more, and without the oldest where there are more than `most`. */
export const add = ({ recent, sorted }: Samples, value: number, most: number): Samples => {
  const [oldest] = recent
  const kept = sorted.slice()
  if (recent.length >= most && oldest !== undefined) kept.splice(placeOf(kept, oldest), 1)
  kept.splice(placeOf(kept, value), 0, value)
  return { recent: [...(recent.length >= most ? recent.slice(1) : recent), value], sorted: kept }
}

/** The smallest sample that `share` of all do not exceed; undefined where there is none. */
export const at = ({ sorted }: Samples, share: number): number | undefined =>
  sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)]
