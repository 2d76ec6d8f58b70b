import { describe, expect, it } from "@effect/vitest"
import { Either } from "effect"
import * as Chat from "../../../src/vocabulary/Chat.js"
import * as Responses from "../../../src/wire/Responses.js"
import { events } from "../../../src/wire/responses/client/stream.js"
import type { Frame, WireEvent } from "../../../src/wire/Wire.js"
import { type DecodedStream, fold, readStream } from "../roundTrips.js"

const wire = Responses.make()
const source = { provider: "acme", model: "acme-1", estimatedInputTokens: 7 }

type Json = Readonly<Record<string, unknown>>

const frame = (event: Json): Frame => ({ data: JSON.stringify(event) })

const readEventFrames = (frames: ReadonlyArray<Frame>): DecodedStream => readStream(wire, frames, source)

const readEvents = (...stream: ReadonlyArray<Json>): DecodedStream => readEventFrames(stream.map(frame))

/** The content of the events, and its views. */
const contentOf = (out: ReadonlyArray<WireEvent>) => Chat.withContent({}, fold(out).content)

const answered = (fields: Json) => ({ provider: "acme", native: { responses: fields } })

const toolCall = (index: number, args: string, fields: Json = { id: `fc_${index}` }) => ({
  type: "tool-call",
  id: `call_${index}`,
  name: `f${index}`,
  arguments: args,
  ...answered(fields)
})

const created = { type: "response.created", response: { id: "resp_1", model: "acme-1-2026", status: "in_progress" } }

const completed = (fields: Json = {}, type = "response.completed") => ({
  type,
  response: {
    id: "resp_1",
    model: "acme-1-2026",
    status: "completed",
    output: [],
    usage: { input_tokens: 5, output_tokens: 3, total_tokens: 8 },
    ...fields
  }
})

const added = (output_index: number, item: Json) => ({ type: "response.output_item.added", output_index, item })
const done = (output_index: number, item: Json) => ({ type: "response.output_item.done", output_index, item })

const message = (...texts: ReadonlyArray<string>) => ({
  id: "msg_1",
  type: "message",
  role: "assistant",
  content: texts.map((text) => ({ type: "output_text", text, annotations: [] }))
})

const delta = (text: string, where: Json = { item_id: "msg_1", output_index: 0, content_index: 0 }) => ({
  type: "response.output_text.delta",
  ...where,
  delta: text
})

const call = (index: number, args = "") => ({
  id: `fc_${index}`,
  type: "function_call",
  call_id: `call_${index}`,
  name: `f${index}`,
  arguments: args
})

const argument = (index: number, text: string) => ({
  type: "response.function_call_arguments.delta",
  item_id: `fc_${index}`,
  output_index: index,
  delta: text
})

