/** What the log tells of a call whose attempts fail, from real servers. */
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import { describe, expect, it } from "@effect/vitest"
import type { HttpClient } from "@effect/platform"
import { Effect, Exit, Layer, Logger, LogLevel, Stream, TestClock } from "effect"
import { makeWaitLog } from "../../src/call/callLog.js"
import * as LLM from "../../src/LLM.js"
import * as Retry from "../../src/call/Retry.js"
import * as Timeouts from "../../src/call/Timeouts.js"
import { NodeTransport } from "../../src/node/index.js"
import * as Fallback from "../../src/routing/Fallback.js"
import * as Hedge from "../../src/routing/Hedge.js"
import { SimulatedProvider } from "../../src/testing/index.js"

type Line = readonly [level: string, text: string]

/** The lines of a program's log about its calls, from the level debug on. */
const logged = <A, E, R>(program: Effect.Effect<A, E, R>) =>
  Effect.gen(function* () {
    const lines: Array<Line> = []
    const logger = Logger.make(({ logLevel, message }) => void lines.push([logLevel.label, String(message)]))
    yield* program.pipe(
      Effect.provide(Logger.replace(Logger.defaultLogger, logger)),
      Logger.withMinimumLogLevel(LogLevel.Debug)
    )
    return lines.filter(([, text]) => text.startsWith("deepseek/chat:"))
  })

const modelOf = (baseUrl: string, keys: ReadonlyArray<string>, options: Partial<LLM.KeysOptions> = {}) =>
  LLM.layerKeys({ provider: "deepseek", model: "chat", keys, baseUrl, ...options }).pipe(
    Layer.provide(NodeHttpClient.layerUndici)
  )

