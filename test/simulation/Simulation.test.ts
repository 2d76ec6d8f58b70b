import { describe, expect, it } from "@effect/vitest"
import { Clock, Effect, Fiber, Layer, Schema } from "effect"
import * as Budget from "../../src/accounting/Budget.js"
import * as KeyPool from "../../src/keyPool/KeyPool.js"
import * as LLM from "../../src/LLM.js"
import * as Models from "../../src/models/Models.js"
import * as ChatCompletionsClient from "../../src/provider/ChatCompletionsClient.js"
import * as RateLimiter from "../../src/rateLimiter/RateLimiter.js"
import * as Fallback from "../../src/routing/Fallback.js"
import { Simulation } from "../../src/simulation/index.js"

const price = { input: 1, output: 1 }

const llm = (limits: RateLimiter.Options, keys: ReadonlyArray<KeyPool.KeyInput> = ["sk-one", "sk-two"]) =>
  LLM.layer({ model: "gpt-4o", telemetry: false, price }).pipe(
    Layer.provide(ChatCompletionsClient.layer()),
    Layer.provide(KeyPool.layer({ provider: "keys", keys })),
    Layer.provide(RateLimiter.layer({ adaptive: false, ...limits }))
  )

const unlimited: RateLimiter.Options = { capacity: 1e6, refillRate: 1e6 }

const load = (rate: number, more: Partial<Simulation.Load> = {}): Simulation.Load => ({
  rate,
  duration: "10 minutes",
  inputTokens: 800,
  outputTokens: 200,
  ...more
})

const file = (entry: Readonly<Record<string, unknown>>, more: Readonly<Record<string, unknown>> = {}) =>
  Models.parseFile(
    JSON.stringify({
      openai: [
        { model_name: "gpt-4o", api_keys: ["sk-one"], rate_limit_capacity: 1e6, rate_limit_refill_rate: 1e6, ...entry }
      ],
      ...more
    })
  )

describe("the binding limit", () => {
  const binding = (limits: RateLimiter.Options, rate: number) =>
    Effect.map(Simulation.run(llm(limits), { workload: load(rate) }), ({ bindingLimit }) => bindingLimit?.limit)

  it.effect("is the bucket of requests where that is the slowest", () =>
    Effect.gen(function* () {
      expect(yield* binding({ capacity: 5, refillRate: 2, tokensPerMinute: 10_000_000 }, 3)).toBe("requests")
    })
  )

  it.effect("is requestsPerMinute where that is the slowest", () =>
    Effect.gen(function* () {
      expect(yield* binding({ ...unlimited, requestsPerMinute: 60 }, 3)).toBe("requestsPerMinute")
    })
  )

  it.effect("is tokensPerMinute where that is the slowest", () =>
    Effect.gen(function* () {
      expect(yield* binding({ capacity: 50, refillRate: 5, tokensPerMinute: 60_000 }, 3)).toBe("tokensPerMinute")
    })
  )

  it.effect("is concurrency where that is the slowest", () =>
    Effect.gen(function* () {
      expect(yield* binding({ capacity: 50, refillRate: 5, maxConcurrency: 2 }, 3)).toBe("concurrency")
    })
  )

  it.effect("is the concurrency of the keys where that is the slowest", () =>
    Effect.gen(function* () {
      const keys = [{ key: "sk-one", maxConcurrency: 1 }]
      const { bindingLimit } = yield* Simulation.run(llm(unlimited, keys), { workload: load(3) })
      expect(bindingLimit).toMatchObject({ limit: "keyConcurrency", of: "keys" })
    })
  )

  it.effect("is that of the provider where it answers with 429", () =>
    Effect.gen(function* () {
      const report = yield* Simulation.run(llm(unlimited), {
        workload: load(3),
        provider: { limits: { requests: 60 } }
      })
      expect(report.bindingLimit?.limit).toBe("providerLimits")
      expect(report.rateLimited).toBe(report.keys.reduce((sum, key) => sum + key.rateLimited, 0))
      // Two keys of 60 a minute each, for the time of the simulation.
      expect(report.answered).toBeLessThanOrEqual(2 * 60 * (report.duration / 60_000 + 1))
      expect(report.answered).toBeGreaterThan(2 * 60 * 9)
    })
  )

  it.effect("is the budget where that is spent", () =>
    Effect.gen(function* () {
      const spending = Budget.layer([{ name: "all", limit: { dollars: 0.1 }, period: "day" }])
      const limited = llm(unlimited).pipe(LLM.withMiddleware(Budget.middleware()), Layer.provide(spending))
      const report = yield* Simulation.run(limited, { workload: load(1), maxTokens: 200 })
      expect(report.bindingLimit?.limit).toBe("budget")
      expect(report.errors["BudgetExceededError"]).toBe(report.failed)
      // 1,000 tokens at a dollar per million.
      expect(report.answered).toBe(100)
      expect(report.cost).toBeCloseTo(0.1, 6)
    })
  )

  it.effect("is absent where no call waits", () =>
    Effect.gen(function* () {
      const report = yield* Simulation.run(llm(unlimited), { workload: load(1) })
      expect(report.bindingLimit).toBeUndefined()
      expect(report.answered).toBe(report.offered)
      expect(report.wait.total.max).toBe(0)
    })
  )
})

