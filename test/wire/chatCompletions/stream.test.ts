import { describe, expect, it } from "@effect/vitest"
import type { AssistantPart, Content } from "../../../src/vocabulary/Chat.js"
import { withContent } from "../../../src/vocabulary/Chat.js"
import type { ChatEvent, Finish } from "../../../src/vocabulary/ChatEvent.js"
import * as Events from "../../../src/vocabulary/ChatEvent.js"
import * as Usage from "../../../src/vocabulary/Usage.js"
import * as ChatCompletions from "../../../src/wire/ChatCompletions.js"
import type { Frame, StreamDecoder, WireEvent, WireFailure } from "../../../src/wire/Wire.js"

const source = { provider: "acme", model: "asked", estimatedInputTokens: 7 }

const frame = (data: unknown): Frame => ({ data: typeof data === "string" ? data : JSON.stringify(data) })

const chunk = (delta: unknown, choice: Record<string, unknown> = {}, fields: Record<string, unknown> = {}): Frame =>
  frame({ id: "c1", model: "acme-1", choices: [{ index: 0, delta, finish_reason: null, ...choice }], ...fields })

const text = (content: string) => chunk({ content })
const stop = chunk({}, { finish_reason: "stop" })
const counted = frame({ id: "c1", choices: [], usage: { prompt_tokens: 5, completion_tokens: 3, total_tokens: 8 } })
const done = frame("[DONE]")

const usage = Usage.make({ inputTokens: 5, outputTokens: 3 })

interface DecodedStream {
  readonly decoder: StreamDecoder
  readonly events: ReadonlyArray<WireEvent>
  readonly states: ReadonlyArray<StreamDecoder["state"]>
  readonly failure: WireFailure | undefined
}

/** Reads all frames, and the end of the connection unless `open`. */
const read = (frames: ReadonlyArray<Frame>, open = false): DecodedStream => {
  const decoder = ChatCompletions.make().decodeStream(source)
  const events: Array<WireEvent> = []
  const states: Array<StreamDecoder["state"]> = []
  for (const each of frames) {
    const failure = decoder.push(each, events)
    states.push(decoder.state)
    if (failure !== undefined) return { decoder, events, states, failure }
  }
  return { decoder, events, states, failure: open ? undefined : decoder.end(events) }
}

const collect = (frames: ReadonlyArray<Frame>): Content & { readonly finish: Finish } => {
  const { events, failure } = read(frames)
  if (failure !== undefined) throw new Error(JSON.stringify(failure))
  const all = events.reduce((collected, event: ChatEvent) => Events.append(collected, event), Events.nothing)
  if (all.finish === undefined) throw new Error("no Finish")
  return withContent({ finish: all.finish }, all.content)
}

const tags = (events: ReadonlyArray<WireEvent>) => events.map((event) => event._tag)

