/**
 * The limits of a limiter hold for the requests that a provider receives over sockets. The server's own log is the witness; what a
 * limiter reports as granted plays no part.
 */
import { describe, expect, it } from "@effect/vitest"
import type { HttpClient } from "@effect/platform"
import type { Scope } from "effect"
import { Array, Effect, Fiber, Schedule, Stream } from "effect"
import { createServer } from "node:http"
import * as KeyPool from "../../src/keyPool/KeyPool.js"
import * as LLM from "../../src/LLM.js"
import * as ChatCompletionsClient from "../../src/provider/ChatCompletionsClient.js"
import * as RateLimiter from "../../src/rateLimiter/RateLimiter.js"
import type { Sent } from "../support/countingProvider.js"
import { excess, mostWithin } from "../support/countingProvider.js"
import * as Redis from "../../src/redis/Redis.js"
import * as RedisKeyPool from "../../src/redis/RedisKeyPool.js"
import * as RedisRateLimiter from "../../src/redis/RedisRateLimiter.js"
import { measureDelay } from "../support/delay.js"
import { eventually } from "../support/eventually.js"
import { redisServer } from "../support/redisServer.js"
import type { RedisServer } from "../support/redisServer.js"
import { direct, transports } from "../support/transports.js"

/** The tokens of a call as it estimates them and as the server counts them. */
const tokensPerCall = 108

/**
 * A server whose answers have a usage, and what it was sent. The first request is refused with this Retry-After. One that rejects options
 * does not know `stream_options`.
 */
const witness = (retryAfter: number, millis: number, rejectsOptions = false) =>
  Effect.gen(function* () {
    const sent: Array<Sent> = []
    const inFlight = new Map<string, number>()
    const server = createServer((request, response) => {
      let text = ""
      request.on("data", (piece: Buffer) => (text += piece.toString()))
      request.on("end", () => {
        const isServed = sent.length > 0 || retryAfter === 0
        const body: unknown = JSON.parse(text)
        const { model, stream, stream_options } = Object.assign(
          { model: "", stream: false, stream_options: undefined },
          body
        )
        const current = (inFlight.get(model) ?? 0) + 1
        inFlight.set(model, current)
        const keyId = String(request.headers.authorization)
        sent.push({ at: performance.now(), keyId, model, inFlight: current, isServed })
        response.on("close", () => inFlight.set(model, (inFlight.get(model) ?? 0) - 1))
        if (!isServed) {
          response.writeHead(429, { "retry-after": String(retryAfter) })
          response.end("{}")
          return
        }
        if (rejectsOptions && stream_options !== undefined) {
          response.writeHead(400, { "content-type": "application/json" })
          response.end(JSON.stringify({ error: { message: "Unrecognized request argument: stream_options" } }))
          return
        }
        const usage = { prompt_tokens: 8, completion_tokens: tokensPerCall - 8, total_tokens: tokensPerCall }
        const common = { id: "answer", created: 1, model: "model", usage }
        const reply = { role: "assistant", content: "yes" }
        setTimeout(() => {
          if (stream === true) {
            const choices = [{ index: 0, delta: reply, finish_reason: "stop" }]
            response.writeHead(200, { "content-type": "text/event-stream" })
            response.end(`data: ${JSON.stringify({ ...common, choices })}\n\ndata: [DONE]\n\n`)
          } else {
            const choices = [{ index: 0, message: reply, finish_reason: "stop" }]
            response.writeHead(200, { "content-type": "application/json" })
            response.end(JSON.stringify({ ...common, choices }))
          }
        }, millis)
      })
    })
    yield* Effect.acquireRelease(
      Effect.async<void>((resume) => void server.listen(0, "127.0.0.1", () => resume(Effect.void))),
      () => Effect.async<void>((resume) => (server.closeAllConnections(), void server.close(() => resume(Effect.void))))
    )
    const address = server.address()
    const port = typeof address === "object" && address !== null ? address.port : 0
    return { baseUrl: `http://127.0.0.1:${port}/v1`, sent }
  })

const llmAt = (baseUrl: string, model: string, pool: KeyPool.Service, limiter: RateLimiter.Service) =>
  LLM.make({ model, retry: false, defaults: { maxTokens: tokensPerCall - 8 } }).pipe(
    Effect.provide(ChatCompletionsClient.layer({ provider: "witness", baseUrl })),
    Effect.provideService(KeyPool.KeyPool, pool),
    Effect.provideService(RateLimiter.RateLimiter, limiter)
  )

/** Where pools and limiters are. */
interface Store {
  readonly makePool: (
    key?: Partial<{ readonly maxConcurrency: number }>,
    secret?: string
  ) => Effect.Effect<KeyPool.Service, unknown, Scope.Scope>
  readonly makeLimiter: (limits: RateLimiter.Options) => Effect.Effect<RateLimiter.Service, unknown, Scope.Scope>
}

