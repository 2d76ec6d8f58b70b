/** The levels of keys, queues, limits, budgets and caches as gauges, and the alert rules over them. */
import { describe, expect, it } from "@effect/vitest"
import { Effect, Fiber, Logger, LogLevel, Metric, Schema, TestClock } from "effect"
import { readFileSync } from "node:fs"
import { parse } from "yaml"
import * as KeyPool from "../../src/keyPool/KeyPool.js"
import * as RateLimiter from "../../src/rateLimiter/RateLimiter.js"
import * as Prometheus from "../../src/telemetry/Prometheus.js"
import * as Telemetry from "../../src/telemetry/Telemetry.js"
import { send } from "../gateway/support/http.js"
import { serve } from "../gateway/support/serving.js"
import { countingProvider, llmOf } from "../support/countingProvider.js"
import type { Family } from "../support/exposition.js"
import { read } from "../support/exposition.js"
import { meteredCalls } from "../support/meteredCalls.js"

/** The value of a series with these labels. */
const valueOf = (families: ReadonlyArray<Family>, name: string, labels: Readonly<Record<string, string>>) =>
  families
    .flatMap(({ samples }) => samples)
    .find((each) => each.name === name && Object.entries(labels).every(([key, value]) => each.labels[key] === value))
    ?.value

const families = Effect.map(Metric.snapshot, (pairs) => read(Prometheus.render(pairs)))

/** Records the levels of an `LLM` whose limiter is shared. */
const recordShared = (degraded: boolean) =>
  Effect.gen(function* () {
    const limiter = yield* RateLimiter.make({ maxConcurrency: 1 })
    const pool = yield* KeyPool.make({ provider: "shared", keys: ["one"] })
    const { client } = countingProvider(() => ({ millis: 1 }))
    const shared = { ...limiter, status: Effect.map(limiter.status, (status) => ({ ...status, degraded })) }
    yield* Effect.flatMap(llmOf({ ...client, provider: "shared" }, pool, shared), (llm) =>
      Telemetry.recordLevels([llm])
    )
  })

describe("Telemetry.recordLevels", () => {
  it.effect("sets the gauges of keys by state, of waiting calls, and of what is left of each finite limit", () =>
    Effect.gen(function* () {
      const { client } = countingProvider((index) =>
        index === 0 ? { millis: 1, retryAfter: "1 hour" } : { millis: 1000 }
      )
      const limiter = yield* RateLimiter.make({
        capacity: 3,
        refillRate: 0.001,
        tokensPerMinute: 100_000,
        maxWait: "1 hour"
      })
      const pool = yield* KeyPool.make({
        provider: "test",
        keys: ["one", { key: "two", maxConcurrency: 1 }],
        maxWait: "1 hour"
      })
      const llm = yield* llmOf(client, pool, limiter)
      const calls = yield* Effect.replicateEffect(Effect.fork(llm.chat("?")), 5)
      yield* TestClock.adjust(10)
      yield* Telemetry.recordLevels([llm])
      const all = yield* families
      const of = (name: string, labels: Readonly<Record<string, string>>) =>
        valueOf(all, name, { provider: "test", model: "model", ...labels })
      expect([of("llm_keys", { state: "cooling" }), of("llm_keys", { state: "busy" })]).toEqual([1, 1])
      expect(of("llm_keys", { state: "ready" })).toBe(0)
      const { keys, limiter: status } = yield* llm.status
      expect(of("llm_waiting", { for: "limiter" })).toBe(status.waiting)
      expect(of("llm_waiting", { for: "pool" })).toBe(keys.waiting)
      expect(status.waiting + keys.waiting).toBeGreaterThan(0)
      expect(of("llm_limit_available", { limit: "requests" })).toBe(status.available)
      expect(of("llm_limit_available", { limit: "tokens" })).toBe(status.tokens?.available)
      expect(of("llm_limit_capacity", { limit: "tokens" })).toBe(100_000)
      expect(of("llm_limit_capacity", { limit: "day" })).toBeUndefined()
      expect(of("llm_shared_state_away", {})).toBeUndefined()
      yield* Fiber.interruptAll(calls)
    })
  )

  it.effect("sets the gauge of a shared state that is unreachable", () =>
    Effect.gen(function* () {
      for (const [degraded, expected] of [
        [true, 1],
        [false, 0]
      ] as const) {
        yield* recordShared(degraded)
        expect(valueOf(yield* families, "llm_shared_state_away", { provider: "shared" })).toBe(expected)
      }
    })
  )

  it.effect("sets the gauges of the others when the status of one dies", () =>
    Effect.gen(function* () {
      const limiter = yield* RateLimiter.make({ maxConcurrency: 1 })
      const pool = yield* KeyPool.make({ provider: "alive", keys: ["one"] })
      const { client } = countingProvider(() => ({ millis: 1 }))
      const alive = yield* llmOf({ ...client, provider: "alive" }, pool, limiter)
      const dead = { info: alive.info, status: Effect.dieMessage("no status") }
      yield* Telemetry.recordLevels([dead, alive]).pipe(Logger.withMinimumLogLevel(LogLevel.None))
      expect(valueOf(yield* families, "llm_keys", { provider: "alive", state: "ready" })).toBe(1)
    })
  )
})

const Rules = Schema.Struct({
  groups: Schema.Array(Schema.Struct({ rules: Schema.Array(Schema.Struct({ expr: Schema.NonEmptyString })) }))
})

const expressions = Schema.decodeUnknownSync(Rules)(
  parse(readFileSync(new URL("../../docs/prometheus/alerts.yml", import.meta.url), "utf8"))
).groups.flatMap(({ rules }) => rules.map(({ expr }) => expr))

describe("the alert rules", () => {
  it.scopedLive("name only metrics that the gateway exports at /metrics, including that of a shared state", () =>
    Effect.gen(function* () {
      yield* meteredCalls()
      yield* recordShared(false)
      const file = (baseUrl: string) => ({
        levels: [{ model_name: "m", base_url: baseUrl, api_keys: ["sk-levels"], rate_limit_capacity: 100 }]
      })
      const access = { keys: [{ key: "sk-team", label: "team", budget: { tokens: 1000 } }] }
      const { url } = yield* serve({ file, models: {}, access })
      const exported = read((yield* send(`${url}/metrics`)).text)
      expect(valueOf(exported, "llm_keys", { provider: "levels", state: "ready" })).toBe(1)
      expect(valueOf(exported, "llm_budget_spent_ratio", { budget: "team" })).toBe(0)
      const names = new Set(exported.flatMap(({ samples }) => samples.map(({ name }) => name)))
      const used = new Set([...expressions.join().matchAll(/\bllm_[a-z_]+/g)].map(([name]) => name))
      expect(used.size).toBeGreaterThan(5)
      for (const name of used) expect([...names]).toContain(name)
    })
  )
})
