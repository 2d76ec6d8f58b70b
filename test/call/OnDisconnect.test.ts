/** Streams whose consumers leave, with a server on the loopback interface as the witness. */
import { describe, expect, it } from "@effect/vitest"
import { Cause, Effect, Exit, Layer, Logger, Option, Scope, Stream, TestClock } from "effect"
import * as Series from "../../src/telemetry/series.js"
import * as Budget from "../../src/accounting/Budget.js"
import * as UsageLedger from "../../src/accounting/UsageLedger.js"
import * as CacheStore from "../../src/caching/CacheStore.js"
import * as ResponseCache from "../../src/caching/ResponseCache.js"
import * as ProviderClient from "../../src/call/ProviderClient.js"
import * as Timeouts from "../../src/call/Timeouts.js"
import * as KeyPool from "../../src/keyPool/KeyPool.js"
import * as LLM from "../../src/LLM.js"
import * as ChatCompletionsClient from "../../src/provider/ChatCompletionsClient.js"
import * as RateLimiter from "../../src/rateLimiter/RateLimiter.js"
import * as Balance from "../../src/routing/Balance.js"
import * as Fallback from "../../src/routing/Fallback.js"
import * as Hedge from "../../src/routing/Hedge.js"
import { SimulatedProvider } from "../../src/testing/index.js"
import * as ChatEvents from "../../src/vocabulary/ChatEvent.js"
import type { ChatEvent } from "../../src/vocabulary/ChatEvent.js"
import type { LLMError } from "../../src/vocabulary/LLMError.js"
import { eventually, until } from "../support/eventually.js"
import { answer } from "../support/scripted.js"
import { interruptedAt } from "../support/steps.js"
import * as Timed from "../support/timedProvider.js"
import { direct, transports } from "../support/transports.js"

const words = Array.from({ length: 40 }, (_, index) => `word${index}`).join(" ")

const limiter = RateLimiter.layer({ capacity: 1000, refillRate: 1000, maxConcurrency: 5 })

const drain = (maxTokens: number, maxMillis = 600_000): LLM.OnDisconnect => ({ drain: { maxTokens, maxMillis } })

/** An `LLM` of a simulated provider, with a ledger. */
const setup = (onDisconnect: LLM.OnDisconnect | undefined, options: SimulatedProvider.Options = {}) =>
  Effect.gen(function* () {
    const provider = yield* SimulatedProvider.make({ answer: () => words, tokenPace: "10 millis", ...options })
    const made = yield* LLM.make({
      model: "model",
      retry: false,
      ...(onDisconnect === undefined ? {} : { onDisconnect })
    }).pipe(
      Effect.provide(ChatCompletionsClient.layer({ provider: "simulated", baseUrl: provider.baseUrl })),
      Effect.provide(KeyPool.layer({ provider: "simulated", keys: ["key-one"] })),
      Effect.provide(limiter)
    )
    const ledger = yield* UsageLedger.make()
    const llm = yield* Effect.provideService(UsageLedger.middleware()(made), UsageLedger.UsageLedger, ledger)
    const usage = Effect.map(ledger.snapshot, ({ groups }) => UsageLedger.totalsBy(groups, "model").get("model"))
    return { provider, llm, usage }
  })

/** The outcomes of the calls of a provider in the metrics. */
const outcomesOf = (provider: string) =>
  Effect.map(Series.snapshot, (all) =>
    all.flatMap((series) => {
      const labels = new Map(series.labels)
      return series.name === "llm_requests_total" && labels.get("provider") === provider ? [labels.get("outcome")] : []
    })
  )

const inUse = (llm: LLM.Service) =>
  Effect.map(llm.status, ({ keys, limiter }) => ({
    keys: keys.keys.reduce((sum, { inFlight }) => sum + inFlight, 0),
    permits: limiter.concurrency?.inFlight
  }))

const isIdle = (llm: LLM.Service) =>
  Effect.map(inUse(llm), ({ keys, permits }) => keys === 0 && (permits === undefined || permits === 0))

/** The only request of a provider, once that has seen its end. */
const onlyRequest = (provider: SimulatedProvider.Service) =>
  Effect.map(
    until(provider.log, (log) => log.length > 0),
    (log) => {
      expect(log).toHaveLength(1)
      return log[0]?.outcome
    }
  )

const leave = (llm: LLM.Service) => Stream.runDrain(Stream.take(llm.chatStream("?"), 3))

