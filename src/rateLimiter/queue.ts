/** Who waits for a limiter, and how long each of them will: data in, data out. Times are in milliseconds. */
import type { Effect } from "effect"
import { Option, SortedMap } from "effect"
import * as Window from "./window.js"
import * as Bucket from "./tokenBucket.js"

/** What a caller asks for. */
export interface AcquireRequest {
  readonly requests: number
  readonly tokens: number
  /** Of those in flight; 1 for a call that says when it is over, else 0. */
  readonly slots: number
}

/**
 * Where somebody stands in line: by `at`, then by number of arrival. A call that lets others pass stands where one would that
 * came so much later. So the order within a priority is that of arrival, and nobody is passed for ever.
 */
export interface Position {
  readonly at: number
  readonly ticket: number
}

export const before = (self: Position, that: Position): boolean =>
  self.at < that.at || (self.at === that.at && self.ticket < that.ticket)

export interface Waiter extends AcquireRequest {
  /** When it has waited as long as it may. */
  readonly deadline: number
  /** Opened when something has happened that its wait depends on. */
  readonly wakeup: Effect.Latch
}

export interface Buckets {
  readonly requests: Bucket.Bucket
  readonly tokens: Bucket.Bucket | undefined
  /** Further limits on requests. */
  readonly windows: ReadonlyArray<Window.SlidingWindow>
}

export interface State extends Buckets {
  readonly reserved: number
  /** The most that may be in flight at once; infinite where that is not limited. */
  readonly maxInFlight: number
  readonly inFlight: number
  /** Who is not in it any more, and was not served, would have waited too long. */
  readonly queue: SortedMap.SortedMap<Position, Waiter>
  readonly arrivals: number
  /** The buckets as they will be when all who wait have been served; absent where that must be reckoned anew. */
  readonly projected: Buckets | undefined
}

const noWindows: ReadonlyArray<Window.SlidingWindow> = []

const eachWindow = (
  windows: ReadonlyArray<Window.SlidingWindow>,
  f: (window: Window.SlidingWindow) => Window.SlidingWindow
): ReadonlyArray<Window.SlidingWindow> => (windows.length === 0 ? noWindows : windows.map(f))

const bucketsAt = ({ requests, tokens, windows }: Buckets, now: number): Buckets => ({
  requests: Bucket.refill(requests, now),
  tokens: tokens === undefined ? undefined : Bucket.refill(tokens, now),
  windows: eachWindow(windows, (window) => Window.refill(window, now))
})

export const refill = <S extends State>(state: S, now: number): S => ({ ...state, ...bucketsAt(state, now) })

export const waitFor = (buckets: Buckets, { requests, tokens }: AcquireRequest): number => {
  let wait = Math.max(
    Bucket.waitFor(buckets.requests, requests),
    buckets.tokens === undefined || tokens === 0 ? 0 : Bucket.waitFor(buckets.tokens, tokens)
  )
  for (const window of buckets.windows) wait = Math.max(wait, Window.waitFor(window, requests))
  return wait
}

/** Whether a call must wait for another's end, however much is in the buckets. */
export const exceedsConcurrency = (state: State, request: AcquireRequest): boolean =>
  request.slots > 0 && state.inFlight + request.slots > state.maxInFlight

const takeFrom = (buckets: Buckets, { requests, tokens }: AcquireRequest): Buckets => ({
  requests: Bucket.take(buckets.requests, requests),
  tokens: buckets.tokens === undefined ? undefined : Bucket.take(buckets.tokens, tokens),
  windows: eachWindow(buckets.windows, (window) => Window.take(window, requests))
})

/** The buckets at the moment when this much is there, and when it has just been take. */
const afterServing = (buckets: Buckets, request: AcquireRequest): Buckets =>
  takeFrom(bucketsAt(buckets, buckets.requests.updatedAt + waitFor(buckets, request)), request)

/** The buckets when all who wait before `position` have been served, one after the other. */
const projectedBefore = (state: State, position: Position): Buckets => {
  if (SortedMap.size(state.queue) === 0) return state
  // Of those who wait for others in flight it says what it came to at the earliest, and time has passed since.
  if (state.projected !== undefined && isLast(state, position))
    return bucketsAt(state.projected, state.requests.updatedAt)
  let buckets: Buckets = state
  for (const [ahead, waiter] of state.queue) {
    if (before(position, ahead)) break
    buckets = afterServing(buckets, waiter)
  }
  return buckets
}

const isLast = (state: State, position: Position): boolean =>
  Option.match(SortedMap.lastOption(state.queue), {
    onNone: () => true,
    onSome: ([last]) => before(last, position)
  })

/**
 * How long one who stands at `position` will wait at least, from the state's own time on; exactly so long, but for those who
 * may yet pass it and those who are waited for because they are in flight.
 */
export const waitAt = (state: State, position: Position, request: AcquireRequest): number => {
  const buckets = projectedBefore(state, position)
  return Math.max(0, buckets.requests.updatedAt - state.requests.updatedAt) + waitFor(buckets, request)
}

/** The state with one more in line, takeFrom those behind it who would now wait longer than they may, and these. */
export const enqueue = <S extends State>(
  state: S,
  position: Position,
  waiter: Waiter
): readonly [S, ReadonlyArray<Waiter>] => {
  const next: S = { ...state, queue: SortedMap.set(state.queue, position, waiter) }
  return isLast(state, position)
    ? [{ ...next, projected: afterServing(projectedBefore(state, position), waiter) }, []]
    : evict(next)
}

export const dequeue = <S extends State>(state: S, position: Position): S => ({
  ...state,
  queue: SortedMap.remove(state.queue, position),
  projected: undefined
})

export const grant = <S extends State>(state: S, request: AcquireRequest): S => ({
  ...state,
  ...takeFrom(state, request),
  inFlight: state.inFlight + request.slots,
  reserved: state.tokens === undefined ? 0 : state.reserved + request.tokens
})

/** Shorter than any wait that matters: what sums of fractions may be off by, in milliseconds. */
export const roundingTolerance = 1

/** The state takeFrom those who would wait longer than they may, and these. */
export const evict = <S extends State>(state: S): readonly [S, ReadonlyArray<Waiter>] => {
  const evictedWaiters: Array<Waiter> = []
  let { queue } = state
  // Not the state itself: it would keep the one before it alive, and that the one before.
  let buckets: Buckets = { requests: state.requests, tokens: state.tokens, windows: state.windows }
  for (const [position, waiter] of state.queue) {
    const served = afterServing(buckets, waiter)
    if (served.requests.updatedAt <= waiter.deadline + roundingTolerance) {
      buckets = served
    } else {
      evictedWaiters.push(waiter)
      queue = SortedMap.remove(queue, position)
    }
  }
  return [{ ...state, queue, projected: buckets }, evictedWaiters]
}
