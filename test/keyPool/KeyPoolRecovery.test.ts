import { describe, expect, it } from "@effect/vitest"
import { Array, Duration, Effect, Option, TestClock } from "effect"
import * as KeyPool from "../../src/keyPool/KeyPool.js"

const { Failed, Neutral, OutOfQuota, RateLimited, Refused, Served } = KeyPool.Verdict

const keysOf = (count: number) => Array.makeBy(count, (index) => ({ key: `sk-${index}`, id: `k${index}` }))

const pool = (options: Partial<KeyPool.Options> = {}) => KeyPool.make({ provider: "acme", keys: keysOf(1), ...options })

/** Reserves as many keys as are ready now, at most a hundred. */
const reserveAll = (self: KeyPool.Service) =>
  Effect.map(
    Effect.replicateEffect(Effect.option(self.reserve({ maxWait: 0 })), 100),
    Array.filterMap((lease) => lease)
  )

const settleAll = (leases: ReadonlyArray<KeyPool.Lease>, verdict: KeyPool.Verdict) =>
  Effect.forEach(leases, (lease) => lease.settle(verdict), { discard: true })

const use = (self: KeyPool.Service, verdict: KeyPool.Verdict) =>
  Effect.flatMap(self.reserve({ maxWait: 0 }), (lease) => lease.settle(verdict))

const statusOf = (self: KeyPool.Service, id = "k0") =>
  Effect.map(self.status, ({ keys }) => Option.getOrThrow(Array.findFirst(keys, (key) => key.id === id)))

describe("a key that returns from a cooldown", () => {
  it.effect.each([
    ["a rate limit", RateLimited({}), "1 second"],
    ["its quota was used up", OutOfQuota({}), "1 hour"],
    ["it was refused", Refused(), "5 minutes"]
  ] as const)("takes one call after %s, and two for each one that succeeds", ([, verdict, cooldown]) =>
    Effect.gen(function* () {
      const self = yield* pool()
      yield* use(self, verdict)
      yield* TestClock.adjust(cooldown)
      const admitted: Array<number> = []
      for (let rounds = 0; rounds < 5; rounds++) {
        const leases = yield* reserveAll(self)
        admitted.push(leases.length)
        yield* settleAll(leases, Served({}))
      }
      expect(admitted).toEqual([1, 2, 4, 8, 16])
    })
  )

  it.effect("takes one call again when one of those that it admitted is refused", () =>
    Effect.gen(function* () {
      const self = yield* pool()
      yield* use(self, RateLimited({}))
      yield* TestClock.adjust("1 second")
      yield* use(self, Served({}))
      const [first, second] = yield* reserveAll(self)
      if (first === undefined || second === undefined) return expect.fail("two calls are admitted")
      yield* first.settle(RateLimited({}))
      yield* TestClock.adjust("1 second")
      // The end of a call that began before the cooldown says nothing about the key after it.
      yield* second.settle(Served({}))
      expect(yield* reserveAll(self)).toHaveLength(1)
    })
  )

  it.effect("takes two calls while its first one is in flight and was not refused within a second", () =>
    Effect.gen(function* () {
      const self = yield* pool()
      yield* use(self, RateLimited({}))
      yield* TestClock.adjust("1 second")
      expect(yield* reserveAll(self)).toHaveLength(1)
      yield* TestClock.adjust("999 millis")
      expect(yield* reserveAll(self)).toHaveLength(0)
      yield* TestClock.adjust("1 millis")
      expect(yield* reserveAll(self)).toHaveLength(1)
      yield* TestClock.adjust("1 second")
      expect(yield* reserveAll(self)).toHaveLength(2)
    })
  )

  it.effect("takes further calls when a stream that tests it has begun, before the stream ends", () =>
    Effect.gen(function* () {
      const self = yield* pool()
      yield* use(self, OutOfQuota({}))
      yield* TestClock.adjust("1 hour")
      const stream = yield* self.reserve()
      expect(yield* reserveAll(self)).toHaveLength(0)
      yield* stream.accept ?? Effect.void
      expect(yield* statusOf(self)).toMatchObject({ halfOpen: false, inFlight: 1 })
      expect(yield* reserveAll(self)).toHaveLength(2)
      yield* stream.settle(Served({}))
      expect(yield* reserveAll(self)).toHaveLength(0)
    })
  )

  it.effect("takes all calls at once after it was put to rest because its headers reported nothing left", () =>
    Effect.gen(function* () {
      const self = yield* pool()
      yield* self.rest("k0", "1 second")
      yield* TestClock.adjust("1 second")
      expect(yield* reserveAll(self)).toHaveLength(100)
    })
  )
})

describe("maxCooldown", () => {
  it.effect("bounds a Retry-After: the key is tested once an hour", () =>
    Effect.gen(function* () {
      const self = yield* pool()
      for (const verdict of [RateLimited, OutOfQuota]) {
        yield* use(self, verdict({ retryAfter: Duration.seconds(99_999_999_999) }))
        expect((yield* statusOf(self)).state).toMatchObject({ remaining: Duration.hours(1) })
        yield* TestClock.adjust("1 hour")
        expect(yield* reserveAll(self)).toHaveLength(1)
        yield* self.enable("k0")
      }
    })
  )

  it.effect("bounds the pause of a key whose headers report nothing left", () =>
    Effect.gen(function* () {
      const self = yield* pool({ cooldown: { maxCooldown: "1 minute" } })
      yield* self.rest("k0", "24 hours")
      expect((yield* statusOf(self)).state).toMatchObject({ remaining: Duration.minutes(1) })
    })
  )
})

