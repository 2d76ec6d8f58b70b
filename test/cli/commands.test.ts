import { describe, expect, it } from "@effect/vitest"
import { Effect, Fiber, Ref } from "effect"
import { SimulatedProvider } from "../../src/testing/index.js"
import { until } from "../support/eventually.js"
import { canary, exists, fileOf, prepareCli, runCli, read, write } from "./support.js"

describe("models, keys check and config check", () => {
  it.scopedLive("lists the configured models, and with --remote the models of the provider with one request", () =>
    Effect.gen(function* () {
      const provider = yield* SimulatedProvider.make({ models: ["gpt-4o", "gpt-5"] })
      const { config } = yield* fileOf(provider, { $aliases: { smart: "openai/gpt-4o" }, $default: "smart" })
      const configured = yield* runCli(["models", "-c", config])
      expect(configured.out).toMatch(/openai\/gpt-4o +smart +1 +200,000 +default\n/)
      const asJson = JSON.parse((yield* runCli(["models", "-c", config, "--json"])).out)
      expect(asJson.models[0]).toMatchObject({ name: "openai/gpt-4o", aliases: ["smart"], isDefault: true })
      expect((yield* runCli(["models", "-c", config, "--remote"])).out).toContain("openai/gpt-5")
      // Both models have the same endpoint, which gets one request.
      expect(yield* provider.log).toHaveLength(1)
    })
  )

  it.scopedLive("lists groups with their members, and sends a question to the group that is the default", () =>
    Effect.gen(function* () {
      const provider = yield* SimulatedProvider.make()
      const { config } = yield* fileOf(provider, {
        $groups: { fast: { strategy: "weighted", members: ["openai/gpt-4o", "openai/gpt-4o-mini"] } },
        $default: "fast"
      })
      expect((yield* runCli(["models", "-c", config])).out).toMatch(
        /fast +weighted +openai\/gpt-4o, openai\/gpt-4o-mini +default\n/
      )
      expect(JSON.parse((yield* runCli(["models", "-c", config, "--json"])).out).groups).toEqual([
        {
          name: "fast",
          aliases: [],
          isDefault: true,
          strategy: "weighted",
          members: ["openai/gpt-4o", "openai/gpt-4o-mini"]
        }
      ])
      expect((yield* runCli(["ask", "-c", config, "Hello"])).out).toBe("You said: Hello\n")
    })
  )

  it.scopedLive("prints the state of each key, and exits with 1 when the provider rejects one", () =>
    Effect.gen(function* () {
      const provider = yield* SimulatedProvider.make({
        keys: [{ key: canary }, { key: `${canary}-old`, revoked: true }],
        models: ["gpt-4o", "gpt-4o-mini"]
      })
      const { config } = yield* fileOf(provider)
      const good = yield* runCli(["keys", "check", "-c", config])
      expect(good).toMatchObject({ code: 0, err: "" })
      expect(good.out).toMatch(/openai\/gpt-4o +\S+ +works/)
      yield* write(config, (yield* read(config)).replace(`"${canary}"`, `"${canary}", "${canary}-old"`))
      const bad = yield* runCli(["keys", "check", "-c", config, "--json"])
      expect(bad.code).toBe(1)
      expect(JSON.parse(bad.out).map(({ condition }: { readonly condition: string }) => condition)).toEqual([
        "works",
        "revoked",
        "works"
      ])
      expect(`${good.out}${bad.out}${bad.err}`).not.toContain(canary)
    })
  )

  it.scopedLive("prints all faults of a configuration file with their positions, and exits with 2", () =>
    Effect.gen(function* () {
      const provider = yield* SimulatedProvider.make()
      const { config } = yield* fileOf(provider)
      expect(yield* runCli(["config", "check", config])).toMatchObject({ code: 0, out: `ok ${config}: 2 models\n` })
      yield* write(config, '{ "openai": [{ "api_keys": [] }] }')
      const { code, out } = yield* runCli(["config", "check", config])
      expect(code).toBe(2)
      expect(out).toBe(
        `error ${config}:1:14: openai[0].model_name: is missing\n` +
          `error ${config}:1:16: openai[0].api_keys: expected at least one key\n`
      )
      const asJson = yield* runCli(["config", "check", "--json", "--config", config])
      expect(JSON.parse(asJson.out)).toMatchObject({ ok: false, faults: [{ line: 1, column: 14 }, { column: 16 }] })
    })
  )
})

