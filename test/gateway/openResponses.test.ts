/**
 * The behaviours that Open Responses tests of a server over HTTP, for a provider of the same protocol and for each of the others. Open
 * Responses, specification of 2026-04-24.
 */
import { describe, expect, it } from "@effect/vitest"
import { Effect, Stream } from "effect"
import { SimulatedProvider } from "../../src/testing/index.js"
import * as Chat from "../../src/vocabulary/Chat.js"
import { isRecord, records } from "../../src/wire/json.js"
import { eventually } from "../support/eventually.js"
import { answerText, longQuestion, provider, toolResult } from "./openResponses/providers.js"
import { answerFaults, eventFaults } from "./openResponses/schema.js"
import type { Settings } from "./support/gateway.js"
import { start } from "./support/gateway.js"
import { paths, post, send } from "./support/http.js"
import { chunksOf } from "./support/upstream.js"

type Json = Readonly<Record<string, unknown>>

/** The types and the paths of the protocols. */
const protocols = {
  "a native provider": { type: "responses", path: "/v1" },
  "Chat Completions": { type: "chat-completions", path: "/v1" },
  Anthropic: { type: "anthropic-messages", path: "/v1" },
  Gemini: { type: "gemini", path: "/v1beta" },
  Ollama: { type: "ollama", path: "/api" }
} as const

type Name = keyof typeof protocols

const names = Object.keys(protocols) as ReadonlyArray<Name>

const isNative = (name: Name): boolean => name === "a native provider"

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
  readonly answer: "text" | "call" | "cut"
}

const behaviours: Readonly<Record<string, Behaviour>> = {
  "a basic text": { fields: { input: [message("user", "Say hello.")] }, sent: ["Say hello."], answer: "text" },
  "phases of the assistant in the input": {
    fields: {
      input: [
        message("assistant", "I look for the number.", { phase: "commentary" }),
        message("assistant", "The number is four.", { phase: "final_answer" }),
        message("user", "Repeat the number.")
      ]
    },
    sent: ["I look for the number.", "The number is four.", "Repeat the number."],
    answer: "text"
  },
  "a system prompt": {
    fields: {
      input: [message("system", "You are a pirate."), message("user", "Say hello.")],
      instructions: "Speak loudly."
    },
    sent: ["You are a pirate.", "Speak loudly."],
    answer: "text"
  },
  "tool calling": {
    fields: { input: [message("user", "What is the weather in San Francisco?")], tools: [tool] },
    sent: ["get_weather", "The weather of a place"],
    answer: "call"
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
        { type: "function_call_output", call_id: "call_1", output: toolResult }
      ],
      tools: [tool]
    },
    sent: [toolResult],
    answer: "text"
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
    answer: "text"
  },
  "several turns": {
    fields: {
      input: [
        message("user", "My name is Alice."),
        message("assistant", "Hello Alice, how can I help?"),
        message("user", "What is my name?")
      ]
    },
    sent: ["My name is Alice.", "Hello Alice, how can I help?", "What is my name?"],
    answer: "text"
  },
  "all settings": {
    fields: {
      input: "Say hello.",
      instructions: null,
      max_output_tokens: 100,
      metadata: { team: "docs" },
      reasoning: { effort: "low" },
      store: false,
      temperature: 1,
      text: {
        format: { type: "json_schema", name: "greeting", schema: { type: "object", additionalProperties: false } }
      },
      tool_choice: "auto",
      tools: [],
      truncation: "disabled"
    },
    sent: ["Say hello."],
    answer: "text"
  },
  "an answer that is cut off": { fields: { input: longQuestion }, sent: [longQuestion], answer: "cut" }
}

/** The gateway in front of a provider of each protocol. */
const running = (settings: Settings = {}) =>
  Effect.gen(function* () {
    const upstream = yield* provider
    const { url } = yield* start({
      ...settings,
      sections: Object.fromEntries(
        Object.values(protocols).map(({ path, type }) => [
          type,
          [{ model_name: "large", type, base_url: upstream.origin + path, api_keys: ["k"] }]
        ])
      )
    })
    const ask = (name: Name, fields: Json) =>
      post(url + paths.responses, { model: `${protocols[name].type}/large`, ...fields })
    return { ask, upstream }
  })

