/** The queue of a limiter and the waits in it. A pure module; times are in milliseconds. */
import type { Effect } from "effect"
import * as SlidingWindow from "../internal/slidingWindow.js"
import type { Pace } from "./adaptive.js"
import * as Fair from "./fairQueue.js"
import type { Priority } from "./model.js"
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
 * A place in the queue of its priority. A batch call has the `at` of a call that arrives later, and the next call of one priority is served
 * before the next one of the other if its `at` is earlier. So no call starves.
 */
export interface Place extends Fair.Place {
  readonly priority: Priority
}

export interface Waiter extends AcquireRequest {
  readonly place: Place
  /** When its longest wait ends. */
  readonly deadline: number
  /** Opened when its wait may have changed. */
  readonly wakeup: Effect.Latch
}

/** The waiting calls of each priority. */
export type Waiters = Readonly<Record<Priority, Fair.FairQueue<Waiter>>>

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
  readonly queue: Waiters
  readonly arrivals: number
  /** The buckets after all waiters have been served; undefined if they must be recalculated. */
  readonly projected: Buckets | undefined
  readonly pace: Pace
  /** The part of each limit in use: 1, but for a limiter that is cut off from those that share its limits. */
  readonly share: number
  /** The last known recurrence of the refill schedule. */
  readonly cursor: Cursor | undefined
}

export const noWaiters: Waiters = { interactive: Fair.empty(), batch: Fair.empty() }

/** The number of waiting calls. */
export const size = ({ batch, interactive }: Waiters): number => interactive.size + batch.size

export const has = (queue: Waiters, waiter: Waiter): boolean => Fair.has(queue[waiter.place.priority], waiter)

/** The next call to be served. */
export const head = ({ batch, interactive }: Waiters): Waiter | undefined => {
  const first = Fair.head(interactive)
  return batch.size === 0 ? first : earlier(first, Fair.head(batch))
}

const earlier = (self: Waiter | undefined, that: Waiter | undefined): Waiter | undefined =>
  self === undefined || (that !== undefined && Fair.before(that.place, self.place)) ? that : self

const withPriority = (
  queue: Waiters,
  priority: Priority,
  change: (queue: Fair.FairQueue<Waiter>) => Fair.FairQueue<Waiter>
): Waiters => ({ ...queue, [priority]: change(queue[priority]) })

/** A walk through the calls of both priorities in the order in which they are served. */
const walk = ({ batch, interactive }: Waiters): Fair.Walk<Waiter> => {
  const first = Fair.walk(interactive)
  if (batch.size === 0) return first
  const second = Fair.walk(batch)
  const next = (): Fair.Walk<Waiter> => {
    const waiter = first.current()
    return waiter !== undefined && earlier(waiter, second.current()) === waiter ? first : second
  }
  return {
    current: () => next().current(),
    isPlaced: () => next().isPlaced(),
    serve: () => next().serve(),
    remove: () => next().remove()
  }
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
  if (size(queue) > 0 || notBefore > requests.updatedAt) return 0
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

/** The buckets after all waiters before a new one have been served in order. */
const projectedBefore = (state: State, waiter: Waiter): Buckets => {
  if (size(state.queue) === 0) return state
  // A projection is a lower bound if waiters depend on calls in flight, and time has passed since it was made.
  if (state.projected !== undefined && isLast(state, waiter))
    return bucketsAt(state.projected, state.requests.updatedAt)
  let buckets: Buckets = state
  const order = walk(add(state.queue, waiter))
  for (let next = order.current(); next !== undefined && next !== waiter; next = order.current()) {
    buckets = afterServing(buckets, next)
    order.serve()
  }
  return buckets
}

const add = (queue: Waiters, waiter: Waiter): Waiters =>
  withPriority(queue, waiter.place.priority, (calls) => Fair.add(calls, waiter))

/** Whether a new waiter is served after all others. */
const isLast = ({ queue }: State, { place }: Waiter): boolean =>
  // A batch call that arrives now is behind all interactive ones. A call that was served before can be anywhere.
  place.cost > 0 && (place.priority === "batch" || queue.batch.size === 0) && Fair.isLast(queue[place.priority], place)

/**
 * The wait of a new waiter from the state's time on: exact, except that calls of a higher priority or of clients that have got less
 * can still pass, and that calls in flight can end late.
 */
export const waitAt = (state: State, waiter: Waiter): number => {
  const buckets = projectedBefore(state, waiter)
  return Math.max(0, buckets.requests.updatedAt - state.requests.updatedAt) + waitFor(buckets, waiter)
}

/** Adds a waiter, and evicts those behind it whose wait now exceeds their deadline. Returns them. */
export const enqueue = (state: State, waiter: Waiter): readonly [State, ReadonlyArray<Waiter>] => {
  const next: State = { ...state, queue: add(state.queue, waiter) }
  return isLast(state, waiter)
    ? [{ ...next, projected: afterServing(projectedBefore(state, waiter), waiter) }, []]
    : evict(next)
}

/** Removes a waiter that is not served. */
export const dequeue = (state: State, waiter: Waiter): State => ({
  ...state,
  queue: remove(state.queue, waiter),
  projected: undefined
})

const remove = (queue: Waiters, waiter: Waiter): Waiters =>
  withPriority(queue, waiter.place.priority, (calls) => Fair.remove(calls, waiter))

/** Grants the request of the next waiter, and removes it. */
export const serve = (state: State, waiter: Waiter): State => ({
  ...grant(state, waiter),
  queue: withPriority(state.queue, waiter.place.priority, Fair.serve)
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

/** Counts in the windows from `at` on what was granted at `grantedAt`. */
export const postpone = (state: State, { requests }: AcquireRequest, grantedAt: number, at: number): State => ({
  ...state,
  windows: eachWindow(state.windows, (window) =>
    SlidingWindow.take(SlidingWindow.giveBack(window, grantedAt, requests), requests, at)
  ),
  projected: undefined
})

/** Whether a call that does not join is served before all waiters. */
export const isNext = ({ queue }: State, place: Place): boolean => {
  if (!Fair.isNext(queue[place.priority], place)) return false
  const other = Fair.head(queue[place.priority === "batch" ? "interactive" : "batch"])
  return other === undefined || Fair.before(place, other.place)
}

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
  const order = walk(queue)
  for (let waiter = order.current(); waiter !== undefined; waiter = order.current()) {
    const served = afterServing(buckets, waiter)
    const servedAt = served.requests.updatedAt
    // Depends on a recurrence that is not known yet: the transition is made again when it is.
    if (Number.isNaN(servedAt)) return [{ ...state, queue, projected: served }, evictedWaiters]
    if (servedAt < Infinity && (servedAt <= waiter.deadline + roundingTolerance || !order.isPlaced())) {
      buckets = served
      order.serve()
    } else {
      evictedWaiters.push(waiter)
      queue = remove(queue, waiter)
      order.remove()
    }
  }
  return [{ ...state, queue, projected: buckets }, evictedWaiters]
}