describe("Chat Completions stream decoder", () => {
  it("reads a stream as its text deltas and one Finish", () => {
    const { decoder, events, states } = read([
      chunk({ role: "assistant", content: "" }),
      text("Hel"),
      text("lo"),
      stop,
      counted,
      done
    ])
    expect(events).toEqual([
      { _tag: "TextDelta", index: 0, text: "Hel" },
      { _tag: "TextDelta", index: 0, text: "lo" },
      { _tag: "Finish", reason: "stop", rawReason: "stop", usage, latency: 0, providerMetadata: {} }
    ])
    expect(states).toEqual(["open", "open", "open", "finishing", "done", "done"])
    expect(decoder).toMatchObject({ id: "c1", model: "acme-1", usage })
  })
  it("emits nothing for chunks whose fields are empty", () => {
    const nothing = {
      role: "assistant",
      content: "",
      refusal: "",
      reasoning_content: "",
      reasoning: null,
      tool_calls: []
    }
    const { events } = read([chunk(nothing), chunk({ content: null }), chunk(null), chunk({}), stop], true)
    expect(events).toEqual([])
  })
  it("skips keep-alive frames and chunks without choices, but keeps their metadata", () => {
    const frames = [
      frame(""),
      frame(":keepalive:"),
      frame({ id: "", model: "", choices: [], prompt_filter_results: [{ prompt_index: 0 }] }),
      frame({ id: "c1", choices: null }),
      frame({ type: "ping" }),
      text("Hi"),
      stop
    ]
    expect(collect(frames)).toMatchObject({
      text: "Hi",
      finish: { providerMetadata: { prompt_filter_results: [{ prompt_index: 0 }] } }
    })
  })
  it("takes the first non-empty id and model, and the requested model before that", () => {
    const decoder = ChatCompletions.make().decodeStream(source)
    expect(decoder).toMatchObject({ id: "", model: "asked" })
    for (const [id, model] of [
      ["", ""],
      ["one", ""],
      ["two", "acme-1"],
      ["", "acme-2"]
    ] as const) {
      decoder.push(frame({ id, model, choices: [] }), [])
    }
    expect(decoder).toMatchObject({ id: "one", model: "acme-1" })
  })
  it("drops the deltas of choices after the first", () => {
    const other = chunk({ content: "Two" }, { index: 1, finish_reason: "length" })
    expect(collect([other, text("One"), other, stop])).toMatchObject({ text: "One", finish: { rawReason: "stop" } })
  })
  it("reads content parts and plain text in one stream", () => {
    const frames = [
      chunk({ content: [{ type: "thinking", thinking: [{ type: "text", text: "Hm" }] }] }),
      chunk({ content: [{ type: "thinking", thinking: [{ type: "text", text: "." }], signature: "sig" }] }),
      chunk({ content: [{ type: "text", text: "Fo" }] }),
      text("ur"),
      stop
    ]
    expect(collect(frames).content).toEqual([
      { type: "reasoning", text: "Hm.", signature: "sig", provider: "acme" },
      { type: "text", text: "Four" }
    ])
  })
  it("reads refusal deltas apart from the text", () => {
    const { events } = read([chunk({ refusal: "I will " }), chunk({ content: null, refusal: "not." }), stop], true)
    expect(events).toEqual([
      { _tag: "RefusalDelta", index: 0, text: "I will " },
      { _tag: "RefusalDelta", index: 0, text: "not." }
    ])
  })
  it("reads a final message that repeats the text without emitting the text twice", () => {
    const last = frame({ choices: [{ index: 0, message: { content: "Hello" }, finish_reason: "stop" }] })
    expect(collect([text("Hello"), last]).text).toBe("Hello")
    expect(collect([last]).text).toBe("Hello")
  })
})

