/** Tests of the bundled program in child processes. */
import { describe, expect, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { spawn } from "node:child_process"
import { existsSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { SimulatedProvider } from "../../src/testing/index.js"
import { bundled, environment } from "./bundle.js"
import { until } from "../support/eventually.js"
import { canary } from "./support.js"

const { folder, program } = bundled()

interface Result {
  readonly code: number | null
  readonly out: string
  readonly err: string
}

/** Starts a process, which is killed when the scope closes. */
const start = (words: ReadonlyArray<string>, env: Readonly<Record<string, string>>, input?: string) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const child = spawn("node", [program, ...words], { env, cwd: folder, stdio: "pipe" })
      let [out, err] = ["", ""]
      child.stdout.on("data", (chunk) => (out += String(chunk)))
      child.stderr.on("data", (chunk) => (err += String(chunk)))
      child.stdin.end(input ?? "")
      const ended = new Promise<Result>((resolve) => child.on("close", (code) => resolve({ code, out, err })))
      return { child, ended: Effect.promise(() => ended), out: Effect.sync(() => out) }
    }),
    ({ child }) => Effect.sync(() => child.kill("SIGKILL"))
  )

const run = (words: ReadonlyArray<string>, env: Readonly<Record<string, string>>, input?: string) =>
  Effect.flatMap(start(words, env, input), ({ ended }) => ended)

/** A module that writes the CPU time of the process, in microseconds, to standard error at its exit. */
const cpuTimeReporter = `data:text/javascript,${encodeURIComponent(
  "process.on('exit', () => process.stderr.write(JSON.stringify(process.cpuUsage())))"
)}`

describe("the bundled program", () => {
  it.scopedLive("prints only the answer, and no key in its output and log", () =>
    Effect.gen(function* () {
      const provider = yield* SimulatedProvider.make()
      expect(yield* run(["ask", "Hello"], environment(provider))).toEqual({
        code: 0,
        out: "You said: Hello\n",
        err: ""
      })
      expect((yield* run(["ask"], environment(provider), "from a pipe")).out).toBe("You said: from a pipe\n")
      const { code, err } = yield* run(["ask", "Hello"], { PATH: process.env["PATH"] ?? "" })
      expect({ code, err }).toMatchObject({
        code: 2,
        err: expect.stringMatching(/^effect-llm: No model is configured/)
      })
      const all = yield* run(["keys", "check", "--log-level", "all"], environment(provider))
      expect(`${all.out}${all.err}`).not.toContain(canary)
    })
  )

  it.scopedLive("runs a chat through a pipe", () =>
    Effect.gen(function* () {
      const provider = yield* SimulatedProvider.make()
      expect(yield* run(["chat"], environment(provider), "one\ntwo\n/history")).toEqual({
        code: 0,
        out:
          "You said: one\nYou said: two\n" +
          "user: one\nassistant: You said: one\nuser: two\nassistant: You said: two\n",
        err: ""
      })
    })
  )

  it.scopedLive("prints its version with less than three seconds of CPU time", () =>
    Effect.gen(function* () {
      const { version } = JSON.parse(readFileSync("package.json", "utf8"))
      const { code, err, out } = yield* run(["--version"], { NODE_OPTIONS: `--import=${cpuTimeReporter}` })
      expect({ code, out }).toEqual({ code: 0, out: `${version}\n` })
      const { system, user } = JSON.parse(err)
      // A third of a second on an idle machine.
      expect((system + user) / 1e6).toBeLessThan(3)
    })
  )

  it.scopedLive("exits with 130 at Ctrl-C and 143 at SIGTERM, and cancels the running request", () =>
    Effect.gen(function* () {
      const provider = yield* SimulatedProvider.make({ faults: () => SimulatedProvider.hang() })
      for (const [signal, code] of [
        ["SIGINT", 130],
        ["SIGTERM", 143]
      ] as const) {
        const running = yield* start(["ask", "Hello"], environment(provider))
        yield* until(provider.inFlight, (inFlight) => inFlight === 1)
        running.child.kill(signal)
        expect((yield* running.ended).code).toBe(code)
        yield* until(provider.inFlight, (inFlight) => inFlight === 0)
      }
    })
  )

  it.scopedLive("exits with 141 and no message when the reader closes the output", () =>
    Effect.gen(function* () {
      const provider = yield* SimulatedProvider.make({ answer: () => "word ".repeat(50_000), tokenPace: "2 millis" })
      const running = yield* start(["ask", "Hello"], environment(provider))
      yield* until(running.out, (out) => out !== "")
      running.child.stdout.destroy()
      const { code, err } = yield* running.ended
      expect({ code, err }).toEqual({ code: 141, err: "" })
    })
  )

  it.scopedLive("resumes a killed batch without repeating requests in the journal", () =>
    Effect.gen(function* () {
      let isKilled = false
      const provider = yield* SimulatedProvider.make({
        faults: (index) => (index >= 16 && !isKilled ? SimulatedProvider.hang() : undefined)
      })
      const [input, output] = [join(folder, "in.jsonl"), join(folder, "out.jsonl")]
      writeFileSync(input, Array.from({ length: 60 }, (_, index) => `"question ${index}"\n`).join(""))
      const words = ["batch", "--concurrency", "4", input, output]
      const first = yield* start(words, environment(provider))
      yield* until(provider.log, (log) => log.length >= 12)
      first.child.kill("SIGKILL")
      yield* first.ended
      isKilled = true
      yield* until(provider.inFlight, (inFlight) => inFlight === 0)
      const recorded = readFileSync(`${output}.journal`, "utf8").trimEnd().split("\n").length - 1
      const before = (yield* provider.log).length
      const { code, err } = yield* run(words, environment(provider))
      expect(code).toBe(0)
      expect(err).toContain("60 of 60 answered")
      expect((yield* provider.log).length - before).toBe(60 - recorded)
      expect(readFileSync(output, "utf8").trimEnd().split("\n")).toHaveLength(60)
      expect(existsSync(`${output}.journal`)).toBe(false)
    })
  )
})

