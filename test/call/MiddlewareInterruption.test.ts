/** Middlewares give back what they took when a call is interrupted before any of its steps. */
import { describe, expect, it } from "@effect/vitest"
import { Effect, Exit, Layer, Option, Stream } from "effect"
import * as Budget from "../../src/accounting/Budget.js"
import * as ProviderClient from "../../src/call/ProviderClient.js"
import * as KeyPool from "../../src/keyPool/KeyPool.js"
import * as LLM from "../../src/LLM.js"
import * as RateLimiter from "../../src/rateLimiter/RateLimiter.js"
import * as Balance from "../../src/routing/Balance.js"
import * as Fallback from "../../src/routing/Fallback.js"
import * as Hedge from "../../src/routing/Hedge.js"
import * as ChatEvent from "../../src/vocabulary/ChatEvent.js"
import { answer } from "../support/scripted.js"
import { interruptedAt } from "../support/steps.js"

/** An `LLM` whose client answers in a later turn of the event loop, and counts its open requests. */
const makeLLM = () => {
  let open = 0
  const request = Effect.acquireUseRelease(
    Effect.sync(() => {
      open++
    }),
    () => Effect.promise(() => new Promise((resolve) => setImmediate(resolve))),
    () =>
      Effect.sync(() => {
        open--
      })
  )
  const client: ProviderClient.Service = {
    provider: "test",
    wire: "test",
    chat: () => Effect.as(request, answer("yes")),
    chatStream: () => Stream.unwrap(Effect.as(request, Stream.fromIterable(ChatEvent.fromResponse(answer("yes")))))
  }
  return Effect.map(
    LLM.make({ model: "model", retry: false }).pipe(
      Effect.provide(Layer.succeed(ProviderClient.ProviderClient, client)),
      Effect.provide(KeyPool.layer({ provider: "test", keys: ["one", "two"] })),
      Effect.provide(RateLimiter.layer({ capacity: 1e6, refillRate: 1, maxConcurrency: 5 }))
    ),
    (llm) => ({ llm, open: () => open })
  )
}

type Made = Effect.Effect<{ readonly llm: LLM.Service; readonly settled: Effect.Effect<unknown> }, unknown>

const middlewares: Record<string, (llm: LLM.Service) => Made> = {
  balance: (llm) =>
    Effect.map(Balance.make([{ llm }, { llm, id: "other" }]), (balance) => ({
      llm: balance,
      settled: Effect.map(balance.deployments, (all) => all.map(({ inFlight }) => inFlight))
    })),
  fallback: (llm) => Effect.map(Fallback.make([llm])(llm), (made) => ({ llm: made, settled: Effect.succeed([0, 0]) })),
  hedge: (llm) =>
    Effect.map(Hedge.make([llm], { delay: 0, maxExtraLoad: 1 })(llm), (made) => ({
      llm: made,
      settled: Effect.succeed([0, 0])
    })),
  budget: (llm) =>
    Effect.flatMap(Budget.make({ limit: { tokens: 1e9 } }), (budget) =>
      Effect.map(budget.middleware(llm), (made) => ({
        llm: made,
        settled: Effect.map(budget.status, (all) => [...all.map(({ reserved }) => reserved), 0])
      }))
    )
}

describe("a middleware", () => {
  it.scopedLive.each(Object.entries(middlewares))(
    "gives back what %s took when a chat is interrupted before any of its steps",
    ([, make]) =>
      Effect.gen(function* () {
        const base = yield* makeLLM()
        const { llm, settled } = yield* make(base.llm)
        let isOver = false
        for (let step = 1; !isOver; step++) {
          expect(step).toBeLessThan(500)
          isOver = Option.exists(yield* interruptedAt(llm.chat("?"), step, "1 second"), Exit.isSuccess)
          expect(yield* settled).toEqual([0, 0])
          expect(base.open()).toBe(0)
          const { keys, limiter } = yield* base.llm.status
          expect(keys.keys.map(({ inFlight }) => inFlight)).toEqual([0, 0])
          expect(limiter.concurrency?.inFlight).toBe(0)
        }
      })
  )
})
