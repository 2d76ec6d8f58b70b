/** `effect-llm simulate-load`: its output, its input, and its errors. */
import { describe, expect, it } from "@effect/vitest"
import { FileSystem } from "@effect/platform"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import { Effect } from "effect"
import { canary, runCli, write } from "./support.js"

/** A folder with a file of two keys that have one call in flight each. The address would refuse every request. */
const folder = Effect.gen(function* () {
  const path = yield* Effect.flatMap(FileSystem.FileSystem, (files) =>
    files.makeTempDirectoryScoped({ prefix: "effect-llm-" })
  )
  const entry = {
    model_name: "gpt-4o",
    api_keys: [canary, `${canary}-2`].map((key) => ({ key, max_concurrency: 1 })),
    base_url: "http://127.0.0.1:1/v1",
    rate_limit_capacity: 1000,
    rate_limit_refill_rate: 1000
  }
  yield* write(`${path}/provider.json`, JSON.stringify({ openai: [entry] }))
  return path
}).pipe(Effect.provide(NodeFileSystem.layer))

describe("simulate-load", () => {
  it.scopedLive(
    "prints the binding limit and what one more key gains, without a secret and without colours in a pipe",
    () =>
      Effect.gen(function* () {
        const path = yield* folder
        const words = [
          "simulate-load",
          "-c",
          `${path}/provider.json`,
          "--rate",
          "4/s",
          "--duration",
          "3m",
          "--latency",
          "1s"
        ]
        const { code, err, out } = yield* runCli([...words, "--one-more-key"])
        expect({ code, err }).toEqual({ code: 0, err: "" })
        expect(out).toContain("Binding limit: max_concurrency of keys of openai/gpt-4o")
        expect(out).toMatch(/one more key +[\d,]+ +\+[1-9]/)
        expect(out).not.toContain("\u001b")
        expect(out).not.toContain(canary)
      })
  )

  it.scopedLive("prints the report as JSON, which is the same for the same seed", () =>
    Effect.gen(function* () {
      const path = yield* folder
      const words = ["simulate-load", "-c", `${path}/provider.json`, "--duration", "2m", "--rate", "60/min", "--json"]
      const { out } = yield* runCli(words)
      const report = JSON.parse(out)
      expect(report.answered + report.failed).toBe(report.offered)
      expect(report.whatIf).toBeUndefined()
      expect((yield* runCli(words)).out).toBe(out)
      expect((yield* runCli([...words, "--seed", "1"])).out).not.toBe(out)
      expect(out).not.toContain(canary)
    })
  )

  it.scopedLive("reads traces of JSON lines with dates and of CSV with seconds", () =>
    Effect.gen(function* () {
      const path = yield* folder
      const line = (at: string) => JSON.stringify({ at, input_tokens: 10, output_tokens: 5 })
      yield* write(`${path}/a.jsonl`, `${line("2026-01-01T00:00:05Z")}\n${line("2026-01-01T00:00:00Z")}\n`)
      yield* write(`${path}/b.csv`, "at,input_tokens,output_tokens\n0,10,5\n5,10,5\n")
      for (const name of ["a.jsonl", "b.csv"]) {
        const { out } = yield* runCli([
          "simulate-load",
          "-c",
          `${path}/provider.json`,
          "--trace",
          `${path}/${name}`,
          "--json"
        ])
        const { answered, duration, tokens } = JSON.parse(out)
        expect({ answered, tokens }).toEqual({ answered: 2, tokens: { input: 20, output: 10 } })
        expect(duration).toBeGreaterThan(5000)
      }
    })
  )

  it.scopedLive("rejects invalid input with exit code 2 and says what is wrong", () =>
    Effect.gen(function* () {
      const path = yield* folder
      yield* write(
        `${path}/bad.jsonl`,
        `{"at": 0, "input_tokens": 1, "output_tokens": 1}\n{"at": 1, "input_tokens": -1}\n`
      )
      yield* write(`${path}/bad.csv`, "time,tokens\n1,2\n")
      const cases: ReadonlyArray<readonly [words: ReadonlyArray<string>, message: string]> = [
        [["--rate=-1/s"], "--rate -1/s: expected a rate above 0"],
        [["--rate", "5"], "--rate 5: expected a rate"],
        [["--duration", "soon"], "--duration soon: expected a time"],
        [["--input-tokens", "3000/800"], "--input-tokens 3000/800"],
        [["--outage", "12m..10m"], "--outage 12m..10m: expected a period"],
        [["--provider-rpm", "0"], "provider.limits.requests: must be a positive number"],
        [["--budget", "0"], "the limit must be more than nothing"],
        [["--model", "nobody"], 'No model is called "nobody"'],
        [["--trace", `${path}/bad.jsonl`], "bad.jsonl line 2: input_tokens must be"],
        [["--trace", `${path}/bad.csv`], "bad.csv line 1: expected JSON, or a CSV header"],
        [["--trace", `${path}/none.jsonl`], "none.jsonl cannot be read"]
      ]
      for (const [words, message] of cases) {
        const { code, err } = yield* runCli(["simulate-load", "-c", `${path}/provider.json`, ...words])
        expect({ words, code }).toEqual({ words, code: 2 })
        expect(err).toContain(message)
        expect(err).not.toContain("Internal error")
        expect(err).not.toContain(canary)
      }
    })
  )
})
