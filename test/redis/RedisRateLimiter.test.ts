import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import { describe, expect, it } from "@effect/vitest"
import { Deferred, Duration, Effect, Fiber, Layer, Logger, LogLevel, Option } from "effect"
import * as Fallback from "../../src/routing/Fallback.js"
import * as KeyPool from "../../src/keyPool/KeyPool.js"
import * as LLM from "../../src/LLM.js"
import * as LLMError from "../../src/vocabulary/LLMError.js"
import * as ChatCompletionsClient from "../../src/provider/ChatCompletionsClient.js"
import type { Service } from "../../src/rateLimiter/RateLimiter.js"
import * as RateLimiter from "../../src/rateLimiter/RateLimiter.js"
import * as Redis from "../../src/redis/Redis.js"
import * as RedisRateLimiter from "../../src/redis/RedisRateLimiter.js"
import { eventually } from "../support/eventually.js"
import type { RedisServer } from "../support/redisServer.js"
import { redisServer } from "../support/redisServer.js"
import { recordingProvider } from "./callerProcesses.js"

const longTimeout: Redis.CommonOptions = { timeout: "1 minute", probeInterval: "50 millis" }

/** For a Redis that sends no reply. */
const shortTimeout: Redis.CommonOptions = { timeout: "1 second" }

/** A limiter with its own connection, like that of a separate process. */
const peer = (url: string, options: Partial<RedisRateLimiter.Options>, redisOptions: Redis.CommonOptions = {}) =>
  Effect.flatMap(Redis.make({ url, ...longTimeout, ...redisOptions }), (redis) =>
    Effect.provideService(RedisRateLimiter.make({ name: "test", ...options }), Redis.Redis, redis)
  )

const quiet = Logger.minimumLogLevel(LogLevel.None)

const waitFor = <A, R>(effect: Effect.Effect<A, RateLimiter.LimitError, R>) =>
  Effect.map(Effect.flip(effect), (error) => Option.map(LLMError.retryAfter(error), Duration.toMillis))

const refusedFor = (limiter: Service, n = 1) =>
  Effect.map(waitFor(limiter.take(n, { maxWait: 0 })), (wait) => Option.getOrElse(wait, () => 0))

/** A stopwatch with Redis's clock, in milliseconds. */
const stopwatch = ({ client }: RedisServer) => {
  const now = Effect.promise(async () => {
    const [seconds = 0, micros = 0] = await client.time()
    return Number(seconds) * 1000 + Number(micros) / 1000
  })
  return Effect.map(now, (start) => Effect.map(now, (end) => end - start))
}

/** Checks a wait that was `atFirst` when the stopwatch was started. */
const expectRemaining = (actual: number, atFirst: number, elapsed: number) => {
  expect(actual).toBeGreaterThanOrEqual(atFirst - elapsed - 1)
  expect(actual).toBeLessThanOrEqual(atFirst + 1)
}

const hasWaiting = (limiter: Service, calls: number) =>
  eventually(Effect.map(limiter.status, ({ waiting }) => waiting === calls))

