/** A fallback over an `LLM` with keys of its own that fails: how long it takes, and how many requests it sends. */
import { describe, expect, it } from "@effect/vitest"
import { Clock, Effect, Either, Stream } from "effect"
import type * as LLM from "../../src/LLM.js"
import * as Balance from "../../src/routing/Balance.js"
import * as Fallback from "../../src/routing/Fallback.js"
import * as Hedge from "../../src/routing/Hedge.js"
import { failingProvider, llmWith } from "../support/failingProvider.js"
import { whileTimePasses } from "../support/whileTimePasses.js"

const calls = {
  chat: (llm: LLM.Service) => Effect.asVoid(llm.chat("?")),
  stream: (llm: LLM.Service) => Stream.runDrain(llm.chatStream("?"))
}

describe("a fallback of an LLM whose only key is answered 503", () => {
  it.effect.each(["chat", "stream"] as const)("answers a %s after one request of 10 ms to each", (kind) =>
    Effect.gen(function* () {
      const down = failingProvider(() => 500, "down")
      const up = failingProvider(() => 200, "up")
      const llm = yield* Fallback.make([yield* llmWith(up.client, 1)])(yield* llmWith(down.client, 1))
      for (let call = 1; call <= 20; call++) {
        const startedAt = yield* Clock.currentTimeMillis
        yield* whileTimePasses(calls[kind](llm), "1 millis")
        expect((yield* Clock.currentTimeMillis) - startedAt).toBeLessThanOrEqual(2 * 10 + 2)
        expect([down.sent.length, up.sent.length]).toEqual([call, call])
      }
    })
  )

  it.effect("also answers in time when many calls come at once", () =>
    Effect.gen(function* () {
      const down = failingProvider(() => 500, "down")
      const up = failingProvider(() => 200, "up")
      const llm = yield* Fallback.make([yield* llmWith(up.client, 1)])(yield* llmWith(down.client, 1))
      const startedAt = yield* Clock.currentTimeMillis
      yield* whileTimePasses(
        Effect.all(
          Array.from({ length: 100 }, () => llm.chat("?")),
          { concurrency: "unbounded" }
        ),
        "1 millis"
      )
      expect((yield* Clock.currentTimeMillis) - startedAt).toBeLessThanOrEqual(2 * 10 + 2)
      expect(down.sent.length).toBe(100)
    })
  )
})

describe("a total outage", () => {
  it.effect.each([1, 3])(
    "costs 1.2 requests a call at most, plus the floor, at each deployment of a fallback of hedged balances with %d key(s) each",
    (keys) =>
      Effect.gen(function* () {
        const providers = ["a", "b", "c", "d"].map((name) => failingProvider(() => 500, name))
        const llms = yield* Effect.forEach(providers, ({ client }) => llmWith(client, keys))
        const hedged = (members: ReadonlyArray<LLM.Service>) =>
          Effect.flatMap(Balance.make(members.map((llm) => ({ llm }))), Hedge.make([], { delay: "5 millis" }))
        const llm = yield* Fallback.make([yield* hedged(llms.slice(2))])(yield* hedged(llms.slice(0, 2)))
        const results = yield* whileTimePasses(
          Effect.all(
            Array.from({ length: 200 }, () => Effect.either(llm.chat("?"))),
            { concurrency: "unbounded" }
          )
        )
        expect(results.filter(Either.isRight)).toEqual([])
        for (const { sent } of providers) expect(sent.length).toBeLessThanOrEqual(200 * 1.2 + 10)
      })
  )
})
