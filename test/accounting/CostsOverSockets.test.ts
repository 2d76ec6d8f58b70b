/** Compares the ledger and the budget with the provider's own log. */
import { describe, expect, it } from "@effect/vitest"
import { Effect, Either, Layer, Stream } from "effect"
import * as Budget from "../../src/accounting/Budget.js"
import * as KeyPool from "../../src/keyPool/KeyPool.js"
import * as LLM from "../../src/LLM.js"
import * as Pricing from "../../src/accounting/Pricing.js"
import * as ChatCompletionsClient from "../../src/provider/ChatCompletionsClient.js"
import * as RateLimiter from "../../src/rateLimiter/RateLimiter.js"
import { SimulatedProvider } from "../../src/testing/index.js"
import * as Usage from "../../src/vocabulary/Usage.js"
import * as UsageLedger from "../../src/accounting/UsageLedger.js"
import { eventually } from "../support/eventually.js"
import { transports } from "../support/transports.js"

const reportedUsage = Usage.make({ inputTokens: 10, cachedInputTokens: 4, outputTokens: 5, reasoningTokens: 2 })

const isComplete = ({ outcome, status }: SimulatedProvider.Exchange) => outcome === "complete" && status === 200

describe.each(transports)("UsageLedger over %s", (_, transport) => {
  it.scopedLive("records one attempt per request in the provider's log, under refusals, failures and early stops", () =>
    Effect.gen(function* () {
      const provider = yield* SimulatedProvider.make({
        keys: [{ key: "revoked", revoked: true }, { key: "good" }],
        answer: () => ({ text: "one two three four", usage: reportedUsage }),
        latency: { min: "1 millis", max: "3 millis" },
        faults: (index, { messages }) =>
          index % 10 === 3
            ? SimulatedProvider.status(503)
            : index % 10 === 6
              ? SimulatedProvider.reset(2)
              : index % 10 === 8 && messages.some(({ content }) => content === "Count aloud")
                ? SimulatedProvider.hang(4)
                : undefined
      })
      const budget = yield* Budget.make({ limit: { tokens: 1e9 } })
      const llm = yield* LLM.make({
        model: "simulated",
        retry: { backoff: { base: 1 } },
        // Only for streams that have started, because the log has no attempt that ends before it reaches the provider.
        timeouts: { idle: "150 millis" }
      }).pipe(
        Effect.provide(ChatCompletionsClient.layer({ provider: "simulated", baseUrl: provider.baseUrl })),
        Effect.provide(KeyPool.layer({ provider: "simulated", keys: ["revoked", "good"] })),
        Effect.provide(RateLimiter.layerUnlimited),
        Effect.flatMap(UsageLedger.middleware()),
        Effect.flatMap(budget.middleware)
      )
      const outcomes = yield* Effect.forEach(
        Array.from({ length: 60 }, (_, index) => index),
        (index) =>
          Effect.either(
            index % 3 === 0
              ? Effect.asVoid(llm.chat("Count"))
              : index % 3 === 1
                ? Stream.runDrain(llm.chatStream("Count aloud"))
                : Stream.runDrain(Stream.take(llm.chatStream("Count aloud"), 3))
          ),
        { concurrency: 8 }
      )
      yield* eventually(Effect.map(provider.inFlight, (count) => count === 0))
      const log = yield* provider.log
      const { groups, total } = yield* UsageLedger.snapshot
      expect([outcomes.some(Either.isRight), outcomes.some(Either.isLeft)]).toEqual([true, true])

      // Every request in the provider's log is one attempt, on the same key.
      expect(total.attempts).toBe(log.length)
      for (const [keyId, totals] of UsageLedger.totalsBy(groups, "keyId")) {
        expect(totals.attempts).toBe(log.filter((exchange) => exchange.keyId === keyId).length)
      }
      // Complete answers have the reported usage; the usage of all others is estimated and has a cost too.
      expect(total.succeeded).toBeGreaterThan(0)
      expect(total.usage.inputTokens).toBeGreaterThanOrEqual(total.succeeded * reportedUsage.inputTokens)
      expect(total.usage).toMatchObject({
        cachedInputTokens: total.succeeded * reportedUsage.cachedInputTokens,
        reasoningTokens: total.succeeded * reportedUsage.reasoningTokens,
        estimated: true
      })
      expect(total.succeeded).toBeLessThanOrEqual(log.filter(isComplete).length)
      expect(total.cost.total).toBeGreaterThan(0)
      expect(yield* budget.status).toMatchObject([{ spent: total.usage.totalTokens, reserved: 0 }])
    }).pipe(
      Effect.provide(
        Layer.mergeAll(
          transport,
          Layer.provide(UsageLedger.layer(), Pricing.layer({ simulated: { "*": { input: 1, output: 2 } } }))
        )
      )
    )
  )

  it.scopedLive("adds up exactly the reported usage when every answer arrives whole", () =>
    Effect.gen(function* () {
      const provider = yield* SimulatedProvider.make({
        answer: () => ({ text: "one two three four", usage: reportedUsage }),
        faults: (index) => (index % 4 === 1 ? SimulatedProvider.status(503) : undefined)
      })
      const llm = yield* LLM.make({ model: "simulated", retry: { backoff: { base: 1 } } }).pipe(
        Effect.provide(ChatCompletionsClient.layer({ provider: "simulated", baseUrl: provider.baseUrl })),
        Effect.provide(KeyPool.layer({ provider: "simulated", keys: ["good"] })),
        Effect.provide(RateLimiter.layerUnlimited),
        Effect.flatMap(UsageLedger.middleware())
      )
      yield* Effect.forEach(
        Array.from({ length: 40 }, (_, index) => index),
        (index) => (index % 2 === 0 ? Effect.asVoid(llm.chat("Count")) : Stream.runDrain(llm.chatStream("Count"))),
        { concurrency: 4 }
      )
      // The provider logs an exchange after its response has reached the caller.
      yield* eventually(Effect.map(provider.inFlight, (count) => count === 0))
      const complete = (yield* provider.log).filter(isComplete).length
      const { total } = yield* UsageLedger.snapshot
      expect(total).toMatchObject({ attempts: (yield* provider.log).length, succeeded: 40 })
      expect(complete).toBe(40)
      expect(total.usage).toEqual(Usage.combineAll(Array.from({ length: 40 }, () => reportedUsage)))
    }).pipe(Effect.provide(Layer.mergeAll(transport, UsageLedger.layer())))
  )
})