const memory: Store = {
  makePool: (key = {}, secret = "one") =>
    KeyPool.make({ provider: "witness", keys: [{ key: secret, ...key }], maxWait: "10 minutes" }),
  makeLimiter: (limits) => RateLimiter.make({ maxWait: "10 minutes", ...limits })
}

/** Every pool and limiter has a connection of its own. `name` is that of all of them, or each has its own. */
const inRedis = ({ url }: RedisServer, name?: string): Store => {
  const connected = <A, E>(
    make: Effect.Effect<A, E, Redis.Redis | Scope.Scope>
  ): Effect.Effect<A, unknown, Scope.Scope> =>
    Effect.flatMap(Redis.make({ url, timeout: "1 minute" }), (redis) => Effect.provideService(make, Redis.Redis, redis))
  const nextName = () => name ?? crypto.randomUUID()
  return {
    makePool: (key = {}, secret = "one") =>
      connected(RedisKeyPool.make({ provider: nextName(), keys: [{ key: secret, ...key }], maxWait: "10 minutes" })),
    makeLimiter: (limits) => connected(RedisRateLimiter.make({ name: nextName(), maxWait: "10 minutes", ...limits }))
  }
}

/** Sends one call, and 24 more 200 ms later, every other one as a stream, and stops those that wait after five seconds. */
const crowd = (llms: ReadonlyArray<LLM.Service>, sent: ReadonlyArray<Sent>) =>
  Effect.gen(function* () {
    const call = (index: number) => {
      const llm = llms[index % llms.length]
      const answer = index % 4 < 2 ? llm?.chat("?") : Stream.runDrain(llm?.chatStream("?") ?? Stream.empty)
      return Effect.fork(Effect.exit(answer ?? Effect.void))
    }
    const first = yield* call(0)
    yield* Effect.sleep("200 millis")
    const others = yield* Effect.forEach(Array.range(1, 24), call)
    yield* Effect.sleep("5 seconds")
    // A limiter that stands still would be within every limit.
    yield* eventually(Effect.sync(() => sent.length >= 3))
    yield* Fiber.interruptAll([first, ...others])
  })

interface Kind {
  readonly limits: RateLimiter.Options
  /**
   * `late` is the time, in milliseconds, by which the server can receive a request later than it was sent: a permit is spent when its
   * request is sent.
   */
  readonly holds: (sent: ReadonlyArray<Sent>, late: number) => void
}

const bucket = { capacity: 2, refillRate: 2 }

/** One request more than is allowed is an excess of 1. */
const withinBucket: Kind["holds"] = (sent, late) =>
  expect(excess(sent, bucket.capacity, bucket.refillRate)).toBeLessThanOrEqual(0.9 + (bucket.refillRate * late) / 1000)

const kinds: Readonly<Record<string, Kind>> = {
  bucket: { limits: bucket, holds: withinBucket },
  schedule: {
    limits: { capacity: 3, refill: Schedule.fixed("2 seconds") },
    // Two periods meet within a shorter time.
    holds: (sent, late) => expect(mostWithin(sent, 2000 - late)).toBeLessThanOrEqual(6)
  },
  minute: {
    limits: { requestsPerMinute: 10 },
    holds: (sent) => expect(sent.length).toBeLessThanOrEqual(10)
  },
  day: { limits: { requestsPerDay: 10 }, holds: (sent) => expect(sent.length).toBeLessThanOrEqual(10) },
  tokens: {
    limits: { capacity: 1000, refillRate: 1000, tokensPerMinute: 6 * tokensPerCall },
    // The tokens of the refused request are given back; a tenth of a call is refilled in a second.
    holds: (sent) => expect(sent.filter(({ isServed }) => isServed).length).toBeLessThanOrEqual(7)
  },
  concurrency: {
    limits: { maxConcurrency: 2 },
    // The server can see the end of a response after the next request on another connection.
    holds: (sent) => expect(Math.max(...sent.map(({ inFlight }) => inFlight))).toBeLessThanOrEqual(3)
  },
  adaptive: { limits: { ...bucket, adaptive: true }, holds: withinBucket }
}

/** Runs calls against a server of its own. Returns what it received through each limiter. */
type Scenario = (
  kind: Kind,
  store: Store
) => Effect.Effect<ReadonlyArray<ReadonlyArray<Sent>>, unknown, HttpClient.HttpClient | Scope.Scope>

const cooldown: Scenario = ({ limits }, { makeLimiter, makePool }) =>
  Effect.gen(function* () {
    const { baseUrl, sent } = yield* witness(2, 20)
    yield* crowd([yield* llmAt(baseUrl, "one", yield* makePool(), yield* makeLimiter(limits))], sent)
    return [sent]
  })

const busyKey: Scenario = ({ limits }, { makeLimiter, makePool }) =>
  Effect.gen(function* () {
    const { baseUrl, sent } = yield* witness(0, 1500)
    const pool = yield* makePool({ maxConcurrency: 3 })
    yield* crowd([yield* llmAt(baseUrl, "one", pool, yield* makeLimiter(limits))], sent)
    return [sent]
  })