describe("Chat Completions end of a stream", () => {
  it("reads content in and after the chunk with the finish_reason", () => {
    const finishing = chunk({ content: "b" }, { finish_reason: "stop" })
    const { events, states } = read([text("a"), finishing, text("c"), stop, counted])
    expect(tags(events)).toEqual(["TextDelta", "TextDelta", "TextDelta", "Finish"])
    expect(states).toEqual(["open", "finishing", "finishing", "finishing", "done"])
  })
  it("waits for a later usage when the chunk with the finish_reason contains one", () => {
    const withUsage = chunk({}, { finish_reason: "stop" }, { usage: { prompt_tokens: 1, completion_tokens: 1 } })
    expect(read([text("a"), withUsage], true)).toMatchObject({ states: ["open", "finishing"] })
    expect(collect([text("a"), withUsage]).finish.usage).toMatchObject({ inputTokens: 1 })
    expect(collect([text("a"), withUsage, counted]).finish.usage).toEqual(usage)
    expect(collect([text("a"), withUsage, done]).finish.usage).toMatchObject({ inputTokens: 1 })
  })
  it("takes the last of several usage counts", () => {
    const counting = (completion_tokens: number) =>
      chunk({ content: "x" }, {}, { usage: { prompt_tokens: 5, completion_tokens } })
    expect(collect([counting(1), counting(2), counting(3), stop]).finish.usage).toEqual(usage)
  })
  it("reads the usage of a stream from the choice and from x_groq", () => {
    const counts = { prompt_tokens: 5, completion_tokens: 3 }
    expect(collect([text("a"), chunk({}, { finish_reason: "stop", usage: counts })]).finish.usage).toEqual(usage)
    expect(
      collect([text("a"), chunk({}, { finish_reason: "stop" }, { x_groq: { usage: counts } })]).finish.usage
    ).toEqual(usage)
  })
  it("estimates the usage of a stream without counts", () => {
    const frames = [text("Hello."), stop, done]
    expect(collect(frames).finish.usage).toEqual(Usage.make({ inputTokens: 7, outputTokens: 2, estimated: true }))
    expect(read(frames.slice(0, 1), true).decoder.usage).toMatchObject({ outputTokens: 2, estimated: true })
  })
  it("waits for the usage when an empty chunk follows the finish_reason", () => {
    const empty = frame({ id: "c1", choices: [] })
    expect(read([text("a"), stop, empty, counted]).states).toEqual(["open", "finishing", "finishing", "done"])
    expect(collect([text("a"), stop, empty, counted]).finish.usage).toEqual(usage)
  })
  it("finishes at a finish_reason or at [DONE] after a usage chunk, and reports Truncated otherwise", () => {
    expect(collect([text("a"), stop]).finish.reason).toBe("stop")
    expect(collect([text("a"), counted, done]).finish).toMatchObject({ reason: "other", rawReason: "" })
    const call = chunk({ tool_calls: [{ index: 0, id: "a", function: { name: "f", arguments: "{}" } }] })
    expect(collect([call, counted, done]).finish).toMatchObject({ reason: "tool-calls", rawReason: "" })
    expect(read([text("a"), done])).toMatchObject({ failure: { _tag: "Truncated" } })
    expect(read([text("a"), counted, text("b"), done])).toMatchObject({ failure: { _tag: "Truncated" } })
    expect(read([done])).toMatchObject({ failure: { _tag: "Truncated" } })
    expect(read([text("a"), chunk({}, { finish_reason: "" })])).toMatchObject({ failure: { _tag: "Truncated" } })
    expect(read([])).toMatchObject({ failure: { _tag: "Truncated" } })
  })
  it("emits Finish once and ignores every frame after it", () => {
    const decoder = ChatCompletions.make().decodeStream(source)
    const events: Array<WireEvent> = []
    for (const each of [text("a"), stop, done, done, text("b"), counted]) decoder.push(each, events)
    decoder.end(events)
    expect(tags(events)).toEqual(["TextDelta", "Finish"])
  })
})

describe("Chat Completions stream decoder: failures", () => {
  it("reports an error inside a stream and keeps the events before it", () => {
    const error = { error: { message: "Overloaded", code: 502 } }
    const { events, failure } = read([text("a"), frame(error)])
    expect(tags(events)).toEqual(["TextDelta"])
    expect(failure).toEqual({ _tag: "Reported", body: error })
    expect(read([{ event: "error", ...frame({ message: "No." }) }]).failure).toEqual({
      _tag: "Reported",
      body: { message: "No." }
    })
    expect(read([{ event: "error", data: "No." }]).failure).toEqual({ _tag: "Reported", body: "No." })
    expect(read([frame({ object: "error", message: "No." })]).failure).toMatchObject({ _tag: "Reported" })
    const limited = { choices: null, base_resp: { status_code: 1002, status_msg: "rate limit" } }
    expect(read([text("a"), frame(limited)]).failure).toEqual({ _tag: "Reported", body: limited })
    expect(read([chunk({ content: "" }, { error: error.error, finish_reason: "error" })]).failure).toEqual({
      _tag: "Reported",
      body: error
    })
  })
  it("rejects a frame that is not a JSON object as Malformed", () => {
    expect(read([text("a"), frame('{"id":')]).failure).toEqual({ _tag: "Malformed", path: "", excerpt: '{"id":' })
    expect(read([frame("[1]")]).failure).toMatchObject({ _tag: "Malformed" })
  })
})

