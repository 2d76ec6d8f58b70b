/** The requests of one call through nested policies. */
import { describe, expect, it } from "@effect/vitest"
import { Effect, Layer, Random, Stream } from "effect"
import * as FastCheck from "fast-check"
import { requestsOf } from "../../src/call/requestLimit.js"
import * as Retry from "../../src/call/Retry.js"
import * as LLM from "../../src/LLM.js"
import * as Balance from "../../src/routing/Balance.js"
import * as Fallback from "../../src/routing/Fallback.js"
import * as Hedge from "../../src/routing/Hedge.js"
import type { Attempt } from "../../src/vocabulary/attempt.js"
import type { FailingProvider, Status } from "../support/failingProvider.js"
import { failingProvider, llmWith } from "../support/failingProvider.js"
import { whileTimePasses } from "../support/whileTimePasses.js"

const total = (providers: ReadonlyArray<FailingProvider>): number =>
  providers.reduce((sum, { sent }) => sum + sent.length, 0)

/** Every call is hedged. */
const eager: Hedge.Options = { delay: "5 millis", maxExtraLoad: 1, burst: 100 }

/** A retry around a fallback of two hedged balances of three deployments each. */
const nested = (statusOf: (provider: string, index: number) => Status, hedging: Hedge.Options = eager) =>
  Effect.gen(function* () {
    const names = ["a", "b", "c", "d", "e", "f"]
    const providers = names.map((name) => failingProvider((_, index) => statusOf(name, index), name))
    const llms = yield* Effect.forEach(providers, ({ client }) => llmWith(client, 2))
    const hedged = (members: ReadonlyArray<LLM.Service>) =>
      Effect.flatMap(Balance.make(members.map((llm) => ({ llm }))), Hedge.make([], hedging))
    const first = yield* hedged(llms.slice(0, 3))
    const second = yield* hedged(llms.slice(3))
    const fallback = yield* Fallback.make([second])(first)
    return { providers, llms, fallback, llm: yield* Retry.middleware()(fallback) }
  })

