import { describe, expect, it } from "@effect/vitest"
import { Array, Clock, Duration, Effect, Fiber, Ref, TestClock } from "effect"
import type * as ApiKey from "../../src/vocabulary/ApiKey.js"
import * as KeyPool from "../../src/keyPool/KeyPool.js"
import { AuthenticationError } from "../../src/vocabulary/LLMError.js"
import { fromOption } from "../../src/internal/asEffect.js"

const { Neutral, OutOfQuota, RateLimited, Refused, Served } = KeyPool.Verdict

const keysOf = (count: number, options: ApiKey.Options = {}) =>
  Array.makeBy(count, (index) => ({ key: `sk-${index}`, id: `k${index}`, ...options }))

const pool = (options: Partial<KeyPool.Options> = {}) => KeyPool.make({ provider: "acme", keys: keysOf(1), ...options })

const statusOf = (self: KeyPool.Service, id = "k0") =>
  Effect.flatMap(self.status, (status) => fromOption(Array.findFirst(status.keys, (key) => key.id === id)))

/** The remaining cooldown of the key in milliseconds; 0 if there is none. */
const restOf = (self: KeyPool.Service, id = "k0") =>
  Effect.map(statusOf(self, id), ({ state }) => ("remaining" in state ? Duration.toMillis(state.remaining) : 0))

const call = (self: KeyPool.Service, verdict: KeyPool.Verdict) =>
  Effect.flatMap(self.reserve({ maxWait: 0 }), (lease) => lease.settle(verdict))

const servedOf = (self: KeyPool.Service) => Effect.map(self.status, (status) => status.keys.map((key) => key.served))