describe("one more key", () => {
  const gain = (entry: Readonly<Record<string, unknown>>) =>
    Effect.gen(function* () {
      const parsed = yield* file(entry)
      const options = { workload: load(4, { spacing: "even" }), provider: { latency: "1 second" } } as const
      const report = yield* Simulation.runFile(parsed, options)
      const variant = yield* Simulation.oneMoreKey(parsed, report, options)
      return { report, variant }
    })

  it.effect("doubles the throughput where the keys bind", () =>
    Effect.gen(function* () {
      const { report, variant } = yield* gain({ api_keys: [{ key: "sk-one", max_concurrency: 1 }] })
      expect(report.bindingLimit?.limit).toBe("keyConcurrency")
      const ratio = variant.report.answered / variant.report.duration / (report.answered / report.duration)
      expect(ratio).toBeGreaterThan(1.9)
      expect(ratio).toBeLessThan(2.1)
    })
  )

  it.effect("adds nothing where a limiter binds", () =>
    Effect.gen(function* () {
      const { report, variant } = yield* gain({ rate_limit_capacity: 1, rate_limit_refill_rate: 1 })
      expect(report.bindingLimit?.limit).toBe("requests")
      expect(report.failed).toBeGreaterThan(0)
      expect(variant.gain).toBe(0)
    })
  )

  it.effect("is compared with the file without each of its limits", () =>
    Effect.gen(function* () {
      const parsed = yield* file({ tokens_per_minute: 60_000, max_concurrency: 100 })
      const options = { workload: load(3) }
      const variants = yield* Simulation.whatIf(parsed, yield* Simulation.runFile(parsed, options), options)
      expect(variants.map(({ change }) => change).sort()).toEqual([
        "one more key",
        "without max_concurrency",
        "without rate_limit",
        "without tokens_per_minute"
      ])
      expect(variants[0]?.change).toBe("without tokens_per_minute")
      expect(variants[0]?.gain).toBeGreaterThan(0)
    })
  )
})

describe("outages", () => {
  it.effect("are answered by the fallback, whose calls are counted by model", () =>
    Effect.gen(function* () {
      const second = LLM.layer({ model: "second", telemetry: false }).pipe(
        Layer.provide(ChatCompletionsClient.layer({ provider: "deepseek" })),
        Layer.provide(KeyPool.layer({ provider: "second", keys: ["sk-three"] })),
        Layer.provide(RateLimiter.layerUnlimited)
      )
      const both = Fallback.layer([llm(unlimited), second])
      const report = yield* Simulation.run(both, {
        workload: load(1),
        provider: { outages: [{ from: "2 minutes", to: "4 minutes", provider: "openai" }] }
      })
      expect(report.failed).toBe(0)
      expect(report.answeredBy["deepseek/second"]).toBeGreaterThan(80)
      expect(report.answeredBy["openai/gpt-4o"]).toBeGreaterThan(300)
    })
  )

  it.effect("of all providers fail the calls with the error of the provider", () =>
    Effect.gen(function* () {
      const report = yield* Simulation.run(llm(unlimited), {
        workload: load(1, { duration: "2 minutes" }),
        provider: { outages: [{ from: 0, to: "1 hour", status: 500 }] }
      })
      expect(report.errors).toEqual({ ProviderUnavailableError: report.offered })
    })
  )
})

