/** Whatever calls do, in however many processes, and whenever they are interrupted: no limit is passed and nothing is lost. */
import { describe, expect, it } from "@effect/vitest"
import { Effect, FastCheck, Fiber, Logger, LogLevel, Schedule } from "effect"
import * as Redis from "../../src/redis/Redis.js"
import * as RedisRateLimiter from "../../src/redis/RedisRateLimiter.js"
import { redisServer } from "../support/redisServer.js"
import { caller, program, witness } from "./crowd.js"

const quick: Redis.CommonOptions = { timeout: "300 millis", probeInterval: "50 millis" }

const quiet = Logger.minimumLogLevel(LogLevel.None)

interface Plan {
  readonly peer: number
  readonly at: number
  readonly takes: number
  /** When whoever asked loses patience. */
  readonly patience: number
  readonly tokens: number
  readonly used: number
}

const plan: FastCheck.Arbitrary<Plan> = FastCheck.record({
  peer: FastCheck.nat(2),
  at: FastCheck.nat(150),
  takes: FastCheck.nat(40),
  patience: FastCheck.oneof(FastCheck.nat(200), FastCheck.constant(10_000)),
  tokens: FastCheck.integer({ min: 1, max: 100 }),
  used: FastCheck.nat(100)
})

/** Sums over any window of what was let through, less what the window may give. */
const excess = (grants: ReadonlyArray<readonly [number, number]>, capacity: number, perMillisecond: number): number => {
  const sorted = [...grants].sort(([a], [b]) => a - b)
  let most = -Infinity
  for (const [from, [start]] of sorted.entries()) {
    let sum = 0
    for (const [at, amount] of sorted.slice(from)) {
      sum += amount
      most = Math.max(most, sum - capacity - perMillisecond * (at - start))
    }
  }
  return most
}

describe("under random calls and interruptions in several processes", () => {
  it.scopedLive(
    "no bucket gives more than it may, no more calls are in flight than may be, and all is given back",
    () =>
      Effect.gen(function* () {
        const { url } = yield* redisServer
        const connections = yield* Effect.forEach([0, 1, 2], () => Redis.make({ url, ...quick }))
        let run = 0
        const limits = { capacity: 8, refillRate: 60, tokensPerMinute: 60_000, maxConcurrent: 3 }
        const property = (plans: ReadonlyArray<Plan>) =>
          Effect.scoped(
            Effect.gen(function* () {
              const name = `law-${run++}`
              const peers = yield* Effect.forEach(connections, (redis) =>
                Effect.provideService(RedisRateLimiter.make({ name, ...limits }), Redis.Redis, redis)
              )
              const granted: Array<readonly [number, number]> = []
              let inFlight = 0
              let most = 0
              const call = ({ at, patience, peer, takes, tokens, used }: Plan) =>
                Effect.gen(function* () {
                  const limiter = peers[peer]
                  if (limiter === undefined) return
                  yield* Effect.sleep(at)
                  const fiber = yield* Effect.fork(
                    Effect.acquireUseRelease(
                      limiter.reserve(tokens),
                      () =>
                        Effect.acquireUseRelease(
                          Effect.sync(() => {
                            granted.push([performance.now(), 1])
                            most = Math.max(most, ++inFlight)
                          }),
                          () => Effect.sleep(takes),
                          () => Effect.sync(() => void inFlight--)
                        ),
                      (reservation) => reservation.settle(used)
                    )
                  )
                  yield* Effect.race(Effect.sleep(patience), Fiber.await(fiber))
                  yield* Fiber.interrupt(fiber)
                })
              yield* Effect.forEach(plans, call, { concurrency: "unbounded", discard: true })
              // The reply to a call takes its time, and another's does not.
              const journey = 25
              expect(
                excess(granted, limits.capacity + (limits.refillRate * journey) / 1000, limits.refillRate / 1000)
              ).toBeLessThanOrEqual(1e-6)
              expect(most).toBeLessThanOrEqual(limits.maxConcurrent)
              const [first] = peers
              expect(yield* first?.status ?? Effect.void).toMatchObject({
                waiting: 0,
                concurrency: { inFlight: 0, limit: 3 },
                tokens: { reserved: 0 }
              })
            })
          )
        const samples = FastCheck.sample(FastCheck.array(plan, { minLength: 5, maxLength: 40 }), {
          numRuns: 6,
          seed: 7
        })
        for (const plans of samples) yield* property(plans)
      }),
    30_000
  )
})

describe("a process that is killed", () => {
  it.scopedLive(
    "gives its places back in the lease time, and had left no secret",
    () =>
      Effect.gen(function* () {
        const server = yield* redisServer
        const { url } = server
        const provider = yield* witness("1 minute")
        const limits = { maxConcurrent: 2, maxWait: 20_000, leaseTime: 900 }
        const redis = yield* Redis.make({ url, ...quick })
        const here = yield* Effect.provideService(
          RedisRateLimiter.make({ name: "chaos", ...limits }),
          Redis.Redis,
          redis
        )
        const child = yield* caller(yield* program, {
          redis: url,
          provider: provider.baseUrl,
          calls: 2,
          concurrency: 2,
          keys: [{ key: "sk-one", maxConcurrency: 10 }],
          limits,
          timeout: 500
        })
        yield* child.begun
        yield* Effect.repeat(provider.inFlight, {
          until: (count) => count === 2,
          schedule: Schedule.spaced("10 millis")
        })
        // Its heartbeat keeps them for longer than a lease.
        yield* Effect.sleep("1200 millis")
        expect((yield* here.status).concurrency).toEqual({ inFlight: 2, limit: 2 })
        const names = yield* Effect.promise(() => server.client.keys("*"))
        expect(names.length).toBeGreaterThan(0)
        const dumps = yield* Effect.forEach(names, (name) => Effect.promise(() => server.client.dumpBuffer(name)))
        for (const text of [...names, ...dumps.map(String)]) expect(text).not.toContain("sk-one")
        yield* child.kill
        const start = performance.now()
        yield* here.reserve(0)
        yield* here.reserve(0)
        expect(performance.now() - start).toBeLessThan(limits.leaseTime + 200)
      }).pipe(Effect.provide(quiet)),
    30_000
  )
})

describe("a Redis that is killed and started", () => {
  it.scopedLive("knows again what is in flight and what was had, and no call is lost", () =>
    Effect.gen(function* () {
      const server = yield* redisServer
      const options = { name: "test", maxConcurrent: 2, requestsPerMinute: 20, capacity: 20, refillRate: 1000 }
      const peers = yield* Effect.forEach([0, 1], () =>
        Effect.flatMap(Redis.make({ url: server.url, ...quick }), (redis) =>
          Effect.provideService(RedisRateLimiter.make(options), Redis.Redis, redis)
        )
      )
      const [one, two] = peers
      if (one === undefined || two === undefined) return
      yield* one.take(5)
      yield* two.take(3)
      const held = yield* one.reserve(0)
      const other = yield* two.reserve(0)
      yield* server.kill
      yield* server.start
      const next = yield* Effect.fork(two.reserve(0))
      yield* Effect.sleep("2 seconds")
      const status = yield* one.status
      expect(status).toMatchObject({
        degraded: false,
        concurrency: { inFlight: 2, limit: 2 },
        minute: { available: 10 }
      })
      yield* held.settle(0)
      const last = yield* Fiber.join(next)
      yield* last.settle(0)
      yield* other.settle(0)
      expect(yield* one.status).toMatchObject({ concurrency: { inFlight: 0 }, minute: { available: 9 } })
    }).pipe(Effect.provide(quiet))
  )
})