describe("Chat Completions stream decoder: reasoning", () => {
  const parts = (frames: ReadonlyArray<unknown>) => collect([...frames.map((delta) => chunk(delta)), stop]).content
  const reasoningParts = (frames: ReadonlyArray<unknown>) => parts(frames).filter((part) => part.type === "reasoning")
  const plain = { type: "reasoning", text: "Hm.", provider: "acme" }
  it("reads reasoning once when a chunk repeats it under two field names", () => {
    const detail = (text: string) => [{ type: "reasoning.text", text, index: 0 }]
    expect(reasoningParts([{ reasoning_content: "H" }, { reasoning_content: "m." }])).toEqual([plain])
    expect(reasoningParts([{ reasoning: "H" }, { reasoning: "m." }])).toEqual([plain])
    expect(reasoningParts([{ reasoning: "Hm.", reasoning_content: "Hm." }])).toEqual([plain])
    expect(
      reasoningParts([
        { reasoning: "H", reasoning_details: detail("H") },
        { reasoning: "m.", reasoning_details: detail("m.") }
      ])
    ).toEqual([plain])
  })
  it("keeps a reasoning signature when a later delta has an empty one", () => {
    const detail = (text: string, signature: string) => ({
      reasoning_details: [{ type: "reasoning.text", text, signature, format: "anthropic-claude-v1", index: 0 }]
    })
    expect(reasoningParts([detail("Hm.", ""), detail("", "sig"), detail("", "")])).toEqual([
      { ...plain, signature: "sig", format: "reasoning.text/anthropic-claude-v1" }
    ])
  })
  it("reads a reasoning signature from the chunk of a tool call", () => {
    const call = { index: 0, id: "1", function: { name: "look", arguments: "{}" } }
    expect(
      reasoningParts([
        { reasoning_text: "H" },
        { reasoning_text: "m." },
        { tool_calls: [call], reasoning_opaque: "sig" }
      ])
    ).toEqual([{ ...plain, signature: "sig" }])
  })
  it("keeps the signature of a tool call on the call, from its first chunk or from a later one", () => {
    const signed = (signature: string, google: object = {}) => ({
      extra_content: { google: { thought_signature: signature, ...google } }
    })
    const call = (id: string, more: object) => ({ id, function: { name: "look", arguments: "{}" }, ...more })
    const part = (id: string): AssistantPart => ({ type: "tool-call", id, name: "look", arguments: "{}" })
    expect(
      parts([
        { reasoning_content: "Hm." },
        { tool_calls: [{ index: 0, ...call("1", signed("a")) }] },
        { tool_calls: [{ index: 1, ...call("2", {}) }] },
        { tool_calls: [{ index: 1, ...signed("b", { other: 1 }) }] },
        { tool_calls: [{ index: 2, ...call("3", { extra_content: { google: {} }, cache: "hit" }) }] }
      ])
    ).toEqual([
      plain,
      { ...part("1"), signature: "a", provider: "acme" },
      {
        ...part("2"),
        signature: "b",
        provider: "acme",
        native: { "chat-completions": { extra_content: { google: { other: 1 } } } }
      },
      { ...part("3"), provider: "acme", native: { "chat-completions": { cache: "hit" } } }
    ])
  })
  it("separates reasoning parts by index, id, type and signature", () => {
    const details = (...entries: ReadonlyArray<unknown>) => ({ reasoning_details: entries })
    const summary = (summary: string, index: number) => ({ type: "reasoning.summary", summary, index })
    const encrypted = (data: string, further: object = {}) => ({ type: "reasoning.encrypted", data, ...further })
    expect(
      reasoningParts([
        details(summary("a", 0)),
        details(summary("b", 1)),
        details(summary("c", 0)),
        details(encrypted("x", { index: 0 }))
      ])
    ).toMatchObject([{ text: "ac" }, { text: "b" }, { text: "", signature: "x" }])
    expect(reasoningParts([details(encrypted("x"), encrypted("y"))])).toMatchObject([
      { signature: "x" },
      { signature: "y" }
    ])
    expect(
      reasoningParts([details(encrypted("x", { id: "1", index: 0 }), encrypted("y", { id: "2", index: 0 }))])
    ).toHaveLength(2)
    const signed = (text: string, signature: string) => ({ type: "reasoning.text", text, signature })
    expect(reasoningParts([details(signed("a", "1"), signed("b", "2"))])).toMatchObject([
      { text: "a", signature: "1" },
      { text: "b", signature: "2" }
    ])
  })
})