describe("a key whose calls fail", () => {
  it.effect("is used only where no other key is ready, from its first failure on", () =>
    Effect.gen(function* () {
      const self = yield* pool({ keys: keysOf(2), strategy: KeyPool.failover })
      yield* use(self, Failed())
      const lease = yield* self.reserve()
      expect(lease.key.id).toBe("k1")
      yield* lease.settle(Served({}))
      yield* self.disable("k1")
      expect((yield* self.reserve({ maxWait: 0 })).key.id).toBe("k0")
    })
  )

  it.effect("is tried by one call a second later, and by all when that succeeds", () =>
    Effect.gen(function* () {
      const self = yield* pool({ keys: keysOf(2), strategy: KeyPool.failover })
      yield* use(self, Failed())
      yield* TestClock.adjust("1 second")
      const probe = yield* self.reserve()
      const other = yield* self.reserve()
      expect([probe.key.id, other.key.id]).toEqual(["k0", "k1"])
      yield* probe.settle(Served({}))
      expect((yield* self.reserve()).key.id).toBe("k0")
    })
  )

  it.effect("is cooled after five failures in a row, and tested by one call after it", () =>
    Effect.gen(function* () {
      const self = yield* pool({ keys: keysOf(2), strategy: KeyPool.failover })
      yield* self.disable("k1")
      yield* self.add({ key: "sk-2", id: "k2" })
      yield* self.enable("k1")
      const leases = yield* Effect.replicateEffect(self.reserve(), 5)
      expect(leases.map(({ key }) => key.id)).toEqual(Array.replicate("k0", 5))
      yield* settleAll(leases.slice(1), Failed())
      expect((yield* statusOf(self)).state._tag).toBe("Ready")
      yield* settleAll(leases.slice(0, 1), Failed())
      expect(yield* statusOf(self)).toMatchObject({ state: { _tag: "Cooling", reason: "failing" }, failed: 5 })
      yield* TestClock.adjust("1 second")
      expect(yield* statusOf(self)).toMatchObject({ state: { _tag: "Ready" }, halfOpen: true })
      yield* use(self, Served({}))
      expect((yield* statusOf(self)).halfOpen).toBe(false)
    })
  )

  it.effect("is not cooled after five failures with a success between them", () =>
    Effect.gen(function* () {
      const self = yield* pool({ keys: keysOf(3) })
      const leases = yield* Effect.replicateEffect(self.reserve({ exclude: new Set(["k1", "k2"]) }), 9)
      for (const [index, lease] of leases.entries()) yield* lease.settle(index === 4 ? Served({}) : Failed())
      expect((yield* statusOf(self)).state._tag).toBe("Ready")
    })
  )

  it.effect.each([
    [1, 0],
    [2, 1],
    [3, 1],
    [10, 5]
  ] as const)(
    "is not cooled where fewer than half of the keys, or none, would stay usable: of %d keys %d are",
    ([count, cooled]) =>
      Effect.gen(function* () {
        const self = yield* pool({ keys: keysOf(count), cooldown: { maxFailures: 1 } })
        for (let index = 0; index < count; index++) {
          const others = keysOf(count).map(({ id }) => id)
          yield* Effect.flatMap(
            self.reserve({ exclude: new Set(others.filter((id) => id !== `k${index}`)) }),
            (lease) => lease.settle(Failed())
          )
        }
        const { keys } = yield* self.status
        expect(keys.filter(({ state }) => state._tag === "Cooling")).toHaveLength(cooled)
        yield* self.reserve({ maxWait: 0 })
      })
  )

  it.effect("gets one failover until it succeeds, where it has not succeeded since the failures began", () =>
    Effect.gen(function* () {
      const self = yield* pool({ keys: keysOf(2), strategy: KeyPool.failover })
      yield* use(self, Failed())
      const failover = Effect.option(self.reserve({ exclude: new Set(["k0"]), maxWait: 0, failover: true }))
      const first = Option.getOrThrow(yield* failover)
      expect(Option.isNone(yield* failover)).toBe(true)
      yield* first.settle(Served({}))
      expect(Array.getSomes(yield* Effect.replicateEffect(failover, 3))).toHaveLength(3)
    })
  )

  it.effect("is tested by a new call, not by one that has failed, where another key is known to work", () =>
    Effect.gen(function* () {
      const self = yield* pool({ keys: keysOf(3), strategy: KeyPool.failover })
      yield* use(self, Failed())
      yield* Effect.flatMap(self.reserve({ exclude: new Set(["k0"]) }), (lease) => lease.settle(RateLimited({})))
      yield* TestClock.adjust("2 seconds")
      const failover = yield* self.reserve({ failover: true })
      expect(failover.key.id).toBe("k2")
      expect((yield* self.reserve()).key.id).toBe("k0")
      expect((yield* self.reserve({ exclude: new Set(["k0", "k2"]), failover: true })).key.id).toBe("k1")
    })
  )

  it.effect("counts no failure of a call that was neither answered nor refused", () =>
    Effect.gen(function* () {
      const self = yield* pool({ keys: keysOf(2), cooldown: { maxFailures: 1 } })
      yield* use(self, Neutral())
      expect(yield* statusOf(self)).toMatchObject({ state: { _tag: "Ready" }, failed: 0 })
    })
  )
})