describe("the requests of one call", () => {
  it.effect("are at most 15 in a retry around a fallback of hedged balances whose deployments all answer 500", () =>
    Effect.gen(function* () {
      // The jitter of retries and hedges decides which deployments a hedge calls.
      for (let seed = 1; seed <= 10; seed++) {
        const { llm, providers } = yield* nested(() => 500)
        yield* Effect.flip(Effect.withRandom(whileTimePasses(llm.chat("?")), Random.make(seed)))
        expect(total(providers)).toBeLessThanOrEqual(15)
        expect(total(providers.slice(0, 3))).toBeGreaterThan(0)
        expect(total(providers.slice(3))).toBeGreaterThan(0)
      }
    })
  )

  it.effect("are at most 15 for a stream", () =>
    Effect.gen(function* () {
      const { llm, providers } = yield* nested(() => 500)
      yield* Effect.flip(whileTimePasses(Stream.runDrain(llm.chatStream("?"))))
      expect(total(providers)).toBeLessThanOrEqual(15)
    })
  )

  it.effect("are at most as many as `MaxRequests` says", () =>
    Effect.gen(function* () {
      for (const most of [2, 4, 7, 30]) {
        const { llm, providers } = yield* nested(() => 500)
        yield* Effect.flip(whileTimePasses(Effect.provideService(llm.chat("?"), Retry.MaxRequests, most)))
        expect(total(providers)).toBeLessThanOrEqual(most)
        expect(total(providers)).toBeGreaterThanOrEqual(Math.min(most - 1, 6))
      }
    })
  )

  it.effect("are limited by a layer for a whole program", () =>
    Effect.gen(function* () {
      const { llm, providers } = yield* nested(() => 500)
      yield* Effect.flip(whileTimePasses(Effect.provide(llm.chat("?"), Layer.succeed(Retry.MaxRequests, 5))))
      expect(total(providers)).toBeLessThanOrEqual(5)
    })
  )

  it.effect("are one a deployment, and a few more, when many calls fail at the same time", () =>
    Effect.gen(function* () {
      const { llm, providers } = yield* nested(() => 500, { delay: "1 hour" })
      const calls = Effect.all(
        Array.from({ length: 60 }, () => Effect.either(llm.chat("?"))),
        { concurrency: "unbounded" }
      )
      yield* whileTimePasses(calls)
      for (const { sent } of providers) expect(sent.length).toBeLessThanOrEqual(60 * 1.2 + 10)
    })
  )

  it.effect("reach every member of a fallback, also when each retries", () =>
    Effect.gen(function* () {
      const providers = ["a", "b", "c", "d", "e", "f"].map((name) =>
        failingProvider(() => (name === "f" ? 200 : 500), name)
      )
      const [first, ...others] = yield* Effect.forEach(providers, ({ client }) =>
        llmWith(client, 1, { retry: { backoff: { base: "10 millis" } } })
      )
      if (first === undefined) return expect.unreachable()
      const llm = yield* Fallback.make(others)(first)
      expect((yield* whileTimePasses(llm.chat("?"))).text).toBe("yes")
      expect(total(providers)).toBeLessThanOrEqual(15)
    })
  )

  it.effect("are two when a hedge sends a second one and nothing fails", () =>
    Effect.gen(function* () {
      const { llm, providers } = yield* nested(() => 200)
      expect((yield* whileTimePasses(llm.chat("?"))).text).toBe("yes")
      expect(total(providers)).toBe(2)
    })
  )

  it.effect("do not limit the retries of a single `LLM`, which has `maxAttempts`", () =>
    Effect.gen(function* () {
      const provider = failingProvider(() => 500)
      const llm = yield* llmWith(provider.client, 1, { retry: { maxAttempts: 20, budget: false } })
      yield* Effect.flip(whileTimePasses(llm.chat("?")))
      expect(provider.sent).toHaveLength(20)
    })
  )

  it.effect("do not count for another `LLM` that is called within the call", () =>
    Effect.gen(function* () {
      const helper = failingProvider(() => 500, "helper")
      const helping = yield* llmWith(helper.client, 1)
      const { fallback, providers } = yield* nested(() => 500, { delay: "1 hour" })
      const checked = LLM.wrap(fallback, {
        around: (call) => Effect.zipRight(Effect.either(helping.chat("?")), call)
      })
      const llm = yield* Retry.middleware({ maxAttempts: 2 })(checked)
      yield* Effect.flip(whileTimePasses(Effect.provideService(llm.chat("?"), Retry.MaxRequests, 8)))
      expect(total(providers)).toBeLessThanOrEqual(8)
      // Two rounds of five attempts each, of which the budget of the helper pays for all.
      expect(helper.sent).toHaveLength(10)
    })
  )
})

describe("the number of requests in a list of attempts", () => {
  const attempt = (keyId: string, error?: string): Attempt => ({
    provider: "test",
    model: "model",
    keyId,
    duration: 1,
    ...(error === undefined ? {} : { error })
  })

  it("counts keys that are refused one after the other as one request", () => {
    const refused = ["a", "b", "c"].map((keyId) => attempt(keyId, "AuthenticationError"))
    expect(requestsOf([...refused, attempt("d")])).toBe(1)
    expect(requestsOf([...refused, ...refused])).toBe(2)
    expect(requestsOf([...refused, attempt("d", "ProviderUnavailableError"), attempt("e")])).toBe(2)
  })

  it.prop(
    "is the number of attempts where no key is refused, and at least one",
    [FastCheck.array(FastCheck.constantFrom("a", "b"))],
    ([keyIds]) => {
      const attempts = keyIds.map((keyId) => attempt(keyId, "ProviderUnavailableError"))
      expect(requestsOf(attempts)).toBe(Math.max(1, attempts.length))
    }
  )
})
