import { describe, expect, it } from "@effect/vitest"
import { Array, Clock, Duration, Effect, Exit, Fiber, Ref, TestClock } from "effect"
import { recordingClock } from "../support/sleeps.js"
import type * as ApiKey from "../../src/vocabulary/ApiKey.js"
import * as KeyPool from "../../src/keyPool/KeyPool.js"
import { collectGarbage } from "../support/garbage.js"

const { Neutral, OutOfQuota, RateLimited, Refused, Served } = KeyPool.Verdict

const keysOf = (count: number, options: ApiKey.Options = {}) =>
  Array.makeBy(count, (index) => ({ key: `sk-${index}`, id: `k${index}`, ...options }))

/** A pool of one key with one call at a time, unless the options differ. */
const pool = (options: Partial<KeyPool.Options> = {}) =>
  KeyPool.make({ provider: "acme", keys: keysOf(1, { maxConcurrency: 1 }), ...options })

/** Runs everything that can run before time passes. */
const runPending = TestClock.adjust(0)

const waiting = (self: KeyPool.Service) => Effect.map(self.status, (status) => status.waiting)

const inFlight = (self: KeyPool.Service) => Effect.map(self.status, (status) => status.keys.map((key) => key.inFlight))

/** Acquires a key in a new fiber, and logs `name` and the key's id. */
const acquireInFiber = (
  self: KeyPool.Service,
  log: Ref.Ref<ReadonlyArray<string>>,
  name: string,
  options?: KeyPool.LeaseOptions
) =>
  Effect.tap(
    Effect.fork(Effect.tap(self.reserve(options), (lease) => Ref.update(log, Array.append(`${name}:${lease.key.id}`)))),
    () => runPending
  )

const names = Ref.make<ReadonlyArray<string>>([])