describe("embed", () => {
  it.scopedLive("prints all vectors as JSON into a pipe, and the first numbers as a table on a terminal", () =>
    Effect.gen(function* () {
      const provider = yield* SimulatedProvider.make()
      const { config } = yield* fileOf(provider)
      const piped = yield* runCli(["embed", "-c", config], { input: "one\n\ntwo\n" })
      expect(JSON.parse(piped.out).embeddings).toHaveLength(2)
      const { out } = yield* runCli(["embed", "-c", config, "one"], { terminal: true, colour: false })
      expect(out).toMatch(/one +\d+ +(-?0\.\d{4} ){5}…/)
    })
  )
})

describe("bench", () => {
  it.scopedLive("reports successes, failures, rates and latency percentiles of the requests", () =>
    Effect.gen(function* () {
      const provider = yield* SimulatedProvider.make({
        latency: "20 millis",
        tokenPace: "2 millis",
        faults: (index) => (index === 3 ? SimulatedProvider.status(400) : undefined)
      })
      const { config } = yield* fileOf(provider)
      const { code, out } = yield* runCli(["bench", "-c", config, "-n", "8", "--concurrency", "2", "--json"])
      const report = JSON.parse(out)
      expect(code).toBe(1)
      expect(report).toMatchObject({
        requests: 8,
        succeeded: 7,
        failed: 1,
        errors: [{ class: "InvalidRequestError", count: 1 }]
      })
      expect(report.requestsPerSecond).toBeCloseTo((7 * 1000) / report.elapsed, 6)
      // Timers can be a millisecond early.
      expect(report.elapsed).toBeGreaterThanOrEqual(4 * 19)
      expect(report.firstToken.min).toBeGreaterThanOrEqual(19)
      expect(report.latency.p50).toBeGreaterThan(report.firstToken.p50)
      const { out: table } = yield* runCli(["bench", "-c", config, "-n", "2", "--no-stream"])
      expect(table).toContain("2 of 2 answered")
      expect(table).not.toContain("first token")
    })
  )

  it.scopedLive("compares several models in one table, and in a list of JSON", () =>
    Effect.gen(function* () {
      const provider = yield* SimulatedProvider.make({
        faults: (_, { model }) => (model === "gpt-4o-mini" ? SimulatedProvider.status(400) : undefined)
      })
      const { config } = yield* fileOf(provider)
      const words = ["bench", "-c", config, "-m", "openai/gpt-4o", "--model", "gpt-4o-mini", "-n", "3", "-j", "2"]
      const { code, out } = yield* runCli(words)
      expect(code).toBe(1)
      expect(out).toMatch(/^3 requests to each model, 2 at once\n\nmodel +answered +requests\/s/)
      expect(out).toMatch(/\nopenai\/gpt-4o +3 .* \$/)
      expect(out).toMatch(/\nopenai\/gpt-4o-mini +0 /)
      expect(out).toMatch(/\nmodel +count +error +example\nopenai\/gpt-4o-mini +3  InvalidRequestError/)
      expect(JSON.parse((yield* runCli([...words, "--json"])).out)).toMatchObject([
        { model: "gpt-4o", succeeded: 3, failed: 0 },
        { model: "gpt-4o-mini", succeeded: 0, failed: 3 }
      ])
      const unknown = yield* runCli(["bench", "-c", config, "-m", "gpt-4p"])
      expect([unknown.code, unknown.err]).toEqual([2, expect.stringContaining("Did you mean gpt-4o?")])
    })
  )
})

describe("simulate", () => {
  it.scopedLive("starts a simulated provider and prints a configuration file that works with it", () =>
    Effect.gen(function* () {
      const program = yield* prepareCli([
        "simulate",
        "--key",
        "good",
        "--fault",
        "503@0.5",
        "--answer",
        "Yes",
        "--json"
      ])
      const running = yield* Effect.fork(program.result)
      const out = yield* until(Ref.get(program.out), (out) => out !== "")
      const { file } = JSON.parse(out)
      const { config } = yield* fileOf(yield* SimulatedProvider.make())
      yield* write(config, JSON.stringify(file))
      // Every second request fails, and the call is retried.
      expect(yield* runCli(["ask", "-c", config, "Really?"])).toEqual({ code: 0, out: "Yes\n", err: "" })
      yield* Fiber.interrupt(running)
      expect(yield* exists(config)).toBe(true)
    })
  )
})