describe("Responses stream decoder", () => {
  it("reads Responses text deltas, then one Finish with the reason and the usage", () => {
    const { failure, id, model, out, state } = readEvents(
      created,
      added(0, message()),
      delta("Hel"),
      delta(""),
      delta("lo"),
      done(0, message("Hello")),
      completed({ output: [message("Hello")], service_tier: "flex" })
    )
    expect([failure, state, id, model]).toEqual([undefined, "done", "resp_1", "acme-1-2026"])
    expect(out).toEqual([
      { _tag: "TextDelta", index: 0, text: "Hel", ...answered({ message: { id: "msg_1" } }) },
      { _tag: "TextDelta", index: 0, text: "lo" },
      {
        _tag: "Finish",
        reason: "stop",
        rawReason: "completed",
        usage: {
          inputTokens: 5,
          outputTokens: 3,
          totalTokens: 8,
          cachedInputTokens: 0,
          cacheWriteTokens: 0,
          reasoningTokens: 0,
          estimated: false
        },
        latency: 0,
        providerMetadata: { service_tier: "flex" }
      }
    ])
  })
  it("keeps interleaved tool calls apart and ends them in order of their index", () => {
    const { out } = readEvents(
      created,
      added(0, call(0)),
      added(1, call(1)),
      added(2, call(2)),
      argument(0, '{"a"'),
      argument(1, '{"b"'),
      argument(2, '{"c"'),
      argument(0, ":0}"),
      argument(1, ":1}"),
      argument(2, ":2}"),
      done(1, call(1, '{"b":1}')),
      done(0, call(0, '{"a":0}')),
      done(2, call(2, '{"c":2}')),
      completed()
    )
    const deltas = out.filter((event) => event._tag === "ToolCallDelta")
    expect(deltas.map((event) => event.index)).toEqual([0, 1, 2, 0, 1, 2])
    expect(deltas[0]).toEqual({ _tag: "ToolCallDelta", index: 0, id: "call_0", name: "f0", argumentsDelta: '{"a"' })
    expect(out.filter((event) => event._tag === "ToolCallEnd").map((event) => event.call)).toEqual([
      toolCall(0, '{"a":0}'),
      toolCall(1, '{"b":1}'),
      toolCall(2, '{"c":2}')
    ])
    expect(out.at(-1)).toMatchObject({ _tag: "Finish", reason: "tool-calls", rawReason: "completed" })
  })
  it("reads reasoning summaries as parts, with encrypted_content as the signature of the last", () => {
    const reasoningEvent = (event: Json) => ({ item_id: "rs_1", output_index: 0, ...event })
    const { out } = readEvents(
      created,
      added(0, { id: "rs_1", type: "reasoning", summary: [] }),
      reasoningEvent({
        type: "response.reasoning_summary_part.added",
        summary_index: 0,
        part: { type: "summary_text", text: "" }
      }),
      reasoningEvent({ type: "response.reasoning_summary_text.delta", summary_index: 0, delta: "One" }),
      reasoningEvent({ type: "response.reasoning_summary_text.delta", summary_index: 0, delta: "." }),
      reasoningEvent({ type: "response.reasoning_summary_text.done", summary_index: 0, text: "One." }),
      reasoningEvent({ type: "response.reasoning_summary_text.delta", summary_index: 1, delta: "Two." }),
      done(0, {
        id: "rs_1",
        type: "reasoning",
        summary: [
          { type: "summary_text", text: "One." },
          { type: "summary_text", text: "Two." }
        ],
        encrypted_content: "sealed"
      }),
      completed()
    )
    expect(out.slice(0, -1)).toEqual([
      { _tag: "ReasoningDelta", index: 0, text: "One", id: "rs_1", format: "reasoning.summary", provider: "acme" },
      { _tag: "ReasoningDelta", index: 0, text: "." },
      { _tag: "ReasoningDelta", index: 1, text: "Two.", id: "rs_1", format: "reasoning.summary", provider: "acme" },
      {
        _tag: "ReasoningDelta",
        index: 1,
        text: "",
        id: "rs_1",
        format: "reasoning.summary",
        provider: "acme",
        signature: "sealed"
      }
    ])
  })
  it("reads reasoning_text deltas and the reasoning events of earlier versions", () => {
    const { out } = readEvents(
      created,
      { type: "response.reasoning_text.delta", item_id: "rs_1", output_index: 0, content_index: 0, delta: "a" },
      { type: "response.reasoning.delta", item_id: "rs_1", output_index: 0, content_index: 0, delta: { text: "b" } },
      { type: "response.reasoning_summary.delta", item_id: "rs_1", output_index: 0, summary_index: 0, delta: "c" },
      completed()
    )
    expect(contentOf(out).content).toMatchObject([
      { text: "ab", format: "reasoning.text" },
      { text: "c", format: "reasoning.summary" }
    ])
  })
  it("reads refusals and custom tool calls", () => {
    const { out } = readEvents(
      created,
      added(0, { id: "ctc_1", type: "custom_tool_call", call_id: "call_1", name: "sql", input: "" }),
      { type: "response.custom_tool_call_input.delta", item_id: "ctc_1", output_index: 0, delta: "SELECT " },
      { type: "response.custom_tool_call_input.delta", item_id: "ctc_1", output_index: 0, delta: "1" },
      { type: "response.custom_tool_call_input.done", item_id: "ctc_1", output_index: 0, input: "SELECT 1" },
      done(0, { id: "ctc_1", type: "custom_tool_call", call_id: "call_1", name: "sql", input: "SELECT 1" }),
      { type: "response.refusal.delta", item_id: "msg_1", output_index: 1, content_index: 0, delta: "N" },
      { type: "response.refusal.done", item_id: "msg_1", output_index: 1, content_index: 0, refusal: "No." },
      completed()
    )
    expect(contentOf(out)).toMatchObject({
      refusal: "No.",
      toolCalls: [{ type: "tool-call", id: "call_1", name: "sql", arguments: "SELECT 1", custom: true }]
    })
  })
  it("ends a tool call with its partial arguments when the response is incomplete", () => {
    const { out } = readEvents(
      created,
      added(0, call(0)),
      argument(0, '{"a'),
      completed({ status: "incomplete", incomplete_details: { reason: "max_output_tokens" } }, "response.incomplete")
    )
    expect(out.slice(-2)).toMatchObject([
      { _tag: "ToolCallEnd", call: { arguments: '{"a' } },
      { _tag: "Finish", reason: "length", rawReason: "max_output_tokens" }
    ])
  })
})

