/**
 * The circuit breaker of a deployment: counts recent calls and failures, and decides when the circuit opens and for how long. The
 * cooldown of an open circuit and the probe of a half-open one are in the `health` of the deployment's load.
 */
import type { Growth } from "../../vocabulary/backoff.js"
import { delayAfter } from "../../vocabulary/backoff.js"

/** When a circuit opens and for how long. Durations are in milliseconds. */
export interface BreakerConfig {
  readonly failures: number
  readonly ratio: number
  readonly window: number
  readonly cooldown: Growth
}

/** A sliding window of ten slices, so that its memory is bounded at any rate of calls, and the openings of the circuit. */
export interface Breaker {
  /** The length of a slice, in the unit of the recorded times. */
  readonly width: number
  /** Only those with calls in them, the newest last. */
  readonly slices: ReadonlyArray<Slice>
  /** Failures in the window, when a result was last recorded. */
  readonly failures: number
  /** How often the circuit has opened since the last success. */
  readonly openings: number
  /** The number of the last call that had started when the circuit last opened. */
  readonly openedAt: number
}

interface Slice {
  /** The index of the slice of time: the time divided by the width, rounded down. */
  readonly number: number
  readonly calls: number
  readonly failures: number
}

/** A call is dropped when it is between nine and ten tenths of the window old. */
const slicesInWindow = 10

const empty = (width: number, openings: number, openedAt: number): Breaker => ({
  width,
  slices: [],
  failures: 0,
  openings,
  openedAt
})

export const make = (window: number): Breaker => empty(window / slicesInWindow, 0, -1)

/** Whether a call started after the circuit last opened: results of earlier calls are not recorded. */
export const startedAfterOpening = (breaker: Breaker, sequence: number): boolean => sequence > breaker.openedAt

/** Records the result of a call. */
export const record = (breaker: Breaker, sequence: number, now: number, failed: boolean): Breaker => {
  const { openedAt, openings, width } = breaker
  const slices = startedAfterOpening(breaker, sequence) ? withResult(breaker, now, failed) : breaker.slices
  return { width, slices, failures: counts({ slices, width }, now).failures, openings, openedAt }
}

const withResult = ({ slices, width }: Breaker, now: number, failed: boolean): ReadonlyArray<Slice> => {
  const number = Math.floor(now / width)
  const failures = failed ? 1 : 0
  const last = slices.at(-1)
  return last?.number === number
    ? slices.with(slices.length - 1, { number, calls: last.calls + 1, failures: last.failures + failures })
    : [...slices.filter((slice) => isRecent(slice, number)), { number, calls: 1, failures }]
}

const isRecent = (slice: Slice, number: number): boolean => slice.number > number - slicesInWindow

/** Calls and failures within the window that ends now. */
export const counts = ({ slices, width }: Pick<Breaker, "slices" | "width">, now: number) => {
  const number = Math.floor(now / width)
  let calls = 0
  let failures = 0
  for (const slice of slices) {
    if (!isRecent(slice, number)) continue
    calls += slice.calls
    failures += slice.failures
  }
  return { calls, failures }
}

/** Whether so many calls have failed that a closed circuit opens. */
export const isTripped = (breaker: Breaker, { failures, ratio }: BreakerConfig, now: number): boolean => {
  const current = counts(breaker, now)
  return current.failures >= failures && current.failures >= ratio * current.calls
}

/** How long the circuit stays open, if it opens now. */
export const cooldown = ({ openings }: Breaker, { cooldown }: BreakerConfig): number =>
  delayAfter(cooldown, openings + 1)

/** Opens the circuit, one more time or as often as another balance has counted. */
export const open = ({ openings, width }: Breaker, sequence: number, count = openings + 1): Breaker =>
  empty(width, count, sequence)

/** Closes the circuit after a success. */
export const close = ({ openedAt, width }: Breaker): Breaker => empty(width, 0, openedAt)

/** Closes the circuit, and ignores the results of all calls that have started. */
export const reset = ({ width }: Breaker, sequence: number): Breaker => empty(width, 0, sequence)