describe("the bundled program with its bundled prices", () => {
  const Priced = Schema.parseJson(
    Schema.Struct({ model: Schema.String, cost: Schema.Struct({ total: Schema.Number }) })
  )

  const decode = Schema.decodeUnknownSync(Priced)

  const ask = (provider: SimulatedProvider.Service, ...words: ReadonlyArray<string>) =>
    Effect.map(run(["ask", "Hello", "--json", ...words], environment(provider)), ({ out }) => decode(out))

  it.scopedLive("prints the cost of an answer, of embeddings and of a batch by the public prices", () =>
    Effect.gen(function* () {
      const provider = yield* SimulatedProvider.make()
      const [questions, answers] = [join(folder, "priced.jsonl"), join(folder, "priced-answers.jsonl")]
      writeFileSync(questions, '"Hello"\n')
      const [answer, embedded, batch] = yield* Effect.all(
        [
          ask(provider),
          run(["embed", "Hello", "--model", "text-embedding-3-small"], environment(provider)),
          run(["batch", questions, answers], environment(provider))
        ],
        { concurrency: 3 }
      )
      expect(answer.cost.total).toBeGreaterThan(0)
      expect(embedded).toMatchObject({ code: 0, out: expect.stringContaining('"cost":{') })
      expect(batch.code).toBe(0)
      expect(readFileSync(answers, "utf8")).toContain('"cost":')
    })
  )

  it.scopedLive("uses the price of the file instead of the public price, and the cheapest member of a group", () =>
    Effect.gen(function* () {
      const provider = yield* SimulatedProvider.make()
      const entry = (model_name: string, price?: object) => ({
        model_name,
        base_url: provider.baseUrl,
        api_keys: [canary],
        ...(price === undefined ? {} : { price })
      })
      const group = (...members: ReadonlyArray<string>) => ({ strategy: "cost", members })
      const path = join(folder, "priced.json")
      writeFileSync(
        path,
        JSON.stringify({
          openai: [entry("gpt-4o"), entry("gpt-4o-mini"), entry("gpt-4.1", { input: 0, output: 0, request: 0.5 })],
          own: [entry("free", { input: 0, output: 0 })],
          $groups: {
            public: group("openai/gpt-4o", "openai/gpt-4o-mini"),
            mixed: group("openai/gpt-4o", "openai/gpt-4o-mini", "own/free")
          }
        })
      )
      const of = (model: string) => ask(provider, "--config", path, "--model", model)
      const answers = yield* Effect.all([of("openai/gpt-4.1"), of("public"), of("mixed")], { concurrency: 3 })
      expect(answers).toMatchObject([
        { model: "gpt-4.1", cost: { total: 0.5 } },
        { model: "gpt-4o-mini" },
        { model: "free", cost: { total: 0 } }
      ])
    })
  )
})