describe.each(transports)("a stream over %s whose consumer leaves", (_, transport) => {
  it.scopedLive.each([["by default", undefined] as const, ['with "cancel"', "cancel"] as const])(
    "is aborted at once and its usage estimated, %s",
    ([, onDisconnect]) =>
      Effect.gen(function* () {
        const { llm, provider, usage } = yield* setup(onDisconnect)
        yield* leave(llm)
        expect(yield* isIdle(llm)).toBe(true)
        expect(yield* onlyRequest(provider)).toBe("aborted")
        expect(yield* usage).toMatchObject({ attempts: 1, usage: { estimated: true } })
      }).pipe(Effect.provide(transport))
  )

  it.scopedLive.each([["detach", "detach"] as const, ["drain", drain(10_000)] as const])(
    "is read to its end with %s, in which its key is in use, and books the usage that the provider reports once",
    ([, onDisconnect]) =>
      Effect.gen(function* () {
        const { llm, provider, usage } = yield* setup(onDisconnect)
        yield* leave(llm)
        expect(yield* inUse(llm)).toEqual({ keys: 1, permits: 1 })
        yield* eventually(isIdle(llm))
        expect(yield* onlyRequest(provider)).toBe("complete")
        expect(yield* usage).toMatchObject({ attempts: 1, usage: { estimated: false } })
        // The key serves the next call.
        expect((yield* llm.chat("?")).text).toBe(words)
      }).pipe(Effect.provide(transport))
  )

  it.scopedLive("is aborted after maxTokens more tokens, which its estimated usage contains", () =>
    Effect.gen(function* () {
      const { llm, provider, usage } = yield* setup(drain(10))
      yield* leave(llm)
      yield* eventually(isIdle(llm))
      expect(yield* onlyRequest(provider)).toBe("aborted")
      const totals = yield* usage
      expect(totals).toMatchObject({ attempts: 1, usage: { estimated: true } })
      expect(totals?.usage.outputTokens).toBeGreaterThanOrEqual(10)
    }).pipe(Effect.provide(transport))
  )

  it.scopedLive("is aborted when the scope of its LLM closes", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const { llm, provider, usage } = yield* Scope.extend(setup("detach"), scope)
      yield* provider.next(SimulatedProvider.hang(5))
      yield* Stream.runDrain(Stream.take(llm.chatStream("?"), 1))
      expect(yield* inUse(llm)).toEqual({ keys: 1, permits: 1 })
      expect(yield* provider.inFlight).toBe(1)
      yield* Scope.close(scope, Exit.void)
      expect(yield* isIdle(llm)).toBe(true)
      expect(yield* usage).toMatchObject({ attempts: 1, usage: { estimated: true } })
    }).pipe(Effect.provide(transport))
  )
})

