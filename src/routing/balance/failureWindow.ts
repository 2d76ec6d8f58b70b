/** Counts recent calls and failures: a sliding window of ten slices, so that its memory is bounded at any rate of calls. */

interface Slice {
  /** The index of the slice of time: the time divided by the width, rounded down. */
  readonly number: number
  readonly calls: number
  readonly failures: number
}

export interface FailureWindow {
  /** The length of a slice, in the unit of the recorded times. */
  readonly width: number
  /** Only those with calls in them, the newest last. */
  readonly slices: ReadonlyArray<Slice>
}

export interface Counts {
  readonly calls: number
  readonly failures: number
}

/** A call is dropped when it is between nine and ten tenths of the window old. */
const slicesInWindow = 10

export const make = (duration: number): FailureWindow => ({ width: duration / slicesInWindow, slices: [] })

/** Records the result of a call. */
export const record = (window: FailureWindow, now: number, failed: boolean): FailureWindow => {
  const number = Math.floor(now / window.width)
  const failures = failed ? 1 : 0
  const last = window.slices.at(-1)
  const slices =
    last?.number === number
      ? [...window.slices.slice(0, -1), { number, calls: last.calls + 1, failures: last.failures + failures }]
      : [...recent(window, number), { number, calls: 1, failures }]
  return { width: window.width, slices }
}

const recent = ({ slices }: FailureWindow, number: number): ReadonlyArray<Slice> =>
  slices.filter((slice) => slice.number > number - slicesInWindow)

/** Calls and failures within the window that ends now. */
export const counts = (window: FailureWindow, now: number): Counts => {
  let calls = 0
  let failures = 0
  for (const slice of recent(window, Math.floor(now / window.width))) {
    calls += slice.calls
    failures += slice.failures
  }
  return { calls, failures }
}
