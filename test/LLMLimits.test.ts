import { describe, expect, it } from "@effect/vitest"
import { Duration, Effect, Fiber, Layer, Ref, Stream, TestClock } from "effect"
import * as Balance from "../src/routing/Balance.js"
import * as ChatEvent from "../src/vocabulary/ChatEvent.js"
import * as Fallback from "../src/routing/Fallback.js"
import * as KeyPool from "../src/keyPool/KeyPool.js"
import * as LLM from "../src/LLM.js"
import * as LLMErrors from "../src/vocabulary/LLMError.js"
import * as ProviderClient from "../src/call/ProviderClient.js"
import * as RateLimiter from "../src/rateLimiter/RateLimiter.js"
import type { RateLimits } from "../src/wire/headers/rateLimits.js"
import { answer, context, scripted } from "./support/scripted.js"

/** An `LLM` whose provider answers after one second with the headers or the refusal that `respond` returns for the model. */
const serving = (
  options: RateLimiter.Options | RateLimiter.PerModelOptions,
  respond: (model: string) => { readonly headers?: RateLimits; readonly refuses?: boolean },
  keys: ReadonlyArray<string> = ["one"]
) => {
  const ask = (call: ProviderClient.Call) =>
    Effect.gen(function* () {
      const { headers, refuses = false } = respond(call.model)
      yield* Effect.sleep("1 second")
      if (refuses) {
        return yield* new LLMErrors.RateLimitError({
          ...context,
          status: 429,
          source: "provider",
          message: "slow down"
        })
      }
      if (headers !== undefined) yield* call.onRateLimits?.(headers) ?? Effect.void
      return answer("yes")
    })
  const client = Layer.succeed(ProviderClient.ProviderClient, {
    provider: "test",
    wire: "test",
    chat: (_, call) => ask(call),
    chatStream: (_, call) =>
      Stream.unwrap(Effect.map(ask(call), (whole) => Stream.fromIterable(ChatEvent.fromResponse(whole))))
  })
  const limiter = "models" in options ? RateLimiter.layerPerModel(options) : RateLimiter.layer(options)
  return Effect.provide(
    LLM.make({ model: "model", retry: false, timeouts: false }),
    Layer.mergeAll(client, limiter, KeyPool.layer({ provider: "test", keys }))
  )
}

/** Runs an effect and advances the test clock by `time`. */
const passing = <A, E, R>(effect: Effect.Effect<A, E, R>, time: Duration.DurationInput = "1 second") =>
  Effect.flatMap(Effect.fork(effect), (fiber) => Effect.zipRight(TestClock.adjust(time), Fiber.join(fiber)))

describe("LLM with an adaptive limiter", () => {
  it.effect("slows the limiter down on a 429, and speeds it up again after successful calls", () =>
    Effect.gen(function* () {
      let refusing = true
      const llm = yield* serving({ capacity: 10, refillRate: 2, adaptive: true }, () => ({ refuses: refusing }))
      yield* Effect.flip(passing(llm.chat("?")))
      expect((yield* llm.status).limiter).toMatchObject({ pace: 0.5, refillRate: 1 })
      refusing = false
      yield* TestClock.adjust("1 minute")
      yield* passing(Stream.runDrain(llm.chatStream("?")))
      yield* passing(llm.chat("?"))
      expect((yield* llm.status).limiter.pace).toBeCloseTo(0.6)
    })
  )

  it.effect("applies rate limit headers to the limiter when there is one key, and not when there are several", () =>
    Effect.gen(function* () {
      const headers = { remainingRequests: 3, resetRequests: Duration.seconds(30) }
      const alone = yield* serving({ capacity: 10, refillRate: 2, adaptive: true }, () => ({ headers }))
      yield* passing(alone.chat("?"))
      expect((yield* alone.status).limiter).toMatchObject({ available: 3, refillRate: 0.1 })
      const several = yield* serving({ capacity: 10, refillRate: 2, adaptive: true }, () => ({ headers }), ["a", "b"])
      yield* passing(several.chat("?"))
      expect((yield* several.status).limiter).toMatchObject({ available: 10, refillRate: 2 })
    })
  )
})

