import { describe, expect, it } from "@effect/vitest"
import type { ChatRequest } from "../../../src/vocabulary/Chat.js"
import * as Chat from "../../../src/vocabulary/Chat.js"
import { response } from "../../../src/testing/TestLLM.js"
import * as ChatEvent from "../../../src/vocabulary/ChatEvent.js"
import * as Ollama from "../../../src/wire/Ollama.js"
import { failureOf, getOrThrow, writeFrames } from "../roundTrips.js"

const wire = Ollama.make()

const question = { model: "m", messages: [{ role: "user", content: "Hi" }] }

const decoded = (fields: Record<string, unknown>) => getOrThrow(wire.decodeRequest({ ...question, ...fields }))

const request = (fields: Record<string, unknown>): ChatRequest => decoded(fields).request

const messages = (...list: ReadonlyArray<unknown>) => request({ messages: list }).messages

const malformedPath = (fields: Record<string, unknown>) => {
  const failure = failureOf(wire.decodeRequest({ ...question, ...fields }))
  return failure?._tag === "Malformed" ? failure.path : failure
}

describe("Ollama server request", () => {
  it("reads a request as streaming unless stream is false", () => {
    expect(decoded({})).toEqual({ request: { model: "m", messages: [{ role: "user", content: "Hi" }] }, stream: true })
    expect(decoded({ stream: false }).stream).toBe(false)
  })
  it("reads options as settings and keeps unknown ones in extra", () => {
    expect(
      request({
        options: { temperature: 0, top_p: 0.5, num_predict: 9, stop: "END", seed: 7, num_ctx: 1 },
        keep_alive: "1h",
        format: ""
      })
    ).toEqual({
      model: "m",
      messages: [{ role: "user", content: "Hi" }],
      temperature: 0,
      topP: 0.5,
      maxTokens: 9,
      stop: ["END"],
      seed: 7,
      extra: { keep_alive: "1h", options: { num_ctx: 1 } }
    })
    // -1 means no limit.
    expect(request({ options: { num_predict: -1 } })).toMatchObject({ extra: { options: { num_predict: -1 } } })
  })
  it("reads think as a reasoning setting", () => {
    const thinking = (think: unknown) => request({ think }).reasoning
    expect([true, false, "low", "max", null].map(thinking)).toEqual([
      {},
      { effort: "none" },
      { effort: "low" },
      { effort: "max" },
      undefined
    ])
  })
  it("reads the response format and function tools and keeps other tools in extra", () => {
    const schema = { type: "object" }
    expect(request({ format: "json" }).responseFormat).toBe("json")
    expect(request({ format: schema }).responseFormat).toEqual({ name: "answer", schema })
    const other = { type: "web_search" }
    expect(
      request({ tools: [{ type: "function", function: { name: "clock", parameters: schema } }, other] })
    ).toMatchObject({ tools: [{ name: "clock", parameters: schema }], extra: { tools: [other] } })
    expect(request({ tools: [] })).not.toHaveProperty("tools")
  })
  it("reads the media type of an image from its first bytes", () => {
    const image = (url: string) => ({ type: "image", url })
    expect(messages({ role: "user", content: "", images: ["/9j/A", "R0lGODA", "UklGRA", "iVBORw"] })).toEqual([
      {
        role: "user",
        content: [
          image("data:image/jpeg;base64,/9j/A"),
          image("data:image/gif;base64,R0lGODA"),
          image("data:image/webp;base64,UklGRA"),
          image("data:image/png;base64,iVBORw")
        ]
      }
    ])
  })
  it("reads an assistant message as reasoning, text and tool calls", () => {
    const tool_calls = [
      { id: "a", function: { name: "clock", arguments: { zone: 1 } } },
      { function: { name: "rain" } }
    ]
    const calls = [Chat.toolCall("a", "clock", '{"zone":1}'), Chat.toolCall("call_1", "rain", "{}")]
    const read = (message: Record<string, unknown>) => messages({ role: "assistant", ...message })[0]?.content
    expect(read({ content: "Four." })).toBe("Four.")
    expect(read({ content: "", tool_calls: [] })).toBe("")
    expect(read({ content: "", tool_calls })).toEqual(calls)
    expect(read({ content: "Let me see.", thinking: "Hm.", tool_calls })).toEqual([
      { type: "reasoning", text: "Hm." },
      { type: "text", text: "Let me see." },
      ...calls
    ])
  })
  it("matches tool results to tool calls by id, by name or by order", () => {
    const clock = { function: { name: "clock", arguments: { a: 1 } } }
    const rain = { function: { name: "rain", arguments: {} } }
    const results = (...list: ReadonlyArray<Record<string, unknown>>) =>
      messages(
        { role: "assistant", content: "", tool_calls: [clock, rain, { ...clock, id: "own" }] },
        ...list.map((result) => ({ role: "tool", content: "r", ...result }))
      )
        .slice(1)
        .map((message) => (message.role === "tool" ? message.toolCallId : ""))
    expect(results({ tool_name: "rain" }, { tool_name: "clock" }, { tool_name: "clock" })).toEqual([
      "call_1",
      "call_0",
      "own"
    ])
    expect(results({}, {}, {})).toEqual(["call_0", "call_1", "own"])
    expect(results({ tool_call_id: "own" }, {})).toEqual(["own", "call_0"])
    expect(results({ tool_name: "other" })).toEqual(["other"])
    expect(messages({ role: "tool", content: "r" })).toEqual([{ role: "tool", toolCallId: "call_0", content: "r" }])
  })
  it("rejects an invalid Ollama request as Malformed with the path of the field", () => {
    expect(malformedPath({ messages: [] })).toBe("messages")
    expect(malformedPath({ messages: [{ role: "nobody", content: "" }] })).toBe("messages[0].role")
    expect(malformedPath({ messages: [{ role: "user", content: "", images: [7] }] })).toBe(
      "messages[0].content[0].images"
    )
    expect(malformedPath({ messages: [{ role: "assistant", content: "", tool_calls: [{}] }] })).toBe(
      "messages[0].tool_calls[0].name"
    )
    const nameless = { role: "assistant", content: "a", thinking: "b", tool_calls: [{ function: { name: "c" } }, {}] }
    expect(malformedPath({ messages: [nameless] })).toBe("messages[0].tool_calls[1].name")
    expect(malformedPath({ messages: [{ ...nameless, content: 7 }] })).toBe("messages[0].content")
    expect(malformedPath({ options: { num_predict: "many" } })).toBe("options.num_predict")
    expect(malformedPath({ think: "a lot" })).toBe("think.effort")
    expect(malformedPath({ tools: {} })).toBe("tools")
    expect(failureOf(wire.decodeRequest("?"))).toMatchObject({ _tag: "Malformed", path: "" })
  })
})