describe("Chat Completions stream decoder: order of the parts", () => {
  const thinking = (text: string, fields: object = {}) => ({
    type: "thinking",
    thinking: [{ type: "text", text }],
    ...fields
  })
  const entry = (text: string, fields: object = {}) => ({ type: "text", text, ...fields })
  const reasoned = (text: string): AssistantPart => ({ type: "reasoning", text, provider: "acme" })
  const written = (text: string): AssistantPart => ({ type: "text", text })
  const order = (...deltas: ReadonlyArray<unknown>) => collect([...deltas.map((delta) => chunk(delta)), stop]).content
  const call = (fields: object) => ({ tool_calls: [{ index: 0, ...fields }] })

  it("keeps thinking and text entries of the content of a stream in the order in which they came", () => {
    expect(
      order(
        { content: [thinking("a")] },
        { content: [thinking("b")] },
        { content: [entry("c")] },
        { content: "d" },
        { content: [thinking("e")] },
        { content: "f" }
      )
    ).toEqual([reasoned("ab"), written("cd"), reasoned("e"), written("f")])
  })
  it("begins a new part at each entry of one chunk, and continues the last one in the next chunk", () => {
    expect(
      order(
        { content: [thinking("a"), thinking("b"), entry("c"), entry("d")] },
        { content: "e" },
        { content: [thinking("f"), thinking("g")] },
        { content: [thinking("h")] }
      )
    ).toEqual([reasoned("a"), reasoned("b"), written("c"), written("de"), reasoned("f"), reasoned("gh")])
  })
  it("begins a new reasoning part after the signature of an entry", () => {
    expect(
      order({ content: [thinking("a")] }, { content: [thinking("", { signature: "s" })] }, { content: [thinking("b")] })
    ).toEqual([{ ...reasoned("a"), signature: "s" }, reasoned("b")])
  })
  it("begins a new text part after a tool call, whose index is reserved when it gets its name", () => {
    const { events } = read([
      chunk({ content: "a" }),
      chunk(call({ id: "1" })),
      chunk({ content: "b" }),
      chunk(call({ function: { name: "f", arguments: "{" } })),
      chunk({ content: "c" }),
      chunk(call({ function: { arguments: "}" } })),
      chunk({ content: "d", refusal: "No." }),
      stop
    ])
    expect(events.flatMap((event) => (event._tag === "Finish" ? [] : [[event._tag, event.index]]))).toEqual([
      ["TextDelta", 0],
      ["TextDelta", 0],
      ["ToolCallDelta", 1],
      ["TextDelta", 2],
      ["ToolCallDelta", 1],
      ["TextDelta", 2],
      ["RefusalDelta", 3],
      ["ToolCallEnd", 1]
    ])
  })
  it("numbers reasoning, text and tool calls in the order in which they begin", () => {
    const detail = (text: string) => ({ reasoning_details: [{ type: "reasoning.text", text, index: 0 }] })
    expect(
      order({ content: "a" }, detail("b"), call({ id: "1", function: { name: "f" } }), detail("c"), { content: "d" })
    ).toEqual([
      written("a"),
      { ...reasoned("bc") },
      { type: "tool-call", id: "1", name: "f", arguments: "{}" },
      written("d")
    ])
  })
  it("begins a new reasoning part after a text or a tool call, and gives a later signature to the last one", () => {
    for (const field of ["reasoning_content", "reasoning", "reasoning_text"]) {
      expect(
        order(
          { [field]: "a" },
          { [field]: "b" },
          { content: "c" },
          { [field]: "d" },
          { content: "e" },
          call({ id: "1", function: { name: "f", arguments: "{}" } }),
          { [field]: "g" },
          { content: "h" },
          { reasoning_opaque: "s" }
        )
      ).toEqual([
        reasoned("ab"),
        written("c"),
        reasoned("d"),
        written("e"),
        { type: "tool-call", id: "1", name: "f", arguments: "{}" },
        { ...reasoned("g"), signature: "s" },
        written("h")
      ])
    }
  })
  it("keeps the fields of an entry that the vocabulary does not cover on its part, the last value of each stream", () => {
    const native = (fields: object) => ({ native: { "chat-completions": fields }, provider: "acme" })
    expect(
      order(
        { content: [thinking("a", { closed: false })] },
        { content: [thinking("b", { closed: true })] },
        { content: [entry("c")] },
        { content: [entry("", { citations: [1] })] }
      )
    ).toEqual([
      { ...reasoned("ab"), ...native({ closed: true }) },
      { ...written("c"), ...native({ citations: [1] }) }
    ])
  })
  it("keeps an entry of another type as a provider part in its place", () => {
    const reference = { type: "reference", reference_ids: [1] }
    expect(order({ content: [entry("a")] }, { content: [reference] }, { content: [entry("b")] })).toEqual([
      written("a"),
      { type: "provider", provider: "acme", native: { "chat-completions": reference } },
      written("b")
    ])
  })
})