describe("cooldown after a rate limit", () => {
  it.effect("a rate-limited key rests for the whole Retry-After, even a day where `maxCooldown` allows it", () =>
    Effect.gen(function* () {
      const self = yield* pool({ cooldown: { maxCooldown: "1 day" } })
      yield* TestClock.adjust("1 hour")
      yield* call(self, RateLimited({ retryAfter: Duration.hours(24) }))
      expect((yield* statusOf(self)).state).toEqual({
        _tag: "Cooling",
        reason: "rate-limited",
        remaining: Duration.hours(24),
        until: Duration.toMillis("25 hours")
      })
      yield* TestClock.adjust(Duration.toMillis("24 hours") - 1)
      expect((yield* Effect.flip(call(self, Neutral())))._tag).toBe("RateLimitError")
      yield* TestClock.adjust(1)
      yield* call(self, Neutral())
    })
  )

  it.effect("without a Retry-After the cooldown starts at one second and doubles up to one minute", () =>
    Effect.gen(function* () {
      const self = yield* pool()
      const rests: Array<number> = []
      for (let times = 0; times < 8; times++) {
        yield* call(self, RateLimited({}))
        rests.push(yield* restOf(self))
        yield* TestClock.adjust("60 seconds")
      }
      expect(rests).toEqual([1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000])
      expect((yield* statusOf(self)).rateLimited).toBe(8)
    })
  )

  it.effect("a success resets the cooldown after a rate limit to one second", () =>
    Effect.gen(function* () {
      const self = yield* pool()
      for (const verdict of [RateLimited({}), RateLimited({}), Neutral(), Served({})]) {
        yield* call(self, verdict)
        yield* TestClock.adjust("10 seconds")
      }
      yield* call(self, RateLimited({}))
      expect(yield* restOf(self)).toBe(1_000)
    })
  )

  it.effect("a success of a call that started before the rate limit does not reset the cooldown", () =>
    Effect.gen(function* () {
      const self = yield* pool()
      const early = yield* self.reserve()
      yield* call(self, RateLimited({}))
      yield* early.settle(Served({}))
      yield* TestClock.adjust("1 second")
      yield* call(self, RateLimited({}))
      expect(yield* restOf(self)).toBe(2_000)
    })
  )

  it.effect("many concurrent calls that meet one rate limit lengthen the cooldown once", () =>
    Effect.gen(function* () {
      const self = yield* pool()
      const leases = yield* Effect.replicateEffect(self.reserve(), 50)
      yield* Effect.forEach(leases, (lease) => lease.settle(RateLimited({})))
      expect(yield* restOf(self)).toBe(1_000)
      expect((yield* statusOf(self)).rateLimited).toBe(50)
    })
  )

  it.effect("a key keeps the longest of several cooldowns, in whatever order they come", () =>
    Effect.gen(function* () {
      const self = yield* pool()
      const leases = yield* Effect.replicateEffect(self.reserve(), 5)
      const verdicts = [
        RateLimited({ retryAfter: Duration.seconds(5) }),
        RateLimited({ retryAfter: Duration.seconds(90) }),
        RateLimited({ retryAfter: Duration.seconds(1) }),
        RateLimited({}),
        Served({ latency: 1 })
      ]
      for (const [lease, verdict] of Array.zip(leases, verdicts)) yield* lease.settle(verdict)
      yield* self.rest("k0", "2 seconds")
      expect(yield* restOf(self)).toBe(90_000)
    })
  )

  it.effect("a Retry-After of zero counts as none", () =>
    Effect.gen(function* () {
      const self = yield* pool()
      yield* call(self, RateLimited({ retryAfter: Duration.zero }))
      expect(yield* restOf(self)).toBe(1_000)
    })
  )

  it.effect("base, factor and max of the cooldown options set the length of a cooldown", () =>
    Effect.gen(function* () {
      const self = yield* pool({ cooldown: { base: "3 seconds", factor: 3, max: "20 seconds" } })
      const rests: Array<number> = []
      for (let times = 0; times < 3; times++) {
        yield* call(self, RateLimited({}))
        rests.push(yield* restOf(self))
        yield* TestClock.adjust("20 seconds")
      }
      expect(rests).toEqual([3_000, 9_000, 20_000])
    })
  )

  it.effect("the other keys serve the calls while one key is rate limited", () =>
    Effect.gen(function* () {
      const self = yield* pool({ keys: keysOf(3) })
      yield* call(self, RateLimited({}))
      yield* Effect.replicateEffect(call(self, Served({})), 10)
      expect(yield* servedOf(self)).toEqual([1, 5, 5])
    })
  )
})

describe("a key that is ready again", () => {
  const strategies = [
    ["leastLoaded", KeyPool.leastLoaded],
    ["weighted", KeyPool.weighted],
    ["roundRobin", KeyPool.roundRobin],
    ["random", KeyPool.random]
  ] as const

  const returns: ReadonlyArray<[string, (self: KeyPool.Service) => Effect.Effect<unknown, unknown>]> = [
    ["after a cooldown", (self) => Effect.zipRight(self.rest("k0", "1 second"), Effect.void)],
    ["after it was disabled", (self) => self.disable("k0")],
    ["after it was removed", (self) => self.remove("k0")]
  ]

  for (const [name, strategy] of strategies) {
    it.effect.each(returns)(`${name} gives a key that is ready again its share and no burst %s`, ([, leave]) =>
      Effect.gen(function* () {
        const self = yield* pool({ keys: keysOf(2), strategy })
        yield* Effect.replicateEffect(call(self, Served({})), 10)
        yield* leave(self)
        yield* Effect.replicateEffect(call(self, Served({})), 1_000)
        yield* TestClock.adjust("1 second")
        yield* Effect.orElseSucceed(self.add({ key: "sk-0", id: "k0" }), () => "k0")
        yield* self.enable("k0")
        const before = (yield* statusOf(self)).served
        yield* Effect.replicateEffect(call(self, Served({})), 200)
        const share = (yield* statusOf(self)).served - before
        const slack = name === "random" ? 30 : 1
        expect(Math.abs(share - 100)).toBeLessThanOrEqual(slack)
      })
    )
  }

  it.effect("reweight gives a key its new share from then on, without credit or debt for earlier calls", () =>
    Effect.gen(function* () {
      const self = yield* pool({ keys: keysOf(2) })
      yield* Effect.replicateEffect(call(self, Served({})), 1_000)
      yield* self.reweight("k0", 4)
      const before = (yield* statusOf(self)).served
      yield* Effect.replicateEffect(call(self, Served({})), 100)
      expect((yield* statusOf(self)).served - before).toBe(80)
    })
  )
})