describe("LLM with a limiter", () => {
  it.effect("keeps at most maxConcurrency calls in flight, and counts a stream until it ends", () =>
    Effect.gen(function* () {
      const llm = yield* serving({ maxConcurrency: 2 }, () => ({}))
      const calls = yield* Effect.forEach([1, 2, 3], () => Effect.fork(Stream.runDrain(llm.chatStream("?"))))
      yield* TestClock.adjust(0)
      expect((yield* llm.status).limiter).toMatchObject({ waiting: 1, concurrency: { inFlight: 2 } })
      yield* TestClock.adjust("1 second")
      expect((yield* llm.status).limiter).toMatchObject({ waiting: 0, concurrency: { inFlight: 1 } })
      yield* Fiber.interruptAll(calls)
      expect((yield* llm.status).limiter.concurrency).toEqual({ inFlight: 0, limit: 2 })
    })
  )

  it.effect("serves calls with normal priority before waiting batch calls and batch streams", () =>
    Effect.gen(function* () {
      const llm = yield* serving({ capacity: 1, refillRate: 1 }, () => ({}))
      const order = yield* Ref.make<ReadonlyArray<string>>([])
      const note = (name: string) => Ref.update(order, (before) => [...before, name])
      yield* passing(llm.chat("?"), "1 second")
      yield* Effect.fork(llm.chat("?"))
      yield* TestClock.adjust(0)
      const calls = [
        yield* Effect.fork(RateLimiter.withPriority("batch")(Effect.zipRight(llm.chat("?"), note("batch")))),
        yield* Effect.fork(
          Effect.zipRight(
            Stream.runDrain(Stream.provideService(llm.chatStream("?"), RateLimiter.CurrentPriority, "batch")),
            note("batch stream")
          )
        ),
        yield* Effect.fork(Effect.zipRight(llm.chat("?"), note("call")))
      ]
      yield* TestClock.adjust("10 seconds")
      yield* Fiber.joinAll(calls)
      expect(yield* Ref.get(order)).toEqual(["call", "batch", "batch stream"])
    })
  )

  it.effect("limits each requested model by itself with RateLimiter.layerPerModel", () =>
    Effect.gen(function* () {
      const llm = yield* serving(
        { models: { large: { capacity: 1, refillRate: 0.01, tokensPerMinute: 1000, adaptive: true } } },
        (model) => ({ refuses: model === "large" })
      )
      const asking = (model: string) => llm.chat({ messages: [{ role: "user", content: "?" }], model })
      expect((yield* Effect.flip(passing(asking("large")))).message).toBe("slow down")
      expect(yield* Effect.flip(asking("large"))).toMatchObject({ source: "limiter", model: "large" })
      // The key has a cooldown of one second.
      yield* passing(asking("small"), "2 seconds")
      const { available, models } = (yield* llm.status).limiter
      expect(available).toBe(Infinity)
      expect(models).toMatchObject({ large: { pace: 0.5, available: 0.015, tokens: { reserved: 0 } } })
    })
  )
})

describe("tokens of a failed call", () => {
  const failures = {
    ModelNotFoundError: new LLMErrors.ModelNotFoundError({ ...context, status: 404, message: "no such model" }),
    InvalidRequestError: new LLMErrors.InvalidRequestError({ ...context, status: 400, message: "bad" }),
    UnsupportedError: new LLMErrors.UnsupportedError({ ...context, feature: "tools", message: "no tools" }),
    AuthenticationError: new LLMErrors.AuthenticationError({ ...context, status: 401, message: "wrong key" })
  }

  /** The tokens that are left after a call that fails with `failure`. */
  const left = (failure: LLMErrors.LLMError, ask: (llm: LLM.Service) => Effect.Effect<unknown, LLMErrors.LLMError>) =>
    Effect.gen(function* () {
      const limiter = yield* RateLimiter.make({ tokensPerMinute: 6000 })
      const llm = yield* LLM.make({ model: "model", retry: false, timeouts: false }).pipe(
        Effect.provideService(RateLimiter.RateLimiter, limiter),
        Effect.provideService(ProviderClient.ProviderClient, {
          provider: "test",
          wire: "test",
          chat: () => Effect.fail(failure),
          chatStream: () => Stream.fail(failure)
        }),
        Effect.provide(KeyPool.layer({ provider: "test", keys: ["one"] }))
      )
      yield* Effect.flip(ask(llm))
      return (yield* limiter.status).tokens?.available
    })

  it.effect.each(Object.values(failures).map((failure) => [failure._tag, failure] as const))(
    "spends no limiter tokens on a request that the provider rejects: %s",
    ([, failure]) =>
      Effect.gen(function* () {
        expect(yield* left(failure, (llm) => llm.chat("?"))).toBe(6000)
        expect(yield* left(failure, (llm) => Stream.runDrain(llm.chatStream("?")))).toBe(6000)
      })
  )

  it.effect("counts the estimated tokens as spent after a ProviderUnavailableError", () =>
    Effect.gen(function* () {
      const failure = new LLMErrors.ProviderUnavailableError({ ...context, status: 500, message: "down" })
      expect(yield* left(failure, (llm) => llm.chat("?"))).toBeLessThan(6000)
    })
  )
})