describe("Responses stream decoder: order", () => {
  it("numbers the parts of items in the order in which they begin, and reads their fields from the finished items", () => {
    const reasoning = (id: string) => ({ id, type: "reasoning", summary: [], encrypted_content: `sealed ${id}` })
    const shell = { id: "sh_1", type: "shell_call", call_id: "call_9", status: "completed" }
    const cited = { type: "url_citation", url: "https://example.com" }
    const text = (id: string, phase: string, value: string) => ({
      ...message(value),
      id,
      phase,
      status: "completed",
      content: [{ type: "output_text", text: value, annotations: [cited] }]
    })
    const output = [
      text("msg_1", "commentary", "I call."),
      reasoning("rs_1"),
      call(2, "{}"),
      reasoning("rs_2"),
      call(4, '{"a":1}'),
      shell,
      text("msg_2", "final_answer", "Done."),
      text("msg_3", "final_answer", "Bye.")
    ]
    const deltas: Readonly<Record<string, ReadonlyArray<Json>>> = {
      msg_1: [
        delta("I ", { item_id: "msg_1", output_index: 0 }),
        delta("call.", { item_id: "msg_1", output_index: 0 })
      ],
      fc_4: [argument(4, '{"a"'), argument(4, ":1}")]
    }
    const stream = output.flatMap((item, index) => [
      added(index, { ...item, ...("content" in item ? { content: [] } : {}), status: "in_progress" }),
      ...(deltas[item.id] ?? []),
      done(index, item)
    ])
    const whole = Either.getOrThrow(wire.decodeResponse(completed({ output }).response, source)).content
    for (const last of [completed(), completed({ output })]) {
      const { out } = readEvents(created, ...stream, last)
      expect(fold(out).content).toEqual(whole)
      expect(fold(out).indexes).toEqual([0, 1, 2, 3, 4, 5, 6, 7])
    }
    expect(fold(readEvents(completed({ output })).out).content).toEqual(whole)
    const [first] = readEvents(created, ...stream).out
    const fields = answered({ message: { id: "msg_1", phase: "commentary" } })
    expect(first).toEqual({ _tag: "TextDelta", index: 0, text: "I ", ...fields })
  })
  it("keeps the places of calls and of provider parts that are finished after the items that follow them", () => {
    const search = { id: "ws_1", type: "web_search_call", status: "completed" }
    const { out } = readEvents(
      created,
      added(0, call(0)),
      added(1, { ...search, status: "in_progress" }),
      added(2, { id: "x_1", type: "from_the_future", status: "in_progress" }),
      delta("Hello", { item_id: "msg_1", output_index: 3 }),
      done(3, message("Hello")),
      done(1, search),
      done(1, search),
      done(0, call(0, "{}")),
      completed()
    )
    expect(fold(out).content).toEqual([
      toolCall(0, "{}"),
      { type: "provider", ...answered({ item: search }) },
      { type: "provider", ...answered({ item: { id: "x_1", type: "from_the_future", status: "in_progress" } }) },
      { type: "text", text: "Hello", ...answered({ message: { id: "msg_1" } }) }
    ])
  })
  it("reads two provider items that share an output_index, and items that the completed event alone has, once each", () => {
    const search = (id: string) => ({ id, type: "web_search_call", status: "completed" })
    const { out } = readEvents(
      created,
      done(0, search("ws_1")),
      done(0, search("ws_2")),
      completed({ output: [search("ws_1"), search("ws_2"), { ...search("ms_1"), type: "mcp_call" }] })
    )
    expect(fold(out).content).toEqual(
      [search("ws_1"), search("ws_2"), { ...search("ms_1"), type: "mcp_call" }].map((item) => ({
        type: "provider",
        ...answered({ item })
      }))
    )
  })
})