describe("Chat Completions stream decoder: tool calls", () => {
  const callDelta = (fields: Record<string, unknown>, name?: string, args?: string) => ({
    ...fields,
    function: { ...(name === undefined ? {} : { name }), ...(args === undefined ? {} : { arguments: args }) }
  })
  const callChunks = (...deltas: ReadonlyArray<unknown>) => deltas.map((each) => chunk({ tool_calls: [each] }))
  const calls = (...deltas: ReadonlyArray<unknown>) => collect([...callChunks(...deltas), stop]).toolCalls

  it("emits deltas with the id and name of the tool call, and ToolCallEnd before Finish", () => {
    const { events } = read([
      ...callChunks(
        callDelta({ index: 0, id: "a", type: "function" }, "f", ""),
        callDelta({ index: 0 }, undefined, '{"x"'),
        callDelta({ index: 0 }, undefined, ":1}")
      ),
      stop
    ])
    const delta = { _tag: "ToolCallDelta", index: 0, id: "a", name: "f" }
    expect(events).toMatchObject([
      { ...delta, argumentsDelta: '{"x"' },
      { ...delta, argumentsDelta: ":1}" },
      { _tag: "ToolCallEnd", index: 0, call: { type: "tool-call", id: "a", name: "f", arguments: '{"x":1}' } },
      { _tag: "Finish", reason: "tool-calls", rawReason: "stop" }
    ])
  })
  it("separates tool calls by index and numbers them in order of appearance", () => {
    const deltas = [
      callDelta({ index: 3, id: "a" }, "f", "1"),
      callDelta({ index: 1, id: "b" }, "g", "2"),
      callDelta({ index: 3 }, undefined, "3"),
      callDelta({ index: 1 }, undefined, "4")
    ]
    expect(calls(...deltas)).toEqual([
      { type: "tool-call", id: "a", name: "f", arguments: "13" },
      { type: "tool-call", id: "b", name: "g", arguments: "24" }
    ])
    const { events } = read([...callChunks(...deltas), stop])
    expect(events.flatMap((event) => (event._tag === "ToolCallEnd" ? [event.index] : []))).toEqual([0, 1])
  })
  it("separates tool calls without an index by id, then by name, and continues the last one otherwise", () => {
    expect(
      calls(
        callDelta({ id: "a" }, "f", "1"),
        callDelta({}, undefined, "2"),
        callDelta({ id: "b" }, "g", "3"),
        callDelta({ id: "a" }, undefined, "4"),
        callDelta({}, "h", "5"),
        callDelta({}, undefined, "6")
      )
    ).toEqual([
      { type: "tool-call", id: "a", name: "f", arguments: "124" },
      { type: "tool-call", id: "b", name: "g", arguments: "3" },
      { type: "tool-call", id: "call_2", name: "h", arguments: "56" }
    ])
  })
  it("reads two tool calls of one index as two calls when their ids differ", () => {
    expect(
      calls(callDelta({ index: 0, id: "a" }, "f", "{}"), callDelta({ index: 0, id: "b" }, "f", "{}"))
    ).toHaveLength(2)
    expect(calls(callDelta({ index: 0, id: "a" }, "f", "{"), callDelta({ index: 0, id: "a" }, "f", "}"))).toEqual([
      { type: "tool-call", id: "a", name: "f", arguments: "{}" }
    ])
  })
  it("keeps id and name of a tool call when later chunks send empty ones", () => {
    expect(calls(callDelta({ index: 0, id: "a" }, "f", "{"), callDelta({ index: 0, id: "" }, "", "}"))).toEqual([
      { type: "tool-call", id: "a", name: "f", arguments: "{}" }
    ])
  })
  it("gives a tool call without an id a generated one and keeps it when a late id follows", () => {
    const deltas = [callDelta({ index: 4 }, "f", "{"), callDelta({ index: 4, id: "late" }, undefined, "}")]
    expect(calls(...deltas)).toEqual([{ type: "tool-call", id: "call_0", name: "f", arguments: "{}" }])
    expect(calls(callDelta({ index: 4 }, "f", "{"), callDelta({ index: 4, id: "late" }, "f", "}"))).toEqual([
      { type: "tool-call", id: "call_0", name: "f", arguments: "{}" }
    ])
    expect(calls(callDelta({}, "f", "{"), callDelta({ id: "late" }, undefined, "}"))).toEqual([
      { type: "tool-call", id: "call_0", name: "f", arguments: "{}" }
    ])
    expect(calls(callDelta({ index: 4 }, "f"), callDelta({ index: 4, id: "late" }, undefined, "{}"))).toMatchObject([
      { id: "late" }
    ])
  })
  it("holds back the arguments of a tool call until its name arrives", () => {
    const { events } = read(
      callChunks(callDelta({ index: 0 }, undefined, "{"), callDelta({ index: 0, id: "a" }, "f", "}")),
      true
    )
    expect(events).toEqual([{ _tag: "ToolCallDelta", index: 0, id: "a", name: "f", argumentsDelta: "{}" }])
  })
  it("emits no delta for a tool call without arguments and ends it with {}", () => {
    const { events } = read([...callChunks(callDelta({ index: 0, id: "a" }, "f", "")), stop])
    expect(tags(events)).toEqual(["ToolCallEnd", "Finish"])
    expect(calls(callDelta({ index: 0, id: "a" }, "f"))).toEqual([
      { type: "tool-call", id: "a", name: "f", arguments: "{}" }
    ])
  })
  it("emits an empty delta for a tool call without arguments before the parts that come after it", () => {
    const { events } = read([
      ...callChunks(
        callDelta({ index: 0, id: "a" }, "f", ""),
        callDelta({ index: 1, id: "b" }, "g", "{"),
        callDelta({ index: 2, id: "c" }, "h", "")
      ),
      chunk({ content: "Wait." }),
      ...callChunks(callDelta({ index: 1 }, undefined, "}")),
      stop
    ])
    expect(events.slice(0, -1)).toMatchObject([
      { _tag: "ToolCallDelta", index: 0, id: "a", name: "f", argumentsDelta: "" },
      { _tag: "ToolCallDelta", index: 1, id: "b", name: "g", argumentsDelta: "{" },
      { _tag: "ToolCallDelta", index: 2, id: "c", name: "h", argumentsDelta: "" },
      { _tag: "TextDelta", index: 3, text: "Wait." },
      { _tag: "ToolCallDelta", index: 1, argumentsDelta: "}" },
      { _tag: "ToolCallEnd", index: 0, call: { arguments: "{}" } },
      { _tag: "ToolCallEnd", index: 1, call: { arguments: "{}" } },
      { _tag: "ToolCallEnd", index: 2, call: { arguments: "{}" } }
    ])
  })
  it("ends a tool call with its partial arguments when the finish reason is length", () => {
    const frames = [
      ...callChunks(callDelta({ index: 0, id: "a" }, "f", '{"x":')),
      chunk({}, { finish_reason: "length" })
    ]
    expect(collect(frames)).toMatchObject({ toolCalls: [{ arguments: '{"x":' }], finish: { reason: "length" } })
  })
  it("keeps name and arguments of a tool call of a stream next to the empty form of the other type", () => {
    const both = (fields: object, fn: object, custom: object) => ({ index: 0, ...fields, function: fn, custom })
    const empty = { name: "", input: "" }
    const deltas = [
      both({ id: "a", type: "function" }, { name: "f", arguments: "" }, empty),
      both({}, { arguments: '{"x"' }, empty),
      both({ type: "" }, { name: "", arguments: ":1}" }, {})
    ]
    const expected = [{ type: "tool-call", id: "a", name: "f", arguments: '{"x":1}' }]
    expect(calls(...deltas)).toEqual(expected)
    expect(calls(...deltas, { index: 0, custom: empty })).toEqual(expected)
    const none = { name: "", arguments: "" }
    expect(
      calls(
        both({ id: "b", type: "custom" }, none, { name: "g" }),
        both({}, none, { input: "free" }),
        both({}, none, {})
      )
    ).toEqual([{ type: "tool-call", id: "b", name: "g", arguments: "free", custom: true }])
  })
  it("takes the type of a tool call from a later chunk when the first names none", () => {
    expect(calls({ index: 0, id: "b" }, { index: 0, custom: { name: "g", input: "free" } })).toEqual([
      { type: "tool-call", id: "b", name: "g", arguments: "free", custom: true }
    ])
  })
  it("reads custom tool calls and the legacy function_call", () => {
    const custom = (fields: object, body: object) => ({ index: 0, ...fields, custom: body })
    expect(calls(custom({ id: "a", type: "custom" }, { name: "g", input: "fr" }), custom({}, { input: "ee" }))).toEqual(
      [{ type: "tool-call", id: "a", name: "g", arguments: "free", custom: true }]
    )
    const legacy = [
      chunk({ function_call: { name: "f", arguments: "" } }),
      chunk({ function_call: { arguments: "{}" } })
    ]
    expect(collect([...legacy, chunk({}, { finish_reason: "function_call" })])).toMatchObject({
      toolCalls: [{ type: "tool-call", id: "call_0", name: "f", arguments: "{}" }],
      finish: { reason: "tool-calls", rawReason: "function_call" }
    })
  })
})