describe.concurrent("RedisRateLimiter", () => {
  it.scopedLive("shares one bucket between processes, and refills it by Redis's clock", () =>
    Effect.gen(function* () {
      const server = yield* redisServer
      const { url } = server
      const one = yield* peer(url, { capacity: 3, refillRate: 0.01 })
      const two = yield* peer(url, { capacity: 3, refillRate: 0.01 })
      const since = yield* stopwatch(server)
      yield* one.take(2)
      expect(yield* two.tryTake()).toBe(true)
      expect(yield* one.tryTake()).toBe(false)
      expectRemaining(yield* refusedFor(two), 100_000, yield* since)
      const others = { name: "others", capacity: 3, refillRate: 10 }
      const [three, four] = [yield* peer(url, others), yield* peer(url, others)]
      const elapsed = yield* stopwatch(server)
      yield* Effect.all([three.take(2), four.take(2), three.take(), four.take()], { concurrency: 4 })
      // Three at once and the others a tenth of a second apart; timers can be early by a millisecond.
      expect(yield* elapsed).toBeGreaterThan(295)
    })
  )

  it.scopedLive("keeps the limits of two names apart that differ only in braces or escapes", () =>
    Effect.gen(function* () {
      const { url } = yield* redisServer
      const redis = yield* Redis.make({ url, ...longTimeout })
      const named = (name: string) =>
        Effect.provideService(RedisRateLimiter.make({ name, capacity: 1, refillRate: 0.001 }), Redis.Redis, redis)
      for (const name of ["t{1}", "t_1_", "t%7b1%7d"]) {
        const limiter = yield* named(name)
        expect(yield* limiter.tryTake()).toBe(true)
        expect(yield* limiter.tryTake()).toBe(false)
      }
    })
  )

  it.scopedLive("refuses at once a call that would wait longer than maxWait, and one larger than the limit", () =>
    Effect.gen(function* () {
      const server = yield* redisServer
      const one = yield* peer(server.url, { capacity: 1, refillRate: 0.01, maxWait: "50 seconds" })
      const elapsedSince = yield* stopwatch(server)
      yield* one.take()
      const [elapsed, error] = yield* Effect.timed(Effect.flip(one.take()))
      expect(error).toMatchObject({ _tag: "RateLimitError", source: "limiter" })
      expectRemaining(
        Option.getOrElse(Option.map(LLMError.retryAfter(error), Duration.toMillis), () => 0),
        100_000,
        yield* elapsedSince
      )
      expect(Duration.toSeconds(elapsed)).toBeLessThan(20)
      const tokens = yield* peer(server.url, { capacity: 100, refillRate: 100, tokensPerMinute: 600 })
      for (const never of [one.take(2), tokens.reserve(601)]) {
        expect(yield* Effect.flip(never)).toMatchObject({ _tag: "InvalidRequestError", code: "limit_too_small" })
      }
    })
  )

  it.scopedLive("counts the requests of the last minute over all processes", () =>
    Effect.gen(function* () {
      const server = yield* redisServer
      const one = yield* peer(server.url, { requestsPerMinute: 3, capacity: 100, refillRate: 100 })
      const two = yield* peer(server.url, { requestsPerMinute: 3, capacity: 100, refillRate: 100 })
      const elapsed = yield* stopwatch(server)
      yield* one.take()
      yield* two.take(2)
      expectRemaining(yield* refusedFor(one), 60_500, yield* elapsed)
      expect((yield* two.status).minute).toEqual({ available: 0, limit: 3 })
    })
  )

  it.scopedLive("reserves tokens, and settles them once", () =>
    Effect.gen(function* () {
      const server = yield* redisServer
      const one = yield* peer(server.url, { capacity: 100, refillRate: 100, tokensPerMinute: 600 })
      const two = yield* peer(server.url, { capacity: 100, refillRate: 100, tokensPerMinute: 600 })
      const elapsed = yield* stopwatch(server)
      /** Checks the bucket, with a refill of ten tokens a second. */
      const expectAvailable = (available: number | undefined, tokens: number) =>
        Effect.map(elapsed, (millis) => {
          expect(available).toBeGreaterThanOrEqual(tokens - 1)
          expect(available).toBeLessThanOrEqual(tokens + millis / 100 + 1)
        })
      const held = yield* one.reserve(600)
      const error = yield* Effect.flip(two.reserve(100, { maxWait: "1 second" }))
      expectRemaining(
        Option.getOrElse(Option.map(LLMError.retryAfter(error), Duration.toMillis), () => 0),
        10_000,
        yield* elapsed
      )
      expect((yield* two.status).tokens?.reserved).toBe(600)
      yield* held.settle(100)
      yield* held.settle(0)
      const status = yield* two.status
      expect(status.tokens?.reserved).toBe(0)
      yield* expectAvailable(status.tokens?.available, 500)
      const owed = yield* two.reserve(500)
      yield* owed.settle(700)
      yield* expectAvailable((yield* one.status).tokens?.available, -200)
    })
  )

  it.scopedLive("shares maxConcurrency between processes, and frees a permit when its call ends", () =>
    Effect.gen(function* () {
      const { url } = yield* redisServer
      const one = yield* peer(url, { maxConcurrency: 2 })
      const two = yield* peer(url, { maxConcurrency: 2 })
      const first = yield* one.reserve(0)
      const second = yield* two.reserve(0)
      expect(yield* Effect.flip(one.reserve(0, { maxWait: "50 millis" }))).toMatchObject({ source: "limiter" })
      const third = yield* Effect.fork(one.reserve(0))
      yield* hasWaiting(one, 1)
      expect((yield* one.status).concurrency).toEqual({ inFlight: 2, limit: 2 })
      yield* second.settle(0)
      yield* (yield* Fiber.join(third)).settle(0)
      yield* first.settle(0)
      expect((yield* two.status).concurrency).toEqual({ inFlight: 0, limit: 2 })
    })
  )

  it.scopedLive("serves waiting calls of all processes in order of arrival", () =>
    Effect.gen(function* () {
      const { url } = yield* redisServer
      const one = yield* peer(url, { maxConcurrency: 1 })
      const two = yield* peer(url, { maxConcurrency: 1 })
      const order: Array<number> = []
      const gate = yield* Deferred.make<void>()
      const call = (limiter: Service, n: number) =>
        Effect.fork(
          limiter.withPermits(1)(
            Effect.zipRight(
              n === 0 ? Deferred.await(gate) : Effect.void,
              Effect.sync(() => void order.push(n))
            )
          )
        )
      const fibers: Array<Fiber.Fiber<void, RateLimiter.LimitError>> = []
      for (const [n, limiter] of [one, one, two, one, two].entries()) {
        fibers.push(yield* call(limiter, n))
        const statuses = Effect.all([one.status, two.status])
        yield* eventually(
          Effect.map(
            statuses,
            ([here, there]) => here.waiting + there.waiting === n && here.concurrency?.inFlight === 1
          )
        )
        // Longer than the difference in latency between two processes.
        yield* Effect.sleep("150 millis")
      }
      yield* Deferred.succeed(gate, undefined)
      yield* Fiber.joinAll(fibers)
      expect(order).toEqual([0, 1, 2, 3, 4])
    })
  )

  it.scopedLive("returns the booked capacity of a waiting call that is interrupted", () =>
    Effect.gen(function* () {
      const server = yield* redisServer
      const options = { capacity: 2, refillRate: 0.05, requestsPerMinute: 4, maxWait: "2 minutes" } as const
      const one = yield* peer(server.url, options)
      const elapsed = yield* stopwatch(server)
      yield* one.take(2)
      const waiting = yield* Effect.forEach([1, 2], (n) => Effect.zipLeft(Effect.fork(one.take()), hasWaiting(one, n)))
      expectRemaining(yield* refusedFor(one), 60_500, yield* elapsed)
      yield* Fiber.interruptAll(waiting)
      expect((yield* one.status).waiting).toBe(0)
      expectRemaining(yield* refusedFor(one), 20_000, yield* elapsed)
    })
  )

  it.scopedLive("serves interactive calls before batch calls of the same process", () =>
    Effect.gen(function* () {
      const { url } = yield* redisServer
      const one = yield* peer(url, { capacity: 1, refillRate: 1 })
      const order: Array<string> = []
      const record = (label: string) => Effect.sync(() => void order.push(label))
      yield* one.take()
      const batch = yield* Effect.fork(Effect.zipRight(RateLimiter.withPriority(one.take(), "batch"), record("batch")))
      yield* hasWaiting(one, 1)
      const others = yield* Effect.forEach([1, 2], (n) => Effect.fork(Effect.zipRight(one.take(), record(`call ${n}`))))
      yield* Fiber.joinAll([batch, ...others])
      expect(order).toEqual(["call 1", "call 2", "batch"])
    })
  )

  it.scopedLive("serves the clients of one process in turn, however many calls one of them has sent before", () =>
    Effect.gen(function* () {
      const { url } = yield* redisServer
      const one = yield* peer(url, { capacity: 1, refillRate: 2 })
      const order: Array<string> = []
      const take = (id: string) =>
        Effect.fork(
          RateLimiter.withClient(
            Effect.tap(
              one.take(),
              Effect.sync(() => order.push(id))
            ),
            { id }
          )
        )
      yield* one.take()
      const bursting = yield* Effect.replicateEffect(take("bursting"), 20)
      yield* hasWaiting(one, 20)
      const small = [yield* take("small"), yield* take("small")]
      yield* Fiber.joinAll(small)
      expect(order.length).toBeLessThan(10)
      yield* Fiber.interruptAll(bursting)
    })
  )

  it.scopedLive(
    "gives a permit to an interactive call before a batch call of another process, with infinite maxWait",
    () =>
      Effect.gen(function* () {
        const { url } = yield* redisServer
        const options = { maxConcurrency: 1, maxWait: Duration.infinity, batch: { maxWait: Duration.infinity } }
        const one = yield* peer(url, options)
        const two = yield* peer(url, options)
        const order: Array<string> = []
        const record = (label: string) => Effect.sync(() => void order.push(label))
        const held = yield* one.reserve(0)
        const batch = yield* Effect.fork(RateLimiter.withPriority(one.withPermits(1)(record("batch")), "batch"))
        yield* hasWaiting(one, 1)
        const call = yield* Effect.fork(two.withPermits(1)(record("call")))
        yield* hasWaiting(two, 1)
        yield* held.settle(0)
        yield* Fiber.joinAll([batch, call])
        expect(order).toEqual(["call", "batch"])
      })
  )

  it.scopedLive("lowers the pace of the process that reports a refusal, and raises it after a success", () =>
    Effect.gen(function* () {
      const { url } = yield* redisServer
      const options = {
        capacity: 10,
        refillRate: 10,
        maxConcurrency: 8,
        adaptive: { every: "50 millis", increase: 0.25 }
      } as const
      const one = yield* peer(url, options)
      const two = yield* peer(url, options)
      yield* one.observe?.(RateLimiter.Signal.Refused({ elapsed: Duration.zero, share: 1 })) ?? Effect.void
      expect(yield* one.status).toMatchObject({ pace: 0.5, refillRate: 5, concurrency: { limit: 4 } })
      expect(yield* two.status).toMatchObject({ pace: 1, refillRate: 10, concurrency: { limit: 8 } })
      yield* one.take()
      yield* Effect.sleep("60 millis")
      yield* one.observe?.(RateLimiter.Signal.Served()) ?? Effect.void
      expect((yield* one.status).pace).toBe(0.75)
    })
  )
})

