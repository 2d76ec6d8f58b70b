import { describe, expect, it } from "@effect/vitest"
import { Effect, SortedMap } from "effect"
import * as Bucket from "../../src/rateLimiter/tokenBucket.js"
import * as Line from "../../src/rateLimiter/queue.js"

/** How many objects are kept alive by a value. */
const reachable = (value: unknown, seen: Set<unknown> = new Set()): number => {
  if (typeof value !== "object" || value === null || seen.has(value)) return seen.size
  seen.add(value)
  for (const inner of Object.values(value)) reachable(inner, seen)
  return seen.size
}

const began: Line.State = {
  requests: Bucket.full(10, 10, 0),
  tokens: Bucket.full(1000, 100, 0),
  windows: [],
  reserved: 0,
  places: Infinity,
  inFlight: 0,
  queue: SortedMap.empty((self, that) => (self === that ? 0 : Line.before(self, that) ? -1 : 1)),
  arrivals: 0,
  promised: undefined
}

const wish: Line.Wish = { requests: 1, tokens: 10, places: 1 }

/** A call that is served at once, and over. */
const served = (state: Line.State): Line.State => {
  const [after] = Line.evicted(Line.granted(state, wish))
  return { ...after, inFlight: after.inFlight - 1, reserved: after.reserved - wish.tokens }
}

describe("memory of the limiter's queue", () => {
  it("the state does not grow with served calls when no caller waits", () => {
    const first = served(began)
    let state = first
    for (let call = 0; call < 100; call++) state = served(state)
    expect(reachable(state)).toBe(reachable(first))
  })

  it("the state does not grow with evicted waiters", () => {
    const hopeless: Line.Waiter = { ...wish, requests: 10, deadline: -1, wakeup: Effect.unsafeMakeLatch(false) }
    const refused = (state: Line.State): Line.State => {
      const queue = SortedMap.set(state.queue, { at: 0, ticket: 0 }, hopeless)
      const [after, leaving] = Line.evicted({ ...Line.granted(state, { ...wish, requests: 5 }), queue })
      expect(leaving).toEqual([hopeless])
      return after
    }
    const first = refused(began)
    let state = first
    for (let call = 0; call < 100; call++) state = refused(state)
    expect(reachable(state)).toBe(reachable(first))
  })
})
