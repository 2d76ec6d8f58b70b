/** What the tiles and the charts show: the figures of one time range, so that they agree. */
import type { History } from "../history/model.js"
import type { Bucket, Snapshot, Times } from "../snapshot.js"
import type { Figures, Steps } from "./figures.js"
import * as Format from "./format.js"

export interface View {
  /** Such as `last 15 min`. */
  readonly name: string
  /** The minutes for which the figures of single models are shown: at most those of the last hour. */
  readonly minutes: number
  readonly bars: Steps
  /** Finer than the bars where percentiles are finer, because they cannot be added up. */
  readonly lines: Steps
  /** The length of a bar, in milliseconds. */
  readonly step: number
  /** The percentiles of the whole range. */
  readonly times: Times
}

export const bucketsOf = ({ bars }: View): ReadonlyArray<Bucket> => bars.flatMap(([, buckets]) => buckets)

const minute = 60_000

/** The last minutes: thirty to sixty bars, for every time window. */
export const live = (figures: Figures, { at, width, windows }: Snapshot, minutes: number): View => {
  const step = minutes >= 60 ? minute : minutes >= 15 ? 30_000 : width
  return {
    minutes,
    name: minutes === 60 ? "last hour" : `last ${minutes} min`,
    bars: figures.steps(step, (minutes * minute) / step, at),
    lines: figures.steps(width, (minutes * minute) / width, at),
    step,
    times: windows.find((window) => window.minutes === minutes) ?? {}
  }
}

export const ofHistory = ({ buckets, from, step, to, ...times }: History, name: string): View => {
  const byStart = new Map(buckets.map((bucket) => [bucket.at, bucket]))
  const steps: Steps = Array.from({ length: Math.max(1, Math.ceil((to - from) / step)) }, (_, index) => {
    const bucket = byStart.get(from + index * step)
    return [from + index * step, bucket === undefined ? [] : [bucket]]
  })
  return { name, minutes: 60, bars: steps, lines: steps, step, times }
}

/** Names a range of any times. */
export const nameOf = (from: number, to: number): string => `${Format.dayAndClock(from)} – ${Format.dayAndClock(to)}`
