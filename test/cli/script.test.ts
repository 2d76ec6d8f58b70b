/** The scripts of `effect-llm simulate`. */
import { describe, expect, it } from "@effect/vitest"
import { Effect, Either, Fiber, Ref } from "effect"
import * as Script from "../../src/cli/simulation/script.js"
import { SimulatedProvider } from "../../src/testing/index.js"
import * as Chat from "../../src/vocabulary/Chat.js"
import { until } from "../support/eventually.js"
import { fileOf, prepareCli, runCli, write } from "./support.js"

const yaml = `
- Hello!
- when: { message: weather }
  reasoning: The weather service knows.
  tool_calls:
    - { name: weather, arguments: { city: Paris } }
    - name: search
- when: { message: /^json/i, model: large }
  times: always
  delay: 250ms
  json: { city: Paris, celsius: 21 }
- error: 503
- error: { status: 429, code: rate_limit_exceeded, message: Slow down., retry_after: 2 }
- fault: truncate
  times: 2
  delay: 1
`

const read = (text: string, path = "script.yaml"): ReadonlyArray<SimulatedProvider.ScriptEntry> =>
  Either.getOrThrowWith(Script.parse(text, path), (faults) => new Error(JSON.stringify(faults)))

const answerOf = ({ answer }: SimulatedProvider.ScriptEntry | undefined = {}, request: Chat.ChatRequest) =>
  typeof answer === "function" ? answer(request) : answer

describe("a script", () => {
  it("has texts, tool calls, JSON, errors, faults and delays", () => {
    const script = read(yaml)
    const request: Chat.ChatRequest = {
      messages: [Chat.user("Find 3 results for Rome")],
      tools: [
        {
          name: "search",
          parameters: { type: "object", properties: { query: { type: "string" }, limit: { type: "integer" } } }
        }
      ]
    }
    expect(script.map((entry) => answerOf(entry, request))).toEqual([
      { content: [{ type: "text", text: "Hello!" }] },
      {
        content: [
          { type: "reasoning", text: "The weather service knows.", signature: "simulated" },
          Chat.toolCall("call_1_0", "weather", '{"city":"Paris"}'),
          // Its arguments are made from the schema of the tool and from the question.
          Chat.toolCall("call_1_1", "search", '{"query":"Rome","limit":3}')
        ]
      },
      { content: [{ type: "text", text: '{"city":"Paris","celsius":21}' }] },
      undefined,
      undefined,
      undefined
    ])
    expect(script.map(({ answer: _, ...entry }) => entry)).toEqual([
      {},
      { when: { message: "weather" } },
      { when: { message: /^json/i, model: "large" }, times: Infinity, delay: 250 },
      { fault: SimulatedProvider.status(503) },
      {
        fault: SimulatedProvider.status(429, {
          code: "rate_limit_exceeded",
          message: "Slow down.",
          retryAfter: 2000
        })
      },
      { fault: SimulatedProvider.truncate(2), times: 2, delay: 1000 }
    ])
  })

  it("is the same in JSON", () => {
    const json = '[{ "when": { "message": "a" }, "error": 500 }, "b"]'
    expect(read(json, "script.json").map(({ fault, when }) => ({ fault, when }))).toEqual([
      { fault: SimulatedProvider.status(500), when: { message: "a" } },
      {}
    ])
  })

  it("is refused with all its faults, each with its line and path", () => {
    const faults = Either.flip(
      Script.parse(
        `- when: { message: "/(/", modle: large }
  times: 0
- text: 5
  error: { status: 200, retry_after: soon }
- tool_calls: [{ arguments: {} }, { name: "", arguments: [] }]
  delay: -1
- fault: explosion
`,
        "script.yaml"
      )
    )
    expect(Either.getOrThrow(faults).map(({ line, message, path }) => `${line} ${path}: ${message}`)).toEqual([
      "1 [0].when.message: expected a text, or a valid expression such as /weather in (Paris|Rome)/i",
      '1 [0].when.modle: is unexpected, expected: "message" | "model"',
      '2 [0].times: expected a positive whole number, or "always"',
      "3 [1].text: expected a text",
      "4 [1].error: cannot stand beside text",
      "4 [1].error.status: expected a status from 400 to 599",
      "4 [1].error.retry_after: expected a time such as 500ms or 2s, or a number of seconds",
      "5 [2].tool_calls[0].name: is missing",
      "5 [2].tool_calls[1].name: expected the name of a tool",
      "5 [2].tool_calls[1].arguments: expected an object with the arguments",
      "6 [2].delay: expected a time such as 500ms or 2s, or a number of seconds",
      "7 [3].fault: expected one of reset, truncate, garbage, hang, drip"
    ])
  })

  it.each([
    ["an empty file", "", /expected a list of answers/],
    ["an object", "answers: []", /expected a list of answers/],
    ["an empty list", "[]", /expected a list of answers/],
    ["invalid YAML", "- text: [", /not valid YAML/]
  ])("is refused when it is %s", (_, text, message) => {
    expect(Either.flip(Script.parse(text, "script.yml"))).toMatchObject({
      right: [{ message: expect.stringMatching(message) }]
    })
  })
})

describe("simulate --script", () => {
  it.scopedLive("plays the answers of the file, and then answers as without it", () =>
    Effect.gen(function* () {
      const { config, folder } = yield* fileOf(yield* SimulatedProvider.make())
      const script = `${folder}/answers.yaml`
      yield* write(
        script,
        "- when: { message: weather }\n  text: Sunny.\n- error: { status: 429, retry_after: 0.05 }\n- Hi.\n"
      )
      const program = yield* prepareCli(["simulate", "--script", script, "--json"])
      const running = yield* Effect.fork(program.result)
      const { file } = JSON.parse(yield* until(Ref.get(program.out), (out) => out !== ""))
      yield* write(config, JSON.stringify(file))
      const ask = (question: string) => Effect.map(runCli(["ask", "-c", config, question]), ({ out }) => out)
      expect(yield* ask("Hello")).toBe("Hi.\n")
      expect(yield* ask("The weather?")).toBe("Sunny.\n")
      expect(yield* ask("The weather?")).toBe("You said: The weather?\n")
      yield* Fiber.interrupt(running)
    })
  )

  it.scopedLive("does not start with a script that it cannot use", () =>
    Effect.gen(function* () {
      const { folder } = yield* fileOf(yield* SimulatedProvider.make())
      const script = `${folder}/answers.json`
      yield* write(script, '[{ "text": "a", "json": 1 }, { "delay": "long" }]')
      const { code, err, out } = yield* runCli(["simulate", "--script", script])
      expect([code, out]).toEqual([2, ""])
      expect(err).toContain(`${script}:1:17: [0].json: cannot stand beside text`)
      expect(err).toContain(`${script}:1:32: [1].delay: expected a time`)
      expect((yield* runCli(["simulate", "--script", `${folder}/none.yaml`])).err).toContain("does not exist")
    })
  )
})
