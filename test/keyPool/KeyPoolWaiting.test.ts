import { describe, expect, it } from "@effect/vitest"
import { Array, Clock, Duration, Effect, Exit, Fiber, Ref, TestClock } from "effect"
import type * as ApiKey from "../../src/vocabulary/ApiKey.js"
import * as KeyPool from "../../src/keyPool/KeyPool.js"
import { collectGarbage } from "../support/garbage.js"

const { Neutral, OutOfQuota, RateLimited, Refused, Served } = KeyPool.Verdict

const keysOf = (count: number, options: ApiKey.Options = {}) =>
  Array.makeBy(count, (index) => ({ key: `sk-${index}`, id: `k${index}`, ...options }))

/** A pool of one key that serves one call at a time, unless said otherwise. */
const pool = (options: Partial<KeyPool.Options> = {}) =>
  KeyPool.make({ providerId: "acme", keys: keysOf(1, { maxConcurrency: 1 }), ...options })

/** Runs all that can run without time passing. */
const settled = TestClock.adjust(0)

const waiting = (self: KeyPool.Service) => Effect.map(self.status, (status) => status.waiting)

const inFlight = (self: KeyPool.Service) => Effect.map(self.status, (status) => status.keys.map((key) => key.inFlight))

/** Asks for a key in a fiber of its own, and notes its name once it has one. */
const queue = (
  self: KeyPool.Service,
  log: Ref.Ref<ReadonlyArray<string>>,
  name: string,
  options?: KeyPool.LeaseOptions
) =>
  Effect.tap(
    Effect.fork(Effect.tap(self.acquire(options), (lease) => Ref.update(log, Array.append(`${name}:${lease.key.id}`)))),
    () => settled
  )

const names = Ref.make<ReadonlyArray<string>>([])

describe("a key is never over its cap", () => {
  it.effect("those for whom there is none wait, and are served as calls end", () =>
    Effect.gen(function* () {
      const self = yield* pool({ keys: keysOf(2, { maxConcurrency: 3 }) })
      const most = yield* Ref.make(0)
      const call = self.withKey(() =>
        Effect.zipRight(
          Effect.flatMap(inFlight(self), (counts) => Ref.update(most, (n) => Math.max(n, ...counts))),
          Effect.sleep("1 second")
        )
      )
      const fiber = yield* Effect.fork(Effect.all(Array.replicate(call, 20), { concurrency: "unbounded" }))
      yield* settled
      expect(yield* inFlight(self)).toEqual([3, 3])
      expect(yield* waiting(self)).toBe(14)
      yield* TestClock.adjust("4 seconds")
      yield* Fiber.join(fiber)
      expect(yield* Ref.get(most)).toBe(3)
      expect(yield* inFlight(self)).toEqual([0, 0])
      expect(yield* waiting(self)).toBe(0)
    })
  )
})

