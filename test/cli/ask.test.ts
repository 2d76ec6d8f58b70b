import { describe, expect, it } from "@effect/vitest"
import { Effect, Encoding } from "effect"
import { footnote } from "../../src/cli/terminal/renderAnswer.js"
import { stripStyle } from "../../src/cli/terminal/style.js"
import { SimulatedProvider, TestLLM } from "../../src/testing/index.js"
import { canary, fileOf, runCli, write } from "./support.js"

const escape = "\u001b["

describe("ask", () => {
  it.scopedLive("prints only the answer, unrendered, when the output is a pipe", () =>
    Effect.gen(function* () {
      const provider = yield* SimulatedProvider.make({ answer: () => "**Paris**, of course." })
      const { config } = yield* fileOf(provider)
      expect(yield* runCli(["ask", "-c", config, "What", "is", "the", "capital?"])).toEqual({
        code: 0,
        out: "**Paris**, of course.\n",
        err: ""
      })
      const named = yield* runCli(["ask", "Hello"], { env: { EFFECT_LLM_CONFIG: config } })
      expect(named.out).toBe("**Paris**, of course.\n")
      const [exchange] = yield* provider.log
      expect(exchange?.stream).toBe(true)
      expect(exchange?.body).toMatchObject({
        model: "gpt-4o",
        messages: [{ role: "user", content: "What is the capital?" }]
      })
    })
  )

  it.scopedLive("renders Markdown and prints a footnote with tokens and time on a terminal", () =>
    Effect.gen(function* () {
      const provider = yield* SimulatedProvider.make({ answer: () => "**Paris**\u001b]0;owned\u0007" })
      const { config } = yield* fileOf(provider)
      const onTerminal = yield* runCli(["ask", "-c", config, "Where?"], { terminal: true })
      expect(onTerminal.out).toContain("Paris")
      expect(onTerminal.out).not.toContain("*")
      expect(onTerminal.out).toContain(escape)
      expect(onTerminal.out).not.toContain("\u001b]")
      expect(onTerminal.err).toMatch(/openai\/gpt-4o · \d+ \+ \d+ tokens · .* m?s/)
      const withoutColours = yield* runCli(["ask", "-c", config, "Where?"], { terminal: true, colour: false })
      expect(`${withoutColours.out}${withoutColours.err}`).not.toContain("\u001b")
      expect(withoutColours.out).toBe("Paris]0;owned\n")
      const dumb = yield* runCli(["ask", "-c", config, "Where?"], { terminal: true, colour: false, layout: false })
      expect(dumb.out).toContain("**Paris**")
    })
  )

  it.scopedLive("aligns a Markdown table on a terminal if it fits, and leaves it unchanged in a pipe", () =>
    Effect.gen(function* () {
      const table = "| City | People |\n|:--|--:|\n| Oslo | 700000 |\n"
      const long = `| ${"x".repeat(100)} | y |\n|---|---|\n`
      const provider = yield* SimulatedProvider.make({ answer: () => `${table}\n${long}` })
      const { config } = yield* fileOf(provider)
      const onTerminal = yield* runCli(["ask", "-c", config, "Where?"], { terminal: true })
      expect(stripStyle(onTerminal.out)).toBe(`City │ People\n─────┼───────\nOslo │ 700000\n\n${long}`)
      expect((yield* runCli(["ask", "-c", config, "Where?"])).out).toBe(`${table}\n${long}`)
    })
  )

  it.scopedLive("prints in the footnote that the answer was cut off at its token limit", () =>
    Effect.gen(function* () {
      const provider = yield* SimulatedProvider.make({ answer: () => ({ text: "Once upon", finishReason: "length" }) })
      const { config } = yield* fileOf(provider)
      const { err } = yield* runCli(["ask", "-c", config, "Tell me"], { terminal: true, colour: false })
      expect(err).toMatch(/· cut off at its token limit\n$/)
    })
  )

  it("names in the footnote an answer that the provider paused before its end", () => {
    expect(footnote(TestLLM.response({ text: "I search", finishReason: "pause" }))).toMatch(
      / · paused by the provider before its end$/
    )
    expect(footnote(TestLLM.response({ text: "Found" }))).toMatch(/ms$/)
  })

  it.scopedLive("sends piped input, files, images, the system message and the request options", () =>
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
      const { code } = yield* runCli(
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

  it.scopedLive("prints the whole answer as JSON with --json", () =>
    Effect.gen(function* () {
      const provider = yield* SimulatedProvider.make({ answer: () => "Paris" })
      const { config } = yield* fileOf(provider)
      const { code, out } = yield* runCli(["ask", "-c", config, "--json", "Where?"])
      expect(code).toBe(0)
      expect(JSON.parse(out)).toMatchObject({
        content: [{ type: "text", text: "Paris" }],
        text: "Paris",
        toolCalls: [],
        provider: "openai",
        usage: { estimated: false }
      })
    })
  )

  it.scopedLive("validates the answer against the JSON Schema and asks once more with the validation errors", () =>
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
      const good = yield* runCli(words)
      expect(JSON.parse(good.out)).toEqual({ total: 12 })
      const [first] = yield* provider.log
      expect(first?.body).toMatchObject({ response_format: { json_schema: { name: "Invoice" } } })
      const bad = yield* runCli(words)
      expect(bad).toMatchObject({ code: 1, out: "" })
      expect(bad.err).toContain("total")
      expect(yield* runCli(["ask", "-c", config, "--schema", "/nowhere.json", "Read"])).toMatchObject({ code: 2 })
    })
  )

  it.scopedLive("prints the reasoning to standard error only with --thoughts", () =>
    Effect.gen(function* () {
      const provider = yield* SimulatedProvider.make({
        answer: () => ({
          content: [
            { type: "reasoning", text: "6 times 7" },
            { type: "text", text: "42" }
          ]
        })
      })
      const { config } = yield* fileOf(provider)
      expect(yield* runCli(["ask", "-c", config, "Why?"])).toEqual({ code: 0, out: "42\n", err: "" })
      expect(yield* runCli(["ask", "-c", config, "--thoughts", "Why?"])).toEqual({
        code: 0,
        out: "42\n",
        err: "6 times 7\n"
      })
    })
  )
})

