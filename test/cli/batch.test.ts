import { describe, expect, it } from "@effect/vitest"
import { Duration, Effect, Fiber, Ref } from "effect"
import type { Progress } from "../../src/programs/Batch.js"
import * as BatchInput from "../../src/cli/batch/input.js"
import * as ProgressBar from "../../src/cli/terminal/progressBar.js"
import { uncoloured } from "../../src/cli/terminal/style.js"
import { SimulatedProvider } from "../../src/testing/index.js"
import { until } from "../support/eventually.js"
import { exists, fileOf, prepareCli, runCli, read, write } from "./support.js"

const jsonLines = (text: string): ReadonlyArray<Record<string, unknown>> =>
  text
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line))

const questions = (count: number): string =>
  Array.from(
    { length: count },
    (_, index) => `${JSON.stringify({ id: `q${index}`, prompt: `question ${index}` })}\n`
  ).join("")

describe("input lines of batch", () => {
  it.effect("reads texts, prompts, requests and lines of OpenAI's Batch API", () =>
    Effect.gen(function* () {
      const lines = [
        "Hello",
        { prompt: "Hello", system: "Be brief.", temperature: 0.5, id: 7 },
        { custom_id: "a", messages: [{ role: "user", content: "Hello" }], maxTokens: 5 },
        {
          custom_id: "b",
          method: "POST",
          url: "/v1/chat/completions",
          body: { model: "gpt-4o", messages: [{ role: "user", content: "Hello" }], max_completion_tokens: 5 }
        },
        { custom_id: "c", url: "/v1/responses", body: { model: "gpt-4o", input: "Hello" } },
        { custom_id: "d", url: "/v1/embeddings", body: { model: "vectors", input: "Hello", dimensions: 4 } }
      ]
      const items = yield* BatchInput.read(`${lines.map((line) => JSON.stringify(line)).join("\n")}\n\n`, "in.jsonl")
      const hello = { role: "user", content: "Hello" }
      expect(items.map(({ id }) => id)).toEqual([undefined, "7", "a", "b", "c", "d"])
      expect(items.map(({ request }) => request)).toMatchObject([
        { messages: [hello] },
        { messages: [{ role: "system", content: "Be brief." }, hello], temperature: 0.5 },
        { messages: [hello], maxTokens: 5 },
        { messages: [hello], model: "gpt-4o", maxTokens: 5 },
        { messages: [hello], model: "gpt-4o" },
        { input: ["Hello"], model: "vectors", dimensions: 4 }
      ])
    })
  )

  it.effect("reports all invalid lines at once, each with its line number", () =>
    Effect.gen(function* () {
      const text = [
        '"good"',
        "{",
        "7",
        '{"prompt":7}',
        '{"messages":[]}',
        '{"body":{},"url":"/v1/x"}',
        '{"prompt":"a","temprature":1}',
        '{"body":{"input":[]},"url":"/v1/embeddings"}',
        '{"body":{"input":"a","dimensions":-1},"url":"/v1/embeddings"}'
      ]
      const { exitCode, message } = yield* Effect.flip(BatchInput.read(text.join("\n"), "in.jsonl"))
      expect(exitCode).toBe(2)
      expect(message.match(/in\.jsonl:\d+/g)).toEqual([2, 3, 4, 5, 6, 7, 8, 9].map((line) => `in.jsonl:${line}`))
      const many = yield* Effect.flip(BatchInput.read("{\n".repeat(50), "in.jsonl"))
      expect(many.message).toContain("and 40 more")
      expect((yield* Effect.flip(BatchInput.read("\n", "in.jsonl"))).message).toContain("holds no request")
    })
  )
})