describe("the log of a call", () => {
  it.scopedLive("has a line for each attempt that fails and is followed by another one, and no secret", () =>
    Effect.gen(function* () {
      const provider = yield* SimulatedProvider.make({
        keys: [{ key: "sk-revoked", revoked: true }, { key: "sk-limited", outOfQuota: true }, { key: "sk-good" }]
      })
      const model = modelOf(provider.baseUrl, ["sk-revoked", "sk-limited", "sk-good"])
      const lines = yield* logged(
        Effect.forEach([1, 2, 3], () => LLM.chat("Hi"), { discard: true }).pipe(Effect.provide(model))
      )
      expect(lines.map(([level]) => level)).toEqual(["DEBUG", "DEBUG"])
      const text = lines.map(([, line]) => line).join("\n")
      expect(text).toContain(
        "deepseek/chat: attempt 1 failed with AuthenticationError, the next one begins now with key "
      )
      expect(text).toContain("attempt 2 failed with QuotaExceededError, the next one begins now with key ")
      expect(text).not.toContain("sk-")
    })
  )

  it.scopedLive("tells when a call is sent again, and nothing of a failure that is returned", () =>
    Effect.gen(function* () {
      const provider = yield* SimulatedProvider.make({ keys: [{ key: "sk-good" }] })
      yield* provider.next(SimulatedProvider.status(500))
      const model = modelOf(provider.baseUrl, ["sk-good"], { retry: { maxAttempts: 2, backoff: { base: "1 millis" } } })
      const lines = yield* logged(Effect.provide(LLM.chat("Hi"), model))
      expect(lines).toHaveLength(1)
      expect(lines[0]).toEqual([
        "DEBUG",
        expect.stringMatching(
          /^deepseek\/chat: attempt 1 failed with ProviderUnavailableError, the next one begins in \d/
        )
      ])
      yield* provider.next(SimulatedProvider.status(404))
      expect(yield* logged(Effect.flip(Effect.provide(LLM.chat("Hi"), model)))).toEqual([])
    })
  )

  it.scopedLive("says that a call which the limiter refused was not sent, and when it is tried again", () =>
    Effect.gen(function* () {
      const provider = yield* SimulatedProvider.make({ keys: [{ key: "sk-good" }] })
      const model = modelOf(provider.baseUrl, ["sk-good"], {
        limits: { capacity: 1, refillRate: 0.5, maxWait: 0 },
        retry: { maxAttempts: 2, backoff: { base: "1 millis" } }
      })
      const lines = yield* logged(
        Effect.zipRight(LLM.chat("Hi"), LLM.chat("Hi")).pipe(Effect.ignore, Effect.provide(model))
      )
      expect(lines[0]).toEqual([
        "DEBUG",
        expect.stringMatching(
          /^deepseek\/chat: not sent: rate limit of the limiter; trying again in [12]s( \d+ms)?\. The limit of 1 request and 0\.5 a second would make/
        )
      ])
      expect(lines.map(([, line]) => line).join("\n")).not.toContain("attempt 0")
    })
  )

  const waiting = (calls: number, capacity: number) =>
    logged(
      Effect.gen(function* () {
        const { baseUrl } = yield* SimulatedProvider.make({ keys: [{ key: "sk-good" }] })
        const model = modelOf(baseUrl, ["sk-good"], { limits: { capacity, refillRate: 0.5 } })
        yield* Effect.all(
          Array.from({ length: calls }, () => LLM.chat("Hi")),
          { concurrency: calls }
        ).pipe(Effect.provide(model))
      }).pipe(Effect.scoped)
    )

  it.live("tells that a call waited above a second for a permit, and no shorter wait", () =>
    Effect.gen(function* () {
      expect(yield* waiting(2, 2)).toEqual([])
      expect(yield* waiting(2, 1)).toEqual([
        [
          "INFO",
          expect.stringMatching(
            /^deepseek\/chat: a call waited \d\.\d s for a permit: the limits of the rate limiter are lower than the rate of calls\.$/
          )
        ]
      ])
    })
  )

  it.effect("warns of a wait from 5 seconds on, once in 10 seconds with the number of the others", () =>
    Effect.gen(function* () {
      const clock = yield* Effect.clock
      const logWaits = makeWaitLog({ provider: "deepseek", model: "chat", wire: "test", contextWindow: 1 })
      const lines = yield* logged(
        Effect.gen(function* () {
          yield* logWaits(clock, 999, 0)
          yield* logWaits(clock, 0, 5000)
          yield* logWaits(clock, 6000, 0)
          yield* logWaits(clock, 6000, 0)
          yield* TestClock.adjust("10 seconds")
          yield* logWaits(clock, 4000, 500)
        })
      )
      expect(lines).toEqual([
        ["WARN", "deepseek/chat: a call waited 5.0 s for a key: all keys of the pool were in use or cooling down."],
        [
          "INFO",
          "deepseek/chat: a call waited 4.5 s for a permit: the limits of the rate limiter are lower than the rate of calls," +
            " and 2 more since the last such line."
        ]
      ])
    })
  )

  const policies: ReadonlyArray<readonly [name: string, policy: (llm: LLM.Service) => Effect.Effect<LLM.Service>]> = [
    ["the layer alone", Effect.succeed],
    ["a hedge", (llm) => Hedge.make([llm], { delay: "1 millis", burst: 100 })(llm)],
    ["a fallback", (llm) => Fallback.make([llm])(llm)],
    ["time limits of its own", (llm) => Timeouts.middleware({ response: "5 seconds", idle: "5 seconds" })(llm)],
    ["a retry", (llm) => Retry.middleware({ maxAttempts: 2, backoff: { base: "1 millis" } })(llm)]
  ]
  const transports: ReadonlyArray<readonly [name: string, layer: Layer.Layer<HttpClient.HttpClient>]> = [
    ["the portable HttpClient", NodeHttpClient.layerUndici],
    ["the direct transport", NodeTransport.layerUndici]
  ]
  it.scopedLive.each(
    transports.flatMap(([transport, client]) =>
      policies.map(([name, policy]) => [transport, name, client, policy] as const)
    )
  )("has no unhandled error of a call that fails with a typed one: %s, %s", ([, , client, policy]) =>
    Effect.gen(function* () {
      const provider = yield* SimulatedProvider.make({ keys: [{ key: "sk-good" }] })
      const model = LLM.layerKeys({
        provider: "deepseek",
        model: "chat",
        keys: ["sk-good"],
        baseUrl: provider.baseUrl,
        retry: false
      })
      const unhandled: Array<string> = []
      const logger = Logger.make(({ message }) => {
        const text = String(message)
        if (text.includes("unhandled")) unhandled.push(text)
      })
      yield* Effect.gen(function* () {
        const llm = yield* Effect.flatMap(LLM.LLM, policy)
        // By its pulls: Effect runs a stream in a fiber of its own, and logs its failure whatever the stream is.
        const stream = Effect.scoped(Effect.flatMap(Stream.toPull(llm.chatStream("Hi")), Effect.forever))
        const calls: ReadonlyArray<Effect.Effect<unknown, unknown>> = [llm.chat("Hi"), stream, llm.embed("Hi")]
        for (const call of calls) {
          yield* provider.next(...Array.from({ length: 3 }, () => SimulatedProvider.status(500)))
          expect(Exit.isFailure(yield* Effect.exit(call))).toBe(true)
        }
      }).pipe(
        Effect.provide(model),
        Effect.provide(client),
        Effect.provide(Logger.replace(Logger.defaultLogger, logger)),
        Logger.withMinimumLogLevel(LogLevel.Debug)
      )
      expect(unhandled).toEqual([])
    })
  )
})
