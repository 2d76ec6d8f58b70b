/** Who waits for a limiter, and how long each of them will: data in, data out. Times are in milliseconds. */
import type { Effect } from "effect"
import { SortedMap } from "effect"
import * as Bucket from "./tokenBucket.js"

export interface Waiter {
  readonly requests: number
  readonly tokens: number
  /** When it has waited as long as it may. */
  readonly deadline: number
  /** Opened when something has happened that its wait depends on. */
  readonly nudge: Effect.Latch
}

export interface Buckets {
  readonly requests: Bucket.Bucket
  readonly tokens: Bucket.Bucket | undefined
}

export interface State extends Buckets {
  readonly reserved: number
  /** By number of arrival. Who is not in it any more, and was not served, would have waited too long. */
  readonly queue: SortedMap.SortedMap<number, Waiter>
  readonly arrivals: number
  /** The buckets as they will be when all who wait have been served; absent where that must be reckoned anew. */
  readonly promised: Buckets | undefined
}

const bucketsAt = ({ requests, tokens }: Buckets, now: number): Buckets => ({
  requests: Bucket.refilled(requests, now),
  tokens: tokens === undefined ? undefined : Bucket.refilled(tokens, now)
})

export const refilled = (state: State, now: number): State => ({ ...state, ...bucketsAt(state, now) })

export const waitFor = (buckets: Buckets, requests: number, tokens: number): number =>
  Math.max(
    Bucket.waitFor(buckets.requests, requests),
    buckets.tokens === undefined || tokens === 0 ? 0 : Bucket.waitFor(buckets.tokens, tokens)
  )

const without = (buckets: Buckets, requests: number, tokens: number): Buckets => ({
  requests: Bucket.taken(buckets.requests, requests),
  tokens: buckets.tokens === undefined ? undefined : Bucket.taken(buckets.tokens, tokens)
})

/** The buckets at the moment when this much is there, and when it has just been taken. */
export const afterServing = (buckets: Buckets, requests: number, tokens: number): Buckets =>
  without(bucketsAt(buckets, buckets.requests.updatedAt + waitFor(buckets, requests, tokens)), requests, tokens)

/** The buckets when all who wait have been served, one after the other. */
export const promisedBy = (state: State): Buckets => {
  let buckets: Buckets = state
  for (const waiter of SortedMap.values(state.queue)) {
    buckets = afterServing(buckets, waiter.requests, waiter.tokens)
  }
  return buckets
}

/** How long one who comes now will wait, from the state's own time on. */
export const waitBehind = (state: State, promised: Buckets, requests: number, tokens: number): number =>
  Math.max(0, promised.requests.updatedAt - state.requests.updatedAt) + waitFor(promised, requests, tokens)

export const granted = (state: State, requests: number, tokens: number): State => ({
  ...state,
  ...without(state, requests, tokens),
  reserved: state.tokens === undefined ? 0 : state.reserved + tokens
})

/** Shorter than any wait that matters: what sums of fractions may be off by, in milliseconds. */
const slack = 1

/** The state without those who would wait longer than they may, and these. */
export const evicted = (state: State): readonly [State, ReadonlyArray<Waiter>] => {
  const leaving: Array<Waiter> = []
  let { queue } = state
  let buckets: Buckets = state
  for (const [ticket, waiter] of state.queue) {
    const served = afterServing(buckets, waiter.requests, waiter.tokens)
    if (served.requests.updatedAt <= waiter.deadline + slack) {
      buckets = served
    } else {
      leaving.push(waiter)
      queue = SortedMap.remove(queue, ticket)
    }
  }
  return [{ ...state, queue, promised: buckets }, leaving]
}
