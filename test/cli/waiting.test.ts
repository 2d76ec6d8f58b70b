/** What a terminal shows while an answer is awaited. */
import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { SimulatedProvider } from "../../src/testing/index.js"
import { fileOf, runCli } from "./support.js"

const frame = /[⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏]/

/** What is on the line after all that was written to it. */
const lastLine = (text: string): string => text.slice(text.lastIndexOf("\u001b[K") + 3)

describe("a call on a terminal", () => {
  it.scopedLive("shows the model until the first text arrives, and erases it before the text", () =>
    Effect.gen(function* () {
      const { config } = yield* fileOf(yield* SimulatedProvider.make({ latency: "450 millis" }))
      for (const words of [[], ["--no-stream"], ["--json"]]) {
        const { err, out } = yield* runCli(["ask", "-c", config, ...words, "Hello"], { terminal: true, colour: false })
        expect(out).toContain("You said: Hello")
        expect(err).toContain("\r\u001b[K⠋ openai/gpt-4o")
        expect(lastLine(err)).not.toMatch(frame)
      }
      const { err } = yield* runCli(["chat", "-c", config], { terminal: true, typed: ["Hello"] })
      expect(err).toMatch(frame)
      expect(lastLine(err)).not.toMatch(frame)
    })
  )

  it.scopedLive("says which attempt comes next, when, and why", () =>
    Effect.gen(function* () {
      const provider = yield* SimulatedProvider.make()
      const entry = { model_name: "m", api_keys: ["k"], base_url: provider.baseUrl, max_retries: 3, retry_delay: 0.5 }
      const { config } = yield* fileOf(provider, {
        tested: [entry, { ...entry, model_name: "n", base_url: "http://127.0.0.1:9/v1", max_retries: 2 }]
      })
      yield* provider.next(SimulatedProvider.status(503), SimulatedProvider.status(429, { retryAfter: "600 millis" }))
      const { code, err } = yield* runCli(["ask", "-c", config, "-m", "tested/m", "Hello"], { terminal: true })
      expect(code).toBe(0)
      expect(err).toContain("tested/m · attempt 2 of 3 in 1 s: provider unavailable (503)")
      expect(err).toContain("tested/m · attempt 3 of 3 in 1 s: rate limited by the provider")
      expect(err).not.toContain("level=WARN")

      const refused = yield* runCli(["ask", "-c", config, "-m", "tested/n", "Hello"], { terminal: true })
      expect(refused.code).toBe(1)
      expect(refused.err).toContain("tested/n · attempt 2 of 2 in 1 s: connection refused")
      expect(lastLine(refused.err)).toContain("effect-llm:")
    })
  )

  it.scopedLive("says that it waits for the rate limit of the model file", () =>
    Effect.gen(function* () {
      const provider = yield* SimulatedProvider.make()
      const limits = { rate_limit_capacity: 1, rate_limit_refill_rate: 1.5 }
      const { config } = yield* fileOf(provider, {
        tested: [{ model_name: "m", api_keys: ["k"], base_url: provider.baseUrl, ...limits }]
      })
      const { err } = yield* runCli(["chat", "-c", config, "-m", "tested/m"], { terminal: true, typed: ["One", "Two"] })
      expect(err).toContain("tested/m · waiting for the rate limit of the model file")
    })
  )

  it.scopedLive("shows nothing with --quiet, on a terminal that cannot redraw, and without a terminal", () =>
    Effect.gen(function* () {
      const { config } = yield* fileOf(yield* SimulatedProvider.make({ latency: "300 millis" }))
      const ask = ["ask", "-c", config, "Hello"]
      const all = yield* Effect.all([
        runCli([...ask, "--quiet"], { terminal: true }),
        runCli([...ask, "-q", "--no-stream"], { terminal: true }),
        runCli(ask, { terminal: true, layout: false }),
        runCli(ask)
      ])
      for (const { code, err } of all) expect([code, err.includes("\r"), frame.test(err)]).toEqual([0, false, false])
    })
  )
})
