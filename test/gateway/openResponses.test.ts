/**
 * The behaviours that Open Responses tests of a server, for a provider of the same protocol and for each of the others. Open Responses,
 * specification of 2026-04-24.
 */
import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { SimulatedProvider } from "../../src/testing/index.js"
import type { ChatRequest, ChatResponse } from "../../src/vocabulary/Chat.js"
import { eventually } from "../support/eventually.js"
import { answerFaults, eventFaults } from "./openResponses/schema.js"
import { start } from "./support/gateway.js"
import { paths, post, send } from "./support/http.js"
import { chunksOf } from "./support/upstream.js"

type Json = Readonly<Record<string, unknown>>

const models = {
  "a native provider": "responses/large",
  "Chat Completions": "openai/large",
  Anthropic: "anthropic/large",
  Gemini: "gemini/large",
  Ollama: "ollama/large"
} as const

const usage = {
  inputTokens: 9,
  outputTokens: 4,
  totalTokens: 13,
  cachedInputTokens: 2,
  cacheWriteTokens: 0,
  reasoningTokens: 1,
  estimated: false
}

const hasResult = ({ messages }: ChatRequest): boolean => messages.some(({ role }) => role === "tool")

/** Calls the tool that it is given, and answers with text otherwise. */
const answer = (request: ChatRequest): Partial<ChatResponse> =>
  request.tools !== undefined && request.tools.length > 0 && !hasResult(request)
    ? {
        content: [
          { type: "reasoning", text: "It asks for the weather." },
          { type: "tool-call", id: "call_1", name: "get_weather", arguments: '{"location":"San Francisco, CA"}' }
        ],
        finishReason: "tool-calls",
        usage
      }
    : {
        content: [
          { type: "reasoning", text: "Short is best." },
          { type: "text", text: "Hello to you, Alice." }
        ],
        finishReason: "stop",
        usage
      }

const message = (role: string, content: unknown, fields: Json = {}): Json => ({
  type: "message",
  role,
  content,
  ...fields
})

const tool = {
  type: "function",
  name: "get_weather",
  description: "The weather of a place",
  parameters: { type: "object", properties: { location: { type: "string" } }, required: ["location"] }
}

const redHeart =
  "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg=="

interface Behaviour {
  readonly fields: Json
  /** What the provider must get. */
  readonly sent: ReadonlyArray<string>
  readonly output: "text" | "call"
}

const behaviours: Readonly<Record<string, Behaviour>> = {
  "a basic text": { fields: { input: [message("user", "Say hello.")] }, sent: ["Say hello."], output: "text" },
  "a phase of the assistant in the input": {
    fields: {
      input: [
        message("user", "Find the bug."),
        message("assistant", [{ type: "output_text", text: "I look at the log first.", annotations: [] }], {
          phase: "commentary"
        }),
        message("user", "And?")
      ]
    },
    sent: ["Find the bug.", "I look at the log first.", "And?"],
    output: "text"
  },
  "a system prompt": {
    fields: {
      input: [message("system", "You are a pirate."), message("user", "Say hello.")],
      instructions: "Speak loudly."
    },
    sent: ["You are a pirate.", "Speak loudly."],
    output: "text"
  },
  "tool calling": {
    fields: { input: [message("user", "What is the weather in San Francisco?")], tools: [tool] },
    sent: ["get_weather", "The weather of a place"],
    output: "call"
  },
  "the result of a tool": {
    fields: {
      input: [
        message("user", "What is the weather in San Francisco?"),
        {
          type: "function_call",
          call_id: "call_1",
          name: "get_weather",
          arguments: '{"location":"San Francisco, CA"}'
        },
        { type: "function_call_output", call_id: "call_1", output: "18 degrees, fog" }
      ],
      tools: [tool]
    },
    sent: ["18 degrees, fog"],
    output: "text"
  },
  "an image": {
    fields: {
      input: [
        message("user", [
          { type: "input_text", text: "What is in this image?" },
          { type: "input_image", image_url: redHeart }
        ])
      ]
    },
    sent: ["What is in this image?", "iVBORw0KGgoAAAANSUhEUg"],
    output: "text"
  },
  "several turns": {
    fields: {
      input: [
        message("user", "My name is Alice."),
        message("assistant", "Hello Alice, how can I help?"),
        message("user", "What is my name?")
      ]
    },
    sent: ["My name is Alice.", "What is my name?"],
    output: "text"
  },
  "all settings": {
    fields: {
      input: "Say hello.",
      instructions: null,
      max_output_tokens: 100,
      store: false,
      temperature: 0.5,
      text: { format: { type: "text" } },
      tool_choice: "auto",
      tools: [],
      truncation: "disabled"
    },
    sent: ["Say hello."],
    output: "text"
  }
}