describe("key failover with cooldowns", () => {
  it.effect("fails over to a ready key at once, and does not wait for a key in cooldown", () =>
    Effect.gen(function* () {
      const asked: Array<string> = []
      const slowDown = (retryAfter: Duration.DurationInput) =>
        new LLMErrors.RateLimitError({
          ...context,
          status: 429,
          source: "provider",
          message: "slow down",
          retryAfter: Duration.decode(retryAfter)
        })
      const ask = (call: ProviderClient.Call) =>
        Effect.suspend(() => {
          asked.push(call.key.id)
          return Effect.fail(slowDown(call.key.id === "one" ? "5 seconds" : "8 seconds"))
        })
      const llm = yield* LLM.make({ model: "model", retry: false, timeouts: false }).pipe(
        Effect.provideService(ProviderClient.ProviderClient, {
          provider: "test",
          wire: "test",
          chat: (_, call) => ask(call),
          chatStream: (_, call) => Stream.fromEffect(ask(call)),
          listModels: ask
        }),
        Effect.provide(
          Layer.merge(
            RateLimiter.layerUnlimited,
            KeyPool.layer({
              provider: "test",
              keys: [
                { id: "one", key: "sk-one" },
                { id: "two", key: "sk-two" }
              ]
            })
          )
        )
      )
      // The test clock does not advance: a wait would never end.
      const error = yield* Effect.flip(llm.chat("?"))
      expect(asked).toEqual(["one", "two"])
      expect(error).toMatchObject({ _tag: "RateLimitError", retryAfter: Duration.seconds(5) })
      yield* TestClock.adjust("6 seconds")
      expect((yield* Effect.flip(Stream.runDrain(llm.chatStream("?")))).attempts.map(({ keyId }) => keyId)).toEqual([
        "one"
      ])
      yield* TestClock.adjust("6 seconds")
      yield* Effect.flip(llm.listModels)
      expect(asked).toEqual(["one", "two", "one", "two", "one"])
    })
  )
})

describe("request over the capacity of the limiter", () => {
  const large = "word ".repeat(2000)

  const limited = (retry: LLM.Options["retry"] = {}) =>
    Effect.gen(function* () {
      const asked = yield* Ref.make(0)
      const client = Layer.succeed(ProviderClient.ProviderClient, {
        provider: "test",
        wire: "test",
        chat: () =>
          Effect.as(
            Ref.update(asked, (count) => count + 1),
            answer("yes")
          ),
        chatStream: () => Stream.fromIterable(ChatEvent.fromResponse(answer("yes")))
      })
      const llm = yield* Effect.provide(
        LLM.make({ model: "small", retry: retry ?? {} }),
        Layer.mergeAll(
          client,
          RateLimiter.layer({ tokensPerMinute: 1000 }),
          KeyPool.layer({ provider: "test", keys: ["one"] })
        )
      )
      return { llm, asked }
    })

  it.effect("fails at once with an InvalidRequestError when a request needs more tokens than the limiter holds", () =>
    Effect.gen(function* () {
      let failures = 0
      const { asked, llm } = yield* limited({
        when: (error) => {
          failures++
          return LLMErrors.isRetryable(error)
        }
      })
      // The test clock does not advance: a wait would never end.
      for (const call of [Effect.asVoid(llm.chat(large)), Stream.runDrain(llm.chatStream(large))]) {
        const error = yield* Effect.flip(call)
        expect(error).toMatchObject({
          _tag: "InvalidRequestError",
          code: "limit_too_small",
          model: "small",
          attempts: []
        })
        expect(error.message).toContain("Shorten the request or raise tokensPerMinute.")
      }
      expect([failures, yield* Ref.get(asked)]).toEqual([2, 0])
      expect((yield* llm.status).limiter.tokens).toMatchObject({ available: 1000, reserved: 0 })
      expect((yield* llm.chat("short")).text).toBe("yes")
    })
  )

  it.effect("Fallback and Balance send a request that is too large for one limiter to another member", () =>
    Effect.gen(function* () {
      const { llm } = yield* limited()
      const wide = yield* scripted("other")
      const other = { ...wide, info: { ...wide.info, contextWindow: 200_000 } }
      const fallback = yield* Fallback.make([other])(llm)
      expect((yield* fallback.chat(large)).text).toBe("other")
      const networkOnly = yield* Fallback.make([other], { on: ["NetworkError"] })(llm)
      expect((yield* Effect.flip(networkOnly.chat(large)))._tag).toBe("InvalidRequestError")
      const balanced = yield* Balance.make([
        { id: "small", llm, order: 0 },
        { id: "large", llm: other, order: 1 }
      ])
      expect((yield* balanced.chat(large)).text).toBe("other")
    })
  )
})