describe("batch", () => {
  it.scopedLive("writes one answer per line in request order and removes the journal", () =>
    Effect.gen(function* () {
      const provider = yield* SimulatedProvider.make({ latency: { min: 0, max: "20 millis" } })
      const { config, folder } = yield* fileOf(provider)
      yield* write(`${folder}/in.jsonl`, questions(30))
      const words = ["batch", "-c", config, `${folder}/in.jsonl`, `${folder}/out.jsonl`]
      const { code, err, out } = yield* runCli(words)
      expect({ code, out }).toEqual({ code: 0, out: "" })
      expect(err).toContain("30 of 30 answered")
      const lines = jsonLines(yield* read(`${folder}/out.jsonl`))
      expect(lines.map(({ id, index, text }) => ({ id, index, text }))).toEqual(
        lines.map((_, index) => ({ id: `q${index}`, index, text: `You said: question ${index}` }))
      )
      expect(lines).toHaveLength(30)
      expect(yield* exists(`${folder}/out.jsonl.journal`)).toBe(false)
      // An existing output is not overwritten without --overwrite.
      const again = yield* runCli(words)
      expect(again.code).toBe(2)
      expect(again.err).toContain("--overwrite")
      expect(yield* provider.log).toHaveLength(30)
      expect((yield* runCli([...words, "--overwrite"])).code).toBe(0)
    })
  )

  it.scopedLive("counts errors by class and sends only the failed requests again with --retry-failed", () =>
    Effect.gen(function* () {
      const provider = yield* SimulatedProvider.make({
        faults: (index) =>
          index < 3 ? SimulatedProvider.status(400, index === 1 ? { code: "context_length_exceeded" } : {}) : undefined
      })
      const { config, folder } = yield* fileOf(provider)
      yield* write(`${folder}/in.jsonl`, questions(8))
      const words = ["batch", "-c", config, "-j", "1", `${folder}/in.jsonl`, `${folder}/out.jsonl`]
      const first = yield* runCli([...words, "--json"])
      expect(first.code).toBe(1)
      expect(first.err).toContain("--retry-failed")
      expect(JSON.parse(first.out)).toMatchObject({
        requests: 8,
        failed: 3,
        errors: [
          { class: "InvalidRequestError", count: 2 },
          { class: "ContextLengthError", count: 1 }
        ]
      })
      const lines = jsonLines(yield* read(`${folder}/out.jsonl`))
      expect(lines.filter(({ error }) => error !== undefined)).toHaveLength(3)
      // The same command sends nothing; with --retry-failed it sends the failed requests.
      expect((yield* runCli(words)).code).toBe(1)
      expect(yield* provider.log).toHaveLength(8)
      expect((yield* runCli([...words, "--retry-failed"])).code).toBe(0)
      expect(yield* provider.log).toHaveLength(11)
      expect(jsonLines(yield* read(`${folder}/out.jsonl`)).every(({ text }) => typeof text === "string")).toBe(true)
    })
  )

  it.scopedLive("sends embedding requests beside chat requests with the same journal and summary", () =>
    Effect.gen(function* () {
      const provider = yield* SimulatedProvider.make()
      yield* provider.next(SimulatedProvider.status(400))
      const { config, folder } = yield* fileOf(provider)
      const line = (id: string, body: object, url = "/v1/embeddings") =>
        `${JSON.stringify({ custom_id: id, method: "POST", url, body })}\n`
      yield* write(
        `${folder}/in.jsonl`,
        line("a", { model: "text-embedding-3-small", input: ["a cat", "a dog"], dimensions: 4 }) +
          line("b", { input: "a bird" }) +
          line("c", { input: [9906, 1917], encoding_format: "base64" }) +
          line("d", { model: "gpt-4o", messages: [{ role: "user", content: "Hello" }] }, "/v1/chat/completions")
      )
      const words = [
        "batch",
        "-c",
        config,
        "-j",
        "1",
        "--temperature",
        "0",
        `${folder}/in.jsonl`,
        `${folder}/out.jsonl`
      ]
      const first = yield* runCli([...words, "--json"])
      expect(first.code).toBe(1)
      expect(JSON.parse(first.out)).toMatchObject({
        requests: 4,
        succeeded: 3,
        errors: [{ class: "InvalidRequestError", count: 1 }]
      })
      expect(yield* exists(`${folder}/out.jsonl.journal`)).toBe(true)
      const again = yield* runCli([...words, "--retry-failed"])
      expect(again.err).toContain("4 of 4 answered")
      expect((yield* provider.log).map(({ body }) => body)).toMatchObject([
        { model: "text-embedding-3-small", input: ["a cat", "a dog"] },
        { model: "gpt-4o", input: ["a bird"] },
        { model: "gpt-4o", input: [[9906, 1917]] },
        { model: "gpt-4o", messages: [{ content: "Hello" }], temperature: 0 },
        { model: "text-embedding-3-small", input: ["a cat", "a dog"] }
      ])
      const vector = (dimensions: number) => Array.from({ length: dimensions }, () => expect.any(Number))
      expect(jsonLines(yield* read(`${folder}/out.jsonl`))).toMatchObject([
        { index: 0, id: "a", embeddings: [vector(4), vector(4)], provider: "openai", usage: {} },
        { index: 1, id: "b", embeddings: [vector(8)] },
        { index: 2, id: "c", embeddings: [vector(8)] },
        { index: 3, id: "d", text: "You said: Hello" }
      ])
      expect(yield* exists(`${folder}/out.jsonl.journal`)).toBe(false)
    })
  )

  it.scopedLive("resumes an interrupted batch without repeating answered requests", () =>
    Effect.gen(function* () {
      let isInterrupted = false
      const provider = yield* SimulatedProvider.make({
        faults: (index) => (index >= 12 && !isInterrupted ? SimulatedProvider.hang() : undefined)
      })
      const { config, folder } = yield* fileOf(provider)
      yield* write(`${folder}/in.jsonl`, questions(40))
      const words = ["batch", "-c", config, "-j", "4", `${folder}/in.jsonl`, `${folder}/out.jsonl`]
      const program = yield* prepareCli(words)
      const running = yield* Effect.fork(program.result)
      yield* until(provider.log, (log) => log.length === 12)
      yield* Fiber.interrupt(running)
      isInterrupted = true
      expect(yield* Ref.get(program.err)).toContain("the same command resumes from there")
      expect(yield* exists(`${folder}/out.jsonl`)).toBe(false)
      expect((yield* runCli(words)).code).toBe(0)
      const complete = (yield* provider.log).filter(({ outcome }) => outcome === "complete")
      // Recorded answers are not requested again; requests in flight can have been answered without being recorded.
      expect(complete.length).toBeGreaterThanOrEqual(40)
      expect(complete.length).toBeLessThanOrEqual(44)
      expect(jsonLines(yield* read(`${folder}/out.jsonl`))).toHaveLength(40)
    })
  )

  it.scopedLive("rejects a journal of other requests and leaves it unchanged", () =>
    Effect.gen(function* () {
      const provider = yield* SimulatedProvider.make({ faults: () => SimulatedProvider.status(400) })
      const { config, folder } = yield* fileOf(provider)
      yield* write(`${folder}/in.jsonl`, questions(2))
      const words = ["batch", "-c", config, `${folder}/in.jsonl`, `${folder}/out.jsonl`]
      yield* runCli(words)
      const journal = yield* read(`${folder}/out.jsonl.journal`)
      const other = yield* runCli([...words, "--temperature", "1"])
      expect(other).toMatchObject({ code: 2 })
      expect(other.err).toContain("belongs to other requests")
      expect(yield* read(`${folder}/out.jsonl.journal`)).toBe(journal)
      expect((yield* runCli([...words, "--temperature", "1", "--retry-failed"])).err).toContain("other requests")
      expect(yield* read(`${folder}/out.jsonl.journal`)).toBe(journal)
      expect(yield* provider.log).toHaveLength(2)
    })
  )

  it.scopedLive("rejects a journal of a future version and leaves it unchanged, also with --retry-failed", () =>
    Effect.gen(function* () {
      const provider = yield* SimulatedProvider.make()
      const { config, folder } = yield* fileOf(provider)
      yield* write(`${folder}/in.jsonl`, questions(2))
      const journal = '{"version":3}\n{"request":"a","exit":{"_tag":"Failure"}}\n'
      yield* write(`${folder}/out.jsonl.journal`, journal)
      for (const flags of [[], ["--retry-failed"]]) {
        const result = yield* runCli(["batch", "-c", config, ...flags, `${folder}/in.jsonl`, `${folder}/out.jsonl`])
        expect(result).toMatchObject({ code: 2 })
        expect(result.err).toContain(`${folder}/out.jsonl.journal cannot be used: its format has version 3`)
        expect(result.err).toContain("remove the file to start again")
      }
      expect(yield* read(`${folder}/out.jsonl.journal`)).toBe(journal)
      expect(yield* provider.log).toHaveLength(0)
    })
  )
})