describe("the rest of a stream whose consumer has left", () => {
  const policies: ReadonlyArray<readonly [string, (llm: LLM.Service) => Effect.Effect<LLM.Service, unknown>]> = [
    ["Fallback", (llm) => Fallback.make([])(llm)],
    ["Balance", (llm) => Balance.make([{ llm }])],
    ["Hedge", (llm) => Hedge.make([llm])(llm)],
    ["Timeouts", (llm) => Timeouts.middleware({ firstEvent: "1 minute", idle: "1 minute" })(llm)]
  ]

  it.scopedLive.each(policies)("is read through a %s", ([, around]) =>
    Effect.gen(function* () {
      const { llm, provider, usage } = yield* setup("detach")
      const wrapped = yield* around(llm)
      yield* leave(wrapped)
      yield* eventually(isIdle(llm))
      expect(yield* onlyRequest(provider)).toBe("complete")
      expect(yield* usage).toMatchObject({ attempts: 1, usage: { estimated: false } })
    }).pipe(Effect.provide(direct))
  )

  it.scopedLive("completes an answer for the response cache, and settles a budget with the reported usage", () =>
    Effect.gen(function* () {
      const { llm, provider, usage } = yield* setup("detach")
      const cache = yield* Effect.provide(ResponseCache.make({ streams: true }), CacheStore.layerMemory())
      const budget = yield* Budget.make({ name: "all", limit: { tokens: 1_000_000 } })
      const wrapped = yield* Effect.flatMap(budget.middleware(llm), cache.middleware)
      yield* leave(wrapped)
      yield* eventually(isIdle(llm))
      const cached = yield* ChatEvents.collect(wrapped.chatStream("?"))
      expect(cached.cached?.source).toBe("store")
      expect(yield* onlyRequest(provider)).toBe("complete")
      const [status] = yield* budget.status
      expect(status).toMatchObject({ spent: (yield* usage)?.usage.totalTokens, reserved: 0 })
    }).pipe(Effect.provide(direct))
  )

  it.scopedLive("logs its failure, and records it as that of any call", () =>
    Effect.gen(function* () {
      const messages: Array<unknown> = []
      const logger = Logger.make(({ message }) => void messages.push(message))
      const { llm, provider, usage } = yield* setup("detach")
      yield* provider.next(SimulatedProvider.reset(12))
      yield* Effect.provide(leave(llm), Logger.replace(Logger.defaultLogger, logger))
      yield* eventually(isIdle(llm))
      expect(yield* usage).toMatchObject({ attempts: 1, usage: { estimated: true } })
      expect(messages.flat()).toEqual(["A stream failed after its consumer had left."])
    }).pipe(Effect.provide(direct))
  )

  it.scopedLive("ends a call that the metrics count as interrupted", () =>
    Effect.gen(function* () {
      const server = Timed.make(() => ({ pace: 0 }))
      const { attempts, llm } = yield* Timed.setup(server, {
        provider: "counted",
        keys: ["one"],
        llm: { retry: false, onDisconnect: "detach" }
      })
      yield* Stream.runDrain(Stream.take(llm.chatStream("?"), 1))
      yield* eventually(isIdle(llm))
      expect(attempts).toMatchObject([{ outcome: "ok", usage: { outputTokens: 7, estimated: false } }])
      expect(yield* outcomesOf("counted")).toEqual(["interrupted"])
    })
  )

  it.scopedLive("ends at the time limits of the call", () =>
    Effect.gen(function* () {
      const server = Timed.make(() => ({ pace: 0, pieces: 2, end: "stay open" }))
      const { attempts, llm } = yield* Timed.setup(server, {
        provider: "hanging",
        keys: ["one"],
        llm: { retry: false, onDisconnect: "detach", timeouts: { idle: "20 millis" } }
      })
      yield* Stream.runDrain(Stream.take(llm.chatStream("?"), 1))
      yield* eventually(isIdle(llm))
      expect(server.open()).toBe(0)
      expect(attempts).toMatchObject([{ outcome: "TimeoutError" }])
    })
  )

  it.scoped("is aborted after maxMillis of the clock", () =>
    Effect.gen(function* () {
      let isClosed = false
      const [first, ...others] = ChatEvents.fromResponse(answer("yes"))
      const events: Stream.Stream<ChatEvent, LLMError> =
        first === undefined
          ? Stream.empty
          : Stream.concat(Stream.make(first, ...others.slice(0, 1)), Stream.never).pipe(
              Stream.ensuring(Effect.sync(() => (isClosed = true)))
            )
      const llm = yield* LLM.make({ model: "model", onDisconnect: drain(1000, 5000) }).pipe(
        Effect.provide(
          Layer.succeed(ProviderClient.ProviderClient, {
            provider: "slow",
            wire: "test",
            chat: () => Effect.succeed(answer("yes")),
            chatStream: () => events
          })
        ),
        Effect.provide(KeyPool.layer({ provider: "slow", keys: ["one"] })),
        Effect.provide(limiter)
      )
      yield* Stream.runDrain(Stream.take(llm.chatStream("?"), 1))
      yield* TestClock.adjust("4999 millis")
      expect([isClosed, yield* isIdle(llm)]).toEqual([false, false])
      yield* TestClock.adjust("1 millis")
      yield* eventually(isIdle(llm))
      expect(isClosed).toBe(true)
    })
  )

  it.scopedLive.each([["detach", "detach"] as const, ["drain", drain(2, 50)] as const])(
    "gives everything back and reports each attempt once when the consumer is interrupted at any step, with %s",
    ([, onDisconnect]) =>
      Effect.gen(function* () {
        const server = Timed.make(() => ({ pace: 0 }))
        const { attempts, llm } = yield* Timed.setup(server, {
          provider: "interrupted",
          keys: ["one"],
          llm: { retry: false, onDisconnect }
        })
        for (let step = 1, isOver = false; !isOver; step += 3) {
          const sent = server.sent()
          const exit = yield* interruptedAt(Stream.runDrain(llm.chatStream("?")), step, "20 millis")
          isOver = Option.exists(exit, (ended) => Exit.isSuccess(ended) || !Cause.isInterrupted(ended.cause))
          yield* eventually(Effect.map(isIdle(llm), (idle) => idle && server.open() === 0))
          expect(server.sent() - sent).toBeLessThanOrEqual(1)
          const { limiter } = yield* llm.status
          expect(Math.round(Timed.capacity - limiter.available)).toBe(attempts.length)
        }
        expect(attempts.length).toBe(server.sent())
      })
  )
})

it("rejects bounds that are not positive", () => {
  expect(() => LLM.make({ model: "model", onDisconnect: drain(0, -1) })).toThrow(
    /onDisconnect\.drain\.maxTokens.*onDisconnect\.drain\.maxMillis/
  )
})
