/** Keys under pressure against real servers, whose log says what was sent. */
import { FetchHttpClient } from "@effect/platform"
import { describe, expect, it } from "@effect/vitest"
import { Effect, Either } from "effect"
import * as KeyPool from "../../src/keyPool/KeyPool.js"
import * as LLM from "../../src/LLM.js"
import * as ChatCompletionsClient from "../../src/provider/ChatCompletionsClient.js"
import * as RateLimiter from "../../src/rateLimiter/RateLimiter.js"
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
})
