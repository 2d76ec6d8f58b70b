/** The queue of a limiter and the waits in it. A pure module; times are in milliseconds. */
import type { Effect } from "effect"
import { Option, SortedMap } from "effect"
import * as SlidingWindow from "../internal/slidingWindow.js"
import type { Pace } from "./adaptive.js"
import type { Cursor } from "./refill.js"
import * as Bucket from "./tokenBucket.js"

/** The requirements of a call. */
export interface AcquireRequest {
  readonly requests: number
  readonly tokens: number
  /** Slots of `maxInFlight`: 1 for a call that reports its end, else 0. */
  readonly slots: number
}

/**
 * The position in the queue: by `at`, then by order of arrival. A batch call has the `at` of a call that arrives later. So each
 * priority keeps its order of arrival, and no call starves.
 */
export interface Position {
  readonly at: number
  readonly ticket: number
}

export const before = (self: Position, that: Position): boolean =>
  self.at < that.at || (self.at === that.at && self.ticket < that.ticket)

export interface Waiter extends AcquireRequest {
  /** When its longest wait ends. */
  readonly deadline: number
  /** Opened when its wait may have changed. */
  readonly wakeup: Effect.Latch
}

export interface Buckets {
  readonly requests: Bucket.Bucket
  readonly tokens: Bucket.Bucket | undefined
  /** Further limits on requests. */
  readonly windows: ReadonlyArray<SlidingWindow.SlidingWindow>
  /** Nothing is granted earlier: the store that several limiters share would refuse it. */
  readonly notBefore: number
}

export interface State extends Buckets {
  readonly reserved: number
  /** The most calls in flight; infinite if not limited. */
  readonly maxInFlight: number
  readonly inFlight: number
  /** A waiter that is missing here without having been served was evicted, because it would have waited too long. */
  readonly queue: SortedMap.SortedMap<Position, Waiter>
  readonly arrivals: number
  /** The buckets after all waiters have been served; undefined if they must be recalculated. */
  readonly projected: Buckets | undefined
  readonly pace: Pace
  /** The part of each limit in use: 1, but for a limiter that is cut off from those that share its limits. */
  readonly share: number
  /** The last known recurrence of the refill schedule. */
  readonly cursor: Cursor | undefined
}

const noWindows: ReadonlyArray<SlidingWindow.SlidingWindow> = []

const eachWindow = (
  windows: ReadonlyArray<SlidingWindow.SlidingWindow>,
  f: (window: SlidingWindow.SlidingWindow) => SlidingWindow.SlidingWindow
): ReadonlyArray<SlidingWindow.SlidingWindow> => (windows.length === 0 ? noWindows : windows.map(f))

const bucketsAt = ({ notBefore, requests, tokens, windows }: Buckets, now: number): Buckets => ({
  requests: Bucket.refill(requests, now),
  tokens: tokens === undefined ? undefined : Bucket.refill(tokens, now),
  windows: eachWindow(windows, (window) => SlidingWindow.expire(window, now)),
  notBefore
})

/** A literal instead of a spread: every call takes this path, and a spread is many times as slow in V8. */
const withBuckets = (
  state: State,
  { notBefore, requests, tokens, windows }: Buckets,
  inFlight: number,
  reserved: number,
  projected: Buckets | undefined
): State => ({
  requests,
  tokens,
  windows,
  notBefore,
  reserved,
  maxInFlight: state.maxInFlight,
  inFlight,
  queue: state.queue,
  arrivals: state.arrivals,
  projected,
  pace: state.pace,
  share: state.share,
  cursor: state.cursor
})

export const refill = (state: State, now: number): State =>
  withBuckets(state, bucketsAt(state, now), state.inFlight, state.reserved, state.projected)

/** A request that exceeds a share of a limit waits for all of that share, and later ones for what it takes beyond. */
export const waitFor = (buckets: Buckets, { requests, tokens }: AcquireRequest): number => {
  const { notBefore, requests: bucket, tokens: tokenBucket, windows } = buckets
  let wait = Math.max(
    Bucket.waitFor(bucket, Math.min(requests, bucket.capacity)),
    tokenBucket === undefined || tokens === 0 ? 0 : Bucket.waitFor(tokenBucket, Math.min(tokens, tokenBucket.capacity)),
    notBefore - bucket.updatedAt
  )
  for (const window of windows)
    wait = Math.max(wait, SlidingWindow.opensAt(window, Math.min(requests, window.limit)) - window.updatedAt)
  return wait
}

/** Whether the state depends on no recurrence of a schedule that is not known yet. */
export const isKnown = ({ projected, requests }: State): boolean =>
  !Number.isNaN(requests.updatedAt) && !Number.isNaN(projected?.requests.updatedAt)

/** The whole number of permits that can be taken now. */
export const available = ({ notBefore, queue, requests, windows }: State): number => {
  if (SortedMap.size(queue) > 0 || notBefore > requests.updatedAt) return 0
  let least = requests.available
  for (const { limit, used } of windows) least = Math.min(least, limit - used)
  // Sums of fractions are inexact.
  return Math.max(0, Math.floor(least + 1e-9))
}