describe("Responses stream decoder: done events", () => {
  const collect = (...stream: ReadonlyArray<Json>) => contentOf(readEvents(created, ...stream, completed()).out)

  it("reads the text that no delta had from done events of the text, the part or the item", () => {
    const where = { item_id: "msg_1", output_index: 0, content_index: 0 }
    const part = { type: "output_text", text: "Hello" }
    expect(collect({ type: "response.output_text.done", ...where, text: "Hello" }).text).toBe("Hello")
    expect(collect(delta("Hel"), { type: "response.output_text.done", ...where, text: "Hello" }).text).toBe("Hello")
    expect(collect(delta("Hel"), { type: "response.content_part.done", ...where, part }).text).toBe("Hello")
    expect(collect(delta("Hel"), done(0, message("Hello", " you"))).text).toBe("Hello you")
    expect(collect(done(0, message("Hello"))).text).toBe("Hello")
  })
  it("reads the arguments that no delta had from done events", () => {
    const doneEvents = {
      type: "response.function_call_arguments.done",
      item_id: "fc_0",
      output_index: 0,
      arguments: "{}"
    }
    expect(collect(added(0, call(0)), doneEvents).toolCalls).toEqual([toolCall(0, "{}")])
    expect(collect(done(0, call(0, '{"a":1}'))).toolCalls).toEqual([toolCall(0, '{"a":1}')])
    expect(collect(added(0, call(0))).toolCalls).toEqual([toolCall(0, "{}")])
  })
  it("holds back the arguments of a tool call until an event has its name", () => {
    const { out } = readEvents(
      created,
      argument(0, '{"a"'),
      argument(0, ":1}"),
      done(0, call(0, '{"a":1}')),
      completed()
    )
    expect(out.slice(0, 2)).toMatchObject([
      { _tag: "ToolCallDelta", id: "call_0", name: "f0", argumentsDelta: '{"a":1}' },
      { _tag: "ToolCallEnd" }
    ])
  })
  it("reads everything from the completed event when the stream has no other", () => {
    const output = [
      { id: "rs_1", type: "reasoning", summary: [{ type: "summary_text", text: "Hm." }], encrypted_content: "sealed" },
      message("Hello"),
      call(2, "{}")
    ]
    const { out } = readEvents(completed({ output }))
    const response = Either.getOrThrow(wire.decodeResponse(completed({ output }).response, source))
    expect(contentOf(out)).toMatchObject({
      content: response.content
    })
    expect(out.at(-1)).toMatchObject({ reason: "tool-calls", providerMetadata: response.providerMetadata })
  })
  it("reads items that the completed event omits from the events before it", () => {
    const search = { id: "ws_1", type: "web_search_call", status: "completed" }
    const { out } = readEvents(created, done(1, message("Hello")), done(0, search), completed())
    expect(contentOf(out).text).toBe("Hello")
    expect(contentOf(out).content.at(-1)).toEqual({ type: "provider", ...answered({ item: search }) })
  })
})