describe("maxConcurrency of a key", () => {
  it.effect("a key never exceeds its maxConcurrency, and waiting calls are served as others end", () =>
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
      yield* runPending
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

describe("order of the queue", () => {
  it.effect("waiting calls are served in order of arrival as calls end", () =>
    Effect.gen(function* () {
      const self = yield* pool()
      const log = yield* names
      let lease = yield* self.reserve()
      const fibers = yield* Effect.forEach(["a", "b", "c"], (name) => acquireInFiber(self, log, name))
      for (const fiber of fibers) {
        yield* lease.settle(Neutral())
        lease = yield* Fiber.join(fiber)
      }
      expect(yield* Ref.get(log)).toEqual(["a:k0", "b:k0", "c:k0"])
    })
  )

  it.effect("a new call does not take a free key before a call that waits for it", () =>
    Effect.gen(function* () {
      const self = yield* pool()
      const log = yield* names
      const lease = yield* self.reserve()
      yield* acquireInFiber(self, log, "first")
      // From here on the key is free, but granted to the waiting call.
      yield* lease.settle(Neutral())
      expect((yield* Effect.exit(self.reserve({ maxWait: 0 })))._tag).toBe("Failure")
      yield* runPending
      expect(yield* Ref.get(log)).toEqual(["first:k0"])
    })
  )

  it.effect("waiting calls are served in order of arrival as cooldowns end", () =>
    Effect.gen(function* () {
      const self = yield* pool({ keys: keysOf(2, { maxConcurrency: 1 }) })
      const log = yield* names
      yield* self.rest("k0", "2 seconds")
      yield* self.rest("k1", "1 second")
      yield* Effect.forEach(["a", "b"], (name) => acquireInFiber(self, log, name))
      yield* TestClock.adjust("999 millis")
      expect(yield* Ref.get(log)).toEqual([])
      yield* TestClock.adjust("1 millis")
      expect(yield* Ref.get(log)).toEqual(["a:k1"])
      yield* TestClock.adjust("1 second")
      expect(yield* Ref.get(log)).toEqual(["a:k1", "b:k0"])
    })
  )

  it.effect("a waiting call that excludes the free key lets the next one have it and keeps its position", () =>
    Effect.gen(function* () {
      const self = yield* pool({ keys: keysOf(2, { maxConcurrency: 1 }) })
      const log = yield* names
      const first = yield* self.reserve()
      const second = yield* self.reserve()
      yield* acquireInFiber(self, log, "not-k0", { exclude: new Set(["k0"]) })
      yield* acquireInFiber(self, log, "any")
      yield* first.settle(Neutral())
      yield* runPending
      expect(yield* Ref.get(log)).toEqual(["any:k0"])
      yield* second.settle(Neutral())
      yield* runPending
      expect(yield* Ref.get(log)).toEqual(["any:k0", "not-k0:k1"])
    })
  )
})

describe("wakeups of waiting calls", () => {
  const changes: ReadonlyArray<[string, (self: KeyPool.Service) => Effect.Effect<unknown, unknown>]> = [
    ["a key that is added", (self) => self.add({ key: "sk-new", id: "new" })],
    ["a key that is enabled", (self) => self.enable("k1")],
    ["a key whose cooldown is ended by enable", (self) => self.enable("k2")]
  ]

  it.effect.each(changes)("a waiting call is served by %s", ([, wake]) =>
    Effect.gen(function* () {
      const self = yield* pool({ keys: keysOf(3, { maxConcurrency: 1 }), strategy: KeyPool.failover })
      const log = yield* names
      yield* self.disable("k1")
      yield* self.rest("k2", "1 hour")
      yield* self.reserve()
      yield* acquireInFiber(self, log, "a")
      expect(yield* waiting(self)).toBe(1)
      yield* wake(self)
      yield* runPending
      expect((yield* Ref.get(log)).length).toBe(1)
      expect(yield* waiting(self)).toBe(0)
    })
  )

  it.effect("waiting calls wake up earlier when a busy key gets a cooldown shorter than all others", () =>
    Effect.gen(function* () {
      const self = yield* pool({ keys: keysOf(2, { maxConcurrency: 1 }) })
      const log = yield* names
      const lease = yield* self.reserve()
      yield* self.rest("k1", "20 seconds")
      yield* Effect.forEach(["a", "b", "c"], (name) => acquireInFiber(self, log, name))
      yield* lease.settle(RateLimited({ retryAfter: Duration.seconds(3) }))
      yield* TestClock.adjust("3 seconds")
      expect(yield* Ref.get(log)).toEqual(["a:k0"])
      yield* TestClock.adjust("17 seconds")
      expect(yield* Ref.get(log)).toEqual(["a:k0", "b:k1"])
    })
  )

  it.effect("the end of a cooldown wakes a waiting call after those before it gave up", () =>
    Effect.gen(function* () {
      const self = yield* pool()
      const log = yield* names
      yield* self.rest("k0", "10 seconds")
      const fibers = yield* Effect.forEach(["a", "b", "c"], (name) => acquireInFiber(self, log, name))
      yield* Effect.forEach(fibers.slice(0, 2), Fiber.interrupt)
      expect(yield* waiting(self)).toBe(1)
      yield* TestClock.adjust("10 seconds")
      expect(yield* Ref.get(log)).toEqual(["c:k0"])
    })
  )

  it.effect("a thousand waiting calls have one timer for the end of a cooldown", () =>
    Effect.gen(function* () {
      const self = yield* pool({ keys: keysOf(1, { requestsPerSecond: 1 }), maxWait: "1 day" })
      yield* self.reserve()
      const { clock, sleeps } = yield* recordingClock
      const waiting = Effect.all(Array.replicate(self.reserve(), 1_000), { concurrency: "unbounded" })
      yield* Effect.fork(Effect.withClock(waiting, clock))
      yield* runPending
      expect(sleeps.filter((time) => time === 1_000).length).toBe(1)
    })
  )
})

describe("maxWait", () => {
  it.effect("acquire fails after 30 seconds by default", () =>
    Effect.gen(function* () {
      const self = yield* pool()
      yield* self.reserve()
      const fiber = yield* Effect.fork(Effect.flip(self.reserve()))
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

  it.effect("acquire waits no longer than the shorter of its own maxWait and that of the pool", () =>
    Effect.gen(function* () {
      const self = yield* pool({ maxWait: "5 seconds" })
      yield* self.reserve()
      const impatient = yield* Effect.fork(Effect.exit(self.reserve({ maxWait: "1 second" })))
      const patient = yield* Effect.fork(Effect.exit(self.reserve({ maxWait: "1 hour" })))
      yield* TestClock.adjust("1 second")
      expect(Exit.isFailure(yield* Fiber.join(impatient))).toBe(true)
      expect(yield* waiting(self)).toBe(1)
      yield* TestClock.adjust("4 seconds")
      expect(Exit.isFailure(yield* Fiber.join(patient))).toBe(true)
    })
  )

  it.effect("acquire fails at once when every cooldown ends after its maxWait", () =>
    Effect.gen(function* () {
      const self = yield* pool({ keys: keysOf(2) })
      yield* self.rest("k0", "2 minutes")
      yield* self.rest("k1", "1 minute")
      const error = yield* Effect.flip(self.reserve())
      expect(error).toMatchObject({ _tag: "RateLimitError", source: "pool", retryAfter: Duration.minutes(1) })
      expect(error.message).toContain("2 resting")
      expect(yield* Clock.currentTimeMillis).toBe(0)
    })
  )

  it.effect("a waiting call fails as soon as a cooldown starts that ends after its maxWait", () =>
    Effect.gen(function* () {
      const self = yield* pool()
      const lease = yield* self.reserve()
      const fiber = yield* Effect.fork(Effect.flip(self.reserve()))
      yield* TestClock.adjust("1 second")
      yield* lease.settle(RateLimited({ retryAfter: Duration.minutes(24) }))
      expect(yield* Fiber.join(fiber)).toMatchObject({ _tag: "RateLimitError", retryAfter: Duration.minutes(24) })
      expect(yield* Clock.currentTimeMillis).toBe(1_000)
    })
  )

  it.effect("acquire waits while a call in flight can still give its key back in time", () =>
    Effect.gen(function* () {
      const self = yield* pool({ keys: keysOf(2, { maxConcurrency: 1 }) })
      const log = yield* names
      yield* self.rest("k1", "1 hour")
      const lease = yield* self.reserve()
      yield* acquireInFiber(self, log, "a")
      yield* TestClock.adjust("20 seconds")
      yield* lease.settle(Served({}))
      yield* runPending
      expect(yield* Ref.get(log)).toEqual(["a:k0"])
    })
  )

  it.effect("acquire waits 40 days when maxWait is infinite", () =>
    Effect.gen(function* () {
      const self = yield* pool({ maxWait: Duration.infinity })
      const log = yield* names
      yield* self.rest("k0", "40 days")
      yield* acquireInFiber(self, log, "a")
      yield* TestClock.adjust("40 days")
      expect(yield* Ref.get(log)).toEqual(["a:k0"])
    })
  )
})

describe("errors when there is no key", () => {
  it.effect("acquire fails with KeyPoolExhaustedError when all keys are refused, out of quota or disabled", () =>
    Effect.gen(function* () {
      const self = yield* pool({ keys: keysOf(3) })
      const [first, second] = [yield* self.reserve(), yield* self.reserve()]
      yield* first.settle(Refused())
      yield* second.settle(OutOfQuota({}))
      yield* self.disable("k2")
      expect(yield* Effect.flip(self.reserve())).toMatchObject({
        _tag: "KeyPoolExhaustedError",
        provider: "acme",
        model: "",
        attempts: [],
        retryAfter: Duration.minutes(5)
      })
    })
  )

  it.effect("KeyPoolExhaustedError has no retryAfter when no key becomes ready by time alone", () =>
    Effect.gen(function* () {
      const self = yield* pool()
      yield* self.disable("k0")
      const disabled = yield* Effect.flip(self.reserve())
      yield* self.remove("k0")
      const removed = yield* Effect.flip(self.reserve())
      for (const error of [disabled, removed]) {
        expect(error._tag).toBe("KeyPoolExhaustedError")
        expect(error.retryAfter).toBeUndefined()
      }
    })
  )

  it.effect("acquire fails with KeyPoolExhaustedError when it excludes every key", () =>
    Effect.gen(function* () {
      const self = yield* pool({ keys: keysOf(2) })
      const error = yield* Effect.flip(self.reserve({ exclude: new Set(["k0", "k1", "gone"]) }))
      expect(error._tag).toBe("KeyPoolExhaustedError")
    })
  )

  it.effect("acquire fails with RateLimitError when one of the keys is busy or in a cooldown", () =>
    Effect.gen(function* () {
      const self = yield* pool({ keys: keysOf(2, { maxConcurrency: 1 }) })
      yield* self.disable("k0")
      yield* self.reserve()
      expect((yield* Effect.flip(self.reserve({ maxWait: 0 })))._tag).toBe("RateLimitError")
      yield* self.rest("k1", "3 seconds")
      expect(yield* Effect.flip(self.reserve({ maxWait: 0 }))).toMatchObject({
        _tag: "RateLimitError",
        retryAfter: Duration.seconds(3)
      })
    })
  )
})

describe("acquire with cooling: fail", () => {
  const fromK0: KeyPool.LeaseOptions = { exclude: new Set(["k0"]), onCooldown: "fail" }

  it.effect("acquire with cooling: fail does not wait for the end of a cooldown", () =>
    Effect.gen(function* () {
      const self = yield* pool({ keys: keysOf(2) })
      yield* self.rest("k1", "1 second")
      expect(yield* Effect.flip(self.reserve(fromK0))).toMatchObject({
        _tag: "RateLimitError",
        retryAfter: Duration.seconds(1)
      })
    })
  )

  it.effect("acquire with cooling: fail waits for a busy key and fails when that key gets a cooldown", () =>
    Effect.gen(function* () {
      const self = yield* pool({ keys: keysOf(2, { maxConcurrency: 1 }) })
      const lease = yield* self.reserve({ exclude: new Set(["k0"]) })
      const fiber = yield* Effect.fork(Effect.flip(self.reserve(fromK0)))
      yield* TestClock.adjust("1 second")
      expect(yield* waiting(self)).toBe(1)
      yield* lease.settle(RateLimited({}))
      expect((yield* Fiber.join(fiber))._tag).toBe("RateLimitError")
      expect(yield* Clock.currentTimeMillis).toBe(1_000)
    })
  )

  it.effect("acquire with cooling: fail waits for a key at its requestsPerSecond", () =>
    Effect.gen(function* () {
      const self = yield* pool({ keys: keysOf(2, { requestsPerSecond: 1 }) })
      const log = yield* names
      yield* self.withKey(() => Effect.void, { exclude: new Set(["k0"]) })
      yield* acquireInFiber(self, log, "a", fromK0)
      yield* TestClock.adjust("1 second")
      expect(yield* Ref.get(log)).toEqual(["a:k1"])
    })
  )

  it.effect("acquire with cooling: fail does not wait for the probe of another call", () =>
    Effect.gen(function* () {
      const self = yield* pool({ keys: keysOf(2) })
      yield* Effect.flatMap(self.reserve({ exclude: new Set(["k0"]) }), (lease) => lease.settle(Refused()))
      yield* TestClock.adjust("5 minutes")
      yield* self.reserve({ exclude: new Set(["k0"]) })
      expect((yield* Effect.flip(self.reserve(fromK0)))._tag).toBe("KeyPoolExhaustedError")
    })
  )
})

describe("interruption of a waiting call", () => {
  it.effect("an interrupted call leaves the queue and the next one gets the key", () =>
    Effect.gen(function* () {
      const self = yield* pool()
      const log = yield* names
      const lease = yield* self.reserve()
      const [first] = yield* Effect.forEach(["a", "b"] as const, (name) => acquireInFiber(self, log, name))
      if (first !== undefined) yield* Fiber.interrupt(first)
      yield* lease.settle(Neutral())
      yield* runPending
      expect(yield* Ref.get(log)).toEqual(["b:k0"])
    })
  )

  it.effect("a call interrupted just after it was granted a key passes the key on", () =>
    Effect.gen(function* () {
      const self = yield* pool()
      const log = yield* names
      const lease = yield* self.reserve()
      const [first] = yield* Effect.forEach(["a", "b"] as const, (name) => acquireInFiber(self, log, name))
      // In one step: the first call has been granted the key and has not fetched it yet.
      yield* lease.settle(Neutral())
      if (first !== undefined) yield* Fiber.interrupt(first)
      yield* runPending
      expect(yield* Ref.get(log)).toEqual(["b:k0"])
      const { keys } = yield* self.status
      expect(keys.map((key) => [key.inFlight, key.served])).toEqual([[1, 2]])
    })
  )

  it.effect("the wait of acquire is interruptible in an uninterruptible region", () =>
    Effect.gen(function* () {
      const self = yield* pool()
      yield* self.reserve()
      const fiber = yield* Effect.fork(Effect.uninterruptible(self.reserve()))
      yield* runPending
      expect(yield* waiting(self)).toBe(1)
      yield* Fiber.interrupt(fiber)
      expect(yield* waiting(self)).toBe(0)
    })
  )
})

describe("memory of a removed key", () => {
  /** A pool whose first key was removed after `use`, and a weak reference to that key. */
  const removedAfter = (use: (self: KeyPool.Service, lease: KeyPool.Lease) => Effect.Effect<unknown>) =>
    Effect.gen(function* () {
      const self = yield* pool()
      const lease = yield* self.reserve()
      const key = new WeakRef(lease.key)
      yield* use(self, lease)
      yield* self.remove("k0")
      yield* Effect.orDie(self.add({ key: "sk-1", id: "k1" }))
      return { self, key }
    })

  it.effect("a removed key is garbage collected after a call has waited for it", () =>
    Effect.gen(function* () {
      const { key, self } = yield* removedAfter((self, lease) =>
        Effect.gen(function* () {
          const waiter = yield* Effect.fork(self.reserve())
          yield* runPending
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

  it.effect("a removed key is garbage collected after a call gave up at the moment it was granted the key", () =>
    Effect.gen(function* () {
      const { key, self } = yield* removedAfter((self, lease) =>
        Effect.gen(function* () {
          const waiter = yield* Effect.fork(self.reserve())
          yield* runPending
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