/** The gateway in front of a provider that speaks every protocol. */
const running = Effect.gen(function* () {
  const provider = yield* SimulatedProvider.make({ answer })
  const model = (type: string, path: string) => [
    { model_name: "large", type, base_url: provider.baseUrl.replace(/\/v1$/, path), api_keys: ["k"] }
  ]
  const { url } = yield* start({
    sections: {
      responses: model("responses", "/v1"),
      openai: model("chat-completions", "/v1"),
      anthropic: model("anthropic-messages", "/v1"),
      gemini: model("gemini", "/v1beta"),
      ollama: model("ollama", "/api")
    }
  })
  return { url, provider }
})

const itemOf = (output: unknown, type: string): Json | undefined =>
  (Array.isArray(output) ? output : []).find((item: Json) => item["type"] === type)

const checkOutput = (response: Json, { output }: Behaviour) => {
  expect(answerFaults(response)).toEqual([])
  expect(response["status"]).toBe("completed")
  if (output === "call") {
    expect(itemOf(response["output"], "function_call")).toMatchObject({
      call_id: expect.stringMatching(/./),
      name: "get_weather",
      arguments: '{"location":"San Francisco, CA"}'
    })
  } else {
    expect(JSON.stringify(itemOf(response["output"], "message"))).toContain("Hello to you, Alice.")
  }
}

describe.each(Object.entries(models))("an answer of /v1/responses by %s", (_, model) => {
  it.scopedLive.each(Object.entries(behaviours))("with %s is as Open Responses specifies it", ([, behaviour]) =>
    Effect.gen(function* () {
      const { provider, url } = yield* running
      const { json, status } = yield* post(url + paths.responses, { model, ...behaviour.fields })
      expect([status, json]).toEqual([200, expect.anything()])
      checkOutput(json as Json, behaviour)
      const [exchange] = yield* provider.log
      for (const text of behaviour.sent) expect(JSON.stringify(exchange?.body)).toContain(text)
    })
  )

  it.scopedLive.each(Object.entries(behaviours))("with %s is a stream of specified events", ([, behaviour]) =>
    Effect.gen(function* () {
      const { url } = yield* running
      const { status, text } = yield* post(url + paths.responses, { model, ...behaviour.fields, stream: true })
      expect(status).toBe(200)
      const events = chunksOf(text)
      expect(events.flatMap(eventFaults)).toEqual([])
      expect(events.map((event) => event["sequence_number"])).toEqual(events.map((_, index) => index))
      checkOutput(events.at(-1)?.["response"] as Json, behaviour)
    })
  )
})

describe("a response that is not finished", () => {
  it.scopedLive(
    "is as Open Responses specifies it in the background: in progress, completed, failed and cancelled",
    () =>
      Effect.gen(function* () {
        const { provider, url } = yield* running
        const begin = post(url + paths.responses, { model: models.Anthropic, input: "Say hello.", background: true })
        const read = (id: unknown) => send(`${url}${paths.responses}/${String(id)}`)
        const ended = (id: unknown) =>
          eventually(Effect.map(read(id), ({ json }) => (json as Json)["status"] !== "in_progress")).pipe(
            Effect.zipRight(read(id)),
            Effect.map(({ json }) => json as Json)
          )
        const begun = (yield* begin).json as Json
        expect(answerFaults(begun)).toEqual([])
        expect(begun).toMatchObject({ status: "in_progress", background: true, completed_at: null })
        const completed = yield* ended(begun["id"])
        expect(answerFaults(completed)).toEqual([])
        expect(completed).toMatchObject({ status: "completed", completed_at: expect.any(Number) })

        yield* provider.next(SimulatedProvider.status(400))
        const failed = yield* ended(((yield* begin).json as Json)["id"])
        expect(answerFaults(failed)).toEqual([])
        expect(failed["status"]).toBe("failed")

        yield* provider.next(SimulatedProvider.hang())
        const { id } = (yield* begin).json as Json
        const { json: cancelled } = yield* post(`${url}${paths.responses}/${String(id)}/cancel`, {})
        expect(answerFaults(cancelled)).toEqual([])
        expect(cancelled).toMatchObject({ status: "cancelled", completed_at: null })
      })
  )

  it.scopedLive("ends a stream with a specified error where the provider breaks off", () =>
    Effect.gen(function* () {
      const { provider, url } = yield* running
      yield* provider.next(SimulatedProvider.errorEvent(4, { code: "overloaded_error", message: "We are overloaded" }))
      const fields = { model: models.Anthropic, input: "Say hello.", stream: true }
      const events = chunksOf((yield* post(url + paths.responses, fields)).text)
      expect(events.flatMap(eventFaults)).toEqual([])
      expect(events.at(-1)).toMatchObject({ type: "error", error: { message: expect.stringContaining("overloaded") } })
    })
  )
})