describe("Responses stream decoder: text is read once", () => {
  const where = (fields: Json = {}) => ({ item_id: "msg_1", output_index: 0, content_index: 0, ...fields })
  const textDone = (text: string, at: Json) => ({ type: "response.output_text.done", ...at, text })
  const partDone = (text: string, at: Json) => ({
    type: "response.content_part.done",
    ...at,
    part: { type: "output_text", text, annotations: [] }
  })
  const named = (id: string, ...texts: ReadonlyArray<string>) => ({ ...message(...texts), id })
  const texts = (out: ReadonlyArray<WireEvent>) => contentOf(out).text

  it.each([
    ["counts content_index over all items, as vLLM does", { content_index: 1 }, {}],
    ["counts content_index from 1", { content_index: 1 }, { content_index: 1 }],
    ["numbers the part otherwise when it is done", {}, { content_index: 3 }],
    ["names another output_index when it is done", {}, { output_index: 4 }],
    ["names another item when it is done", {}, { item_id: "msg_9" }],
    ["names another item and output_index when it is done", {}, { item_id: "msg_9", output_index: 4 }],
    ["names no item in deltas", { item_id: "" }, { item_id: "msg_1" }],
    ["numbers everything otherwise", { content_index: 2 }, { content_index: 5, item_id: "msg_9", output_index: 4 }]
  ])("reads text once from a server that %s", (_, inDeltas, whenDone) => {
    const at = where(whenDone)
    const item = named(at.item_id, "Hello you")
    const deltas = [delta("Hello", where(inDeltas)), delta(" you", where(inDeltas))]
    const doneEvents = [textDone("Hello you", at), partDone("Hello you", at), done(at.output_index, item)]
    for (const events of [doneEvents, doneEvents.slice(0, 1), doneEvents.slice(1, 2), doneEvents.slice(2), []]) {
      for (const output of [[], [item], [named("msg_last", "Hello you")], [named("a", "Hello"), named("b", " you")]]) {
        expect(texts(readEvents(created, ...deltas, ...events, completed({ output })).out)).toBe("Hello you")
      }
    }
    for (const events of [doneEvents, doneEvents.slice(0, 1), doneEvents.slice(1, 2), doneEvents.slice(2)]) {
      expect(texts(readEvents(created, delta("Hel", where(inDeltas)), ...events, completed()).out)).toBe("Hello you")
      expect(texts(readEvents(created, ...events, completed()).out)).toBe("Hello you")
    }
  })

  it("reads text once from a server that numbers the deltas of one part", () => {
    const deltas = [delta("Hel", where()), delta("lo", where({ content_index: 1 }))]
    const at = where()
    const out = (...doneEvents: ReadonlyArray<Json>) =>
      texts(readEvents(created, ...deltas, ...doneEvents, completed()).out)
    expect(out(done(0, message("Hello")))).toBe("Hello")
    expect(out(textDone("Hello", at), partDone("Hello", at), done(0, message("Hello")))).toBe("Hello")
  })

  it("reads text once from a server that names another item in every delta", () => {
    const deltas = [
      delta("Hel", where({ item_id: "x1", output_index: 1 })),
      delta("lo", where({ item_id: "x2", output_index: 2 }))
    ]
    expect(texts(readEvents(created, ...deltas, done(3, named("x3", "Hello you")), completed()).out)).toBe("Hello you")
    const equalDeltas = ["Ha", "Ha"].map((text, at) => delta(text, where({ item_id: `x${at}`, output_index: at })))
    const at = where({ item_id: "x3", output_index: 3 })
    const doneEvents = [textDone("HaHa", at), partDone("HaHa", at), done(3, named("x3", "HaHa"))]
    expect(
      texts(readEvents(created, ...equalDeltas, ...doneEvents, completed({ output: [message("HaHa")] })).out)
    ).toBe("HaHa")
  })

  it("reads the text of each item from a server whose done items share one output_index", () => {
    const output = [named("msg_1", "One."), named("msg_2", "Two.")]
    const items = output.map((item) => done(0, item))
    expect(texts(readEvents(created, ...items).out)).toBe("One.Two.")
    expect(texts(readEvents(created, ...items, completed()).out)).toBe("One.Two.")
    expect(texts(readEvents(created, delta("One.", where({ content_index: 1 })), ...items, completed()).out)).toBe(
      "One.Two."
    )
    expect(texts(readEvents(created, ...items, completed({ output })).out)).toBe("One.Two.")
    const [, two] = items
    expect(texts(readEvents(created, ...items.slice(0, 1), completed({ output })).out)).toBe("One.Two.")
    expect(texts(readEvents(created, ...(two === undefined ? [] : [two]), completed({ output })).out)).toBe("Two.One.")
  })

  it("reads the text of each item from a server whose items share one output_index or one id", () => {
    for (const ids of [
      ["msg_1", "msg_2"],
      ["msg_1", "msg_1"],
      ["", ""]
    ]) {
      const stream = ids.flatMap((id, index) => {
        const text = index === 0 ? "One." : "Two."
        const at = where({ item_id: id })
        return [delta(text, at), textDone(text, at), partDone(text, at), done(0, named(id, text))]
      })
      expect(texts(readEvents(created, ...stream, completed()).out)).toBe("One.Two.")
      expect(texts(readEvents(created, ...stream, ...stream.slice(-2), completed()).out)).toBe("One.Two.")
    }
  })

  it("reads two parts once when the text of the second begins with that of the first", () => {
    const item = message("Ha", "Haha")
    const second = where({ content_index: 1 })
    const streamed = [delta("Ha", where()), textDone("Ha", where()), delta("Ha", second), delta("ha", second)]
    expect(texts(readEvents(created, ...streamed, textDone("Haha", second), done(0, item), completed()).out)).toBe(
      "HaHaha"
    )
    expect(
      texts(
        readEvents(created, delta("Ha", where()), textDone("Ha", where()), textDone("Haha", second), completed()).out
      )
    ).toBe("HaHaha")
  })

  it("reads texts and a refusal between them once", () => {
    const item = {
      ...message(),
      content: [
        { type: "output_text", text: "A" },
        { type: "refusal", refusal: "No." },
        { type: "output_text", text: "B" }
      ]
    }
    const refusal = { type: "response.refusal.delta", ...where({ content_index: 7 }), delta: "No." }
    const { out } = readEvents(
      created,
      delta("A", where({ content_index: 6 })),
      refusal,
      delta("B", where({ content_index: 8 })),
      done(0, item),
      completed({ output: [item] })
    )
    expect(contentOf(out)).toMatchObject({ text: "AB", refusal: "No." })
  })

  it("reads the items that only the completed event contains after the streamed ones", () => {
    const streamed = [delta("Two.", where({ item_id: "msg_2", output_index: 1 })), done(1, named("msg_2", "Two."))]
    const output = [named("msg_1", "One."), named("msg_2", "Two."), named("msg_3", "Three.")]
    expect(texts(readEvents(created, ...streamed, completed({ output })).out)).toBe("Two.One.Three.")
  })

  it("keeps the streamed text when the finished item has another text", () => {
    const streamed = [delta("Hello ", where()), done(0, message("Hello")), completed({ output: [message("Hullo")] })]
    expect(texts(readEvents(created, ...streamed).out)).toBe("Hello ")
  })
})