describe.concurrent("RedisRateLimiter without Redis", () => {
  it.scopedLive(
    "fails with SharedStateError after the timeout with whenAway fail, and recovers when Redis is back",
    () =>
      Effect.gen(function* () {
        const server = yield* redisServer
        const one = yield* peer(server.url, { capacity: 5, refillRate: 1, whenAway: "fail" }, shortTimeout)
        yield* one.take()
        yield* server.freeze
        const [elapsed, error] = yield* Effect.timed(Effect.flip(one.take()))
        expect(error).toMatchObject({ _tag: "SharedStateError", reason: "timeout" })
        expect(Duration.toSeconds(elapsed)).toBeLessThan(10)
        expect((yield* one.status).degraded).toBe(true)
        yield* server.thaw
        yield* eventually(Effect.isSuccess(one.take()))
        expect((yield* one.status).degraded).toBe(false)
      }).pipe(Effect.provide(quiet))
  )

  it.scopedLive("ends a call with a SharedStateError that names its provider, and lets a fallback answer", () =>
    Effect.gen(function* () {
      const server = yield* redisServer
      const limiter = yield* peer(server.url, { capacity: 5, refillRate: 1, whenAway: "fail" }, shortTimeout)
      const provider = yield* recordingProvider(0)
      const llmOver = (limiter: Service) =>
        LLM.make({ model: "simulated", retry: false }).pipe(
          Effect.provideService(RateLimiter.RateLimiter, limiter),
          Effect.provide(
            Layer.merge(
              ChatCompletionsClient.layer({ provider: "simulated", baseUrl: provider.baseUrl }),
              KeyPool.layer({ provider: "simulated", keys: ["sk-one"] })
            )
          ),
          Effect.provide(NodeHttpClient.layer)
        )
      const shared = yield* llmOver(limiter)
      yield* server.freeze
      const error = yield* Effect.flip(shared.chat("hello"))
      expect(error).toMatchObject({ _tag: "SharedStateError", provider: "simulated", model: "simulated" })
      expect(provider.arrivals).toEqual([])
      const alone = yield* llmOver(yield* RateLimiter.make())
      const llm = yield* Fallback.make([alone])(shared)
      expect((yield* llm.chat("hello")).text).toContain("hello")
      yield* server.thaw
    }).pipe(Effect.provide(quiet))
  )

  it.scopedLive("continues with a share of its limits, and counts those calls when Redis is back", () =>
    Effect.gen(function* () {
      const server = yield* redisServer
      const options = { requestsPerMinute: 40, capacity: 40, refillRate: 40, maxConcurrency: 4 }
      const one = yield* peer(server.url, options, shortTimeout)
      const two = yield* peer(server.url, options, shortTimeout)
      yield* one.take()
      yield* server.freeze
      const reservations = yield* Effect.forEach([1, 2], () => two.reserve(0))
      expect(yield* Effect.flip(two.reserve(0, { maxWait: "50 millis" }))).toMatchObject({ _tag: "RateLimitError" })
      yield* server.thaw
      // One before the outage, two during it, and one that may have been granted in a reply after the timeout.
      yield* eventually(Effect.map(one.status, ({ minute }) => minute?.available === 36))
      yield* Effect.forEach(reservations, ({ settle }) => settle(0))
    }).pipe(Effect.provide(quiet))
  )
})
