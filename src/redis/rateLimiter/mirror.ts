/** What a process knows of the shared limits: its own limiter, corrected by the replies of Redis. A pure module. */
import * as List from "../../internal/linkedList.js"
import type { SlidingWindow } from "../../internal/slidingWindow.js"
import * as Queue from "../../rateLimiter/queue.js"
import type { State } from "../../rateLimiter/service.js"
import { windowsOf } from "../../rateLimiter/service.js"
import type { Bucket } from "../../rateLimiter/tokenBucket.js"
import { refill } from "../../rateLimiter/tokenBucket.js"
import type { Amount, Entries } from "./scripts.js"

/** What a reply says. */
export interface Remaining extends Partial<Amount> {
  /** The wait until windows and slots admit one more request. */
  readonly closed?: number
}

/** A provider's headers or refusals can only make a process slower than the shared limits. */
const isPaced = (state: State, { slowdown, updatedAt }: Bucket): boolean =>
  state.pace.share < 1 || (slowdown !== undefined && updatedAt < slowdown.until)

/** The first waiting call asks Redis as early as it can be granted: as far ahead as it has waited. */
const withEarlyHead = (state: State, now: number): State => {
  if (isPaced(state, state.requests) || (state.tokens !== undefined && isPaced(state, state.tokens))) return state
  const waiter = Queue.head(state.queue)
  if (waiter === undefined) return state
  const wait = Queue.waitFor({ ...state, windows: [], notBefore: -Infinity }, waiter)
  if (wait === 0 || wait > now - waiter.place.at) return state
  const atLeast = (bucket: Bucket, amount: number): Bucket => ({
    ...bucket,
    available: Math.max(bucket.available, Math.min(bucket.capacity, amount))
  })
  return {
    ...state,
    requests: atLeast(state.requests, waiter.requests),
    tokens: state.tokens && atLeast(state.tokens, waiter.tokens)
  }
}

/** `age` is the time since the command was sent; `pending` was taken here since, and is not in the reply. */
export const corrected =
  (reply: Remaining, age: number, pending: Amount) =>
  (state: State, now: number): State => {
    const correct = (bucket: Bucket, remaining: number | undefined, taken: number): Bucket => {
      if (remaining === undefined) return bucket
      const { available } = refill(
        { ...bucket, available: remaining, updatedAt: bucket.updatedAt - age },
        bucket.updatedAt
      )
      const rest = available - taken
      return { ...bucket, available: isPaced(state, bucket) ? Math.min(bucket.available, rest) : rest }
    }
    const known = {
      ...state,
      requests: correct(state.requests, reply.requests, pending.requests),
      tokens: state.tokens && correct(state.tokens, reply.tokens, pending.tokens),
      notBefore: reply.closed === undefined ? state.notBefore : reply.closed > 0 ? now + reply.closed : -Infinity,
      projected: undefined
    }
    return withEarlyHead(known, now)
  }

/** Nothing is granted for this time, at most. */
export const heldFor =
  (millis: number) =>
  (state: State, now: number): State => ({ ...state, notBefore: now + millis, projected: undefined })

const limited = (amounts: { readonly requests: number; readonly tokens: number | undefined }): Partial<Amount> => ({
  ...(Number.isFinite(amounts.requests) ? { requests: amounts.requests } : {}),
  ...(amounts.tokens === undefined ? {} : { tokens: amounts.tokens })
})

export const remainingOf = ({ requests, tokens }: State): Partial<Amount> =>
  limited({ requests: requests.available, tokens: tokens?.available })

/** What was taken and is not refilled yet. What a provider's headers withhold was not taken. */
const debt = ({ available, capacity, slowdown, updatedAt }: Bucket): number =>
  Math.max(0, capacity - available - (slowdown !== undefined && updatedAt < slowdown.until ? slowdown.withheld : 0))

export const debtsOf = ({ requests, tokens }: State): Partial<Amount> =>
  limited({ requests: debt(requests), tokens: tokens && debt(tokens) })

/**
 * The remaining times and amounts of what was taken since a time and still counts, without the latest, of which Redis has not been
 * heard.
 */
const entriesOf = (window: SlidingWindow | undefined, since: number, pending: number): Entries => {
  if (window === undefined) return []
  const { duration, newer, older, updatedAt } = window
  const entries: Array<Entries[number]> = []
  let left = pending
  for (const { amount, expiresAt } of [...List.items(newer), ...List.items(List.reverse(older))]) {
    const counted = Math.max(0, amount - left)
    left -= amount - counted
    if (counted > 0 && expiresAt - duration >= since) entries.push([expiresAt - updatedAt, counted])
  }
  return entries
}

export const entriesSince = (
  state: State,
  since: number,
  pending: number
): Readonly<Record<"minute" | "day", Entries>> => {
  const { day, minute } = windowsOf(state)
  return { minute: entriesOf(minute, since, pending), day: entriesOf(day, since, pending) }
}