describe("those who wait are served in the order in which they came", () => {
  it.effect("as calls end", () =>
    Effect.gen(function* () {
      const self = yield* pool()
      const log = yield* names
      let lease = yield* self.acquire()
      const fibers = yield* Effect.forEach(["a", "b", "c"], (name) => queue(self, log, name))
      for (const fiber of fibers) {
        yield* lease.settle(Neutral())
        lease = yield* Fiber.join(fiber)
      }
      expect(yield* Ref.get(log)).toEqual(["a:k0", "b:k0", "c:k0"])
    })
  )

  it.effect("a newcomer does not overtake them", () =>
    Effect.gen(function* () {
      const self = yield* pool()
      const log = yield* names
      const lease = yield* self.acquire()
      yield* queue(self, log, "first")
      // The key is free from here on, but promised.
      yield* lease.settle(Neutral())
      expect((yield* Effect.exit(self.acquire({ maxWait: 0 })))._tag).toBe("Failure")
      yield* settled
      expect(yield* Ref.get(log)).toEqual(["first:k0"])
    })
  )

  it.effect("as rests end", () =>
    Effect.gen(function* () {
      const self = yield* pool({ keys: keysOf(2, { maxConcurrency: 1 }) })
      const log = yield* names
      yield* self.rest("k0", "2 seconds")
      yield* self.rest("k1", "1 second")
      yield* Effect.forEach(["a", "b"], (name) => queue(self, log, name))
      yield* TestClock.adjust("999 millis")
      expect(yield* Ref.get(log)).toEqual([])
      yield* TestClock.adjust("1 millis")
      expect(yield* Ref.get(log)).toEqual(["a:k1"])
      yield* TestClock.adjust("1 second")
      expect(yield* Ref.get(log)).toEqual(["a:k1", "b:k0"])
    })
  )

  it.effect("one whom the free key does not suit lets the next pass, and keeps its place", () =>
    Effect.gen(function* () {
      const self = yield* pool({ keys: keysOf(2, { maxConcurrency: 1 }) })
      const log = yield* names
      const first = yield* self.acquire()
      const second = yield* self.acquire()
      yield* queue(self, log, "not-k0", { exclude: new Set(["k0"]) })
      yield* queue(self, log, "any")
      yield* first.settle(Neutral())
      yield* settled
      expect(yield* Ref.get(log)).toEqual(["any:k0"])
      yield* second.settle(Neutral())
      yield* settled
      expect(yield* Ref.get(log)).toEqual(["any:k0", "not-k0:k1"])
    })
  )
})

describe("those who wait are woken", () => {
  const wakers: ReadonlyArray<[string, (self: KeyPool.Service) => Effect.Effect<unknown, unknown>]> = [
    ["a key that is added", (self) => self.add({ key: "sk-new", id: "new" })],
    ["a key that is enabled", (self) => self.enable("k1")],
    ["a key whose rest turns out to be forgiven", (self) => self.enable("k2")]
  ]

  it.effect.each(wakers)("by %s", ([, wake]) =>
    Effect.gen(function* () {
      const self = yield* pool({ keys: keysOf(3, { maxConcurrency: 1 }), strategy: KeyPool.failover })
      const log = yield* names
      yield* self.disable("k1")
      yield* self.rest("k2", "1 hour")
      yield* self.acquire()
      yield* queue(self, log, "a")
      expect(yield* waiting(self)).toBe(1)
      yield* wake(self)
      yield* settled
      expect((yield* Ref.get(log)).length).toBe(1)
      expect(yield* waiting(self)).toBe(0)
    })
  )

  it.effect("at the new instant, when a key turns out to rest for less than all others", () =>
    Effect.gen(function* () {
      const self = yield* pool({ keys: keysOf(2, { maxConcurrency: 1 }) })
      const log = yield* names
      const lease = yield* self.acquire()
      yield* self.rest("k1", "20 seconds")
      yield* Effect.forEach(["a", "b", "c"], (name) => queue(self, log, name))
      yield* lease.settle(RateLimited({ retryAfter: Duration.seconds(3) }))
      yield* TestClock.adjust("3 seconds")
      expect(yield* Ref.get(log)).toEqual(["a:k0"])
      yield* TestClock.adjust("17 seconds")
      expect(yield* Ref.get(log)).toEqual(["a:k0", "b:k1"])
    })
  )

  it.effect("though the one who watched the clock for them has gone", () =>
    Effect.gen(function* () {
      const self = yield* pool()
      const log = yield* names
      yield* self.rest("k0", "10 seconds")
      const fibers = yield* Effect.forEach(["a", "b", "c"], (name) => queue(self, log, name))
      yield* Effect.forEach(fibers.slice(0, 2), Fiber.interrupt)
      expect(yield* waiting(self)).toBe(1)
      yield* TestClock.adjust("10 seconds")
      expect(yield* Ref.get(log)).toEqual(["c:k0"])
    })
  )

  it.effect("and a rest that ends wakes one fiber, not all of a thousand", () =>
    Effect.gen(function* () {
      const self = yield* pool({ keys: keysOf(1, { requestsPerSecond: 1 }), maxWait: "1 day" })
      yield* self.acquire()
      yield* Effect.fork(Effect.all(Array.replicate(self.acquire(), 1_000), { concurrency: "unbounded" }))
      yield* settled
      const sleeps = yield* Effect.map(TestClock.sleeps(), (times) => Array.fromIterable(times))
      expect(sleeps.filter((time) => time === 1_000).length).toBe(1)
    })
  )
})

