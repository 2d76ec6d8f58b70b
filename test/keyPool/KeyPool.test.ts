import { describe, expect, it } from "@effect/vitest"
import type { Exit } from "effect"
import { Array, Duration, Effect, Fiber, Order, Random, TestClock } from "effect"
import type * as ApiKey from "../../src/vocabulary/ApiKey.js"
import * as KeyPool from "../../src/keyPool/KeyPool.js"
import {
  AuthenticationError,
  NetworkError,
  PermissionError,
  QuotaExceededError,
  RateLimitError
} from "../../src/vocabulary/LLMError.js"
import { makeClock } from "../support/interleaving.js"
import { fromOption } from "../../src/internal/asEffect.js"

const context = { provider: "acme", model: "m", message: "no", attempts: [] }

const keysOf = (count: number, options: ApiKey.Options = {}) =>
  Array.makeBy(count, (index) => ({ key: `sk-${index}`, id: `k${index}`, ...options }))

const weightedKeys = (...weights: ReadonlyArray<number>) =>
  weights.map((weight, index) => ({ key: `sk-${index}`, id: `k${index}`, weight }))

const pool = (options: Partial<KeyPool.Options> = {}) => KeyPool.make({ provider: "acme", keys: keysOf(3), ...options })

const idsOf = (self: KeyPool.Service, calls: number) =>
  Effect.replicateEffect(
    self.withKey((key) => Effect.succeed(key.id)),
    calls
  )

const shares = (ids: ReadonlyArray<string>) => {
  const counts = new Map<string, number>()
  for (const id of ids) counts.set(id, (counts.get(id) ?? 0) + 1)
  return Object.fromEntries([...counts].map(([id, count]) => [id, count / ids.length]))
}

const statusOf = (self: KeyPool.Service, id: string) =>
  Effect.flatMap(self.status, (status) => fromOption(Array.findFirst(status.keys, (key) => key.id === id)))

const inFlight = (self: KeyPool.Service) => Effect.map(self.status, (status) => status.keys.map((key) => key.inFlight))

describe("the leastLoaded strategy", () => {
  it.effect("leastLoaded gives keys of weights 3 and 2 60 and 40 percent of sequential calls", () =>
    Effect.gen(function* () {
      const self = yield* pool({ keys: weightedKeys(3, 2) })
      const { k0, k1 } = shares(yield* idsOf(self, 10_000))
      expect(k0).toBeCloseTo(0.6, 2)
      expect(k1).toBeCloseTo(0.4, 2)
    })
  )

  it.effect(
    "leastLoaded keeps shares within 5 percent of the weights with 50 concurrent calls that end in any order",
    () =>
      Effect.gen(function* () {
        const self = yield* pool({ keys: weightedKeys(3, 2) })
        const ids: Array<string> = []
        const leases = yield* Effect.replicateEffect(self.reserve(), 50)
        for (let call = 0; call < 5_000; call++) {
          const index = yield* Random.nextIntBetween(0, leases.length)
          const [ended] = leases.splice(index, 1)
          if (ended !== undefined) yield* ended.settle(KeyPool.Verdict.Served({ latency: call }))
          const lease = yield* self.reserve()
          leases.push(lease)
          ids.push(lease.key.id)
        }
        const { k0 } = shares(ids)
        expect(k0).toBeGreaterThan(0.57)
        expect(k0).toBeLessThan(0.63)
        expect(yield* inFlight(self)).toEqual([30, 20])
      }).pipe(Effect.withRandom(Random.make("ends")))
  )

  it.effect("leastLoaded shares concurrent calls of random duration by weight", () => {
    const { clock, pass } = makeClock()
    return Effect.gen(function* () {
      const self = yield* pool({ keys: weightedKeys(3, 2) })
      const ids: Array<string> = []
      const call = self.withKey((key) =>
        Effect.zipRight(
          Effect.sync(() => ids.push(key.id)),
          Effect.flatMap(Random.nextIntBetween(1, 6), (tenths) => Effect.sleep(tenths * 100))
        )
      )
      const fiber = yield* Effect.fork(Effect.all(Array.replicate(call, 500), { concurrency: 50, discard: true }))
      yield* pass(60_000)
      yield* Fiber.join(fiber)
      expect(ids.length).toBe(500)
      expect(shares(ids)["k0"]).toBeGreaterThan(0.55)
      expect(shares(ids)["k0"]).toBeLessThan(0.65)
    }).pipe(Effect.withRandom(Random.make("holds")), Effect.withClock(clock))
  })

  it.effect("leastLoaded picks the key with the fewest calls in flight for its weight", () =>
    Effect.gen(function* () {
      const self = yield* pool({ keys: weightedKeys(1, 4, 2) })
      const leases = yield* Effect.replicateEffect(self.reserve(), 14)
      expect(yield* inFlight(self)).toEqual([2, 8, 4])
      yield* Effect.forEach(leases, (lease) => lease.settle(KeyPool.Verdict.Neutral()))
      expect(yield* inFlight(self)).toEqual([0, 0, 0])
    })
  )
})

