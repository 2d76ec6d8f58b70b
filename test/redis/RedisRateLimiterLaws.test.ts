/** Random calls and interruptions in several processes exceed no limit and lose nothing. */
import { describe, expect, it } from "@effect/vitest"
import { Effect, Fiber, Logger, LogLevel, Option } from "effect"
import * as FastCheck from "fast-check"
import type { LimiterStatus } from "../../src/rateLimiter/RateLimiter.js"
import * as Redis from "../../src/redis/Redis.js"
import * as RedisRateLimiter from "../../src/redis/RedisRateLimiter.js"
import { eventually } from "../support/eventually.js"
import { redisServer } from "../support/redisServer.js"
import { caller, program, recordingProvider } from "./callerProcesses.js"

const longTimeout: Redis.CommonOptions = { timeout: "1 minute", probeInterval: "50 millis" }

const quiet = Logger.minimumLogLevel(LogLevel.None)

interface Plan {
  readonly peer: number
  readonly at: number
  readonly duration: number
  /** The time until the caller interrupts the call. */
  readonly interruptAfter: number
  readonly tokens: number
  readonly used: number
  readonly kind: "reserve" | "withPermits" | "withPermitsIfAvailable"
}

const plan: FastCheck.Arbitrary<Plan> = FastCheck.record({
  peer: FastCheck.nat(2),
  at: FastCheck.nat(150),
  duration: FastCheck.nat(40),
  interruptAfter: FastCheck.oneof(FastCheck.nat(200), { weight: 3, arbitrary: FastCheck.constant(60_000) }),
  tokens: FastCheck.integer({ min: 1, max: 100 }),
  used: FastCheck.nat(100),
  kind: FastCheck.constantFrom("reserve", "reserve", "withPermits", "withPermitsIfAvailable")
})

/** A call was granted at some time between these two, in milliseconds. */
interface Grant {
  readonly requestedAt: number
  readonly observedAt: number
}

/**
 * The greatest excess of grants over the limit of any window. Counts calls that were requested and granted within the window, so
 * that a delay in a busy process does not matter.
 */
const excess = (grants: ReadonlyArray<Grant>, capacity: number, perMillisecond: number): number => {
  const byEnd = grants.toSorted((one, other) => one.observedAt - other.observedAt)
  let most = -Infinity
  for (const { requestedAt: start } of grants) {
    const inside = byEnd.filter(({ requestedAt }) => requestedAt >= start)
    for (const [index, { observedAt: end }] of inside.entries()) {
      most = Math.max(most, index + 1 - capacity - perMillisecond * (end - start))
    }
  }
  return most
}

describe.concurrent("RedisRateLimiter laws", () => {
  it.scopedLive(
    "exceeds no bucket and no concurrency limit under random interruptions, and gives everything back",
    () =>
      Effect.gen(function* () {
        const { url } = yield* redisServer
        const connections = yield* Effect.forEach([0, 1, 2], () => Redis.make({ url, ...longTimeout }))
        let run = 0
        // Slow enough that a busy machine keeps up, so that a bucket that gives too much is detected.
        const limits = { capacity: 8, refillRate: 8, tokensPerMinute: 60_000, maxConcurrency: 3 }
        const property = (plans: ReadonlyArray<Plan>) =>
          Effect.scoped(
            Effect.gen(function* () {
              const name = `law-${run++}`
              const peers = yield* Effect.forEach(connections, (redis) =>
                Effect.provideService(RedisRateLimiter.make({ name, ...limits }), Redis.Redis, redis)
              )
              const granted: Array<Grant> = []
              let inFlight = 0
              let most = 0
              const call = ({ at, duration, interruptAfter, kind, peer, tokens, used }: Plan) =>
                Effect.gen(function* () {
                  const limiter = peers[peer]
                  if (limiter === undefined) return
                  yield* Effect.sleep(at)
                  const requestedAt = performance.now()
                  const body = Effect.acquireUseRelease(
                    Effect.sync(() => {
                      granted.push({ requestedAt, observedAt: performance.now() })
                      most = Math.max(most, ++inFlight)
                    }),
                    () => Effect.sleep(duration),
                    () => Effect.sync(() => void inFlight--)
                  )
                  const fiber = yield* Effect.fork(
                    kind === "reserve"
                      ? Effect.acquireUseRelease(
                          limiter.reserve(tokens),
                          () => body,
                          (reservation) => reservation.settle(used)
                        )
                      : limiter[kind](1)(body)
                  )
                  yield* Effect.race(Effect.sleep(interruptAfter), Fiber.await(fiber))
                  yield* Fiber.interrupt(fiber)
                })
              yield* Effect.forEach(plans, call, { concurrency: "unbounded", discard: true })
              // Timers can be early by a millisecond.
              const early = limits.refillRate / 1000
              expect(excess(granted, limits.capacity + early, limits.refillRate / 1000)).toBeLessThanOrEqual(1e-6)
              expect(most).toBeLessThanOrEqual(limits.maxConcurrency)
              const [first] = peers
              expect(yield* first?.status ?? Effect.void).toMatchObject({
                waiting: 0,
                concurrency: { inFlight: 0, limit: 3 },
                tokens: { reserved: 0 }
              })
            })
          )
        const samples = FastCheck.sample(FastCheck.array(plan, { minLength: 30, maxLength: 40 }), {
          numRuns: 6,
          seed: 7
        })
        yield* Effect.forEach(samples, property, { concurrency: "unbounded", discard: true })
      })
  )
})