describe("a call waits no longer than it may", () => {
  it.effect("by default half a minute", () =>
    Effect.gen(function* () {
      const self = yield* pool()
      yield* self.acquire()
      const fiber = yield* Effect.fork(Effect.flip(self.acquire()))
      yield* TestClock.adjust("29999 millis")
      expect(yield* waiting(self)).toBe(1)
      yield* TestClock.adjust("1 millis")
      expect(yield* Fiber.join(fiber)).toMatchObject({
        _tag: "RateLimitError",
        source: "pool",
        provider: "acme",
        model: "",
        attempts: []
      })
      expect(yield* waiting(self)).toBe(0)
    })
  )

  it.effect("no longer than the shorter of what it says itself and what the pool says", () =>
    Effect.gen(function* () {
      const self = yield* pool({ maxWait: "5 seconds" })
      yield* self.acquire()
      const impatient = yield* Effect.fork(Effect.exit(self.acquire({ maxWait: "1 second" })))
      const patient = yield* Effect.fork(Effect.exit(self.acquire({ maxWait: "1 hour" })))
      yield* TestClock.adjust("1 second")
      expect(Exit.isFailure(yield* Fiber.join(impatient))).toBe(true)
      expect(yield* waiting(self)).toBe(1)
      yield* TestClock.adjust("4 seconds")
      expect(Exit.isFailure(yield* Fiber.join(patient))).toBe(true)
    })
  )

  it.effect("not at all where it is known that no key will be ready in time", () =>
    Effect.gen(function* () {
      const self = yield* pool({ keys: keysOf(2) })
      yield* self.rest("k0", "2 minutes")
      yield* self.rest("k1", "1 minute")
      const error = yield* Effect.flip(self.acquire())
      expect(error).toMatchObject({ _tag: "RateLimitError", source: "pool", retryAfter: Duration.minutes(1) })
      expect(error.message).toContain("2 resting")
      expect(yield* Clock.currentTimeMillis).toBe(0)
    })
  )

  it.effect("nor for longer, once that is known", () =>
    Effect.gen(function* () {
      const self = yield* pool()
      const lease = yield* self.acquire()
      const fiber = yield* Effect.fork(Effect.flip(self.acquire()))
      yield* TestClock.adjust("1 second")
      yield* lease.settle(RateLimited({ retryAfter: Duration.hours(24) }))
      expect(yield* Fiber.join(fiber)).toMatchObject({ _tag: "RateLimitError", retryAfter: Duration.hours(24) })
      expect(yield* Clock.currentTimeMillis).toBe(1_000)
    })
  )

  it.effect("but long enough where a call in flight may end", () =>
    Effect.gen(function* () {
      const self = yield* pool({ keys: keysOf(2, { maxConcurrency: 1 }) })
      const log = yield* names
      yield* self.rest("k1", "1 hour")
      const lease = yield* self.acquire()
      yield* queue(self, log, "a")
      yield* TestClock.adjust("20 seconds")
      yield* lease.settle(Served({}))
      yield* settled
      expect(yield* Ref.get(log)).toEqual(["a:k0"])
    })
  )

  it.effect("for ever where it likes", () =>
    Effect.gen(function* () {
      const self = yield* pool({ maxWait: Duration.infinity })
      const log = yield* names
      yield* self.rest("k0", "40 days")
      yield* queue(self, log, "a")
      yield* TestClock.adjust("40 days")
      expect(yield* Ref.get(log)).toEqual(["a:k0"])
    })
  )
})

