import { describe, expect, it } from "@effect/vitest"
import * as Usage from "../../../src/vocabulary/Usage.js"
import * as DashScope from "../../support/dashscope.js"
import * as Framing from "../../../src/wire/framing.js"
import type { Frame, WireEvent } from "../../../src/wire/Wire.js"
import { fold, readFrames } from "../roundTrips.js"

const wire = DashScope.make()

interface MessageFields {
  readonly content?: unknown
  readonly reasoning_content?: string
  readonly tool_calls?: ReadonlyArray<unknown>
}

/** One event with a message, the output tokens so far and the finish_reason. */
const event = (message: MessageFields, outputTokens?: number, finish_reason = "null"): Frame => ({
  event: "result",
  data: JSON.stringify({
    output: { choices: [{ message: { role: "assistant", content: "", ...message }, finish_reason }] },
    ...(outputTokens === undefined
      ? {}
      : { usage: { input_tokens: 5, output_tokens: outputTokens, total_tokens: 5 + outputTokens } }),
    request_id: "r-1"
  })
})

/** The text, the reasoning and the tool calls that the frames join to. */
const collect = (...frames: ReadonlyArray<Frame>) => {
  const { events, failure } = readFrames(wire, frames)
  expect(failure).toBeUndefined()
  const joinText = (tag: "TextDelta" | "ReasoningDelta") =>
    events.map((each) => (each._tag === tag && "text" in each ? each.text : "")).join("")
  return {
    text: joinText("TextDelta"),
    reasoning: joinText("ReasoningDelta"),
    calls: events.flatMap((each) => (each._tag === "ToolCallEnd" ? [each.call] : []))
  }
}

const callDelta = (index: number, args: string, more: Record<string, unknown> = {}, id = "") => ({
  index,
  id,
  type: "function",
  function: { ...more, arguments: args }
})