const onePool: Scenario = ({ limits }, { makeLimiter, makePool }) =>
  Effect.gen(function* () {
    const { baseUrl, sent } = yield* witness(2, 20)
    const pool = yield* makePool()
    const models = ["one", "two"]
    const llms = yield* Effect.forEach(models, (model) =>
      Effect.flatMap(makeLimiter(limits), (limiter) => llmAt(baseUrl, model, pool, limiter))
    )
    yield* crowd(llms, sent)
    return models.map((each) => sent.filter(({ model }) => model === each))
  })

const oneLimiter: Scenario = ({ limits }, { makeLimiter, makePool }) =>
  Effect.gen(function* () {
    const { baseUrl, sent } = yield* witness(2, 20)
    const limiter = yield* makeLimiter(limits)
    const llms = yield* Effect.forEach(["one", "two"], (name) =>
      Effect.flatMap(makePool({}, name), (pool) => llmAt(baseUrl, "one", pool, limiter))
    )
    yield* crowd(llms, sent)
    return [sent]
  })

/** Two processes with one pool and one limiter. */
const twoProcesses: Scenario = ({ limits }, { makeLimiter, makePool }) =>
  Effect.gen(function* () {
    const { baseUrl, sent } = yield* witness(2, 20)
    const process = Effect.flatMap(Effect.all([makePool(), makeLimiter(limits)]), ([pool, limiter]) =>
      llmAt(baseUrl, "one", pool, limiter)
    )
    yield* crowd([yield* process, yield* process], sent)
    return [sent]
  })

const scenarios = [
  ["while calls wait for the end of a key's Retry-After", cooldown],
  ["while calls wait for a key at its maxConcurrency", busyKey],
  ["for one pool under two limiters, each by itself", onePool],
  ["for two pools under one limiter, both together", oneLimiter]
] as const

describe.concurrent.each(transports)(
  "the requests that a server receives over %s stay within the limits",
  (_, http) => {
    for (const [title, scenario] of scenarios) {
      it.scopedLive(title, () =>
        Effect.gen(function* () {
          const delay = yield* measureDelay
          const all = Object.values(kinds)
          const received = yield* Effect.forEach(all, (kind) => scenario(kind, memory), { concurrency: "unbounded" })
          const late = 2 * (yield* delay) + 20
          for (const [index, { holds }] of all.entries()) for (const sent of received[index] ?? []) holds(sent, late)
        }).pipe(Effect.provide(http))
      )
    }
  }
)

describe.each(transports)(
  "requests that a server gets over %s and rejects because of an optional field",
  (_, transport) => {
    it.scopedLive(
      "are sent again within the limit, with a permit each",
      () =>
        Effect.gen(function* () {
          const { baseUrl, sent } = yield* witness(0, 0, true)
          const limits = { capacity: 10, refillRate: 10 }
          const limiter = yield* memory.makeLimiter(limits)
          const llm = yield* llmAt(baseUrl, "one", yield* memory.makePool(), limiter)
          const late = yield* measureDelay
          yield* Effect.all(Array.replicate(Stream.runDrain(llm.chatStream("?")), 10), { concurrency: "unbounded" })
          expect(sent.length).toBeGreaterThan(10)
          expect(sent.length).toBeLessThanOrEqual(20)
          expect(excess(sent, limits.capacity, limits.refillRate)).toBeLessThanOrEqual(
            (limits.refillRate * (2 * (yield* late) + 20)) / 1000
          )
          const before = sent.length
          yield* Stream.runDrain(llm.chatStream("?"))
          expect(sent.length).toBe(before + 1)
        }).pipe(Effect.provide(transport)),
      60_000
    )
  }
)

describe.concurrent("the requests that a server receives through Redis stay within the limits", () => {
  // A schedule is not a limit of a limiter in Redis.
  const shared = Object.entries(kinds).filter(([name]) => name !== "schedule")

  const holds = (scenario: Scenario, isShared = false) =>
    Effect.gen(function* () {
      const server = yield* redisServer
      const delay = yield* measureDelay
      const received = yield* Effect.forEach(
        shared,
        ([name, kind]) => scenario(kind, inRedis(server, isShared ? name : undefined)),
        { concurrency: "unbounded" }
      )
      // A permit is spent when Redis grants it: its reply, and that for the key, come before the request is sent.
      const late = 4 * (yield* delay) + 20
      for (const [index, [, { holds }]] of shared.entries()) for (const sent of received[index] ?? []) holds(sent, late)
    }).pipe(Effect.provide(direct))

  for (const [title, scenario] of scenarios) it.scopedLive(title, () => holds(scenario))

  it.scopedLive("for two processes with one pool and one limiter, both together", () => holds(twoProcesses, true))
})
