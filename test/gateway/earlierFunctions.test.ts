/** Functions as Chat Completions had them before tools, at providers of every protocol: real servers, whose requests are the witness. */
import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import type { ChatRequest, ChatResponse } from "../../src/vocabulary/Chat.js"
import { runningWith } from "./support/everyProtocol.js"
import { paths, post } from "./support/http.js"
import { chunksOf } from "./support/upstream.js"

/** Calls a function twice, and answers its result. */
const answer = ({ messages }: ChatRequest): Partial<ChatResponse> =>
  messages.some(({ role }) => role === "tool")
    ? { content: [{ type: "text", text: "It rains." }], finishReason: "stop" }
    : {
        content: [
          { type: "tool-call", id: "call_1", name: "weather", arguments: '{"city":"Oslo"}' },
          { type: "tool-call", id: "call_2", name: "weather", arguments: '{"city":"Rome"}' }
        ],
        finishReason: "tool-calls"
      }

const running = runningWith(answer)

const question = { role: "user", content: "The weather in Oslo?" }

const functions = [
  { name: "weather", description: "Tells the weather.", parameters: { type: "object", properties: { city: {} } } }
]

const call = { name: "weather", arguments: '{"city":"Oslo"}' }

interface Choice {
  readonly delta: { readonly function_call?: { readonly name?: string; readonly arguments?: string } }
  readonly finish_reason: string | null
}

const bodyFor = (model: string, fields: Readonly<Record<string, unknown>> = {}) => ({
  model: `${model}/large`,
  messages: [question],
  functions,
  ...fields
})

describe.each(["anthropic", "gemini", "ollama", "responses", "vllm", "openai"])(
  "functions without tools at %s",
  (model) => {
    it.scopedLive("are tools, and an answer has its first call in function_call", () =>
      Effect.gen(function* () {
        const { log, url } = yield* running
        const { headers, json } = yield* post(url + paths["chat completions"], bodyFor(model))
        expect(headers.get("x-effect-llm-dropped")).toBeNull()
        expect(json).toMatchObject({
          choices: [{ message: { content: null, function_call: call }, finish_reason: "function_call" }]
        })
        expect(JSON.stringify(json)).not.toContain("tool_calls")
        const [exchange] = yield* log
        expect(JSON.stringify(exchange?.body)).toContain("Tells the weather.")
      })
    )

    it.scopedLive("stream their call in function_call", () =>
      Effect.gen(function* () {
        const { url } = yield* running
        const { text } = yield* post(url + paths["chat completions"], bodyFor(model, { stream: true }))
        const choices = chunksOf(text).flatMap((chunk) => chunk["choices"] as ReadonlyArray<Choice>)
        const calls = choices.map(({ delta }) => delta.function_call)
        expect(calls.map((delta) => delta?.name ?? "").join("")).toBe("weather")
        expect(calls.map((delta) => delta?.arguments ?? "").join("")).toBe(call.arguments)
        expect(choices.at(-1)?.finish_reason).toBe("function_call")
        expect(text).not.toContain("tool_calls")
      })
    )

    it.scopedLive("take the call and its result of the turn before", () =>
      Effect.gen(function* () {
        const { log, url } = yield* running
        const messages = [
          question,
          { role: "assistant", content: null, function_call: call },
          { role: "function", name: "weather", content: "rain" }
        ]
        const { json } = yield* post(
          url + paths["chat completions"],
          bodyFor(model, { messages, function_call: "auto" })
        )
        expect(json).toMatchObject({ choices: [{ message: { content: "It rains." }, finish_reason: "stop" }] })
        const [exchange] = yield* log
        const sent = JSON.stringify(exchange?.body).replaceAll("\\", "")
        for (const text of ['"city":"Oslo"', "rain"]) expect(sent).toContain(text)
      })
    )
  }
)

describe("functions without tools in the same protocol", () => {
  it.scopedLive("pass unchanged to OpenAI", () =>
    Effect.gen(function* () {
      const { log, url } = yield* running
      yield* post(url + paths["chat completions"], bodyFor("openai", { function_call: { name: "weather" } }))
      const [exchange] = yield* log
      expect(exchange?.body).toEqual({
        ...bodyFor("openai", { function_call: { name: "weather" } }),
        model: "large"
      })
    })
  )
})

describe("a choice of one function", () => {
  it.scopedLive("is the choice of a tool", () =>
    Effect.gen(function* () {
      const { log, url } = yield* running
      yield* post(url + paths["chat completions"], bodyFor("anthropic", { function_call: { name: "weather" } }))
      const [exchange] = yield* log
      expect(exchange?.body).toMatchObject({ tool_choice: { type: "tool", name: "weather" } })
    })
  )
})