describe("DashScope stream decoder: incremental", () => {
  it("reads reasoning and text deltas, then one Finish with the reason and the last usage", () => {
    const { events, failure } = readFrames(wire, [
      event({ reasoning_content: "Two and" }, 2),
      event({ reasoning_content: " two." }, 4),
      event({ content: "Fo" }, 5),
      event({ content: "ur." }, 6),
      event({}, 6, "stop"),
      event({ content: "never read" }, 7)
    ])
    expect(failure).toBeUndefined()
    expect(events).toEqual([
      { _tag: "ReasoningDelta", index: 0, text: "Two and", provider: "acme" },
      { _tag: "ReasoningDelta", index: 0, text: " two.", provider: "acme" },
      { _tag: "TextDelta", index: 1, text: "Fo" },
      { _tag: "TextDelta", index: 1, text: "ur." },
      {
        _tag: "Finish",
        reason: "stop",
        rawReason: "stop",
        usage: Usage.make({ inputTokens: 5, outputTokens: 6 }),
        latency: 0,
        providerMetadata: {}
      }
    ])
  })
  it("keeps the order of the stream when reasoning, text and tool calls alternate, also with repeated deltas", () => {
    const { events, failure } = readFrames(wire, [
      event({ reasoning_content: "Hm." }, 1),
      event({ content: "ha" }, 1),
      event({ content: "ha" }, 2),
      event({ reasoning_content: "Hm." }, 3),
      event({ tool_calls: [callDelta(0, "", { name: "clock" }, "call_a")] }, 4),
      event({ content: "Now:" }, 5),
      event({ tool_calls: [callDelta(0, '{"zone":1}')] }, 6),
      event({ reasoning_content: "Hm." }, 7),
      event({}, 7, "tool_calls")
    ])
    expect(failure).toBeUndefined()
    expect(fold(events).content).toEqual([
      { type: "reasoning", text: "Hm.", provider: "acme" },
      { type: "text", text: "haha" },
      { type: "reasoning", text: "Hm.", provider: "acme" },
      { type: "tool-call", id: "call_a", name: "clock", arguments: '{"zone":1}' },
      { type: "text", text: "Now:" },
      { type: "reasoning", text: "Hm.", provider: "acme" }
    ])
  })
  it("joins tool call deltas by index when later ids are empty", () => {
    expect(
      collect(
        event({ tool_calls: [callDelta(0, '{"zone":', { name: "clock" }, "call_a")] }, 5),
        event({ tool_calls: [callDelta(0, '"UTC"}')] }, 8),
        event({ tool_calls: [callDelta(1, "", { name: "weather" }, "call_b")] }, 9),
        event({ tool_calls: [callDelta(1, "{}")] }, 10, "tool_calls")
      ).calls
    ).toEqual([
      { type: "tool-call", id: "call_a", name: "clock", arguments: '{"zone":"UTC"}' },
      { type: "tool-call", id: "call_b", name: "weather", arguments: "{}" }
    ])
  })
  it("emits an empty delta for a tool call without arguments before the parts that come after it", () => {
    const { events } = readFrames(wire, [
      event({ tool_calls: [callDelta(0, "", { name: "f" }, "a")] }, 2),
      event({ tool_calls: [callDelta(1, "{}", { name: "g" }, "b")] }, 4),
      event({ content: "Wait." }, 6),
      event({}, 6, "tool_calls")
    ])
    expect(events.slice(0, -1)).toMatchObject([
      { _tag: "ToolCallDelta", index: 0, id: "a", name: "f", argumentsDelta: "" },
      { _tag: "ToolCallDelta", index: 1, id: "b", name: "g", argumentsDelta: "{}" },
      { _tag: "TextDelta", index: 2, text: "Wait." },
      { _tag: "ToolCallEnd", index: 0, call: { name: "f", arguments: "{}" } },
      { _tag: "ToolCallEnd", index: 1, call: { name: "g", arguments: "{}" } }
    ])
  })
  it("reads content parts of multimodal models", () => {
    expect(
      collect(
        event({ content: [{ text: "Fo" }] }, 1),
        event({ content: [{ text: "ur." }] }, 2),
        event({ content: [] }, 2, "stop")
      ).text
    ).toBe("Four.")
  })
  it("keeps repeated deltas and deltas that begin like the one before", () => {
    expect(collect(event({ content: "ha" }, 1), event({ content: "ha" }, 2), event({}, 2, "stop")).text).toBe("haha")
    expect(collect(event({ content: "ha" }), event({ content: "ha" }), event({}, 2, "stop")).text).toBe("haha")
    expect(collect(event({ content: "2" }, 1), event({ content: "2" }, 2), event({}, 2, "stop")).text).toBe("22")
    expect(collect(event({ content: "2" }, 1), event({ content: "250" }, 4), event({}, 4, "stop")).text).toBe("2250")
    expect(
      collect(
        event({ content: "ha" }, 1),
        event({ content: "ha" }, 2),
        event({ content: "ha" }, 3),
        event({}, 3, "stop")
      ).text
    ).toBe("hahaha")
    expect(
      collect(
        event({ content: "1" }, 1),
        event({ content: "10, " }, 4),
        event({ content: "11" }, 6),
        event({ content: "1" }, 7),
        event({}, 7, "stop")
      ).text
    ).toBe("110, 111")
  })
  it("emits each delta at once except for one that may repeat the text so far", () => {
    const decoder = wire.decodeStream({ provider: "acme", model: "asked", estimatedInputTokens: 0 })
    const pushed = (content: string): ReadonlyArray<WireEvent> => {
      const out: Array<WireEvent> = []
      expect(decoder.push(event({ content }, 1), out)).toBeUndefined()
      return out
    }
    expect(pushed("1")).toEqual([{ _tag: "TextDelta", index: 0, text: "1" }])
    expect(pushed("10, ")).toEqual([])
    expect(pushed("11")).toEqual([
      { _tag: "TextDelta", index: 0, text: "10, " },
      { _tag: "TextDelta", index: 0, text: "11" }
    ])
  })
})