describe("the other strategies", () => {
  it.effect("roundRobin takes the keys in turn, whatever their weights", () =>
    Effect.gen(function* () {
      const self = yield* pool({ keys: weightedKeys(9, 1, 1), strategy: KeyPool.roundRobin })
      expect(yield* idsOf(self, 6)).toEqual(["k0", "k1", "k2", "k0", "k1", "k2"])
    })
  )

  it.effect("weighted spreads calls by weight while two keys have a long call in flight", () =>
    Effect.gen(function* () {
      const self = yield* pool({ keys: weightedKeys(3, 1), strategy: KeyPool.weighted })
      yield* self.reserve()
      yield* self.reserve()
      const { k0, k1 } = shares(yield* idsOf(self, 400))
      expect(k0).toBeCloseTo(0.75, 1)
      expect(k1).toBeCloseTo(0.25, 1)
    })
  )

  it.effect("failover takes the first key of the list for as long as it is ready", () =>
    Effect.gen(function* () {
      const self = yield* pool({ strategy: KeyPool.failover })
      expect(yield* idsOf(self, 3)).toEqual(["k0", "k0", "k0"])
      yield* self.disable("k0")
      expect(yield* idsOf(self, 2)).toEqual(["k1", "k1"])
      yield* self.enable("k0")
      expect(yield* idsOf(self, 1)).toEqual(["k0"])
    })
  )

  it.effect("random draws keys by weight, each draw independent of the last", () =>
    Effect.gen(function* () {
      const self = yield* pool({ keys: weightedKeys(3, 2, 1), strategy: KeyPool.random })
      const ids = yield* idsOf(self, 20_000)
      const { k0 = 0, k1, k2 } = shares(ids)
      expect(k0).toBeCloseTo(0.5, 1)
      expect(k1).toBeCloseTo(1 / 3, 1)
      expect(k2).toBeCloseTo(1 / 6, 1)
      const afterK0 = ids.slice(1).filter((_, index) => ids[index] === "k0")
      expect(Math.abs((shares(afterK0)["k0"] ?? 0) - k0)).toBeLessThan(0.03)
    }).pipe(Effect.withRandom(Random.make("draws")))
  )

  it.effect("random draws the same keys for the same seed", () =>
    Effect.gen(function* () {
      const draw = Effect.flatMap(pool({ strategy: KeyPool.random }), (self) => idsOf(self, 50))
      const first = yield* Effect.withRandom(draw, Random.make("a"))
      expect(yield* Effect.withRandom(draw, Random.make("a"))).toEqual(first)
      expect(yield* Effect.withRandom(draw, Random.make("b"))).not.toEqual(first)
    })
  )

  it.effect("a pool takes keys in the order of a custom strategy combined with Order.combine", () =>
    Effect.gen(function* () {
      const byNameBackwards: KeyPool.Strategy = Order.mapInput(Order.reverse(Order.string), (key) => key.id)
      const fewest: KeyPool.Strategy = Order.mapInput(Order.number, (key) => key.inFlight)
      const self = yield* pool({ strategy: Order.combine(fewest, byNameBackwards) })
      const leases = yield* Effect.replicateEffect(self.reserve(), 4)
      expect(leases.map((lease) => lease.key.id)).toEqual(["k2", "k1", "k0", "k2"])
    })
  )
})

