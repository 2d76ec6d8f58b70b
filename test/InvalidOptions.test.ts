import { describe, expect, it } from "@effect/vitest"
import type { Duration, Schedule } from "effect"
import { Effect, Stream } from "effect"
import * as Batch from "../src/programs/Batch.js"
import * as Budget from "../src/accounting/Budget.js"
import * as CacheStore from "../src/caching/CacheStore.js"
import * as ContextWindow from "../src/call/ContextWindow.js"
import * as Conversation from "../src/programs/Conversation.js"
import * as EmbeddingCache from "../src/caching/EmbeddingCache.js"
import * as Fallback from "../src/routing/Fallback.js"
import * as Hedge from "../src/routing/Hedge.js"
import * as LLM from "../src/LLM.js"
import * as RateLimiter from "../src/rateLimiter/RateLimiter.js"
import * as ResponseCache from "../src/caching/ResponseCache.js"
import * as Retry from "../src/call/Retry.js"
import * as Telemetry from "../src/telemetry/Telemetry.js"
import * as Timeouts from "../src/call/Timeouts.js"
import * as UsageLedger from "../src/accounting/UsageLedger.js"
import { scripted } from "./support/scripted.js"

/** Invalid durations, most of which Effect reads as zero. */
const noLengths: ReadonlyArray<Duration.DurationInput> = [
  Number.NaN,
  -1,
  "-1 seconds",
  -1n,
  JSON.parse('"soon"'),
  JSON.parse("true")
]

const noCounts: ReadonlyArray<number> = [Number.NaN, -1, 0.5, Number.NEGATIVE_INFINITY, JSON.parse('"3"')]

/** Constructors that throw, by the name of the invalid option. */
const throwing: ReadonlyArray<
  readonly [place: string, values: ReadonlyArray<unknown>, make: (value: never) => unknown]
> = [
  ["maxAttempts", [...noCounts, 0], (maxAttempts: number) => Retry.middleware({ maxAttempts })],
  ["backoff.base", noLengths, (base: Duration.DurationInput) => Retry.middleware({ backoff: { base } })],
  ["backoff.max", noLengths, (max: Duration.DurationInput) => Retry.middleware({ backoff: { max } })],
  ["backoff.factor", [Number.NaN, 0, 0.5, -2, Infinity], (factor: number) => Retry.middleware({ backoff: { factor } })],
  ["backoff.jitter", [Number.NaN, -0.1, 1.1], (jitter: number) => Retry.middleware({ backoff: { jitter } })],
  [
    "schedule",
    [JSON.parse("3"), JSON.parse("null")],
    (schedule: Schedule.Schedule<number>) => Retry.middleware({ schedule })
  ],
  ["total", [...noLengths, 0], (total: Duration.DurationInput) => Timeouts.middleware({ total })],
  ["response", [...noLengths, 0], (response: Duration.DurationInput) => Timeouts.middleware({ response })],
  ["firstEvent", [...noLengths, 0], (firstEvent: Duration.DurationInput) => Timeouts.middleware({ firstEvent })],
  ["idle", [...noLengths, 0], (idle: Duration.DurationInput) => Timeouts.middleware({ idle })],
  ["delay", noLengths, (after: Duration.DurationInput) => Hedge.make([], { delay: after })],
  ["minDelay", noLengths, (floor: Duration.DurationInput) => Hedge.make([], { minDelay: floor })],
  ["maxExtraLoad", [Number.NaN, -0.1, 1.1], (maxExtraLoad: number) => Hedge.make([], { maxExtraLoad })],
  ["burst", [Number.NaN, -1], (burst: number) => Hedge.make([], { burst })],
  ["failoverAfter", noLengths, (patience: Duration.DurationInput) => Fallback.make([], { failoverAfter: patience })],
  ["fit.tolerance", [Number.NaN, 2], (tolerance: number) => Fallback.make([], { fit: { tolerance } })],
  ["maxAttempts", [...noCounts, 0], (maxAttempts: number) => LLM.make({ model: "m", retry: { maxAttempts } })],
  ["total", noLengths, (total: Duration.DurationInput) => LLM.layer({ model: "m", timeouts: { total } })],
  ["idle", noLengths, (idle: Duration.DurationInput) => LLM.layerConfig({ timeouts: { idle } })],
  ["contextWindow", [Number.NaN, 0, -1], (contextWindow: number) => LLM.make({ model: "m", contextWindow })],
  [
    "embeddingConcurrency",
    [...noCounts, 0],
    (embeddingConcurrency: number) => LLM.make({ model: "m", embeddingConcurrency })
  ],
  ["contextWindow", [Number.NaN, 0, -1], (contextWindow: number) => ContextWindow.middleware({ contextWindow })],
  ["reserve", [Number.NaN, -1], (reserve: number) => ContextWindow.middleware({ reserve })],
  ["tolerance", [Number.NaN, -0.1, 1.1], (tolerance: number) => ContextWindow.middleware({ tolerance })],
  ["ttl", noLengths, (ttl: Duration.DurationInput) => ResponseCache.make({ ttl })],
  ["storeTimeout", noLengths, (storeTimeout: Duration.DurationInput) => ResponseCache.layer({ storeTimeout })],
  ["storeCooldown", noLengths, (storeCooldown: Duration.DurationInput) => EmbeddingCache.make({ storeCooldown })],
  ["maxEntries", [Number.NaN, -1], (maxEntries: number) => CacheStore.layerMemory({ maxEntries })],
  ["maxBytes", [Number.NaN, -1], (maxBytes: number) => CacheStore.makeMemory({ maxBytes })],
  ["capacity", [...noCounts, Infinity], (capacity: number) => UsageLedger.make({ capacity })],
  ["maxGroups", noCounts, (maxGroups: number) => UsageLedger.layer({ maxGroups })],
  ["capacity", [...noCounts, 0], (capacity: number) => Telemetry.onCall({}, { capacity })],
  ["timeout", [...noLengths, 0], (timeout: Duration.DurationInput) => Telemetry.onCall({}, { timeout })],
  ["budget", [Number.NaN, -1], (budget: number) => Conversation.make({ budget })],
  ["budget", [Number.NaN, -1], (budget: number) => Conversation.trim([], { budget })],
  ["concurrency", [...noCounts, 0], (concurrency: number) => Batch.run([], { task: Batch.chat, concurrency })],
  ["retries", noCounts, (retries: number) => Batch.start([], { task: Batch.chat, retries })],
  [
    "maxRetryWait",
    noLengths,
    (maxRetryWait: Duration.DurationInput) => Batch.run([], { task: Batch.chat, maxRetryWait })
  ]
]