const itemsOf = (response: Json, type: string): ReadonlyArray<Json> =>
  records(response, "output").filter((item) => item["type"] === type)

const outputOf = (name: Name, { answer }: Behaviour) => ({
  ...(answer === "cut"
    ? { status: "incomplete", incomplete_details: { reason: "max_output_tokens" }, completed_at: null }
    : { status: "completed", incomplete_details: null, completed_at: expect.any(Number) }),
  usage: { input_tokens: 9, output_tokens: 4, total_tokens: 13 },
  output: [
    { type: "reasoning", summary: [{ type: "summary_text", text: "Short is best." }] },
    ...(isNative(name) ? [{ type: "message", status: "completed", phase: "commentary" }] : []),
    answer === "call"
      ? {
          type: "function_call",
          status: "completed",
          call_id: expect.stringMatching(/./),
          name: "get_weather",
          arguments: '{"location":"San Francisco, CA"}'
        }
      : {
          type: "message",
          status: answer === "cut" ? "incomplete" : "completed",
          content: [{ type: "output_text", text: answerText }],
          ...(isNative(name) ? { phase: "final_answer" } : {})
        }
  ]
})

const eventsOf = (text: string): ReadonlyArray<Json> => {
  const events = chunksOf(text)
  expect(events.flatMap(eventFaults)).toEqual([])
  expect(events.map((event) => event["sequence_number"])).toEqual(events.map((_, index) => index))
  return events
}

const responseOf = (event: Json | undefined): Json => {
  const response = event?.["response"]
  return isRecord(response) ? response : {}
}

describe.each(names)("an answer of /v1/responses by %s", (name) => {
  it.scopedLive.each(Object.entries(behaviours))("with %s is as Open Responses specifies it", ([, behaviour]) =>
    Effect.gen(function* () {
      const { ask, upstream } = yield* running()
      const { json, status } = yield* ask(name, behaviour.fields)
      expect({ status, json }).toMatchObject({ status: 200, json: outputOf(name, behaviour) })
      expect(answerFaults(json)).toEqual([])
      for (const text of behaviour.sent) expect(JSON.stringify(upstream.bodies[0])).toContain(text)
    })
  )

  it.scopedLive.each(Object.entries(behaviours))("with %s is a stream of specified events", ([, behaviour]) =>
    Effect.gen(function* () {
      const { ask } = yield* running()
      const { status, text } = yield* ask(name, { ...behaviour.fields, stream: true })
      expect(status).toBe(200)
      const events = eventsOf(text)
      expect(responseOf(events.at(-1))).toMatchObject(outputOf(name, behaviour))
      const done = events.filter(({ type }) => type === "response.output_item.done").map(({ item }) => item)
      expect(done).toEqual(responseOf(events.at(-1))["output"])
      // The stream of a native provider passes as it is.
      expect(text.endsWith("data: [DONE]\n\n")).toBe(!isNative(name))
    })
  )
})

describe("the settings in an answer", () => {
  it.scopedLive("are those that were used, without what was dropped for the provider", () =>
    Effect.gen(function* () {
      const { url } = yield* start()
      const headers = { "x-effect-llm-on-unsupported": "drop" }
      const fields = {
        model: "anthropic/large",
        input: "Say hello.",
        max_tool_calls: 3,
        metadata: { team: "docs" },
        presence_penalty: 1,
        service_tier: "priority",
        text: { verbosity: "low" },
        tool_choice: { type: "web_search" },
        tools: [{ type: "web_search" }, tool]
      }
      const { json } = yield* post(url + paths.responses, fields, headers)
      const { text } = yield* post(url + paths.responses, { ...fields, stream: true }, headers)
      for (const response of [
        json,
        ...eventsOf(text).flatMap((event) => (isRecord(event["response"]) ? [responseOf(event)] : []))
      ]) {
        expect(answerFaults(response)).toEqual([])
        expect(response).toMatchObject({
          max_tool_calls: null,
          metadata: { team: "docs" },
          presence_penalty: 0,
          service_tier: "default",
          text: { format: { type: "text" } },
          tool_choice: "auto",
          tools: [tool]
        })
      }
    })
  )
})