describe("Responses stream decoder: reasoning is read once", () => {
  const position = (index: number, id: string, output_index: number) => ({
    item_id: id,
    output_index,
    content_index: index
  })
  const reasoningItem = (id: string, text: string) => ({
    id,
    type: "reasoning",
    summary: [],
    content: [{ type: "reasoning_text", text }]
  })
  const parts = (out: ReadonlyArray<WireEvent>) => contentOf(out).content.map((part) => Chat.reasoningOf([part]))

  it("reads reasoning once from a server that counts content_index over all items and renames items", () => {
    const { out } = readEvents(
      created,
      added(0, { id: "rs_1", type: "reasoning", summary: [] }),
      { type: "response.reasoning_text.delta", ...position(0, "rs_1", 0), delta: "Hm." },
      { type: "response.reasoning_text.done", ...position(0, "rs_1", 1), text: "Hm." },
      done(1, reasoningItem("rs_1", "Hm.")),
      added(1, { id: "rs_2", type: "reasoning", summary: [] }),
      { type: "response.reasoning_text.delta", ...position(1, "rs_2", 1), delta: "Oh." },
      { type: "response.reasoning_text.done", ...position(2, "rs_9", 7), text: "Oh." },
      {
        type: "response.reasoning_part.done",
        ...position(1, "rs_2", 1),
        part: { type: "reasoning_text", text: "Oh." }
      },
      done(2, reasoningItem("rs_3", "Oh.")),
      completed({ output: [reasoningItem("rs_a", "Hm."), reasoningItem("rs_b", "Oh.")] })
    )
    expect(parts(out)).toEqual(["Hm.", "Oh."])
  })

  it("reads reasoning once from a server that names another item in every delta", () => {
    const deltas = [0, 1].map((index) => ({
      type: "response.reasoning_text.delta",
      ...position(index, `rs_${index}`, index),
      delta: "Ha"
    }))
    const doneEvents = [
      { type: "response.reasoning_text.done", ...position(3, "rs_3", 3), text: "HaHa" },
      done(3, reasoningItem("rs_3", "HaHa"))
    ]
    const { out } = readEvents(
      created,
      ...deltas,
      ...doneEvents,
      completed({ output: [reasoningItem("rs_4", "HaHa")] })
    )
    expect(parts(out).join("")).toBe("HaHa")
  })

  it("reads the reasoning and the signatures that only the completed event contains", () => {
    const streamed = [
      { type: "response.reasoning_text.delta", ...position(0, "rs_2", 1), delta: "Two." },
      done(1, reasoningItem("rs_2", "Two."))
    ]
    const output = [reasoningItem("rs_1", "One."), { ...reasoningItem("rs_2", "Two."), encrypted_content: "sealed" }]
    const { out } = readEvents(created, ...streamed, completed({ output }))
    expect(contentOf(out).content).toMatchObject([
      { text: "Two.", id: "rs_2", signature: "sealed" },
      { text: "One.", id: "rs_1" }
    ])
  })
})