const invalidCommands: ReadonlyArray<readonly [words: ReadonlyArray<string>, message: RegExp]> = [
  [["ask"], /There is no question/],
  [["ask", "--nope", "Hello"], /has no option --nope/],
  [["ask", "-z", "Hello"], /has no option -z/],
  [["ask", "--temperature", "hot", "Hello"], /Try: effect-llm ask --help/],
  [["ask", "--config", "/nowhere/provider.json", "Hello"], /\/nowhere\/provider\.json does not exist/],
  [["ask", "--file", "/nowhere/notes.txt", "Hello"], /\/nowhere\/notes\.txt does not exist/],
  [["batch", "/nowhere/in.jsonl", "/nowhere/out.jsonl"], /in\.jsonl cannot be read/],
  [["serve"], /no provider\.json here and no API key in the environment\. Set OPENAI_API_KEY/],
  [["serve", "-c", "/nowhere/provider.yaml"], /\/nowhere\/provider\.yaml cannot be used\. there is no such file\n$/],
  [["asks", "Hello"], /There is no command asks\. Did you mean ask\?/],
  [["fetch"], /There is no command fetch\. "effect-llm --help" lists the commands: ask, chat/],
  [["keys", "chek"], /There is no command keys chek\. Did you mean keys check\?/],
  [["ask", "--modle", "x", "Hello"], /ask has no option --modle\. Did you mean --model\?/],
  [["batch", "-n", "4", "in.jsonl", "out.jsonl"], /batch has no option -n\./],
  [["simulate", "--fault", "nonsense"], /--fault nonsense: expected/],
  [["simulate", "--latency", "fast"], /--latency fast: expected/],
  [["simulate", "--port", "99999999"], /99999999/]
]