/** Whether the request must wait for the end of calls in flight. */
export const exceedsConcurrency = (state: State, request: AcquireRequest): boolean =>
  request.slots > 0 && state.inFlight + request.slots > state.maxInFlight

const takeFrom = (buckets: Buckets, { requests, tokens }: AcquireRequest): Buckets => ({
  requests: Bucket.take(buckets.requests, requests),
  tokens: buckets.tokens === undefined ? undefined : Bucket.take(buckets.tokens, tokens),
  windows: eachWindow(buckets.windows, (window) => SlidingWindow.take(window, requests)),
  notBefore: buckets.notBefore
})

/** The buckets just after the request is served, at the earliest possible time. */
const afterServing = (buckets: Buckets, request: AcquireRequest): Buckets =>
  takeFrom(bucketsAt(buckets, buckets.requests.updatedAt + waitFor(buckets, request)), request)

/** The buckets after all waiters before `position` have been served in order. */
const projectedBefore = (state: State, position: Position): Buckets => {
  if (SortedMap.size(state.queue) === 0) return state
  // A projection is a lower bound if waiters depend on calls in flight, and time has passed since it was made.
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
 * The wait at `position` from the state's time on: exact, except that callers of a higher priority can still pass, and that calls
 * in flight can end late.
 */
export const waitAt = (state: State, position: Position, request: AcquireRequest): number => {
  const buckets = projectedBefore(state, position)
  return Math.max(0, buckets.requests.updatedAt - state.requests.updatedAt) + waitFor(buckets, request)
}

/** Adds a waiter, and evicts those behind it whose wait now exceeds their deadline. Returns them. */
export const enqueue = (state: State, position: Position, waiter: Waiter): readonly [State, ReadonlyArray<Waiter>] => {
  const next: State = { ...state, queue: SortedMap.set(state.queue, position, waiter) }
  return isLast(state, position)
    ? [{ ...next, projected: afterServing(projectedBefore(state, position), waiter) }, []]
    : evict(next)
}

export const dequeue = (state: State, position: Position): State => ({
  ...state,
  queue: SortedMap.remove(state.queue, position),
  projected: undefined
})

export const grant = (state: State, request: AcquireRequest): State =>
  withBuckets(
    state,
    takeFrom(state, request),
    state.inFlight + request.slots,
    state.tokens === undefined ? 0 : state.reserved + request.tokens,
    state.projected
  )

/** Ends a call: its slot is free, and its tokens are the actual ones instead of the estimate. */
export const release = (state: State, request: AcquireRequest, actualTokens: number): State => {
  const { notBefore, projected, requests, tokens, windows } = state
  return withBuckets(
    state,
    {
      requests,
      tokens: tokens === undefined ? undefined : Bucket.take(tokens, actualTokens - request.tokens),
      windows,
      notBefore
    },
    state.inFlight - request.slots,
    tokens === undefined ? 0 : state.reserved - request.tokens,
    tokens === undefined || actualTokens === request.tokens ? projected : undefined
  )
}

/** Undoes the grant of a request at `grantedAt`, of which nothing was used. */
export const giveBack = (state: State, request: AcquireRequest, grantedAt: number): State =>
  withBuckets(
    state,
    {
      requests: Bucket.take(state.requests, -request.requests),
      tokens: state.tokens === undefined ? undefined : Bucket.take(state.tokens, -request.tokens),
      windows: eachWindow(state.windows, (window) => SlidingWindow.giveBack(window, grantedAt, request.requests)),
      notBefore: state.notBefore
    },
    state.inFlight - request.slots,
    state.tokens === undefined ? 0 : state.reserved - request.tokens,
    undefined
  )

/** Whether no waiter is before this position. */
export const isNext = ({ queue }: State, position: Position): boolean =>
  SortedMap.size(queue) === 0 ||
  Option.match(SortedMap.headOption(queue), { onNone: () => true, onSome: ([head]) => before(position, head) })

/** Tolerance for sums of fractions, in milliseconds; shorter than any wait that matters. */
export const roundingTolerance = 1

/** Removes the waiters whose wait exceeds their deadline or never ends, and returns them. */
export const evict = (state: State): readonly [State, ReadonlyArray<Waiter>] => {
  const evictedWaiters: Array<Waiter> = []
  let { queue } = state
  // A copy of the fields: the state itself would keep all earlier states alive through `projected`.
  let buckets: Buckets = {
    requests: state.requests,
    tokens: state.tokens,
    windows: state.windows,
    notBefore: state.notBefore
  }
  for (const [position, waiter] of state.queue) {
    const served = afterServing(buckets, waiter)
    const servedAt = served.requests.updatedAt
    if (servedAt < Infinity && servedAt <= waiter.deadline + roundingTolerance) {
      buckets = served
    } else {
      evictedWaiters.push(waiter)
      queue = SortedMap.remove(queue, position)
    }
  }
  return [{ ...state, queue, projected: buckets }, evictedWaiters]
}