describe.concurrent("RedisRateLimiter after a killed process", () => {
  it.scopedLive("frees the permits of a killed process after the lease time, and leaves no secret in Redis", () =>
    Effect.gen(function* () {
      const server = yield* redisServer
      const { url } = server
      const provider = yield* recordingProvider("1 minute")
      const limits = { maxConcurrency: 2, maxWait: 20_000, leaseTime: 1500 }
      const redis = yield* Redis.make({ url, ...longTimeout })
      const here = yield* Effect.provideService(RedisRateLimiter.make({ name: "chaos", ...limits }), Redis.Redis, redis)
      const child = yield* caller(yield* program, {
        redis: url,
        provider: provider.baseUrl,
        calls: 2,
        concurrency: 2,
        keys: [{ key: "sk-one", maxConcurrency: 10 }],
        limits,
        timeout: 60_000
      })
      yield* child.started
      yield* eventually(Effect.map(provider.inFlight, (count) => count === 2))
      // The heartbeat of the process keeps its permits for longer than the lease time.
      yield* Effect.sleep("1700 millis")
      expect((yield* here.status).concurrency).toEqual({ inFlight: 2, limit: 2 })
      const names = yield* Effect.promise(() => server.client.keys("*"))
      expect(names.length).toBeGreaterThan(0)
      const dumps = yield* Effect.forEach(names, (name) => Effect.promise(() => server.client.dumpBuffer(name)))
      for (const text of [...names, ...dumps.map(String)]) expect(text).not.toContain("sk-one")
      yield* child.kill
      yield* here.reserve(0)
      yield* here.reserve(0)
    }).pipe(Effect.provide(quiet))
  )
})

describe.concurrent("RedisRateLimiter after a Redis restart", () => {
  it.scopedLive("restores calls in flight and used requests after Redis lost its data, and loses no call", () =>
    Effect.gen(function* () {
      const server = yield* redisServer
      const options = { name: "test", maxConcurrency: 2, requestsPerMinute: 20, capacity: 20, refillRate: 1000 }
      const peers = yield* Effect.forEach([0, 1], () =>
        Effect.flatMap(Redis.make({ url: server.url, ...longTimeout }), (redis) =>
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
      const isRestored = ({ concurrency, degraded, minute }: LimiterStatus) =>
        degraded === false && concurrency?.inFlight === 2 && minute?.available === 10
      yield* eventually(Effect.map(one.status, isRestored))
      expect(yield* Fiber.poll(next)).toEqual(Option.none())
      yield* held.settle(0)
      const last = yield* Fiber.join(next)
      yield* last.settle(0)
      yield* other.settle(0)
      expect(yield* one.status).toMatchObject({ concurrency: { inFlight: 0 }, minute: { available: 9 } })
    }).pipe(Effect.provide(quiet))
  )
})