describe("when there is no key, the error says why", () => {
  it.effect("exhausted where none may be used", () =>
    Effect.gen(function* () {
      const self = yield* pool({ keys: keysOf(3) })
      const [first, second] = [yield* self.acquire(), yield* self.acquire()]
      yield* first.settle(Refused())
      yield* second.settle(OutOfQuota({}))
      yield* self.disable("k2")
      expect(yield* Effect.flip(self.acquire())).toMatchObject({
        _tag: "KeyPoolExhaustedError",
        provider: "acme",
        model: "",
        attempts: [],
        retryAfter: Duration.minutes(5)
      })
    })
  )

  it.effect("without a time where time does not help", () =>
    Effect.gen(function* () {
      const self = yield* pool()
      yield* self.disable("k0")
      const disabled = yield* Effect.flip(self.acquire())
      yield* self.remove("k0")
      const removed = yield* Effect.flip(self.acquire())
      for (const error of [disabled, removed]) {
        expect(error._tag).toBe("KeyPoolExhaustedError")
        expect(error.retryAfter).toBeUndefined()
      }
    })
  )

  it.effect("exhausted where all others have been tried", () =>
    Effect.gen(function* () {
      const self = yield* pool({ keys: keysOf(2) })
      const error = yield* Effect.flip(self.acquire({ exclude: new Set(["k0", "k1", "gone"]) }))
      expect(error._tag).toBe("KeyPoolExhaustedError")
    })
  )

  it.effect("limited where one of the keys merely rests or is busy", () =>
    Effect.gen(function* () {
      const self = yield* pool({ keys: keysOf(2, { maxConcurrency: 1 }) })
      yield* self.disable("k0")
      yield* self.acquire()
      expect((yield* Effect.flip(self.acquire({ maxWait: 0 })))._tag).toBe("RateLimitError")
      yield* self.rest("k1", "3 seconds")
      expect(yield* Effect.flip(self.acquire({ maxWait: 0 }))).toMatchObject({
        _tag: "RateLimitError",
        retryAfter: Duration.seconds(3)
      })
    })
  )
})

describe("a call that comes from another key", () => {
  const fromK0: KeyPool.LeaseOptions = { exclude: new Set(["k0"]), cooling: "fail" }

  it.effect("does not wait for one that rests", () =>
    Effect.gen(function* () {
      const self = yield* pool({ keys: keysOf(2) })
      yield* self.rest("k1", "1 second")
      expect(yield* Effect.flip(self.acquire(fromK0))).toMatchObject({
        _tag: "RateLimitError",
        retryAfter: Duration.seconds(1)
      })
    })
  )

  it.effect("waits for one that is busy, until it rests", () =>
    Effect.gen(function* () {
      const self = yield* pool({ keys: keysOf(2, { maxConcurrency: 1 }) })
      const lease = yield* self.acquire({ exclude: new Set(["k0"]) })
      const fiber = yield* Effect.fork(Effect.flip(self.acquire(fromK0)))
      yield* TestClock.adjust("1 second")
      expect(yield* waiting(self)).toBe(1)
      yield* lease.settle(RateLimited({}))
      expect((yield* Fiber.join(fiber))._tag).toBe("RateLimitError")
      expect(yield* Clock.currentTimeMillis).toBe(1_000)
    })
  )

  it.effect("waits for one that is paced", () =>
    Effect.gen(function* () {
      const self = yield* pool({ keys: keysOf(2, { requestsPerSecond: 1 }) })
      const log = yield* names
      yield* self.withKey(() => Effect.void, { exclude: new Set(["k0"]) })
      yield* queue(self, log, "a", fromK0)
      yield* TestClock.adjust("1 second")
      expect(yield* Ref.get(log)).toEqual(["a:k1"])
    })
  )

  it.effect("does not wait for another's probe", () =>
    Effect.gen(function* () {
      const self = yield* pool({ keys: keysOf(2) })
      yield* Effect.flatMap(self.acquire({ exclude: new Set(["k0"]) }), (lease) => lease.settle(Refused()))
      yield* TestClock.adjust("5 minutes")
      yield* self.acquire({ exclude: new Set(["k0"]) })
      expect((yield* Effect.flip(self.acquire(fromK0)))._tag).toBe("KeyPoolExhaustedError")
    })
  )
})

