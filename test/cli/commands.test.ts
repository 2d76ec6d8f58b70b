import { describe, expect, it } from "@effect/vitest"
import { Effect, Encoding, Fiber, Queue, Ref } from "effect"
import { Line } from "../../src/cli/Typist.js"
import { SimulatedProvider } from "../../src/testing/index.js"
import { canary, eventually, exists, fileOf, prepare, ran, read, write } from "./support.js"

const escape = "\u001b["

describe("ask", () => {
  it.scopedLive("prints the answer, and nothing but it, into a pipe", () =>
    Effect.gen(function* () {
      const provider = yield* SimulatedProvider.make({ answer: () => "**Paris**, of course." })
      const { config } = yield* fileOf(provider)
      expect(yield* ran(["ask", "-c", config, "What", "is", "the", "capital?"])).toEqual({
        code: 0,
        out: "**Paris**, of course.\n",
        err: ""
      })
      const [exchange] = yield* provider.log
      expect(exchange?.stream).toBe(true)
      expect(exchange?.body).toMatchObject({
        model: "gpt-4o",
        messages: [{ role: "user", content: "What is the capital?" }]
      })
    })
  )

  it.scopedLive("on a terminal reads Markdown, and tells what it took", () =>
    Effect.gen(function* () {
      const provider = yield* SimulatedProvider.make({ answer: () => "**Paris**\u001b]0;owned\u0007" })
      const { config } = yield* fileOf(provider)
      const onTerminal = yield* ran(["ask", "-c", config, "Where?"], { terminal: true })
      expect(onTerminal.out).toContain("Paris")
      expect(onTerminal.out).not.toContain("*")
      expect(onTerminal.out).toContain(escape)
      expect(onTerminal.out).not.toContain("\u001b]")
      expect(onTerminal.err).toMatch(/openai\/gpt-4o · \d+ \+ \d+ tokens · .* m?s/)
      const withoutColours = yield* ran(["ask", "-c", config, "Where?"], { terminal: true, colour: false })
      expect(`${withoutColours.out}${withoutColours.err}`).not.toContain("\u001b")
      expect(withoutColours.out).toContain("**Paris**")
    })
  )

  it.scopedLive("takes what is piped in, files, images, a system message and settings", () =>
    Effect.gen(function* () {
      const provider = yield* SimulatedProvider.make()
      const { config, folder } = yield* fileOf(provider)
      yield* write(`${folder}/notes.txt`, "some notes")
      yield* write(`${folder}/dot.png`, "no real image")
      const words = [
        "ask",
        "-c",
        config,
        "-m",
        "gpt-4o-mini",
        "--system",
        "Be brief.",
        "-t",
        "0.5",
        "--max-tokens",
        "9"
      ]
      const { code } = yield* ran(
        [...words, "--file", `${folder}/notes.txt`, "-f", `${folder}/dot.png`, "--no-stream", "Summarise"],
        { input: "piped in\n" }
      )
      expect(code).toBe(0)
      const [exchange] = yield* provider.log
      expect(exchange?.body).toMatchObject({
        model: "gpt-4o-mini",
        temperature: 0.5,
        messages: [
          { role: "system", content: "Be brief." },
          {
            role: "user",
            content: [
              { type: "text", text: `<file name="${folder}/notes.txt">\nsome notes\n</file>` },
              { image_url: { url: `data:image/png;base64,${Encoding.encodeBase64("no real image")}` } },
              { type: "text", text: "Summarise\n\npiped in" }
            ]
          }
        ]
      })
      expect(exchange?.stream).toBe(false)
    })
  )

  it.scopedLive("gives the whole answer as JSON", () =>
    Effect.gen(function* () {
      const provider = yield* SimulatedProvider.make({ answer: () => "Paris" })
      const { config } = yield* fileOf(provider)
      const { code, out } = yield* ran(["ask", "-c", config, "--json", "Where?"])
      expect(code).toBe(0)
      expect(JSON.parse(out)).toMatchObject({ text: "Paris", provider: "openai", usage: { estimated: false } })
    })
  )

  it.scopedLive("holds the answer to a JSON Schema, and shows the model once what is wrong", () =>
    Effect.gen(function* () {
      const answers = ['{"total":"a lot"}', '{"total":12}', '{"total":-1}', '{"total":-1}']
      const provider = yield* SimulatedProvider.make({ answer: () => answers.shift() ?? "" })
      const { config, folder } = yield* fileOf(provider)
      const schema = {
        title: "Invoice",
        type: "object",
        properties: { total: { type: "number", minimum: 0 } },
        required: ["total"],
        additionalProperties: false
      }
      yield* write(`${folder}/invoice.json`, JSON.stringify(schema))
      const words = ["ask", "-c", config, "--schema", `${folder}/invoice.json`, "Read", "it"]
      const good = yield* ran(words)
      expect(JSON.parse(good.out)).toEqual({ total: 12 })
      const [first] = yield* provider.log
      expect(first?.body).toMatchObject({ response_format: { json_schema: { name: "Invoice" } } })
      const bad = yield* ran(words)
      expect(bad).toMatchObject({ code: 1, out: "" })
      expect(bad.err).toContain("total")
      expect(yield* ran(["ask", "-c", config, "--schema", "/nowhere.json", "Read"])).toMatchObject({ code: 2 })
    })
  )

  it.scopedLive("thoughts are told beside the answer when they are asked for", () =>
    Effect.gen(function* () {
      const provider = yield* SimulatedProvider.make({
        answer: () => ({
          text: "42",
          reasoning: "6 times 7",
          reasoningParts: [{ type: "reasoning", text: "6 times 7" }]
        })
      })
      const { config } = yield* fileOf(provider)
      expect(yield* ran(["ask", "-c", config, "Why?"])).toEqual({ code: 0, out: "42\n", err: "" })
      expect(yield* ran(["ask", "-c", config, "--thoughts", "Why?"])).toEqual({
        code: 0,
        out: "42\n",
        err: "6 times 7\n"
      })
    })
  )
})