describe("the latency strategy", () => {
  const timed = (self: KeyPool.Service, durations: Record<string, number>) =>
    Effect.gen(function* () {
      const lease = yield* self.reserve()
      const millis = durations[lease.key.id] ?? 0
      yield* TestClock.adjust(millis)
      yield* lease.settle(KeyPool.Verdict.Served({ latency: millis }))
      return lease.key.id
    })

  it.effect("latency measures each key once, then keeps to the fastest", () =>
    Effect.gen(function* () {
      const self = yield* pool({ strategy: KeyPool.latency })
      const ids = yield* Effect.replicateEffect(timed(self, { k0: 900, k1: 100, k2: 500 }), 10)
      expect(ids.slice(0, 3)).toEqual(["k0", "k1", "k2"])
      expect(new Set(ids.slice(3))).toEqual(new Set(["k1"]))
    })
  )

  it.effect("latency gives an unmeasured key one call and spreads the others by calls in flight", () =>
    Effect.gen(function* () {
      const self = yield* pool({ strategy: KeyPool.latency, keys: keysOf(2) })
      yield* timed(self, { k0: 100 })
      const ids = (yield* Effect.replicateEffect(self.reserve(), 4)).map((lease) => lease.key.id)
      expect(ids).toEqual(["k1", "k0", "k0", "k0"])
    })
  )

  it.effect("latency takes a higher sample at once and lowers the average slowly", () =>
    Effect.gen(function* () {
      const self = yield* pool({ strategy: KeyPool.latency, keys: keysOf(1), latencyDecay: "10 seconds" })
      const sample = (latency: number) =>
        Effect.gen(function* () {
          const lease = yield* self.reserve()
          yield* lease.settle(KeyPool.Verdict.Served({ latency }))
          return (yield* statusOf(self, "k0")).latency
        })
      expect(yield* sample(100)).toBe(100)
      expect(yield* sample(400)).toBe(400)
      yield* TestClock.adjust("10 seconds")
      expect(yield* sample(100)).toBeCloseTo(100 + 300 / Math.E)
    })
  )

  it.effect("latency tries a slow key again after a while", () =>
    Effect.gen(function* () {
      const self = yield* pool({ strategy: KeyPool.latency, keys: keysOf(2) })
      const durations = { k0: 1_000, k1: 20_000 }
      const ids = yield* Effect.replicateEffect(timed(self, durations), 150)
      const tries = ids.filter((id) => id === "k1").length
      expect(tries).toBeGreaterThan(2)
      expect(tries).toBeLessThan(10)
    })
  )
})