describe("Responses stream decoder: tool calls are read once", () => {
  it("reads a tool call once when its done event has another item id or output_index", () => {
    const doneEvents = { type: "response.function_call_arguments.done", output_index: 3, arguments: '{"a":1}' }
    const item = { ...call(0, '{"a":1}'), id: "fc_9" }
    for (const events of [
      [{ ...doneEvents, item_id: "fc_9" }, done(3, item)],
      [done(3, item)],
      [{ ...doneEvents, item_id: "call_0" }]
    ]) {
      for (const output of [[], [item]]) {
        const { failure, out } = readEvents(
          created,
          added(0, call(0)),
          argument(0, '{"a"'),
          ...events,
          completed({ output })
        )
        expect(failure).toBeUndefined()
        expect(contentOf(out).toolCalls).toEqual([{ ...toolCall(0, '{"a":1}'), native: expect.anything() }])
      }
    }
  })

  it("reads two tool calls of one output_index or one call_id as two calls", () => {
    const one = { ...call(0, '{"a":1}'), call_id: "call" }
    const two = { ...call(1, '{"b":2}'), call_id: "call" }
    const args = (...stream: ReadonlyArray<Json>) =>
      contentOf(readEvents(created, ...stream).out).toolCalls.map((toolCall) => toolCall.arguments)
    expect(args(done(0, one), done(0, two))).toEqual(['{"a":1}', '{"b":2}'])
    expect(args(done(0, one), done(0, one), done(1, two))).toEqual(['{"a":1}', '{"b":2}'])
    const unannounced = { ...argument(1, '{"b":2}'), output_index: 0 }
    expect(
      args(added(0, call(0)), argument(0, '{"a":1}'), done(0, call(0, '{"a":1}')), unannounced, done(0, two))
    ).toEqual(['{"a":1}', '{"b":2}'])
  })

  it("reads a tool call once when its deltas name another item", () => {
    const otherItem = { ...argument(5, '{"a":1}'), output_index: 5 }
    const { failure, out } = readEvents(created, added(0, call(0)), otherItem, done(0, call(0, '{"a":1}')), completed())
    expect(failure).toBeUndefined()
    expect(contentOf(out).toolCalls).toEqual([toolCall(0, '{"a":1}')])
  })

  it("reads a tool call once when its events use its call_id or when its done item is renamed", () => {
    const both = [added(0, call(0)), added(1, call(1))]
    const byCallId = { ...argument(0, '{"a"'), item_id: "call_0", output_index: 7 }
    const calls = (...stream: ReadonlyArray<Json>) =>
      contentOf(readEvents(created, ...both, ...stream).out).toolCalls.map((toolCall) => [
        toolCall.name,
        toolCall.arguments
      ])
    expect(calls(byCallId, done(7, { ...call(0, '{"a":1}'), id: "x" }), done(1, call(1, "{}")))).toEqual([
      ["f0", '{"a":1}'],
      ["f1", "{}"]
    ])
    const renamed = done(7, { ...call(0, '{"a":1}'), id: "x", call_id: "y" })
    expect(calls(argument(0, '{"a"'), renamed, done(1, call(1, "{}")))).toEqual([
      ["f0", '{"a":1}'],
      ["f1", "{}"]
    ])
  })

  it("reads arguments that only the completed event has, in another order", () => {
    const output = [call(1, '{"b":1}'), call(0, '{"a":1}')]
    const { out } = readEvents(created, added(0, call(0)), added(1, call(1)), completed({ output }))
    expect(contentOf(out).toolCalls.map((toolCall) => [toolCall.name, toolCall.arguments])).toEqual([
      ["f0", '{"a":1}'],
      ["f1", '{"b":1}']
    ])
  })

  it("reads tool calls once when the completed event has them in another order or with other ids", () => {
    const streamed = [added(0, call(0)), added(1, call(1)), done(0, call(0, "{}")), done(1, call(1, '{"b":1}'))]
    const toolCalls = [toolCall(0, "{}"), toolCall(1, '{"b":1}')]
    const listed = (...output: ReadonlyArray<Json>) =>
      contentOf(readEvents(created, ...streamed, completed({ output })).out).toolCalls
    expect(listed(call(1, '{"b":1}'), call(0, "{}"))).toEqual(toolCalls)
    expect(listed(call(2, "{}"), call(1, '{"b":1}'), call(0, "{}"))).toEqual([...toolCalls, toolCall(2, "{}")])
    const renamed = [
      { ...call(0, "{}"), call_id: "x" },
      { ...call(1, '{"b":1}'), call_id: "y" }
    ]
    expect(listed(...renamed)).toEqual(toolCalls)
  })
})

describe("Responses stream decoder: item lookup", () => {
  it("finds an item by its output_index when ids change from event to event", () => {
    const { out } = readEvents(
      created,
      added(0, message()),
      delta("Hel", { item_id: "x1", output_index: 0, content_index: 0 }),
      delta("lo", { item_id: "x2", output_index: 0, content_index: 0 }),
      done(0, { ...message("Hello"), id: "x3" }),
      completed({ output: [{ ...message("Hello"), id: "x4" }] })
    )
    expect(contentOf(out).text).toBe("Hello")
  })
  it("finds an item by its id when all items have one output_index", () => {
    const { out } = readEvents(
      created,
      added(0, call(0)),
      added(0, call(1)),
      { ...argument(0, '{"a":0}'), output_index: 0 },
      { ...argument(1, '{"b":1}'), output_index: 0 },
      completed()
    )
    expect(contentOf(out).toolCalls.map((toolCall) => toolCall.arguments)).toEqual(['{"a":0}', '{"b":1}'])
  })
  it("takes the last item of the type when an event has no id and no output_index", () => {
    const { out } = readEvents(
      created,
      added(0, call(0)),
      { type: "response.function_call_arguments.delta", delta: "{}" },
      completed()
    )
    expect(contentOf(out).toolCalls).toEqual([toolCall(0, "{}")])
  })
})