describe("the phase of a message", () => {
  const { fields } = behaviours["phases of the assistant in the input"] ?? { fields: {} }

  it.scopedLive("reaches a native provider, and is named as dropped for the others", () =>
    Effect.gen(function* () {
      const { ask, upstream } = yield* running()
      const headers = yield* Effect.forEach(names, (name) =>
        Effect.map(ask(name, fields), ({ headers }) => headers.get("x-effect-llm-dropped"))
      )
      expect(upstream.bodies[0]).toMatchObject({ input: [{ phase: "commentary" }, { phase: "final_answer" }, {}] })
      expect(headers).toEqual([null, ...names.slice(1).map(() => "messages.content.phase")])
      expect(upstream.texts.slice(1).join()).not.toMatch(/commentary|phase/)
    })
  )

  it.scopedLive("stays in an answer that the gateway encodes since a middleware changed it", () =>
    Effect.gen(function* () {
      const shout = <A extends { readonly text: string }>(part: A): A => ({ ...part, text: part.text.toUpperCase() })
      const { ask } = yield* running({
        gateway: {
          around: (next) =>
            Effect.succeed({
              ...next,
              chat: (request) =>
                Effect.map(next.chat(request), (response) =>
                  Chat.withContent(
                    response,
                    response.content.map((part) => (part.type === "text" ? shout(part) : part))
                  )
                ),
              chatStream: (request) =>
                Stream.map(next.chatStream(request), (event) => (event._tag === "TextDelta" ? shout(event) : event))
            })
        }
      })
      const { json: whole } = yield* ask("a native provider", fields)
      const events = eventsOf((yield* ask("a native provider", { ...fields, stream: true })).text)
      for (const response of [isRecord(whole) ? whole : {}, responseOf(events.at(-1))]) {
        expect(answerFaults(response)).toEqual([])
        expect(itemsOf(response, "message")).toMatchObject([
          { phase: "commentary", content: [{ text: "I THINK OF A NAME." }] },
          { phase: "final_answer", content: [{ text: answerText.toUpperCase() }] }
        ])
      }
      const added = events.flatMap(({ item, type }) => (type === "response.output_item.added" ? [item] : []))
      expect(added).toMatchObject([{}, { phase: "commentary" }, { phase: "final_answer" }])
    })
  )
})

describe("a response that is not finished", () => {
  it.scopedLive(
    "is as Open Responses specifies it in the background: in progress, completed, failed and cancelled",
    () =>
      Effect.gen(function* () {
        const { provider, url } = yield* start()
        const begin = post(url + paths.responses, { model: "anthropic/large", input: "Say hello.", background: true })
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
      const { provider, url } = yield* start()
      yield* provider.next(SimulatedProvider.errorEvent(4, { code: "overloaded_error", message: "We are overloaded" }))
      const fields = { model: "anthropic/large", input: "Say hello.", stream: true }
      const events = chunksOf((yield* post(url + paths.responses, fields)).text)
      expect(events.flatMap(eventFaults)).toEqual([])
      const message = expect.stringContaining("overloaded")
      expect(events.slice(-2)).toMatchObject([
        { type: "error", error: { message } },
        { type: "response.failed", response: { status: "failed", error: { code: "server_error", message } } }
      ])
    })
  )

  it.scopedLive("is refused at once in the background where its provider cannot get the request", () =>
    Effect.gen(function* () {
      const { provider, url } = yield* start()
      const begin = (fields: Json) =>
        Effect.map(
          post(url + paths.responses, { model: "anthropic/large", input: "Say hello.", background: true, ...fields }),
          ({ json, status }) => [status, isRecord(json) && isRecord(json["error"]) ? json["error"]["param"] : undefined]
        )
      expect(yield* begin({ model: "none/large" })).toEqual([404, "model"])
      expect(yield* begin({ input: [] })).toEqual([400, "input"])
      expect(yield* begin({ temperature: "high" })).toEqual([400, "temperature"])
      expect(yield* begin({ tools: [{ type: "web_search" }] })).toEqual([400, "tools"])
      expect(yield* provider.log).toEqual([])
    })
  )
})