describe("Chat Completions stream decoder: provider metadata", () => {
  it("leaves out padding: obfuscation, padding, and Mistral's p", () => {
    expect(collect([chunk({ content: "a" }, {}, { p: "abc" }), stop]).content).toEqual([{ type: "text", text: "a" }])
    const frames = [
      chunk({ content: "a" }, {}, { p: "abcdefghij", obfuscation: "x", padding: "…" }),
      chunk({}, { finish_reason: "stop" }, { p: "abc" })
    ]
    expect(collect(frames).finish.providerMetadata).toEqual({})
  })
  it("merges logprobs, audio, annotations and citations of all chunks as a full response has them", () => {
    const token = (token: string) => ({ logprobs: { content: [{ token }], refusal: null } })
    const frames = [
      chunk({ content: "a", audio: { id: "a1", data: "AA" } }, token("a"), {
        service_tier: "default",
        citations: ["x"]
      }),
      chunk({ content: "b", audio: { id: "a1", data: "BB", transcript: "a" } }, token("b"), { citations: ["x", "y"] }),
      chunk({ audio: { transcript: "b", expires_at: 1 }, annotations: [{ type: "url_citation", n: 1 }] }),
      chunk({ annotations: [{ type: "url_citation", n: 2 }], executed_tools: [{ index: 0, name: "search" }] }),
      chunk({ executed_tools: [{ index: 0, output: "found" }] }, { finish_reason: "stop" })
    ]
    const { content, finish } = collect(frames)
    expect(content).toEqual([
      { type: "text", text: "ab" },
      { type: "provider", provider: "acme", native: { "chat-completions": { message: { audio: { id: "a1" } } } } }
    ])
    expect(finish.providerMetadata).toEqual({
      service_tier: "default",
      citations: ["x", "y"],
      audio: { id: "a1", data: "AABB", transcript: "ab", expires_at: 1 },
      logprobs: { content: [{ token: "a" }, { token: "b" }], refusal: null },
      annotations: [
        { type: "url_citation", n: 1 },
        { type: "url_citation", n: 2 }
      ],
      executed_tools: [{ index: 0, name: "search", output: "found" }]
    })
  })
})