describe("a key that is out of quota", () => {
  it.effect("a key out of quota rests for an hour, or for the Retry-After of the provider", () =>
    Effect.gen(function* () {
      const self = yield* pool({ keys: keysOf(2) })
      yield* call(self, OutOfQuota({}))
      yield* call(self, OutOfQuota({ retryAfter: Duration.minutes(5) }))
      expect((yield* statusOf(self)).state).toMatchObject({ _tag: "Cooling", reason: "out-of-quota" })
      expect(yield* restOf(self, "k0")).toBe(3_600_000)
      expect(yield* restOf(self, "k1")).toBe(300_000)
      expect(yield* Effect.flip(self.reserve())).toMatchObject({
        _tag: "KeyPoolExhaustedError",
        retryAfter: Duration.minutes(5)
      })
    })
  )

  it.effect("a key out of quota serves one probe at a time after its cooldown, until one succeeds", () =>
    Effect.gen(function* () {
      const self = yield* pool()
      yield* call(self, OutOfQuota({}))
      yield* TestClock.adjust("1 hour")
      const probe = yield* self.reserve()
      expect(yield* statusOf(self)).toMatchObject({ state: { _tag: "Busy" }, halfOpen: true })
      expect((yield* Effect.flip(call(self, Neutral())))._tag).toBe("KeyPoolExhaustedError")
      yield* probe.settle(Served({}))
      expect(yield* statusOf(self)).toMatchObject({ state: { _tag: "Ready" }, halfOpen: false })
      yield* Effect.replicateEffect(self.reserve(), 2)
      expect((yield* Effect.flip(self.reserve({ maxWait: 0 })))._tag).toBe("RateLimitError")
    })
  )
})