const progress: Progress = {
  total: 1000,
  done: 412,
  succeeded: 409,
  failed: 3,
  resumed: 0,
  toRetry: 2,
  tokens: 84_210,
  elapsed: Duration.seconds(33),
  rate: 12.34,
  timeLeft: Duration.seconds(47.2),
  isOver: false
}

describe("progress bar of batch", () => {
  it("shows the share, the rate, the tokens, the cost and the time left in the progress bar", () => {
    expect(ProgressBar.facts(progress, undefined, 3)).toContain("3 waiting for the rate limit")
    expect(ProgressBar.line(progress, ProgressBar.facts(progress, 0.1234), 130, uncoloured)).toBe(
      `${"█".repeat(12)}${"░".repeat(18)}  41 % · 412/1000 · 3 failed · 2 to retry · 12.3/s · 84.2k tokens · $0.123 · 0:48 left`
    )
  })

  it("keeps the progress bar shorter than the terminal at every width", () => {
    for (let columns = 1; columns < 140; columns++)
      expect(ProgressBar.line(progress, ProgressBar.facts(progress, 1), columns, uncoloured).length).toBeLessThan(
        Math.max(2, columns)
      )
  })

  it("formats durations as clock times and amounts with k and M", () => {
    expect([0, 59.2, 61, 7384].map((seconds) => ProgressBar.clock(Duration.seconds(seconds)))).toEqual([
      "0:00",
      "1:00",
      "1:01",
      "2:03:04"
    ])
    expect([0, 999, 1000, 999_949, 999_950, 1_250_000].map(ProgressBar.amount)).toEqual([
      "0",
      "999",
      "1.0k",
      "999.9k",
      "1.0M",
      "1.3M"
    ])
  })
})