describe("Responses stream decoder: failures", () => {
  it("reports flat and nested error events as Reported", () => {
    const flat = { type: "error", code: "server_error", message: "Sorry.", param: null, sequence_number: 3 }
    expect(readEvents(created, delta("Hel"), flat)).toMatchObject({
      out: [{ _tag: "TextDelta", text: "Hel" }],
      failure: { _tag: "Reported", body: { error: { code: "server_error", message: "Sorry.", param: null } } }
    })
    const error = { type: "server_error", message: "Sorry." }
    expect(readEvents(created, { type: "error", error }).failure).toEqual({ _tag: "Reported", body: { error } })
    expect(readEvents(created, { error }).failure).toEqual({ _tag: "Reported", body: { error } })
  })
  it("reports the error of response.failed as Reported", () => {
    const error = { code: "rate_limit_exceeded", message: "Too fast." }
    const failed = completed({ status: "failed", error }, "response.failed")
    expect(readEvents(created, failed).failure).toEqual({ _tag: "Reported", body: { error } })
    expect(readEvents(created, { type: "response.failed" }).failure).toMatchObject({ _tag: "Reported" })
  })
  it("reports Truncated when a stream ends without a final response event", () => {
    expect(readEvents(created, delta("Hel")).failure).toEqual({ _tag: "Truncated" })
    expect(readEventFrames([frame(created), frame(delta("Hel")), { data: "[DONE]" }]).failure).toEqual({
      _tag: "Truncated"
    })
    expect(readEventFrames([]).failure).toEqual({ _tag: "Truncated" })
  })
  it("rejects invalid frames and a tool call without a name as Malformed", () => {
    expect(readEventFrames([{ data: "{" }]).failure).toEqual({ _tag: "Malformed", path: "", excerpt: "{" })
    expect(readEventFrames([{ data: "1" }]).failure).toMatchObject({ _tag: "Malformed" })
    expect(readEvents(created, argument(0, "{}"), completed()).failure).toMatchObject({
      _tag: "Malformed",
      path: "item.name"
    })
  })
})

describe("Responses stream decoder: other frames", () => {
  it("ignores empty frames and a [DONE] after the end", () => {
    expect(
      readEventFrames([{ data: "" }, frame(created), frame(completed()), { data: "[DONE]" }]).failure
    ).toBeUndefined()
  })
  it("reads an event whose type is only its SSE event name", () => {
    const { type: _, ...data } = delta("Hello")
    const { out } = readEventFrames([
      { event: "response.output_text.delta", data: JSON.stringify(data) },
      frame(completed())
    ])
    expect(contentOf(out).text).toBe("Hello")
  })
  it("ignores events without content and unknown events", () => {
    const ignored = [
      "response.web_search_call.searching",
      "response.mcp_call.failed",
      "response.audio.delta",
      "keepalive"
    ]
    for (const type of ignored) expect(events.has(type)).toBe(true)
    expect(events.has("response.telepathy.delta")).toBe(false)
    const { failure, out } = readEvents(
      created,
      ...[...ignored, "response.telepathy.delta", "toString"].map((type) => ({ type, delta: "x" })),
      completed()
    )
    expect(failure).toBeUndefined()
    expect(out).toHaveLength(1)
  })
  it("reads an item whose type is the name of a property of every object as a provider part", () => {
    const item = { id: "item_1", type: "constructor" }
    const { out, failure } = readEvents(created, added(0, item), done(0, item), completed({ output: [item] }))
    expect(failure).toBeUndefined()
    expect(contentOf(out).content).toEqual([{ type: "provider", ...answered({ item }) }])
  })
  it("does not throw on any known event with missing or invalid fields", () => {
    for (const type of events.keys()) {
      expect(() =>
        readEvents({ type }, { type, item: null, part: 1, delta: [], response: "x", output_index: "0" })
      ).not.toThrow()
    }
  })
})

describe("Responses stream decoder: usage", () => {
  it("estimates the usage from the text so far until the completed event has counts", () => {
    const decoder = wire.decodeStream(source)
    const out: Array<WireEvent> = []
    decoder.push(frame(delta("twelve words")), out)
    expect(decoder.usage).toMatchObject({ inputTokens: 7, outputTokens: 2, estimated: true })
    decoder.push(frame(completed()), out)
    expect(decoder.usage).toMatchObject({ inputTokens: 5, outputTokens: 3, estimated: false })
  })
})
