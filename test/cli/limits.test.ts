/** What the command line says about the limits of the model file. */
import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { SimulatedProvider } from "../../src/testing/index.js"
import { fileOf, runCli, write } from "./support.js"

/** A model file with one model that has these fields. */
const withModel = (fields: Readonly<Record<string, unknown>>) =>
  Effect.gen(function* () {
    const provider = yield* SimulatedProvider.make()
    const model = { model_name: "m", api_keys: ["k"], base_url: provider.baseUrl, ...fields }
    const { config, folder } = yield* fileOf(provider)
    yield* write(config, JSON.stringify({ tested: [model, { ...model, model_name: "n" }], $default: "tested/m" }))
    yield* write(`${folder}/in.jsonl`, '"a"\n"b"\n"c"\n"d"\n')
    return { config, batch: ["batch", "-c", config, `${folder}/in.jsonl`, `${folder}/out.jsonl`] }
  })

const notice = "at most 10 calls at once and then one a second. Set rate_limit_capacity"

describe("a model without a rate limit in the file", () => {
  it.scopedLive("is named once by config check, batch, and ask on a terminal, with the fields to set", () =>
    Effect.gen(function* () {
      const { batch, config } = yield* withModel({})
      const check = yield* runCli(["config", "check", config])
      expect(check.code).toBe(0)
      expect(check.out).toContain(`note tested/m, tested/n have no rate limit in the file, so each starts ${notice}`)
      const json = JSON.parse((yield* runCli(["config", "check", config, "--json"])).out)
      expect(json).toMatchObject({ ok: true, warnings: [], notices: [expect.stringContaining(notice)] })

      const sent = yield* runCli(batch)
      expect(sent.err.split(notice)).toHaveLength(2)
      expect(sent.err).toContain("tested/m has no rate limit in the file, so it starts at most 10 calls")

      const ask = ["ask", "-c", config, "Hello"]
      expect((yield* runCli(ask, { terminal: true })).err.split(notice)).toHaveLength(2)
      expect((yield* runCli([...ask, "--quiet"], { terminal: true })).err).not.toContain(notice)
      expect((yield* runCli(ask)).err).toBe("")
    })
  )

  it.scopedLive("is not mentioned when the file says that there is no limit, or which one", () =>
    Effect.gen(function* () {
      for (const fields of [{ rate_limit_capacity: null }, { requests_per_minute: 600 }]) {
        const { batch, config } = yield* withModel(fields)
        const outputs = [
          yield* runCli(["config", "check", config]),
          yield* runCli(batch),
          yield* runCli(["ask", "-c", config, "Hello"], { terminal: true })
        ]
        for (const { code, err, out } of outputs)
          expect([code, `${out}${err}`.includes("rate limit")]).toEqual([0, false])
      }
    })
  )
})

describe("a rate limit that sets the pace", () => {
  it.scopedLive("is named by bench and batch, and not when calls do not wait for it", () =>
    Effect.gen(function* () {
      const pace =
        /The calls spent \d+ % of their time waiting for the rate limit of the model file, not for the provider/
      const { batch, config } = yield* withModel({ rate_limit_capacity: 1, rate_limit_refill_rate: 4 })
      const bench = ["bench", "-c", config, "--requests", "4"]
      const limited = yield* runCli(bench)
      expect(limited.out).toMatch(pace)
      expect(limited.out).toContain("--unlimited measures the provider alone.")
      expect((yield* runCli([...bench, "--unlimited"])).out).not.toContain("rate limit")
      const { waitedForLimit } = JSON.parse((yield* runCli([...bench, "--json"])).out)
      expect(waitedForLimit).toBeGreaterThan(250)
      expect((yield* runCli(batch)).err).toMatch(pace)
    })
  )
})