describe("simulate --port", () => {
  it.scopedLive("says that another process listens on the port", () =>
    Effect.gen(function* () {
      const { port } = new URL((yield* SimulatedProvider.make()).baseUrl)
      const { code, err } = yield* runCli(["simulate", "--port", port])
      expect(code).toBe(2)
      expect(err).toContain(`cannot listen on port ${port}: another process already listens on port ${port}.`)
    })
  )
})

describe("secrecy of keys", () => {
  it.scopedLive("prints and logs no key with any command, for valid and invalid configurations", () =>
    Effect.gen(function* () {
      const { config, folder } = yield* fileOf(yield* SimulatedProvider.make({ keys: [{ key: "another" }] }))
      const broken = `${folder}/broken.json`
      yield* write(broken, (yield* read(config)).replace(/,/g, " "))
      const misplaced = `${folder}/misplaced.yaml`
      yield* write(misplaced, `openai:\n  - model_name: [${canary}]\n    api_keys: {a: ${canary}}\n    ${canary}: 1\n`)
      yield* write(`${folder}/in.jsonl`, '"Hello"\n')
      const commands = [
        ["ask", "Hello"],
        ["ask", "--no-stream", "--json", "Hello"],
        ["embed", "Hello"],
        ["models", "--remote"],
        ["models", "--json"],
        ["keys", "check"],
        ["keys", "check", "--ask", "--json"],
        ["config", "check", "--json"],
        ["bench", "-n", "1"],
        ["batch", `${folder}/in.jsonl`, `${folder}/out.jsonl`, "--overwrite"]
      ]
      let logged = 0
      for (const file of [config, broken, misplaced]) {
        for (const words of commands) {
          const { err, out } = yield* runCli([...words, "--config", file, "--log-level", "all"])
          const output = `${out}${err}`.replaceAll(`openai[0].${canary}`, "")
          logged += err.split("level=").length - 1
          expect({ words, file, isShown: output.includes(canary) }).toEqual({ words, file, isShown: false })
        }
      }
      expect(logged).toBeGreaterThan(0)
      expect(yield* read(`${folder}/out.jsonl`)).not.toContain(canary)
      expect(yield* read(`${folder}/out.jsonl.journal`)).not.toContain(canary)
    })
  )
})

describe("--help", () => {
  it.live.each([
    ["ask"],
    ["chat"],
    ["batch"],
    ["embed"],
    ["models"],
    ["init"],
    ["keys", "check"],
    ["config", "check"],
    ["bench"],
    ["simulate"],
    ["simulate-load"]
  ])("prints the usage and examples of %s in lines of at most 110 columns", (path) =>
    Effect.gen(function* () {
      const { code, out } = yield* runCli([...path, "--help"])
      expect(code).toBe(0)
      expect(out).toContain(`Usage\n  effect-llm ${path.join(" ")}`)
      expect(out).toContain("\nExamples\n")
      expect(out).not.toContain("\u001b")
      for (const line of out.split("\n")) expect(line.length).toBeLessThanOrEqual(110)
    })
  )

  it.live("lists all commands and the exit codes without arguments, and the subcommands of a group", () =>
    Effect.gen(function* () {
      const { out } = yield* runCli([])
      for (const command of [
        "ask",
        "chat",
        "batch",
        "embed",
        "models",
        "init",
        "keys check",
        "config check",
        "bench",
        "simulate",
        "simulate-load"
      ])
        expect(out).toMatch(new RegExp(`\n  ${command} +[A-Z]`))
      expect(out).toContain("130  Ctrl-C.")
      expect((yield* runCli(["keys"])).out).toContain("keys check")
    })
  )

  it.live("prints completions with the commands for every shell", () =>
    Effect.gen(function* () {
      for (const shell of ["bash", "zsh", "fish", "sh"]) {
        const { code, out } = yield* runCli(["--completions", shell])
        expect({ shell, code }).toEqual({ shell, code: 0 })
        expect(out).toContain("batch")
      }
    })
  )
})

describe("options of batch", () => {
  it.live("rejects a concurrency below 1 with exit code 2 before it reads the input", () =>
    Effect.gen(function* () {
      for (const concurrency of ["0", "-3"]) {
        const { code, err } = yield* runCli(["batch", "--concurrency", concurrency, "in.jsonl", "out.jsonl"])
        expect(code).toBe(2)
        expect(err).toContain("--concurrency must be at least 1")
        expect(err).not.toContain("Internal error")
      }
    })
  )
})
