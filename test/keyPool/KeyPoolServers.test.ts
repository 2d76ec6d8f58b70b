/** Keys under pressure against real servers, whose log says what was sent. */
import { FetchHttpClient } from "@effect/platform"
import { describe, expect, it } from "@effect/vitest"
import { Duration, Effect, Either } from "effect"
import * as KeyPool from "../../src/keyPool/KeyPool.js"
import * as LLM from "../../src/LLM.js"
import * as ChatCompletionsClient from "../../src/provider/ChatCompletionsClient.js"
import * as RateLimiter from "../../src/rateLimiter/RateLimiter.js"
import { failingProvider, llmWith } from "../support/failingProvider.js"
import { whileTimePasses } from "../support/whileTimePasses.js"
import { serve } from "../support/witness.js"

const llmOf = (baseUrl: string, keys: number) =>
  LLM.make({ model: "m" }).pipe(
    Effect.provide(ChatCompletionsClient.layer({ provider: "acme", baseUrl })),
    Effect.provide(
      KeyPool.layer({
        provider: "acme",
        keys: Array.from({ length: keys }, (_, index) => ({ key: `sk-${index}`, id: `k${index}` }))
      })
    ),
    Effect.provide(RateLimiter.layerUnlimited),
    Effect.provide(FetchHttpClient.layer)
  )

const callTogether = (llm: LLM.Service, calls: number) =>
  Effect.map(
    Effect.all(
      Array.from({ length: calls }, () => Effect.either(llm.chat("?"))),
      { concurrency: "unbounded" }
    ),
    (results) => results.filter(Either.isRight).length
  )

describe("keys and a real server", () => {
  it.live(
    "a crowd of callers gets an answer a second from a provider of one request a second, with few requests at a time",
    () =>
      Effect.gen(function* () {
        let next = 0
        const server = yield* serve((_, at) => {
          if (at < next) return { status: 429, headers: { "retry-after": "1" } }
          next = at + 1_000
          return { status: 200 }
        })
        const llm = yield* llmOf(server.baseUrl, 1)
        expect(yield* callTogether(llm, 10)).toBeGreaterThanOrEqual(8)
        const afterFirst = server.log.slice(10)
        expect(afterFirst.length).toBeLessThanOrEqual(4 * 11)
        const crowded = afterFirst.filter(
          ({ at }) => afterFirst.filter((other) => Math.abs(other.at - at) < 100).length > 5
        )
        expect(crowded).toEqual([])
      }).pipe(Effect.scoped),
    60_000
  )

  it.live("nine keys that answer 500 and a good one answer 99 of 100 calls with two requests a call at most", () =>
    Effect.gen(function* () {
      const server = yield* serve((key) => ({ status: key === "sk-7" ? 200 : 500 }))
      const llm = yield* llmOf(server.baseUrl, 10)
      yield* callTogether(llm, 10)
      server.log.length = 0
      expect(yield* callTogether(llm, 100)).toBeGreaterThanOrEqual(99)
      expect(server.log.length).toBeLessThanOrEqual(200)
    }).pipe(Effect.scoped)
  )

  it.live(
    "a total outage costs 1.2 requests a call at most, plus the floor of the budget, at 200 concurrent calls",
    () =>
      Effect.gen(function* () {
        const server = yield* serve(() => ({ status: 500 }))
        const llm = yield* llmOf(server.baseUrl, 10)
        expect(yield* callTogether(llm, 200)).toBe(0)
        expect(server.log.length).toBeLessThanOrEqual(200 * 1.2 + 10)
        expect((yield* llm.status).retries?.denied).toBeGreaterThan(0)
      }).pipe(Effect.scoped),
    60_000
  )

  it.live("absurd waits put a key away for an hour at most", () =>
    Effect.gen(function* () {
      for (const [status, headers] of [
        [429, { "retry-after": "99999999999" }],
        [429, { "retry-after": "Fri, 31 Dec 9999 23:59:59 GMT" }],
        [200, { "x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "240h" }],
        [
          200,
          {
            "anthropic-ratelimit-requests-remaining": "0",
            "anthropic-ratelimit-requests-reset": "9999-12-31T23:59:59Z"
          }
        ]
      ] as const) {
        const server = yield* serve(() => ({ status, headers }))
        const llm = yield* llmOf(server.baseUrl, 1)
        yield* Effect.either(llm.chat("?"))
        const [key] = (yield* llm.status).keys.keys
        const remaining = key !== undefined && "remaining" in key.state ? Duration.toMillis(key.state.remaining) : 0
        expect(remaining).toBeGreaterThanOrEqual(0)
        expect(remaining).toBeLessThanOrEqual(3_600_000)
        expect(server.log).toHaveLength(1)
      }
    }).pipe(Effect.scoped)
  )

  it.live("negative, empty and unreadable waits do not put a key away", () =>
    Effect.gen(function* () {
      for (const value of ["-5", "NaN", "", "soon", "1e300", "Thu, 01 Jan 1970 00:00:00 GMT", "-99999999999"]) {
        let isFirst = true
        const server = yield* serve(() => {
          const status = isFirst ? 429 : 200
          isFirst = false
          return { status, headers: { "retry-after": value, "x-ratelimit-reset-requests": value } }
        })
        const llm = yield* llmOf(server.baseUrl, 1)
        expect((yield* llm.chat("?")).text).toBe("yes")
        expect(server.log).toHaveLength(2)
      }
    }).pipe(Effect.scoped)
  )
})

describe("fifty callers of a provider of one request a second with a Retry-After of a second, and one key", () => {
  it.effect("get an answer a second as long as they may wait, with few requests at a time", () =>
    Effect.gen(function* () {
      let next = 0
      const times: Array<number> = []
      const clock = yield* Effect.clock
      const provider = failingProvider(() => {
        const now = clock.unsafeCurrentTimeMillis()
        times.push(now)
        if (now < next) return 429
        next = now + 1_000
        return 200
      })
      const llm = yield* llmWith(provider.client, 1)
      const results = yield* whileTimePasses(
        Effect.all(
          Array.from({ length: 50 }, () => Effect.either(llm.chat("?"))),
          { concurrency: "unbounded" }
        ),
        "10 millis"
      )
      // The pool waits 30 seconds for a key.
      expect(results.filter(Either.isRight).length).toBeGreaterThanOrEqual(25)
      const later = times.filter((at) => at > 0)
      const crowded = later.filter((at) => later.filter((other) => Math.abs(other - at) < 100).length > 5)
      expect(crowded).toEqual([])
    })
  )
})