describe("DashScope stream decoder: cumulative", () => {
  it("emits text once when every event repeats the text so far", () => {
    expect(
      collect(
        event({ content: "So" }, 1),
        event({ content: "So be" }, 2),
        event({ content: "So be it" }, 3),
        event({ content: "So be it, then." }, 6),
        event({ content: "So be it, then." }, 6, "stop")
      ).text
    ).toBe("So be it, then.")
  })
  it("emits text once when there are only two events or the last repeats the first", () => {
    expect(collect(event({ content: "He" }, 1), event({ content: "Hello!" }, 3, "stop")).text).toBe("Hello!")
    expect(collect(event({ content: "Hi" }, 1), event({ content: "Hi" }, 1, "stop")).text).toBe("Hi")
    expect(collect(event({ content: "Hi" }), event({ content: "Hi" }, undefined, "stop")).text).toBe("Hi")
  })
  it("emits text once when an event adds no text to the one before", () => {
    const repeated = (...counts: readonly [number, number, number]) =>
      collect(
        event({ content: "你" }, counts[0]),
        event({ content: "你" }, counts[1]),
        event({ content: "你好" }, counts[2]),
        event({ content: "你好" }, counts[2], "stop")
      ).text
    expect(repeated(1, 1, 2)).toBe("你好")
    expect(repeated(1, 2, 3)).toBe("你好")
  })
  it("emits reasoning, text and tool calls once when every event repeats them", () => {
    const clock = (args: string) => callDelta(0, args, { name: "clock" }, "call_a")
    const weather = callDelta(1, "{}", { name: "weather" }, "call_b")
    expect(
      collect(
        event({ reasoning_content: "Hm" }, 1),
        event({ reasoning_content: "Hm", content: "Yes" }, 2),
        event({ reasoning_content: "Hm", content: "Yes", tool_calls: [clock('{"zone')] }, 4),
        event({ reasoning_content: "Hm", content: "Yes", tool_calls: [clock('{"zone":1}')] }, 6),
        event({ reasoning_content: "Hm", content: "Yes", tool_calls: [clock('{"zone":1}'), weather] }, 8, "tool_calls")
      )
    ).toEqual({
      text: "Yes",
      reasoning: "Hm",
      calls: [
        { type: "tool-call", id: "call_a", name: "clock", arguments: '{"zone":1}' },
        { type: "tool-call", id: "call_b", name: "weather", arguments: "{}" }
      ]
    })
  })
  it("emits a text that may repeat the one before it ahead of the reasoning that follows it", () => {
    const { events } = readFrames(wire, [
      event({ content: "t" }, 1),
      event({ content: "to" }, 2),
      event({ content: "to", reasoning_content: "Hm." }, 3),
      event({ content: "to", reasoning_content: "Hm." }, 3, "stop")
    ])
    expect(fold(events).content).toEqual([
      { type: "text", text: "to" },
      { type: "reasoning", text: "Hm.", provider: "acme" }
    ])
  })
  it("emits the text of older models once", () => {
    const older = (text: string, finish_reason: string): Frame => ({
      data: JSON.stringify({ output: { text, finish_reason }, request_id: "r-1" })
    })
    expect(collect(older("Fo", "null"), older("Four", "null"), older("Four.", "stop")).text).toBe("Four.")
  })
})

describe("DashScope stream frames", () => {
  const parseFrames = (text: string): ReadonlyArray<Frame> => {
    const framer = Framing.sse()
    const frames: Array<Frame> = []
    framer.push(new TextEncoder().encode(text), frames)
    framer.end(frames)
    return frames
  }
  const sseEvent = (index: number, { data, event: name }: Frame): string =>
    `id:${index}\nevent:${name}\n:HTTP_STATUS/200\ndata:${data}\n\n`
  it("reads SSE frames with ids and comments and without a space after the colon", () => {
    const text = sseEvent(1, event({ content: "Fo" }, 1)) + sseEvent(2, event({ content: "ur." }, 2, "stop"))
    expect(collect(...parseFrames(text)).text).toBe("Four.")
  })
  it("reports an error event or an error body as Reported", () => {
    const error = { code: "Throttling", message: "Too many requests.", request_id: "r-1" }
    const frames = parseFrames(
      `${sseEvent(1, event({ content: "Fo" }, 1))}id:2\nevent:error\n:HTTP_STATUS/429\ndata:${JSON.stringify(error)}\n\n`
    )
    expect(readFrames(wire, frames)).toEqual({
      events: [{ _tag: "TextDelta", index: 0, text: "Fo" }],
      failure: { _tag: "Reported", body: error }
    })
    expect(readFrames(wire, [{ event: "error", data: "no JSON" }]).failure).toEqual({
      _tag: "Reported",
      body: "no JSON"
    })
    expect(readFrames(wire, [{ event: "result", data: JSON.stringify(error) }]).failure).toEqual({
      _tag: "Reported",
      body: error
    })
  })
  it("reports Truncated without a finish_reason and rejects invalid JSON as Malformed", () => {
    expect(readFrames(wire, [event({ content: "Fo" }, 1)]).failure).toEqual({ _tag: "Truncated" })
    expect(readFrames(wire, [{ data: '{"output":' }]).failure).toMatchObject({
      _tag: "Malformed",
      excerpt: '{"output":'
    })
  })
  it("waits for a usage after the finish_reason and estimates it when none comes", () => {
    const decoder = wire.decodeStream({ provider: "acme", model: "asked", estimatedInputTokens: 4 })
    const out: Array<WireEvent> = []
    decoder.push(event({ content: "12345678" }, undefined, "stop"), out)
    expect([decoder.state, decoder.id, decoder.usage]).toEqual([
      "finishing",
      "r-1",
      Usage.make({ inputTokens: 4, outputTokens: 3, estimated: true })
    ])
    decoder.push(event({}, 7), out)
    expect(decoder.state).toBe("done")
    expect(out.at(-1)).toMatchObject({ _tag: "Finish", usage: { outputTokens: 7, estimated: false } })
    expect(readFrames(wire, [event({ content: "12345678" }, undefined, "stop")]).events.at(-1)).toMatchObject({
      _tag: "Finish",
      usage: { outputTokens: 3, estimated: true }
    })
  })
})
