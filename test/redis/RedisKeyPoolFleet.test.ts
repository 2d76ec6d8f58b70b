/** Laws of several processes with one pool in Redis. */
import { describe, expect, it } from "@effect/vitest"
import { Duration, Effect, Fiber, Ref, Runtime } from "effect"
import * as FastCheck from "fast-check"
import * as PooledKeys from "../../src/keyPool/key.js"
import * as KeyPool from "../../src/keyPool/KeyPool.js"
import * as KeySets from "../../src/keyPool/keySet.js"
import * as ApiKey from "../../src/vocabulary/ApiKey.js"
import { eventually } from "../support/eventually.js"
import { acquire, ids, inFlight, key, pool, settleAll, storedLeases } from "../support/redisPool.js"
import type { Options } from "../support/redisPool.js"
import { redisServer } from "../support/redisServer.js"
import type { RedisServer } from "../support/redisServer.js"

const { Failed, Neutral, RateLimited, Refused, Served } = KeyPool.Verdict

const atOnce = { maxWait: 0 }

interface Action {
  readonly process: number
  readonly change: "call" | "disable" | "enable" | "reweight"
  readonly id: string
  readonly pause: number
  readonly weight: number
  readonly verdict: KeyPool.Verdict
}

const action: FastCheck.Arbitrary<Action> = FastCheck.record({
  process: FastCheck.nat(2),
  change: FastCheck.constantFrom("call", "call", "call", "call", "call", "disable", "enable", "reweight"),
  id: FastCheck.constantFrom("a", "b", "c"),
  pause: FastCheck.integer({ min: 1, max: 15 }),
  weight: FastCheck.integer({ min: 1, max: 4 }),
  verdict: FastCheck.constantFrom<KeyPool.Verdict>(
    Served({ latency: 1 }),
    Served({ latency: 1 }),
    RateLimited({}),
    Refused(),
    Failed(),
    Neutral()
  )
})

const fleet = (server: RedisServer, keys: ReadonlyArray<KeyPool.KeyInput>, options?: Options) =>
  Effect.all([pool(server, keys, options), pool(server, keys, options), pool(server, keys, options)])

/** Calls of all processes that wait for a key, and those that have one. */
const crowd = (pools: ReadonlyArray<KeyPool.Service>, calls: number) =>
  Effect.gen(function* () {
    const granted = yield* Ref.make<ReadonlyArray<KeyPool.Lease>>([])
    yield* Effect.forEach(pools, (self) =>
      Effect.replicateEffect(
        Effect.forkScoped(
          Effect.uninterruptible(
            Effect.flatMap(self.reserve(), (lease) => Ref.update(granted, (leases) => [...leases, lease]))
          )
        ),
        calls
      )
    )
    const reaches = (count: number) => eventually(Effect.map(Ref.get(granted), (leases) => leases.length === count))
    /** Waits for this many, and longer than every process takes to ask again. */
    const staysAt = (count: number) =>
      Effect.gen(function* () {
        yield* reaches(count)
        yield* Effect.sleep("200 millis")
        expect((yield* Ref.get(granted)).length).toBe(count)
      })
    const settleNext = (from: number, to: number, verdict: KeyPool.Verdict) =>
      Effect.flatMap(Ref.get(granted), (leases) => settleAll(leases.slice(from, to), verdict))
    return { reaches, staysAt, settleNext }
  })