describe("invalid options", () => {
  it("constructors throw a TypeError that names the invalid option", () => {
    for (const [place, values, make] of throwing) {
      for (const value of values) {
        // Each row has values of its constructor's type, or of other types that plain JavaScript can pass.
        expect(() => Reflect.apply(make, undefined, [value]), `${place} ${String(value)}`).toThrow(
          new RegExp(`^The options of [A-Z][\\w.]+ are not valid\\. ${place}: must be `)
        )
      }
    }
  })

  it("LLM.runTools and LLM.runToolsStream throw on invalid options when they are called", () => {
    for (const maxRounds of [...noCounts, 0]) {
      expect(() => LLM.runTools("?", { tools: [], maxRounds })).toThrow("maxRounds: must be")
      expect(() => LLM.runToolsStream("?", { tools: [], maxRounds })).toThrow("maxRounds: must be")
    }
    expect(() => LLM.runTools("?", { tools: [], concurrency: Number.NaN })).toThrow("concurrency: must be")
  })

  it("lists all invalid options in one error", () => {
    expect(() => Retry.middleware({ maxAttempts: Number.NaN, backoff: { base: -1, jitter: 7 } })).toThrow(
      "The options of Retry are not valid. backoff.base: must be a possible duration; backoff.jitter: must be a number from 0 to 1; maxAttempts: must be a whole number of at least 1"
    )
  })

  it.effect("RateLimiter.make and Budget.make fail with their own errors on invalid durations", () =>
    Effect.gen(function* () {
      for (const length of noLengths) {
        for (const options of [
          { maxWait: length },
          { batch: { maxWait: length } },
          { batch: { aging: length } },
          { adaptive: { every: length } }
        ]) {
          expect(yield* Effect.flip(RateLimiter.make(options))).toMatchObject({
            _tag: "InvalidLimitError",
            faults: [expect.stringMatching(/: must be a possible duration$/)]
          })
        }
        expect(yield* Effect.flip(Budget.make({ limit: { tokens: 1 }, period: { rolling: length } }))).toMatchObject({
          _tag: "InvalidBudgetError"
        })
      }
    })
  )

  it.effect("accepts the lowest and highest valid values of options", () =>
    Effect.gen(function* () {
      const llm = yield* scripted("yes")
      for (const middleware of [
        Retry.middleware({ maxAttempts: Infinity, backoff: { base: 0, factor: 1, max: Infinity, jitter: 0 } }),
        Timeouts.middleware({ total: Infinity, response: "1 millis" }),
        Hedge.make([], { delay: 0, maxExtraLoad: 1, burst: 0 }),
        Fallback.make([], { failoverAfter: 0 }),
        ContextWindow.middleware({ reserve: 0, tolerance: 1 })
      ]) {
        const over = yield* middleware(llm)
        expect((yield* over.chat("?")).text).toBe("yes")
        expect(yield* Stream.runCount(over.chatStream("?"))).toBeGreaterThan(0)
      }
      yield* Conversation.make({ budget: Infinity })
      yield* RateLimiter.make({ maxWait: Infinity })
    })
  )
})