const chatResponse = response({
  id: "i",
  model: "m",
  content: [
    Chat.text("Four."),
    { type: "refusal", text: " No." },
    Chat.toolCall("a", "clock", '{"zone":"UTC"}'),
    { type: "provider", native: { other: { type: "opaque" } }, provider: "other" },
    Chat.toolCall("b", "broken", '{"zone":')
  ],
  providerMetadata: { total_duration: 9, images: ["AAAA"], message: "not a field", error: "nor this" }
})

describe("Ollama server response", () => {
  it("writes text, tool calls, images and durations of a response", () => {
    expect(wire.encodeResponse(chatResponse)).toMatchObject({
      model: "m",
      message: {
        role: "assistant",
        content: "Four. No.",
        tool_calls: [
          { id: "a", function: { index: 0, name: "clock", arguments: { zone: "UTC" } } },
          { id: "b", function: { index: 1, name: "broken", arguments: '{"zone":' } }
        ],
        images: ["AAAA"]
      },
      done: true,
      done_reason: "stop",
      total_duration: 9
    })
    expect(wire.encodeResponse(chatResponse)).not.toHaveProperty("error")
  })
  it("writes a stream of lines of which only the last is done", () => {
    const lines = writeFrames(wire, ChatEvent.fromResponse(chatResponse)).map(({ data }) => JSON.parse(data))
    expect(lines.map((line) => [line.message, line.done, line.done_reason])).toEqual([
      [{ role: "assistant", content: "Four." }, false, undefined],
      [{ role: "assistant", content: " No." }, false, undefined],
      [
        {
          role: "assistant",
          content: "",
          tool_calls: [{ id: "a", function: { index: 0, name: "clock", arguments: { zone: "UTC" } } }]
        },
        false,
        undefined
      ],
      [
        {
          role: "assistant",
          content: "",
          tool_calls: [{ id: "b", function: { index: 1, name: "broken", arguments: '{"zone":' } }]
        },
        false,
        undefined
      ],
      [{ role: "assistant", content: "", images: ["AAAA"] }, true, "stop"]
    ])
  })
  it("writes the finish reason pause as length", () => {
    const paused = response({ content: [Chat.text("So")], finishReason: "pause", rawFinishReason: "pause_turn" })
    expect(wire.encodeResponse(paused)).toMatchObject({ done: true, done_reason: "length" })
    expect(JSON.parse(writeFrames(wire, ChatEvent.fromResponse(paused)).at(-1)?.data ?? "")).toMatchObject({
      done_reason: "length"
    })
  })
  it("writes an error as a text", () => {
    expect(wire.encodeError({ status: 404, message: "model 'm' not found", code: "x" })).toEqual({
      error: "model 'm' not found"
    })
  })
})
