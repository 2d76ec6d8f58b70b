/** Tests of the server half of every wire. */
import { describe, expect, it } from "@effect/vitest"
import { Chat } from "../../src/index.js"
import { Anthropic, ChatCompletions, Gemini, Ollama, Responses } from "../../src/wire/index.js"
import * as DashScope from "../support/dashscope.js"
import * as Framing from "../../src/wire/framing.js"
import type { Frame, WireEvent, WireFailure } from "../../src/wire/Wire.js"

const wires = [ChatCompletions, Responses, Anthropic, Gemini, Ollama, DashScope].map(({ make }) => make())

const source = { provider: "p", model: "m", estimatedInputTokens: 1 }

const start = { _tag: "Start", id: "answer", provider: "p", model: "m", keyId: "", attempts: [] } as const

describe.each(wires.map((wire) => [wire.name, wire] as const))("failed stream of the %s server", (_, wire) => {
  it("a failed server stream reads as the text before the error and a Reported failure", () => {
    const encoder = wire.encodeStream({})
    const frames = [
      ...encoder.push(start),
      ...encoder.push({ _tag: "TextDelta", index: 0, text: "Hello" }),
      ...encoder.fail({ status: 503, message: "It broke.", code: "broken" })
    ]
    const decoder = wire.decodeStream(source)
    const out: Array<WireEvent> = []
    let failure: WireFailure | undefined
    for (const frame of frames) failure ??= decoder.push(frame, out)
    expect(failure?._tag).toBe("Reported")
    expect(JSON.stringify(failure)).toContain("It broke.")
    // Some protocols add fields of their own.
    expect(out).toMatchObject([{ _tag: "TextDelta", index: 0, text: "Hello" }])
  })
})

describe("createdAt of server responses", () => {
  const response = Chat.withContent(
    {
      id: "answer",
      provider: "p",
      model: "m",
      finishReason: "stop" as const,
      rawFinishReason: "stop",
      usage: {
        inputTokens: 1,
        outputTokens: 1,
        totalTokens: 2,
        cachedInputTokens: 0,
        cacheWriteTokens: 0,
        cacheWrite1hTokens: 0,
        reasoningTokens: 0,
        estimated: false
      },
      latency: 0,
      keyId: "",
      attempts: [],
      providerMetadata: {}
    },
    [Chat.text("Hello")]
  )

  it("writes createdAt into responses and streams of Chat Completions and Responses", () => {
    expect(ChatCompletions.make().encodeResponse(response, { createdAt: 7 })).toMatchObject({ created: 7 })
    expect(ChatCompletions.make().encodeStream({}, 7).push(start)[0]?.data).toContain('"created":7')
    expect(Responses.make().encodeResponse(response, { createdAt: 7, request: { store: false } })).toMatchObject({
      created_at: 7,
      store: false
    })
    expect(Responses.make().encodeStream({}, 7).push(start)[0]?.data).toContain('"created_at":7')
  })
})

describe("Framing.render", () => {
  it.each(["sse", "ndjson"] as const)("renders frames that %s framing reads back unchanged", (framing) => {
    const frames: ReadonlyArray<Frame> =
      framing === "sse" ? [{ event: "a", data: "{}" }, { data: "[DONE]" }] : [{ data: "{}" }, { data: "[1]" }]
    const out: Array<Frame> = []
    Framing.make(framing).push(
      new TextEncoder().encode(frames.map((frame) => Framing.render(framing, frame)).join("")),
      out
    )
    expect(out).toEqual(frames)
  })
})

describe("Chat Completions server text deltas", () => {
  it("writes text deltas with quotes, control characters and emoji as valid JSON", () => {
    const encoder = ChatCompletions.make().encodeStream({ stream_options: { include_usage: true } })
    encoder.push({ ...start, id: 'i"d', model: "text" })
    for (const text of ["Hello", '"\\\n', "\u0000text", "🙂", "\u2028", ""]) {
      const [frame] = encoder.push({ _tag: "TextDelta", index: 0, text })
      expect(JSON.parse(frame?.data ?? "")).toEqual({
        id: 'i"d',
        object: "chat.completion.chunk",
        created: 0,
        model: "text",
        choices: [{ index: 0, delta: { content: text }, logprobs: null, finish_reason: null }],
        usage: null
      })
    }
  })
})