describe.concurrent("a fleet of processes with one RedisKeyPool", () => {
  it.scopedLive("tests a refused key with one call of all processes, and takes two for each one that succeeds", () =>
    Effect.gen(function* () {
      const server = yield* redisServer
      const pools = yield* fleet(server, [key("a")], { cooldown: { refused: "400 millis" } })
      yield* settleAll(yield* acquire(pools[0], 1), Refused())
      const { settleNext, staysAt } = yield* crowd(pools, 6)
      yield* staysAt(1)
      yield* settleNext(0, 1, Served({ latency: 1 }))
      yield* staysAt(3)
      yield* settleNext(1, 3, Served({ latency: 1 }))
      yield* staysAt(7)
    })
  )

  it.scopedLive("frees the test of a key when the call that made it ends without a verdict", () =>
    Effect.gen(function* () {
      const server = yield* redisServer
      const pools = yield* fleet(server, [key("a")], { cooldown: { refused: "100 millis" } })
      yield* settleAll(yield* acquire(pools[0], 1), Refused())
      const { settleNext, staysAt } = yield* crowd(pools, 1)
      yield* staysAt(1)
      yield* settleNext(0, 1, Neutral())
      yield* staysAt(2)
    })
  )

  it.scopedLive("respects a cooldown in all processes from their next call on, at most for maxCooldown", () =>
    Effect.gen(function* () {
      const server = yield* redisServer
      const pools = yield* fleet(server, [key("a"), key("b")], { strategy: "failover" })
      const [one, two, three] = pools
      yield* settleAll(yield* acquire(one, 1), RateLimited({ retryAfter: Duration.seconds(99_999_999_999) }))
      expect(ids(yield* acquire(two, 1))).toEqual(["b"])
      const { state } = (yield* three.status).keys[0] ?? {}
      expect(state).toMatchObject({ _tag: "Cooling", reason: "rate-limited" })
      const remaining = state?._tag === "Cooling" ? Duration.toMinutes(state.remaining) : 0
      expect(remaining).toBeGreaterThan(59)
      expect(remaining).toBeLessThanOrEqual(60)
    })
  )

  it.scopedLive("holds the cap of a key for all models, and a rate limit for one model, in all processes", () =>
    Effect.gen(function* () {
      const server = yield* redisServer
      const pools = yield* fleet(server, [key("a", { maxConcurrency: 2 })])
      const [small, large] = ["small", "large"].map((model) => pools.map((self) => self.forModel?.(model) ?? self))
      if (small?.[1] === undefined || large?.[2] === undefined) throw new Error("no models")
      const [first] = yield* acquire(pools[0], 1)
      const [second] = yield* acquire(small[1], 1)
      expect((yield* Effect.either(large[2].reserve(atOnce)))._tag).toBe("Left")
      yield* Effect.forEach([first, second], (lease) => lease?.settle(Neutral()) ?? Effect.void)
      yield* settleAll(yield* acquire(small[1], 1), RateLimited({ retryAfter: Duration.minutes(1) }))
      for (const self of small) expect((yield* Effect.either(self.reserve(atOnce)))._tag).toBe("Left")
      yield* settleAll(yield* acquire(large[2], 1), Served({ latency: 1 }))
      yield* settleAll(yield* acquire(pools[0], 1), Refused())
      for (const self of large) expect((yield* Effect.either(self.reserve(atOnce)))._tag).toBe("Left")
    })
  )

  it.scopedLive("tests a key with one call of all processes after a rate limit of one model", () =>
    Effect.gen(function* () {
      const server = yield* redisServer
      const pools = (yield* fleet(server, [key("a")])).map((self) => self.forModel?.("small") ?? self)
      const [first] = pools
      if (first === undefined) throw new Error("no pools")
      yield* settleAll(yield* acquire(first, 1), RateLimited({ retryAfter: Duration.millis(300) }))
      const { settleNext, staysAt } = yield* crowd(pools, 6)
      yield* staysAt(1)
      yield* settleNext(0, 1, Served({ latency: 1 }))
      yield* staysAt(3)
    })
  )

  it.scopedLive("cools a failing key in all processes after consecutive failures in one", () =>
    Effect.gen(function* () {
      const server = yield* redisServer
      const keys = [key("a"), key("b")]
      const options = { strategy: "failover", cooldown: { base: "1 minute", maxFailures: 2 } } as const
      const [one, two] = yield* fleet(server, keys, options)
      const exclude = new Set(["b"])
      yield* settleAll(yield* acquire(one, 2, { exclude }), Failed())
      expect(ids(yield* acquire(two, 1))).toEqual(["b"])
      expect((yield* two.status).keys[0]?.state).toMatchObject({ _tag: "Cooling", reason: "failing" })
    })
  )

  it.scopedLive("keeps the longer of two cooldowns that two processes find at the same time", () =>
    Effect.gen(function* () {
      const server = yield* redisServer
      const [one, two, three] = yield* fleet(server, [key("a")])
      const first = yield* one.reserve()
      const second = yield* two.reserve()
      yield* Effect.all(
        [
          first.settle(RateLimited({ retryAfter: Duration.seconds(5) })),
          second.settle(RateLimited({ retryAfter: Duration.minutes(5) }))
        ],
        { concurrency: "unbounded" }
      )
      yield* eventually(
        Effect.map(three.status, ({ keys: [key] }) => {
          const state = key?.state
          return state?._tag === "Cooling" && Duration.toMinutes(state.remaining) > 4
        })
      )
    })
  )

  it.scopedLive("holds the weights in sum over all processes", () =>
    Effect.gen(function* () {
      const server = yield* redisServer
      const pools = yield* fleet(server, [key("a", { weight: 3 }), key("b")])
      const used = yield* Effect.forEach(pools, (self) =>
        Effect.replicateEffect(
          self.withKey(({ id }) => Effect.as(Effect.sleep("1 millis"), id)),
          80
        )
      )
      const share = used.flat().filter((id) => id === "a").length / 240
      expect(share).toBeCloseTo(0.75, 1)
    })
  )

  it.scopedLive("starts no more calls in any second than requestsPerSecond over all processes", () =>
    Effect.gen(function* () {
      const server = yield* redisServer
      const pools = yield* fleet(server, [key("a", { requestsPerSecond: 5 })], { maxWait: "1 minute" })
      const starts = yield* Effect.all(
        pools.flatMap((self) =>
          Array.from({ length: 6 }, () => self.withKey(() => Effect.sync(() => performance.now())))
        ),
        { concurrency: "unbounded" }
      )
      const sorted = starts.toSorted((one, other) => one - other)
      // Each call starts after the reply of Redis, which can be late by some milliseconds on a busy machine.
      for (const [index, at] of sorted.slice(5).entries()) {
        expect(at - (sorted[index] ?? 0)).toBeGreaterThan(700)
      }
    })
  )

  it.scopedLive("knows calls in flight, cooldowns and changes by hand again after Redis has lost its data", () =>
    Effect.gen(function* () {
      const server = yield* redisServer
      const keys = [key("a", { maxConcurrency: 2 }), key("b"), key("c")]
      const [one, two] = yield* fleet(server, keys, { strategy: "failover", leaseTime: "1 hour" })
      yield* one.disable("b")
      yield* one.rest("c", "1 minute")
      const held = yield* acquire(one, 2)
      yield* Effect.promise(() => server.client.flushall())
      yield* Effect.promise(() => server.client.call("SCRIPT", "FLUSH"))
      // Any use of the pool tells that Redis is empty.
      yield* one.status
      yield* eventually(Effect.map(storedLeases(server), (count) => count === 2))
      expect((yield* Effect.flip(two.reserve(atOnce)))._tag).toBe("RateLimitError")
      const fresh = yield* pool(server, keys)
      expect((yield* fresh.status).keys.map(({ inFlight, state }) => [inFlight, state._tag])).toEqual([
        [2, "Busy"],
        [0, "Disabled"],
        [0, "Cooling"]
      ])
      yield* settleAll(held, Neutral())
      expect(yield* inFlight(two)).toBe(0)
    })
  )

  it.scopedLive("uses only its own keys, with the cooldowns of those that it shares", () =>
    Effect.gen(function* () {
      const server = yield* redisServer
      const one = yield* pool(server, [key("a"), key("b")], { strategy: "failover" })
      const two = yield* pool(server, [key("b"), key("c")], { strategy: "failover" })
      yield* settleAll(
        yield* acquire(one, 1, { exclude: new Set(["a"]) }),
        RateLimited({ retryAfter: Duration.minutes(1) })
      )
      expect(ids(yield* acquire(two, 1))).toEqual(["c"])
      expect((yield* two.status).keys.map(({ id, state }) => [id, state._tag])).toEqual([
        ["b", "Cooling"],
        ["c", "Ready"]
      ])
    })
  )

  it.scopedLive("ends a wait in one process when another one enables the key by hand", () =>
    Effect.gen(function* () {
      const server = yield* redisServer
      // No heartbeat comes within the time limit of the test.
      const [one, two] = yield* fleet(server, [key("a")], { leaseTime: "1 hour", maxWait: "2 hours" })
      yield* one.rest("a", "30 minutes")
      const waiting = yield* Effect.fork(two.reserve({ maxWait: "2 hours" }))
      yield* eventually(Effect.map(two.status, ({ waiting }) => waiting === 1))
      yield* one.enable("a")
      expect((yield* Fiber.join(waiting)).key.id).toBe("a")
    })
  )

  it.scopedLive("agrees on the health and the weights of all keys after any calls and changes in all processes", () =>
    Effect.gen(function* () {
      const server = yield* redisServer
      const runtime = yield* Effect.runtime<never>()
      const run = (actions: ReadonlyArray<Action>) =>
        Effect.gen(function* () {
          yield* Effect.promise(() => server.client.flushall())
          const keys = [key("a", { quotaGroup: "g" }), key("b", { quotaGroup: "g" }), key("c", { maxConcurrency: 2 })]
          const pools = yield* fleet(server, keys, { cooldown: { refused: "20 millis", base: "20 millis" } })
          yield* Effect.forEach(
            actions,
            ({ change, id, pause, process, verdict, weight }) => {
              const self = pools[process] ?? pools[0]
              if (change === "reweight") return Effect.orDie(self.reweight(id, weight))
              if (change !== "call") return self[change](id)
              const call = Effect.acquireUseRelease(
                self.reserve({ maxWait: "200 millis" }),
                () => Effect.sleep(pause),
                (lease) => lease.settle(verdict)
              )
              // Some calls are interrupted.
              return Effect.ignore(Effect.timeout(call, 3 * pause + 5))
            },
            { concurrency: 8 }
          )
          const visible = Effect.map(
            Effect.forEach(pools, (self) => self.status),
            (statuses) =>
              statuses.map(({ keys }) =>
                keys.map(({ halfOpen, id, inFlight, state, weight }) => [id, inFlight, state._tag, halfOpen, weight])
              )
          )
          yield* eventually(
            Effect.map(visible, ([one, two, three]) => {
              const text = JSON.stringify(one)
              return text === JSON.stringify(two) && text === JSON.stringify(three)
            })
          )
          expect(yield* storedLeases(server)).toBe(0)
        })
      yield* Effect.promise(() =>
        FastCheck.assert(
          FastCheck.asyncProperty(FastCheck.array(action, { minLength: 20, maxLength: 80 }), (actions) =>
            Runtime.runPromise(runtime)(Effect.scoped(run(actions)))
          ),
          { numRuns: 10 }
        )
      )
    })
  )
})

describe("a key that other processes test", () => {
  it("stays at its limit when they test it with more calls than this process would allow", () => {
    const cooldown = { base: 1_000, factor: 2, max: 60_000, quota: 1_000, refused: 1_000, latencyDecay: 10_000 }
    const keyHealth = { maxCooldown: 60_000, maxFailures: 5 }
    const made = KeySets.make([ApiKey.make("sk-a", { id: "a" })], KeyPool.leastLoaded, { ...cooldown, keyHealth }, 1)
    const picked = KeySets.winner(made, new Set())
    if (picked === undefined) throw new Error("no key is ready")
    const [reservation, reserved] = KeySets.reserve(made, picked)
    const cooled = KeySets.advance(KeySets.settle(reserved, reservation, RateLimited({})), 2_000)
    const others = { inFlight: 5, tests: 5, pacedUntil: -Infinity }
    const tested = KeySets.modify(cooled, "a", (key) => PooledKeys.withOthers(key, others, 2_000))
    expect(KeySets.get(KeySets.advance(tested, 10_000), "a")?.availability).toBe("admitting")
  })
})
