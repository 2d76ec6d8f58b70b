/** The buckets of the last hour that the page has received. */
import type { Bucket, Snapshot } from "../snapshot.js"

/** The outcomes that do not count as failed. */
const notFailures: ReadonlySet<string> = new Set(["ok", "interrupted"])

export const requestsIn = ({ outcomes }: Bucket): number => Object.values(outcomes).reduce((sum, n) => sum + n, 0)

export const errorsIn = ({ outcomes }: Bucket): ReadonlyArray<readonly [string, number]> =>
  Object.entries(outcomes).filter(([outcome]) => !notFailures.has(outcome))

export interface Sums {
  requests: number
  failed: number
  inputTokens: number
  outputTokens: number
  cost: number
  unpricedTokens: number
}

export const sumOf = (buckets: ReadonlyArray<Bucket>): Readonly<Sums> => {
  const sums: Sums = { requests: 0, failed: 0, inputTokens: 0, outputTokens: 0, cost: 0, unpricedTokens: 0 }
  for (const bucket of buckets) {
    sums.requests += requestsIn(bucket)
    for (const [, n] of errorsIn(bucket)) sums.failed += n
    sums.inputTokens += bucket.inputTokens
    sums.outputTokens += bucket.outputTokens
    sums.cost += bucket.cost
    sums.unpricedTokens += bucket.unpricedTokens
  }
  return sums
}

/** Equal steps of time, each with its start and its buckets. */
export type Steps = ReadonlyArray<readonly [start: number, buckets: ReadonlyArray<Bucket>]>

export interface Figures {
  readonly clear: () => void
  readonly add: (snapshot: Snapshot) => void
  /** The buckets that start within a time range, the oldest first. */
  readonly between: (from: number, to: number) => ReadonlyArray<Bucket>
  /** Steps up to now. */
  readonly steps: (step: number, count: number, now: number) => Steps
}

const hour = 3_600_000

export const make = (): Figures => {
  const byStart = new Map<number, Bucket>()
  const between = (from: number, to: number): ReadonlyArray<Bucket> =>
    [...byStart.values()].filter(({ at }) => at >= from && at < to).sort((a, b) => a.at - b.at)
  return {
    clear: () => byStart.clear(),
    add: ({ at: now, buckets, width }) => {
      for (const bucket of buckets) byStart.set(bucket.at, bucket)
      for (const at of byStart.keys()) if (at < now - hour - width) byStart.delete(at)
    },
    between,
    steps: (step, count, now) => {
      const last = Math.floor(now / step) * step
      const within = new Map<number, Array<Bucket>>()
      for (const bucket of between(last - (count - 1) * step, Infinity)) {
        const start = Math.floor(bucket.at / step) * step
        const existing = within.get(start)
        if (existing === undefined) within.set(start, [bucket])
        else existing.push(bucket)
      }
      return Array.from({ length: count }, (_, index) => {
        const start = last - (count - 1 - index) * step
        return [start, within.get(start) ?? []]
      })
    }
  }
}