describe("release of a key", () => {
  const endings: ReadonlyArray<[string, Effect.Effect<unknown, unknown>, Partial<KeyPool.KeyStatus>]> = [
    ["success", Effect.succeed("answer"), { succeeded: 1, state: { _tag: "Ready" } }],
    ["a failure unrelated to the key", Effect.fail("other"), { succeeded: 0, state: { _tag: "Ready" } }],
    ["a defect", Effect.die(new Error("bug")), { succeeded: 0, state: { _tag: "Ready" } }],
    ["interruption", Effect.interrupt, { succeeded: 0, state: { _tag: "Ready" } }],
    ["a rate limit", Effect.fail(new RateLimitError({ ...context, source: "provider" })), { rateLimited: 1 }],
    ["a refusal", Effect.fail(new AuthenticationError(context)), { refused: 1 }]
  ]

  it.effect.each(endings)("withKey gives the key back once after %s", ([, ending, expected]) =>
    Effect.gen(function* () {
      const self = yield* pool({ keys: keysOf(1) })
      const during: Array<number> = []
      const exit: Exit.Exit<unknown, unknown> = yield* Effect.exit(
        self.withKey(() =>
          Effect.zipRight(
            Effect.map(inFlight(self), (counts) => during.push(...counts)),
            ending
          )
        )
      )
      expect(exit).toEqual(yield* Effect.exit(ending))
      expect(during).toEqual([1])
      expect(yield* statusOf(self, "k0")).toMatchObject({ inFlight: 0, served: 1, ...expected })
    })
  )

  it.effect("withKey gives the key back when `use` throws", () =>
    Effect.gen(function* () {
      const self = yield* pool({ keys: keysOf(1) })
      const exit = yield* Effect.exit(
        self.withKey((): Effect.Effect<never> => {
          throw new Error("bug")
        })
      )
      expect(exit._tag).toBe("Failure")
      expect(yield* inFlight(self)).toEqual([0])
    })
  )

  it.effect("a lease counts only the first of several settle calls", () =>
    Effect.gen(function* () {
      const self = yield* pool({ keys: keysOf(1) })
      const lease = yield* self.reserve()
      yield* lease.settle(KeyPool.Verdict.Served({}))
      yield* lease.settle(KeyPool.Verdict.Refused())
      yield* lease.settle(KeyPool.Verdict.Neutral())
      expect(yield* statusOf(self, "k0")).toMatchObject({ inFlight: 0, refused: 0, state: { _tag: "Ready" } })
    })
  )

  it.effect("a scoped lease gives its key back when the scope closes, unless it was settled before", () =>
    Effect.gen(function* () {
      const self = yield* pool({ keys: keysOf(1) })
      yield* Effect.scoped(
        Effect.gen(function* () {
          yield* self.lease()
          expect(yield* inFlight(self)).toEqual([1])
        })
      )
      expect(yield* inFlight(self)).toEqual([0])
      yield* Effect.scoped(
        Effect.gen(function* () {
          const lease = yield* self.lease()
          yield* lease.settle(KeyPool.Verdict.RateLimited({}))
        })
      )
      expect(yield* statusOf(self, "k0")).toMatchObject({ inFlight: 0, rateLimited: 1 })
    })
  )

  it.effect("withKey records the duration of the call as the key's latency", () =>
    Effect.gen(function* () {
      const self = yield* pool({ keys: keysOf(1) })
      yield* self.withKey(() => TestClock.adjust("250 millis"))
      expect((yield* statusOf(self, "k0")).latency).toBe(250)
    })
  )
})

describe("verdictOf", () => {
  const retryAfter = Duration.seconds(7)

  it.each([
    [new RateLimitError({ ...context, source: "provider", retryAfter }), KeyPool.Verdict.RateLimited({ retryAfter })],
    [new RateLimitError({ ...context, source: "provider" }), KeyPool.Verdict.RateLimited({})],
    [new RateLimitError({ ...context, source: "limiter" }), KeyPool.Verdict.Neutral()],
    [new RateLimitError({ ...context, source: "pool" }), KeyPool.Verdict.Neutral()],
    [new QuotaExceededError({ ...context, retryAfter }), KeyPool.Verdict.OutOfQuota({ retryAfter })],
    [new AuthenticationError(context), KeyPool.Verdict.Refused()],
    [
      new QuotaExceededError({ ...context, retryAfter, modelOnly: true }),
      KeyPool.Verdict.OutOfQuota({ retryAfter, modelOnly: true })
    ],
    [new PermissionError(context), KeyPool.Verdict.Refused({ modelOnly: true })],
    [new NetworkError(context), KeyPool.Verdict.Failed()],
    [new Error("RateLimitError"), KeyPool.Verdict.Neutral()],
    [undefined, KeyPool.Verdict.Neutral()]
  ])("%s", (error, verdict) => {
    expect(KeyPool.verdictOf(error)).toEqual(verdict)
  })
})