describe("a report", () => {
  const options: Simulation.Options = {
    workload: load(2, { inputTokens: { p50: 800, p95: 3000 }, outputTokens: { p50: 100, p95: 400 } }),
    provider: { limits: { requests: 50 } },
    seed: 7
  }

  it.effect("is equal for equal seeds and differs for others", () =>
    Effect.gen(function* () {
      const run = (seed: number) => Simulation.run(llm({ capacity: 5, refillRate: 2 }), { ...options, seed })
      const report = yield* run(7)
      expect(yield* run(7)).toEqual(report)
      expect((yield* run(8)).offered).not.toBe(report.offered)
    })
  )

  it.effect("is plain JSON of its schema", () =>
    Effect.gen(function* () {
      const report = yield* Simulation.run(llm(unlimited), options)
      const json: unknown = JSON.parse(JSON.stringify(report))
      expect(yield* Schema.decodeUnknown(Simulation.Report)(json)).toEqual(report)
      expect(JSON.stringify(report)).not.toContain("sk-")
    })
  )

  it.effect("counts every call once: answered or failed, in one period each", () =>
    Effect.gen(function* () {
      const report = yield* Simulation.run(llm({ capacity: 5, refillRate: 1 }), options)
      const sum = (field: "offered" | "answered" | "failed") =>
        report.throughput.periods.reduce((total, period) => total + period[field], 0)
      expect(report.answered + report.failed).toBe(report.offered)
      expect(report.failed).toBeGreaterThan(0)
      expect([sum("offered"), sum("answered"), sum("failed")]).toEqual([report.offered, report.answered, report.failed])
    })
  )

  it.effect("has the distribution of the workload and of the latency", () =>
    Effect.gen(function* () {
      const report = yield* Simulation.run(llm(unlimited), {
        workload: load(10, { duration: "20 minutes", outputTokens: 100 }),
        provider: { latency: { p50: "1 second", p95: "3 seconds" }, perOutputToken: "10 millis" }
      })
      expect(Math.abs(report.offered - 12_000)).toBeLessThan(400)
      expect(Math.abs(report.latency.p50 - 2000)).toBeLessThan(60)
      expect(Math.abs(report.latency.p95 - 4000)).toBeLessThan(200)
      expect(report.tokens).toEqual({ input: report.answered * 800, output: report.answered * 100 })
    })
  )
})

describe("a workload", () => {
  it.effect("follows the calls of each minute", () =>
    Effect.gen(function* () {
      const { throughput } = yield* Simulation.run(llm(unlimited), {
        workload: { rate: { perMinute: [60, 0, 120] }, duration: "6 minutes", spacing: "even" }
      })
      expect(throughput.periods.slice(0, 6).map(({ offered }) => Math.round(offered / 10) * 10)).toEqual([
        60, 0, 120, 60, 0, 120
      ])
    })
  )

  it.effect("is a trace, whose calls name models of the file", () =>
    Effect.gen(function* () {
      const parsed = yield* file(
        {},
        { deepseek: [{ model_name: "chat", api_keys: ["sk-two"] }], $default: "openai/gpt-4o" }
      )
      const trace = [
        { at: 5000, inputTokens: 10, outputTokens: 5, model: "deepseek/chat" },
        { at: 0, inputTokens: 20, outputTokens: 5 }
      ]
      const report = yield* Simulation.runFile(parsed, { workload: { trace } })
      expect(report.answeredBy).toEqual({ "openai/gpt-4o": 1, "deepseek/chat": 1 })
      const unknown = { trace: [{ at: 0, inputTokens: 1, outputTokens: 1, model: "nobody" }] }
      expect((yield* Effect.flip(Simulation.runFile(parsed, { workload: unknown })))._tag).toBe("ModelNotFoundError")
    })
  )

  it.effect("that is not valid fails with all faults", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(
        Simulation.run(llm(unlimited), {
          workload: load(-1, { inputTokens: { p50: 10, p95: 5 } }),
          provider: { limits: { requests: 0 }, outages: [{ from: 10, to: 5 }] },
          seed: 0.5
        })
      )
      expect(error).toBeInstanceOf(Simulation.InvalidSimulationError)
      for (const path of ["workload.rate", "workload.inputTokens", "limits.requests", "outages[0]", "seed"]) {
        expect(error.message).toContain(path)
      }
    })
  )
})

it.live("a simulation that is interrupted ends at once", () =>
  Effect.gen(function* () {
    const fiber = yield* Effect.fork(Simulation.run(llm(unlimited), { workload: load(1, { duration: "3650 days" }) }))
    yield* Effect.sleep("100 millis")
    expect((yield* Fiber.interrupt(fiber))._tag).toBe("Failure")
    // The clock of the program is its own again.
    expect(yield* Clock.currentTimeMillis).toBeGreaterThan(Date.UTC(2026, 0, 1) - 10 * 365 * 86_400_000)
  })
)