describe("a call that gives up while waiting", () => {
  it.effect("leaves the line", () =>
    Effect.gen(function* () {
      const self = yield* pool()
      const log = yield* names
      const lease = yield* self.acquire()
      const [first] = yield* Effect.forEach(["a", "b"] as const, (name) => queue(self, log, name))
      if (first !== undefined) yield* Fiber.interrupt(first)
      yield* lease.settle(Neutral())
      yield* settled
      expect(yield* Ref.get(log)).toEqual(["b:k0"])
    })
  )

  it.effect("passes on the key that it got at that very moment", () =>
    Effect.gen(function* () {
      const self = yield* pool()
      const log = yield* names
      const lease = yield* self.acquire()
      const [first] = yield* Effect.forEach(["a", "b"] as const, (name) => queue(self, log, name))
      // In one go, so that the first has been granted the key and cannot have fetched it.
      yield* lease.settle(Neutral())
      if (first !== undefined) yield* Fiber.interrupt(first)
      yield* settled
      expect(yield* Ref.get(log)).toEqual(["b:k0"])
      const { keys } = yield* self.status
      expect(keys.map((key) => [key.inFlight, key.served])).toEqual([[1, 2]])
    })
  )

  it.effect("can do so wherever the rest of it cannot be interrupted", () =>
    Effect.gen(function* () {
      const self = yield* pool()
      yield* self.acquire()
      const fiber = yield* Effect.fork(Effect.uninterruptible(self.acquire()))
      yield* settled
      expect(yield* waiting(self)).toBe(1)
      yield* Fiber.interrupt(fiber)
      expect(yield* waiting(self)).toBe(0)
    })
  )
})

describe("a key that was removed", () => {
  /** A pool whose first key was removed after `use` has waited for it, and a reference to that key that does not keep it. */
  const removedAfter = (use: (self: KeyPool.Service, lease: KeyPool.Lease) => Effect.Effect<unknown>) =>
    Effect.gen(function* () {
      const self = yield* pool()
      const lease = yield* self.acquire()
      const key = new WeakRef(lease.key)
      yield* use(self, lease)
      yield* self.remove("k0")
      yield* Effect.orDie(self.add({ key: "sk-1", id: "k1" }))
      return { self, key }
    })

  it.effect("is not kept in memory by a call that had waited for it", () =>
    Effect.gen(function* () {
      const { key, self } = yield* removedAfter((self, lease) =>
        Effect.gen(function* () {
          const waiter = yield* Effect.fork(self.acquire())
          yield* settled
          yield* lease.settle(Neutral())
          const next = yield* Effect.orDie(Fiber.join(waiter))
          yield* next.settle(Neutral())
        })
      )
      yield* collectGarbage
      expect(key.deref()).toBe(undefined)
      expect((yield* self.status).keys.map(({ id }) => id)).toEqual(["k1"])
    })
  )

  it.effect("is not kept in memory by a call that gave up at the moment it got it", () =>
    Effect.gen(function* () {
      const { key, self } = yield* removedAfter((self, lease) =>
        Effect.gen(function* () {
          const waiter = yield* Effect.fork(self.acquire())
          yield* settled
          yield* Effect.zipRight(lease.settle(Neutral()), Fiber.interrupt(waiter))
          expect(yield* inFlight(self)).toEqual([0])
        })
      )
      yield* collectGarbage
      expect(key.deref()).toBe(undefined)
      expect((yield* self.status).keys.map(({ id }) => id)).toEqual(["k1"])
    })
  )
})