const unusable: ReadonlyArray<readonly [words: ReadonlyArray<string>, complaint: RegExp]> = [
  [["ask"], /There is no question/],
  [["ask", "--nope", "Hello"], /has no option --nope/],
  [["ask", "-z", "Hello"], /has no option -z/],
  [["ask", "--temperature", "hot", "Hello"], /Try: effect-llm ask --help/],
  [["ask", "--config", "/nowhere/provider.json", "Hello"], /\/nowhere\/provider\.json is not there/],
  [["ask", "--file", "/nowhere/notes.txt", "Hello"], /\/nowhere\/notes\.txt is not there/],
  [["batch", "/nowhere/in.jsonl", "/nowhere/out.jsonl"], /in\.jsonl cannot be read/],
  [["asks", "Hello"], /ask/],
  [["simulate", "--fault", "nonsense"], /--fault nonsense: expected/],
  [["simulate", "--latency", "fast"], /--latency fast: expected/],
  [["simulate", "--port", "99999999"], /99999999/]
]

describe("what goes wrong is one sentence, and the exit code says what kind", () => {
  it.scopedLive("1: the call failed", () =>
    Effect.gen(function* () {
      const provider = yield* SimulatedProvider.make({ keys: [{ key: "another" }] })
      const { config } = yield* fileOf(provider)
      const { code, err, out } = yield* ran(["ask", "-c", config, "Hello"])
      expect({ code, out }).toEqual({ code: 1, out: "" })
      expect(err).toMatch(/^effect-llm: .*keys check" shows which keys work\.\n$/)
    })
  )

  it.scopedLive("1: a stream broke, and what there was of it stands on a line of its own", () =>
    Effect.gen(function* () {
      const provider = yield* SimulatedProvider.make({
        answer: () => "one two three four",
        faults: () => SimulatedProvider.truncate(3)
      })
      const { config } = yield* fileOf(provider)
      const { code, err, out } = yield* ran(["ask", "-c", config, "Hello"])
      expect(code).toBe(1)
      expect(out).toMatch(/^one.*\n$/)
      expect(err.trim().split("\n")).toHaveLength(1)
    })
  )

  it.live("2: nothing is configured", () =>
    Effect.gen(function* () {
      const { code, err } = yield* ran(["ask", "Hello"])
      expect(code).toBe(2)
      expect(err).toMatch(/^effect-llm: No model is configured: .*OPENAI_API_KEY.*--config\.\n$/)
    })
  )

  it.live.each(unusable)("2: %j", ([words, complaint]) =>
    Effect.gen(function* () {
      const { code, err, out } = yield* ran(words, { input: "" })
      expect(code).toBe(2)
      expect(out).toBe("")
      expect(err).toMatch(complaint)
      expect(err).toMatch(/^effect-llm: /)
      expect(err).not.toMatch(/\n\s+at /)
    })
  )

  it.live("a text that begins with dashes goes behind --", () =>
    Effect.gen(function* () {
      const { err } = yield* ran(["ask", "--", "--nope"])
      expect(err).toContain("No model is configured")
    })
  )
})

describe("models from the environment", () => {
  it.scopedLive("by the name of the provider in front of the model's", () =>
    Effect.gen(function* () {
      const provider = yield* SimulatedProvider.make({ answer: ({ model }) => `I am ${model}` })
      const env = {
        OPENAI_API_KEY: canary,
        OPENAI_BASE_URL: provider.baseUrl,
        GROQ_API_KEY: canary,
        GROQ_BASE_URL: provider.baseUrl
      }
      expect((yield* ran(["ask", "Who?"], { env })).out).toBe("I am gpt-4o-mini\n")
      expect((yield* ran(["ask", "-m", "openai/gpt-4o", "Who?"], { env })).out).toBe("I am gpt-4o\n")
      expect((yield* ran(["ask", "-m", "groq/meta-llama/llama-4", "Who?"], { env })).out).toBe(
        "I am meta-llama/llama-4\n"
      )
      expect((yield* ran(["ask", "Who?"], { env: { ...env, LLM_DEFAULT_MODEL: "groq/x" } })).out).toBe("I am x\n")
    })
  )

  it.live("or a sentence that says which key is missing, or that no model is named", () =>
    Effect.gen(function* () {
      const env = { ANTHROPIC_API_KEY: canary }
      expect((yield* ran(["ask", "Who?"], { env })).err).toContain("Say which model with --model, such as anthropic/")
      expect((yield* ran(["ask", "-m", "openai/gpt-4o", "Who?"], { env })).err).toContain(
        "There is no key of openai. Set OPENAI_API_KEY"
      )
    })
  )
})

describe("chat", () => {
  it.scopedLive("remembers, forgets, changes the model, saves and loads", () =>
    Effect.gen(function* () {
      const provider = yield* SimulatedProvider.make({
        answer: ({ messages, model }) => `${model} has heard ${messages.length}`
      })
      const { config, folder } = yield* fileOf(provider)
      const saved = `${folder}/talk.json`
      const first = yield* ran(["chat", "-c", config, "--system", "Be brief."], {
        typed: [
          "one",
          "two \\",
          "lines",
          "/model gpt-4o-mini",
          "three",
          `/save ${saved}`,
          "/clear",
          "four",
          "/exit",
          "no"
        ]
      })
      expect(first.code).toBe(0)
      expect(first.out).toBe(
        "gpt-4o has heard 2\ngpt-4o has heard 4\ngpt-4o-mini has heard 6\ngpt-4o-mini has heard 2\n"
      )
      expect((yield* provider.log)[1]?.body).toMatchObject({ messages: [{}, {}, {}, { content: "two \nlines" }] })
      const second = yield* ran(["chat", "-c", config, "--load", saved], { typed: ["five", "/history"] })
      expect(second.out).toMatch(/^gpt-4o has heard 8\nsystem: Be brief\.\nuser: one\n/)
    })
  )

  it.scopedLive("goes on after what went wrong", () =>
    Effect.gen(function* () {
      const provider = yield* SimulatedProvider.make({ answer: ({ messages }) => `heard ${messages.length}` })
      const { config } = yield* fileOf(provider)
      yield* provider.next(SimulatedProvider.status(400))
      const { code, err, out } = yield* ran(["chat", "-c", config], {
        typed: ["one", "/nope", "/constructor", "/model nope", "/load /nowhere", "/save", "two"]
      })
      expect({ code, out }).toEqual({ code: 0, out: "heard 1\n\n" })
      for (const complaint of [
        "There is no /nope",
        "There is no /constructor",
        '"nope"',
        "/nowhere is not",
        "/save <file>"
      ])
        expect(err).toContain(complaint)
    })
  )

  it.scopedLive("Ctrl-C stops the answer and not the program, and the key is given back", () =>
    Effect.gen(function* () {
      const provider = yield* SimulatedProvider.make({
        answer: ({ messages }) => `heard ${messages.length} and more and more and more`,
        tokenPace: "30 millis"
      })
      const { config } = yield* fileOf(provider)
      const presses = yield* Queue.unbounded<void>()
      const program = yield* prepare(["chat", "-c", config], {
        typed: ["one", "two"],
        interruption: Queue.take(presses)
      })
      const running = yield* Effect.fork(program.result)
      yield* eventually(Ref.get(program.out), (out) => out.includes("and"))
      yield* presses.offer(undefined)
      const { code, err } = yield* Fiber.join(running)
      expect(code).toBe(0)
      expect(err).toContain("Stopped.")
      const log = yield* eventually(provider.log, (log) => log.length === 2)
      expect(log.map(({ outcome }) => outcome)).toEqual(["aborted", "complete"])
      // What was stopped is not remembered.
      expect(log[1]?.body).toMatchObject({ messages: [{ content: "two" }] })
    })
  )

  it.scopedLive("leaves at Ctrl-C and at Ctrl-D", () =>
    Effect.gen(function* () {
      const provider = yield* SimulatedProvider.make()
      const { config } = yield* fileOf(provider)
      expect((yield* ran(["chat", "-c", config], { typed: [Line.Interrupted(), "no"] })).code).toBe(0)
      expect((yield* ran(["chat", "-c", config])).code).toBe(0)
      expect(yield* provider.log).toEqual([])
    })
  )
})

describe("models, keys, files", () => {
  it.scopedLive("models lists what is configured, and what there is", () =>
    Effect.gen(function* () {
      const provider = yield* SimulatedProvider.make({ models: ["gpt-4o", "gpt-5"] })
      const { config } = yield* fileOf(provider, { $aliases: { smart: "openai/gpt-4o" }, $default: "smart" })
      const configured = yield* ran(["models", "-c", config])
      expect(configured.out).toMatch(/openai\/gpt-4o +smart +1 +200,000 +default\n/)
      const asJson = JSON.parse((yield* ran(["models", "-c", config, "--json"])).out)
      expect(asJson.models[0]).toMatchObject({ name: "openai/gpt-4o", aliases: ["smart"], isDefault: true })
      expect((yield* ran(["models", "-c", config, "--remote"])).out).toContain("openai/gpt-5")
      // Both models are at the same place, which is asked once.
      expect(yield* provider.log).toHaveLength(1)
    })
  )

  it.scopedLive("keys check says which work, and ends with 1 where one is refused", () =>
    Effect.gen(function* () {
      const provider = yield* SimulatedProvider.make({
        keys: [{ key: canary }, { key: `${canary}-old`, revoked: true }],
        models: ["gpt-4o", "gpt-4o-mini"]
      })
      const { config } = yield* fileOf(provider)
      const good = yield* ran(["keys", "check", "-c", config])
      expect(good).toMatchObject({ code: 0, err: "" })
      expect(good.out).toMatch(/openai\/gpt-4o +\S+ +works/)
      yield* write(config, (yield* read(config)).replace(`"${canary}"`, `"${canary}", "${canary}-old"`))
      const bad = yield* ran(["keys", "check", "-c", config, "--json"])
      expect(bad.code).toBe(1)
      expect(JSON.parse(bad.out).map(({ condition }: { readonly condition: string }) => condition)).toEqual([
        "works",
        "revoked",
        "works"
      ])
      expect(`${good.out}${bad.out}${bad.err}`).not.toContain(canary)
    })
  )

  it.scopedLive("config check tells all faults, and ends with 2", () =>
    Effect.gen(function* () {
      const provider = yield* SimulatedProvider.make()
      const { config } = yield* fileOf(provider)
      expect(yield* ran(["config", "check", config])).toMatchObject({ code: 0, out: `ok ${config}: 2 models\n` })
      yield* write(config, '{ "openai": [{ "api_keys": [] }] }')
      const { code, out } = yield* ran(["config", "check", config])
      expect(code).toBe(2)
      expect(out).toBe(
        `error ${config}:1:14: openai[0].model_name: is missing\n` +
          `error ${config}:1:16: openai[0].api_keys: expected at least one key\n`
      )
      const asJson = yield* ran(["config", "check", "--json", "--config", config])
      expect(JSON.parse(asJson.out)).toMatchObject({ ok: false, faults: [{ line: 1, column: 14 }, { column: 16 }] })
    })
  )
})

describe("embed", () => {
  it.scopedLive("prints vectors into a pipe, and their beginnings for a person", () =>
    Effect.gen(function* () {
      const provider = yield* SimulatedProvider.make()
      const { config } = yield* fileOf(provider)
      const piped = yield* ran(["embed", "-c", config], { input: "one\n\ntwo\n" })
      expect(JSON.parse(piped.out).embeddings).toHaveLength(2)
      const { out } = yield* ran(["embed", "-c", config, "one"], { terminal: true, colour: false })
      expect(out).toMatch(/one +\d+ +(-?0\.\d{4} ){5}…/)
    })
  )
})

describe("bench", () => {
  it.scopedLive("counts what was answered, and how fast, and what was not", () =>
    Effect.gen(function* () {
      const provider = yield* SimulatedProvider.make({
        latency: "20 millis",
        tokenPace: "2 millis",
        faults: (index) => (index === 3 ? SimulatedProvider.status(400) : undefined)
      })
      const { config } = yield* fileOf(provider)
      const { code, out } = yield* ran(["bench", "-c", config, "-n", "8", "--concurrency", "2", "--json"])
      const report = JSON.parse(out)
      expect(code).toBe(1)
      expect(report).toMatchObject({
        requests: 8,
        succeeded: 7,
        failed: 1,
        errors: [{ class: "InvalidRequestError", count: 1 }]
      })
      expect(report.requestsPerSecond).toBeCloseTo((7 * 1000) / report.elapsed, 6)
      expect(report.elapsed).toBeGreaterThanOrEqual(4 * 20)
      expect(report.firstToken.min).toBeGreaterThanOrEqual(19)
      expect(report.latency.p50).toBeGreaterThan(report.firstToken.p50)
      const { out: table } = yield* ran(["bench", "-c", config, "-n", "2", "--no-stream"])
      expect(table).toContain("2 of 2 answered")
      expect(table).not.toContain("first token")
    })
  )
})

describe("simulate", () => {
  it.scopedLive("starts a provider and says how to use it", () =>
    Effect.gen(function* () {
      const program = yield* prepare(["simulate", "--key", "good", "--fault", "503@0.5", "--answer", "Yes", "--json"])
      const running = yield* Effect.fork(program.result)
      const out = yield* eventually(Ref.get(program.out), (out) => out !== "")
      const { file } = JSON.parse(out)
      const { config } = yield* fileOf(yield* SimulatedProvider.make())
      yield* write(config, JSON.stringify(file))
      // Every second request fails, and the call tries again.
      expect(yield* ran(["ask", "-c", config, "Really?"])).toEqual({ code: 0, out: "Yes\n", err: "" })
      yield* Fiber.interrupt(running)
      expect(yield* exists(config)).toBe(true)
    })
  )
})

describe("no key is ever shown", () => {
  it.scopedLive("by any command, well or ill, and whatever is logged", () =>
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
          const { err, out } = yield* ran([...words, "--config", file, "--log-level", "all"])
          const told = `${out}${err}`.replaceAll(`openai[0].${canary}`, "")
          logged += err.split("level=").length - 1
          expect({ words, file, isShown: told.includes(canary) }).toEqual({ words, file, isShown: false })
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
    ["keys", "check"],
    ["config", "check"],
    ["bench"],
    ["simulate"]
  ])("%s teaches with examples", (path) =>
    Effect.gen(function* () {
      const { code, out } = yield* ran([...path, "--help"])
      expect(code).toBe(0)
      expect(out).toContain(`Usage\n  effect-llm ${path.join(" ")}`)
      expect(out).toContain("\nExamples\n")
      expect(out).not.toContain("\u001b")
      for (const line of out.split("\n")) expect(line.length).toBeLessThanOrEqual(110)
    })
  )

  it.live("of all lists every command, and the exit codes", () =>
    Effect.gen(function* () {
      const { out } = yield* ran([])
      for (const command of [
        "ask",
        "chat",
        "batch",
        "embed",
        "models",
        "keys check",
        "config check",
        "bench",
        "simulate"
      ])
        expect(out).toMatch(new RegExp(`\n  ${command} +[A-Z]`))
      expect(out).toContain("130  Ctrl-C.")
      expect((yield* ran(["keys"])).out).toContain("keys check")
    })
  )

  it.live("completions know the commands", () =>
    Effect.gen(function* () {
      for (const shell of ["bash", "zsh", "fish", "sh"]) {
        const { code, out } = yield* ran(["--completions", shell])
        expect({ shell, code }).toEqual({ shell, code: 0 })
        expect(out).toContain("batch")
      }
    })
  )
})