describe("a refused key", () => {
  it.effect("a refused key is disabled for five minutes", () =>
    Effect.gen(function* () {
      const self = yield* pool()
      yield* call(self, Refused())
      expect((yield* statusOf(self)).state).toMatchObject({ _tag: "Disabled", reason: "refused" })
      expect(yield* restOf(self)).toBe(300_000)
      expect(yield* Effect.flip(self.reserve())).toMatchObject({
        _tag: "KeyPoolExhaustedError",
        provider: "acme",
        attempts: [],
        retryAfter: Duration.minutes(5)
      })
    })
  )

  it.effect("a refused key is disabled again when its probe is refused", () =>
    Effect.gen(function* () {
      const self = yield* pool({ cooldown: { refused: "1 minute" } })
      yield* call(self, Refused())
      yield* TestClock.adjust("1 minute")
      yield* call(self, Refused())
      expect(yield* restOf(self)).toBe(60_000)
    })
  )

  it.effect("a refused key gets another probe when the first ends with a neutral verdict", () =>
    Effect.gen(function* () {
      const self = yield* pool()
      yield* call(self, Refused())
      yield* TestClock.adjust("5 minutes")
      yield* call(self, Neutral())
      const probe = yield* self.reserve({ maxWait: 0 })
      expect((yield* statusOf(self)).state).toEqual({ _tag: "Busy" })
      yield* probe.settle(Served({}))
      expect((yield* statusOf(self)).halfOpen).toBe(false)
    })
  )

  it.effect("a success of a call that started before the refusal does not replace the probe of a refused key", () =>
    Effect.gen(function* () {
      const self = yield* pool()
      const early = yield* self.reserve()
      yield* call(self, Refused())
      yield* TestClock.adjust("5 minutes")
      yield* early.settle(Served({}))
      expect((yield* statusOf(self)).halfOpen).toBe(true)
    })
  )

  it.effect("a refused key fails one call per five minutes of many callers while another key serves", () =>
    Effect.gen(function* () {
      const self = yield* pool({ keys: keysOf(2) })
      const refusals = yield* Ref.make<ReadonlyArray<number>>([])
      const attempt = (key: ApiKey.ApiKey) =>
        key.id === "k1"
          ? Effect.sleep("100 millis")
          : Effect.zipRight(
              Effect.flatMap(Clock.currentTimeMillis, (now) => Ref.update(refusals, Array.append(now))),
              Effect.fail(new AuthenticationError({ provider: "acme", model: "", message: "no", attempts: [] }))
            )
      const caller = Effect.orElse(self.withKey(attempt), () => self.withKey(attempt, { exclude: new Set(["k0"]) }))
      const round = Effect.all(Array.replicate(caller, 20), { concurrency: "unbounded", discard: true })
      for (let rounds = 0; rounds < 4; rounds++) {
        for (let again = 0; again < 3; again++) {
          const fiber = yield* Effect.fork(round)
          yield* TestClock.adjust("1 second")
          yield* Fiber.join(fiber)
        }
        yield* TestClock.adjust("297 seconds")
      }
      expect(yield* Ref.get(refusals)).toEqual([0, 300_000, 600_000, 900_000])
    })
  )

  it.effect("a refused key that is the only one fails one call per interval of many callers", () =>
    Effect.gen(function* () {
      const self = yield* pool()
      yield* call(self, Refused())
      const tried = yield* Ref.make(0)
      const caller = self.withKey(() =>
        Effect.zipRight(
          Ref.update(tried, (n) => n + 1),
          Effect.zipRight(
            Effect.sleep("1 second"),
            Effect.fail(new AuthenticationError({ provider: "acme", model: "", message: "no", attempts: [] }))
          )
        )
      )
      for (let interval = 1; interval <= 3; interval++) {
        yield* TestClock.adjust("5 minutes")
        const fiber = yield* Effect.fork(
          Effect.all(Array.replicate(Effect.flip(caller), 30), { concurrency: "unbounded" })
        )
        yield* TestClock.adjust("1 second")
        const tags = (yield* Fiber.join(fiber)).map((error) => error._tag)
        expect(tags.filter((tag) => tag === "AuthenticationError").length).toBe(1)
        expect(tags.filter((tag) => tag === "KeyPoolExhaustedError").length).toBe(29)
        expect(yield* Ref.get(tried)).toBe(interval)
      }
    })
  )

  it.effect("calls that wait for the probe of a refused key are served after the probe succeeds", () =>
    Effect.gen(function* () {
      const self = yield* pool()
      yield* call(self, Refused())
      yield* TestClock.adjust("5 minutes")
      const fiber = yield* Effect.fork(
        Effect.all(
          Array.replicate(
            self.withKey(() => Effect.sleep("1 second")),
            10
          ),
          { concurrency: "unbounded" }
        )
      )
      yield* TestClock.adjust("5 seconds")
      yield* Fiber.join(fiber)
      expect(yield* statusOf(self)).toMatchObject({ succeeded: 10, halfOpen: false, inFlight: 0 })
    })
  )
})