describe("exit codes and error messages", () => {
  it.scopedLive("exits with 1 and suggests keys check when the provider rejects the key", () =>
    Effect.gen(function* () {
      const provider = yield* SimulatedProvider.make({ keys: [{ key: "another" }] })
      const { config } = yield* fileOf(provider)
      const { code, err, out } = yield* runCli(["ask", "-c", config, "Hello"])
      expect({ code, out }).toEqual({ code: 1, out: "" })
      expect(err).toMatch(/^effect-llm: .*keys check" shows which keys work\.\n$/)
    })
  )

  it.scopedLive("exits with 1 and ends the line of the partial text when a stream breaks", () =>
    Effect.gen(function* () {
      const provider = yield* SimulatedProvider.make({
        answer: () => "one two three four",
        faults: () => SimulatedProvider.truncate(3)
      })
      const { config } = yield* fileOf(provider)
      const { code, err, out } = yield* runCli(["ask", "-c", config, "Hello"])
      expect(code).toBe(1)
      expect(out).toMatch(/^one.*\n$/)
      expect(err.trim().split("\n")).toHaveLength(1)
    })
  )

  it.live("exits with 2 and names OPENAI_API_KEY and --config when no model is configured", () =>
    Effect.gen(function* () {
      const { code, err } = yield* runCli(["ask", "Hello"])
      expect(code).toBe(2)
      expect(err).toMatch(/^effect-llm: No model is configured: .*OPENAI_API_KEY.*--config\.\n$/)
    })
  )

  it.live.each(invalidCommands)(
    "exits with 2 and prints one message without a stack trace for %j",
    ([words, message]) =>
      Effect.gen(function* () {
        const { code, err, out } = yield* runCli(words, { input: "" })
        expect(code).toBe(2)
        expect(out).toBe("")
        expect(err).toMatch(message)
        expect(err).toMatch(/^effect-llm: /)
        expect(err).not.toMatch(/\n\s+at /)
      })
  )

  it.live("passes a word that begins with dashes as text after --", () =>
    Effect.gen(function* () {
      const { err } = yield* runCli(["ask", "--", "--nope"])
      expect(err).toContain("No model is configured")
    })
  )
})

describe("models from the environment", () => {
  it.scopedLive("selects the provider by the prefix of --model or LLM_DEFAULT_MODEL", () =>
    Effect.gen(function* () {
      const provider = yield* SimulatedProvider.make({ answer: ({ model }) => `I am ${model}` })
      const env = {
        OPENAI_API_KEY: canary,
        OPENAI_BASE_URL: provider.baseUrl,
        GROQ_API_KEY: canary,
        GROQ_BASE_URL: provider.baseUrl
      }
      expect((yield* runCli(["ask", "Who?"], { env })).out).toBe("I am gpt-4o-mini\n")
      expect((yield* runCli(["ask", "-m", "openai/gpt-4o", "Who?"], { env })).out).toBe("I am gpt-4o\n")
      expect((yield* runCli(["ask", "-m", "groq/meta-llama/llama-4", "Who?"], { env })).out).toBe(
        "I am meta-llama/llama-4\n"
      )
      expect((yield* runCli(["ask", "Who?"], { env: { ...env, LLM_DEFAULT_MODEL: "groq/x" } })).out).toBe("I am x\n")
    })
  )

  it.live("names the missing key variable, or asks for --model when the provider has no default model", () =>
    Effect.gen(function* () {
      const env = { ANTHROPIC_API_KEY: canary }
      expect((yield* runCli(["ask", "Who?"], { env })).err).toContain("Choose a model with --model, such as anthropic/")
      expect((yield* runCli(["ask", "-m", "openai/gpt-4o", "Who?"], { env })).err).toContain(
        "There is no key for openai. Set OPENAI_API_KEY"
      )
    })
  )
})
