import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { fullPace } from "../../src/rateLimiter/adaptive.js"
import * as Bucket from "../../src/rateLimiter/tokenBucket.js"
import * as Queue from "../../src/rateLimiter/queue.js"

/** The number of objects that a value keeps in memory. */
const reachable = (value: unknown, seen: Set<unknown> = new Set()): number => {
  if (typeof value !== "object" || value === null || seen.has(value)) return seen.size
  seen.add(value)
  for (const inner of Object.values(value)) reachable(inner, seen)
  return seen.size
}

const initialState: Queue.State = {
  requests: Bucket.make(10, 10, 0),
  tokens: Bucket.make(1000, 100, 0),
  windows: [],
  reserved: 0,
  maxInFlight: Infinity,
  inFlight: 0,
  queue: Queue.noWaiters,
  arrivals: 0,
  projected: undefined,
  notBefore: -Infinity,
  share: 1,
  pace: fullPace,
  cursor: undefined
}

const request: Queue.AcquireRequest = { requests: 1, tokens: 10, slots: 1 }

/** A call that is served at once and ends. */
const served = (state: Queue.State): Queue.State => {
  const [after] = Queue.evict(Queue.grant(state, request))
  return { ...after, inFlight: after.inFlight - 1, reserved: after.reserved - request.tokens }
}

describe("memory of the limiter's queue", () => {
  it("the state does not grow with served calls when no caller waits", () => {
    const first = served(initialState)
    let state = first
    for (let call = 0; call < 100; call++) state = served(state)
    expect(reachable(state)).toBe(reachable(first))
  })

  it("the state does not grow with evicted waiters", () => {
    const late: Queue.Waiter = {
      ...request,
      requests: 10,
      place: { at: 0, ticket: 0, client: "", cost: 10, priority: "interactive" },
      deadline: -1,
      wakeup: Effect.unsafeMakeLatch(false)
    }
    const refused = (state: Queue.State): Queue.State => {
      const [waiting] = Queue.enqueue(Queue.grant(state, { ...request, requests: 5 }), late)
      const [after, evicted] = Queue.evict(waiting)
      expect(evicted).toEqual([late])
      return after
    }
    const first = refused(initialState)
    let state = first
    for (let call = 0; call < 100; call++) state = refused(state)
    expect(reachable(state)).toBe(reachable(first))
  })
})