describe("quota groups", () => {
  const keys = [
    { key: "sk-0", id: "k0", quotaGroup: "org" },
    { key: "sk-1", id: "k1", quotaGroup: "org" },
    { key: "sk-2", id: "k2" }
  ]

  it.effect("all keys of a quota group rest when one of them is rate limited or out of quota", () =>
    Effect.gen(function* () {
      const self = yield* pool({ keys, strategy: KeyPool.failover })
      yield* call(self, RateLimited({ retryAfter: Duration.seconds(9) }))
      expect([yield* restOf(self, "k0"), yield* restOf(self, "k1"), yield* restOf(self, "k2")]).toEqual([
        9_000, 9_000, 0
      ])
      yield* TestClock.adjust("9 seconds")
      yield* call(self, OutOfQuota({}))
      expect(yield* restOf(self, "k1")).toBe(3_600_000)
      expect(yield* statusOf(self, "k1")).toMatchObject({ rateLimited: 0, outOfQuota: 0, halfOpen: true })
    })
  )

  it.effect("the keys of a quota group lengthen and reset their cooldown together", () =>
    Effect.gen(function* () {
      const self = yield* pool({ keys, strategy: KeyPool.roundRobin })
      const callOrg = (verdict: KeyPool.Verdict) =>
        Effect.flatMap(self.reserve({ exclude: new Set(["k2"]) }), (lease) => lease.settle(verdict))
      yield* callOrg(RateLimited({}))
      yield* TestClock.adjust("1 second")
      yield* callOrg(RateLimited({}))
      expect([yield* restOf(self, "k0"), yield* restOf(self, "k1")]).toEqual([2_000, 2_000])
      yield* TestClock.adjust("2 seconds")
      yield* callOrg(Served({}))
      yield* callOrg(RateLimited({}))
      expect([yield* restOf(self, "k0"), yield* restOf(self, "k1")]).toEqual([1_000, 1_000])
    })
  )

  it.effect("a refused key of a quota group does not disable the others", () =>
    Effect.gen(function* () {
      const self = yield* pool({ keys, strategy: KeyPool.failover })
      yield* call(self, Refused())
      expect([yield* restOf(self, "k0"), yield* restOf(self, "k1")]).toEqual([300_000, 0])
    })
  )
})

describe("requestsPerSecond of a key", () => {
  it.effect.each([0.1, 1, 2.5, 10])(
    "a key starts no more than %d calls a second over any window, and no fewer",
    (requestsPerSecond) =>
      Effect.gen(function* () {
        const self = yield* pool({ keys: keysOf(1, { requestsPerSecond }), maxWait: "1 hour" })
        const starts = yield* Ref.make<ReadonlyArray<number>>([])
        const record = self.withKey(() =>
          Effect.flatMap(Clock.currentTimeMillis, (now) => Ref.update(starts, Array.append(now)))
        )
        const fiber = yield* Effect.fork(Effect.all(Array.replicate(record, 31), { concurrency: "unbounded" }))
        yield* TestClock.adjust(Duration.seconds(31 / requestsPerSecond))
        yield* Fiber.join(fiber)
        const times = yield* Ref.get(starts)
        const limit = Math.max(1, Math.floor(requestsPerSecond))
        const window = (limit / requestsPerSecond) * 1000
        for (let index = limit; index < times.length; index++) {
          expect((times[index] ?? 0) - (times[index - limit] ?? 0)).toBeGreaterThanOrEqual(window)
        }
        // No slower than the rate allows, within a timer's resolution of one millisecond.
        expect(times.at(-1)).toBeLessThanOrEqual(Math.floor(30 / limit) * (window + 1))
      })
  )

  it.effect("calls go to another key while one has used up its requestsPerSecond", () =>
    Effect.gen(function* () {
      const self = yield* pool({
        keys: [
          { key: "sk-0", id: "k0", requestsPerSecond: 2 },
          { key: "sk-1", id: "k1" }
        ],
        strategy: KeyPool.failover
      })
      yield* Effect.replicateEffect(call(self, Served({})), 5)
      expect(yield* servedOf(self)).toEqual([2, 3])
      expect((yield* statusOf(self, "k0")).state).toEqual({ _tag: "Busy" })
      yield* TestClock.adjust("1 second")
      yield* call(self, Served({}))
      expect(yield* servedOf(self)).toEqual([3, 3])
    })
  )
})
