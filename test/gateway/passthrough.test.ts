/** Answers of a provider that uses the client's protocol: they pass through unchanged unless a middleware changes them. */
import { describe, expect, it } from "@effect/vitest"
import { Chunk, Effect, Stream } from "effect"
import * as FastCheck from "fast-check"
import * as Chat from "../../src/vocabulary/Chat.js"
import type { ChatEvent } from "../../src/vocabulary/ChatEvent.js"
import { anthropic, chatCompletions } from "../../src/gateway/chat/protocols.js"
import * as Cost from "../../src/vocabulary/cost.js"
import * as Owners from "../../src/gateway/chat/owners.js"
import * as Passthrough from "../../src/gateway/chat/passthrough.js"
import { withRawBytes, withRawText, relayOf } from "../../src/call/passthrough.js"
import type { Middleware } from "../../src/LLM.js"
import { TestLLM } from "../../src/testing/index.js"
import * as Usage from "../../src/vocabulary/Usage.js"
import type { Frame } from "../../src/wire/Wire.js"
import { renderFrames } from "../../src/gateway/chat/sse.js"
import type { Settings, Upstream } from "./support/gateway.js"
import { start } from "./support/gateway.js"
import type { Protocol } from "./support/http.js"
import { paths, post, question } from "./support/http.js"
import { respondWith, chunksOf, sse } from "./support/upstream.js"

const head = { id: "chatcmpl-1", object: "chat.completion.chunk", created: 7, model: "large-2" }

const chunk = (delta: unknown, choice: object = {}, body: object = {}) => ({
  ...head,
  ...body,
  choices: [{ index: 0, delta, finish_reason: null, ...choice }]
})

const usage = { prompt_tokens: 5, completion_tokens: 2, total_tokens: 7, of_vendor: { cached: true } }

/** The chunks of a provider, with fields that the vocabulary does not have. */
const sentChunks = [
  chunk({ role: "assistant", content: "" }, {}, { system_fingerprint: "fp" }),
  chunk({ content: "Hello" }, { logprobs: { content: [{ token: "Hello", logprob: -0.1 }] } }),
  chunk({ content: ", world", of_vendor: [1] }),
  chunk({}, { finish_reason: "stop" }, { obfuscation: "x1" }),
  { ...head, choices: [], usage }
]

/** The stream that a client receives through a gateway when the provider sends this. */
const receiveStream = (
  protocol: Protocol,
  upstream: Upstream,
  answer: string,
  fields: object = {},
  gateway: Settings["gateway"] = {},
  entry: Settings["entry"] = {}
) =>
  Effect.gen(function* () {
    const { origin } = yield* respondWith("text/event-stream", answer)
    const { url } = yield* start({ entry: { base_url: `${origin}/v1`, ...entry }, gateway })
    const requestFields = { stream: true, ...fields }
    return (yield* post(url + paths[protocol], question(protocol, `${upstream}/large`, requestFields))).text
  })

const shown = (written: string | Uint8Array): string =>
  typeof written === "string" ? written : new TextDecoder().decode(written)

const withUsage = { stream_options: { include_usage: true } }

const textOf = (chunks: ReadonlyArray<Record<string, unknown>>): string =>
  chunks
    .map(
      ({ choices }) => (choices as ReadonlyArray<{ readonly delta: { readonly content?: string } }>)[0]?.delta.content
    )
    .join("")

describe("stream of a provider of the same protocol", () => {
  it.scopedLive("passes a Chat Completions stream through frame by frame", () =>
    Effect.gen(function* () {
      const text = yield* receiveStream("chat completions", "openai", sse([...sentChunks, "[DONE]"]), withUsage)
      expect(text).toBe(sse([...sentChunks, "[DONE]"]))
    })
  )

  it.scopedLive("removes the usage chunk when the client did not set include_usage", () =>
    Effect.gen(function* () {
      const text = yield* receiveStream("chat completions", "openai", sse([...sentChunks, "[DONE]"]))
      expect(text).toBe(sse([...sentChunks.slice(0, -1), "[DONE]"]))
    })
  )

  it.scopedLive("appends [DONE] when the provider's stream lacks it", () =>
    Effect.gen(function* () {
      expect(yield* receiveStream("chat completions", "openai", sse(sentChunks), withUsage)).toBe(
        sse([...sentChunks, "[DONE]"])
      )
    })
  )

  const events = (list: ReadonlyArray<{ readonly type: string }>): string =>
    list.map((event) => `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`).join("")

  const message = { id: "msg_1", type: "message", role: "assistant", model: "claude", content: [], of_vendor: 1 }

  const blocks = [
    { type: "message_start", message: { ...message, usage: { input_tokens: 5, output_tokens: 1 } } },
    { type: "ping" },
    {
      type: "content_block_start",
      index: 0,
      content_block: { type: "server_tool_use", id: "srvtoolu_1", name: "web_search", input: {} }
    },
    { type: "content_block_stop", index: 0 },
    { type: "content_block_start", index: 1, content_block: { type: "text", text: "" } },
    { type: "content_block_delta", index: 1, delta: { type: "text_delta", text: "Hello" } },
    { type: "content_block_delta", index: 1, delta: { type: "citations_delta", citation: { cited_text: "x" } } },
    { type: "content_block_stop", index: 1 },
    {
      type: "message_delta",
      delta: { stop_reason: "end_turn", stop_sequence: null, container: { id: "c" } },
      usage: { output_tokens: 2, server_tool_use: { web_search_requests: 1 } }
    }
  ]

  const stop = { type: "message_stop" }

  it.scopedLive(
    "passes a Messages stream through with server tools and citations, and appends a missing message_stop",
    () =>
      Effect.gen(function* () {
        expect(yield* receiveStream("messages", "anthropic", events([...blocks, stop]))).toBe(events([...blocks, stop]))
        expect(yield* receiveStream("messages", "anthropic", events(blocks))).toBe(events([...blocks, stop]))
      })
  )

  it.scopedLive(
    "re-encodes a Messages stream with more than 32 MiB before its first text, instead of buffering it",
    () =>
      Effect.gen(function* () {
        const ping = { type: "ping", of_vendor: "x".repeat(1024 * 1024) }
        const text = yield* receiveStream(
          "messages",
          "anthropic",
          events([...blocks.slice(0, 1), ...Array.from({ length: 33 }, () => ping), ...blocks.slice(1), stop])
        )
        expect(text.length).toBeLessThan(10_000)
        expect(text).toContain("Hello")
        expect(text.endsWith(events([stop]))).toBe(true)
      })
  )

  it.scopedLive("passes a Responses stream through with unknown item types", () =>
    Effect.gen(function* () {
      const response = { id: "resp_1", object: "response", model: "large-2", status: "in_progress", output: [] }
      const item = { type: "message", id: "msg_1", role: "assistant", content: [], status: "in_progress" }
      const part = { type: "output_text", text: "Hello", annotations: [] }
      const whole = { ...item, status: "completed", content: [part] }
      const steps = [
        { type: "response.created", sequence_number: 0, response },
        {
          type: "response.output_item.added",
          sequence_number: 1,
          output_index: 0,
          item: { type: "of_vendor", id: "x" }
        },
        {
          type: "response.output_item.done",
          sequence_number: 2,
          output_index: 0,
          item: { type: "of_vendor", id: "x" }
        },
        { type: "response.output_item.added", sequence_number: 3, output_index: 1, item },
        {
          type: "response.output_text.delta",
          sequence_number: 4,
          item_id: "msg_1",
          output_index: 1,
          content_index: 0,
          delta: "Hello",
          obfuscation: "x"
        },
        { type: "response.output_item.done", sequence_number: 5, output_index: 1, item: whole },
        {
          type: "response.completed",
          sequence_number: 6,
          response: {
            ...response,
            status: "completed",
            output: [whole],
            usage: { input_tokens: 5, output_tokens: 2, total_tokens: 7 }
          }
        }
      ]
      expect(yield* receiveStream("responses", "responses", events(steps))).toBe(events(steps))
    })
  )

  it.scopedLive("re-encodes a stream for a client of another protocol", () =>
    Effect.gen(function* () {
      const text = yield* receiveStream("messages", "openai", sse([...sentChunks, "[DONE]"]))
      expect(text).toContain("event: message_start")
      expect(text).not.toContain("chat.completion.chunk")
    })
  )

  it.scopedLive("re-encodes a Chat Completions stream from its first tool call on, with each call whole", () =>
    Effect.gen(function* () {
      const text = yield* receiveStream(
        "chat completions",
        "openai",
        sse([
          ...sentChunks.slice(0, 3),
          // A second name, and no id: as some send them.
          chunk({
            tool_calls: [{ index: 0, id: "call_1", type: "function", function: { name: "look", arguments: "" } }]
          }),
          /** Some providers repeat the name, and omit the id. */
          chunk({ tool_calls: [{ index: 0, function: { name: "look", arguments: '{"at":1}' } }] }),
          chunk({}, { finish_reason: "tool_calls" }),
          "[DONE]"
        ]),
        {},
        {},
        { preset: "openrouter" }
      )
      const chunks = chunksOf(text)
      expect(JSON.stringify(chunks).match(/"name":"look"/g)).toHaveLength(1)
      expect(chunks.at(-1)).toMatchObject({ choices: [{ finish_reason: "tool_calls" }] })
      expect(textOf(chunks)).toBe("Hello, world")
      expect(text.endsWith("data: [DONE]\n\n")).toBe(true)
    })
  )

  const changeEvents =
    (change: (event: ChatEvent) => ReadonlyArray<ChatEvent>): Middleware =>
    (next) =>
      Effect.succeed({
        ...next,
        chatStream: (request) => Stream.mapConcat(next.chatStream(request), change)
      })

  it.scopedLive("sends only the text that a middleware changed", () =>
    Effect.gen(function* () {
      const around = changeEvents((event) =>
        event._tag === "TextDelta" ? [{ ...event, text: event.text.replace("world", "***") }] : [event]
      )
      const text = yield* receiveStream("chat completions", "openai", sse([...sentChunks, "[DONE]"]), {}, { around })
      expect(text).not.toContain("world")
      expect(textOf(chunksOf(text))).toBe("Hello, ***")
    })
  )

  it.scopedLive("omits the text that a middleware dropped", () =>
    Effect.gen(function* () {
      const around = changeEvents((event) => (event._tag === "TextDelta" && event.text === "Hello" ? [] : [event]))
      const text = yield* receiveStream("chat completions", "openai", sse([...sentChunks, "[DONE]"]), {}, { around })
      expect(textOf(chunksOf(text))).toBe(", world")
    })
  )

  it.scopedLive("ends an interrupted stream with an error after all passed frames, without [DONE]", () =>
    Effect.gen(function* () {
      const text = yield* receiveStream("chat completions", "openai", sse(sentChunks.slice(0, 3)))
      expect(text.startsWith(sse(sentChunks.slice(0, 3)))).toBe(true)
      expect(chunksOf(text).at(-1)).toMatchObject({ error: { code: expect.any(String) } })
      expect(text).not.toContain("[DONE]")
    })
  )
})

describe("whole answer of a provider of the same protocol", () => {
  const answer = {
    id: "chatcmpl-1",
    object: "chat.completion",
    created: 7,
    model: "large-2",
    choices: [{ index: 0, message: { role: "assistant", content: "Hello", of_vendor: null }, finish_reason: "stop" }],
    usage
  }

  /** Indented, so that re-encoding would change it. */
  const sent = JSON.stringify(answer, null, 2)

  const receiveText = (gateway: Settings["gateway"] = {}, fields: object = {}, entry: Settings["entry"] = {}) =>
    Effect.gen(function* () {
      const { origin } = yield* respondWith("application/json", sent)
      const { url } = yield* start({ entry: { base_url: `${origin}/v1`, ...entry }, gateway })
      return (yield* post(url + paths["chat completions"], question("chat completions", "openai/large", { ...fields })))
        .text
    })

  it.scopedLive("passes a whole answer through byte for byte", () =>
    Effect.gen(function* () {
      expect(yield* receiveText()).toBe(sent)
    })
  )

  it.scopedLive("sends only the whole answer that a middleware changed", () =>
    Effect.gen(function* () {
      const around: Middleware = (next) =>
        Effect.succeed({
          ...next,
          chat: (request) =>
            Effect.map(next.chat(request), (response) => Chat.withContent(response, [Chat.text("***")]))
        })
      const text = yield* receiveText({ around })
      expect(text).not.toContain("Hello")
      expect(JSON.parse(text)).toMatchObject({ choices: [{ message: { content: "***" } }] })
    })
  )

  it.scopedLive("answers with an internal error, and not with the text, when a middleware changes the text alone", () =>
    Effect.gen(function* () {
      const around: Middleware = (next) =>
        Effect.succeed({
          ...next,
          chat: (request) => Effect.map(next.chat(request), (response) => ({ ...response, text: "***" }))
        })
      const text = yield* receiveText({ around })
      expect(text).not.toContain("Hello")
      expect(JSON.parse(text)).toMatchObject({ error: { type: "server_error" } })
    })
  )

  it.scopedLive(
    "combines the choices and the usage of whole answers when n is 2 and the provider is not faithful",
    () =>
      Effect.gen(function* () {
        const text = yield* receiveText({}, { n: 2 }, { preset: "openrouter" })
        expect(JSON.parse(text)).toMatchObject({
          choices: [{ index: 0 }, { index: 1 }],
          usage: { prompt_tokens: 10, completion_tokens: 4 }
        })
      })
  )
})

describe("stream encoder", () => {
  /** Events with the bytes of these frames, of a provider that is not faithful. */
  const withRawFrames = (protocol: string, frames: ReadonlyArray<Frame>, events: ReadonlyArray<ChatEvent>) =>
    withRawBytes({ protocol, isFaithful: false }, new TextEncoder().encode(renderFrames(frames)), events)

  const encoderOf = (protocol: typeof anthropic) => {
    const { write } = Passthrough.streamEncoder(
      protocol,
      { body: {}, createdAt: 0, now: () => 0 },
      Owners.make(undefined)
    )
    return (events: Chunk.Chunk<ChatEvent>): string => shown(write(events))
  }

  const texts = FastCheck.array(FastCheck.string({ minLength: 1 }), { minLength: 1, maxLength: 8 })

  const delta = (text: string, index = 0): ChatEvent => ({ _tag: "TextDelta", index, text })

  const frameOf = (text: string): Frame => ({ data: JSON.stringify(chunk({ content: text })) })

  const finish: ChatEvent = {
    _tag: "Finish",
    reason: "stop",
    rawReason: "stop",
    usage: Usage.empty,
    latency: 1,
    providerMetadata: {}
  }

  it.prop(
    "writes the text of its events, however they are dropped, copied, repeated, changed and rechunked",
    {
      texts,
      fates: FastCheck.array(FastCheck.constantFrom("keep", "copy", "drop", "repeat", "change"), {
        minLength: 8,
        maxLength: 8
      }),
      cuts: FastCheck.array(FastCheck.nat(3), { minLength: 9, maxLength: 9 })
    },
    ({ cuts, fates, texts }) => {
      // Two frames for each network chunk.
      const read: Array<ChatEvent> = []
      for (let at = 0; at < texts.length; at += 2) {
        const pair = texts.slice(at, at + 2)
        read.push(...withRawFrames("chat-completions", pair.map(frameOf), pair.map(delta)))
      }
      const changed = read.flatMap((event, index): ReadonlyArray<ChatEvent> => {
        if (event._tag !== "TextDelta") return [event]
        switch (fates[index]) {
          case "copy":
            return [{ ...event }]
          case "drop":
            return []
          case "repeat":
            return [event, event]
          case "change":
            return [{ ...event, text: `<${event.text}>` }]
          default:
            return [event]
        }
      })
      const write = encoderOf(chatCompletions)
      let text = ""
      const all = [...changed, finish]
      for (let at = 0, turn = 0; at < all.length; turn++) {
        const size = 1 + (cuts[turn % cuts.length] ?? 0)
        text += write(Chunk.fromIterable(all.slice(at, at + size)))
        at += size
      }
      const expected = changed.map((event) => (event._tag === "TextDelta" ? event.text : "")).join("")
      expect(textOf(chunksOf(text))).toBe(expected)
    }
  )

  it("continues passed frames with its own frames of the same id and model", () => {
    const call = { index: 1, id: "call_1", name: "look" }
    const write = encoderOf(chatCompletions)
    const beginning = write(
      withRawFrames(
        "chat-completions",
        [{ data: JSON.stringify(sentChunks[0]) }, frameOf("Hi")],
        [
          { _tag: "Start", id: "chatcmpl-1", provider: "openai", model: "large-2", keyId: "k", attempts: [] },
          delta("Hi")
        ]
      )
    )
    const rest = write(
      withRawFrames(
        "chat-completions",
        [{ data: "broken" }],
        [
          { _tag: "ToolCallDelta", ...call, argumentsDelta: "{}" },
          { _tag: "ToolCallEnd", index: 1, call: { type: "tool-call", id: "call_1", name: "look", arguments: "{}" } },
          finish
        ]
      )
    )
    expect(beginning).toBe(sse([sentChunks[0], chunk({ content: "Hi" })]))
    expect(rest).not.toContain("broken")
    const [first, ...others] = chunksOf(rest)
    expect(first).toMatchObject({
      id: "chatcmpl-1",
      model: "large-2",
      choices: [{ delta: { tool_calls: [{ id: "call_1", function: { name: "look", arguments: "{}" } }] } }]
    })
    expect(others).toHaveLength(1)
  })

  const search: Chat.ProviderPart = {
    type: "provider",
    provider: "p",
    native: { "anthropic-messages": { type: "search" } }
  }

  it("passes the frame of a Chat Completions stream with a provider part through", () => {
    const write = encoderOf(chatCompletions)
    const audio = { data: JSON.stringify(chunk({ audio: { id: "audio_1" } })) }
    const part: ChatEvent = { _tag: "ProviderPart", index: 0, part: search }
    expect(write(withRawFrames("chat-completions", [audio], [part]))).toBe(sse([chunk({ audio: { id: "audio_1" } })]))
  })

  it("gives the encoder the deltas of each part in order when it takes over after passed frames", () => {
    const pushed: Array<ChatEvent> = []
    const protocol = {
      ...anthropic,
      wire: {
        ...anthropic.wire,
        encodeStream: () => ({
          push: (event: ChatEvent) => {
            pushed.push(event)
            return []
          },
          fail: () => []
        })
      }
    }
    const write = encoderOf(protocol)
    const passed: ReadonlyArray<ChatEvent> = [
      { _tag: "ReasoningDelta", index: 0, text: "H" },
      { _tag: "ReasoningDelta", index: 0, text: "m", signature: "sig" },
      delta("One", 1),
      delta(".", 1),
      { _tag: "ProviderPart", index: 2, part: search },
      delta("Two", 3),
      { _tag: "TextDelta", index: 3, text: "", provider: "p", native: { "anthropic-messages": { citations: [] } } },
      { _tag: "RefusalDelta", index: 4, text: "N" },
      { _tag: "RefusalDelta", index: 4, text: "o" },
      delta("Three", 5),
      delta("Four", 6)
    ]
    expect(write(withRawFrames(anthropic.wire.name, [{ data: "passed" }], passed))).toContain("passed")
    write(Chunk.of(delta("!", 6)))
    // The indexes leave room for a part before each part.
    const before = pushed.map((event) => ("index" in event ? { ...event, index: (event.index - 1) / 2 } : event))
    expect(JSON.parse(JSON.stringify(before))).toEqual([
      { _tag: "ReasoningDelta", index: 0, text: "Hm", signature: "sig" },
      delta("One.", 1),
      { _tag: "ProviderPart", index: 2, part: search },
      { _tag: "TextDelta", index: 3, text: "Two", provider: "p", native: { "anthropic-messages": { citations: [] } } },
      { _tag: "RefusalDelta", index: 4, text: "No" },
      delta("Three", 5),
      delta("Four", 6),
      delta("!", 6)
    ])
  })

  it.each<readonly [string, Chat.AssistantPart]>([
    ["reasoning", { type: "reasoning", text: "Hm" }],
    ["a tool call", { type: "tool-call", id: "call_1", name: "look", arguments: "{}" }]
  ])("encodes a whole Chat Completions answer with %s, and passes one of Messages through", (_, part) => {
    const responseOf = (...content: ReadonlyArray<Chat.AssistantPart>) => TestLLM.response({ content })
    for (const [protocol, passes] of [[chatCompletions, false] as const, [anthropic, true] as const]) {
      const textOf = (response: Chat.ChatResponse) =>
        Passthrough.textOf(protocol, withRawText({ protocol: protocol.wire.name, isFaithful: false }, "raw", response))
      expect(textOf(responseOf(Chat.text("Hi"), search, { type: "refusal", text: "No" }))).toBe("raw")
      expect(textOf(responseOf(Chat.text("Hi"), part))).toBe(passes ? "raw" : undefined)
    }
  })

  it("matches frames to their events despite an added cost, and to no other change", () => {
    const [first, last] = withRawFrames("chat-completions", [frameOf("Hi")], [delta("Hi"), finish])
    if (first === undefined || last?._tag !== "Finish") throw new Error("there are two")
    const priced: ChatEvent = { ...last, cost: Cost.make({ input: 0.002 }) }
    expect(shown(relayOf("chat-completions", Chunk.make(first, priced))?.bytes ?? "")).toBe(
      renderFrames([frameOf("Hi")])
    )
    expect(shown(relayOf("chat-completions", Chunk.make({ ...first }, last))?.bytes ?? "")).toBe(
      renderFrames([frameOf("Hi")])
    )
    expect(relayOf("responses", Chunk.make(first, last))).toBeUndefined()
    expect(relayOf("chat-completions", Chunk.make(first))).toBeUndefined()
    expect(
      relayOf("chat-completions", Chunk.make<[ChatEvent, ChatEvent]>(first, { ...last, reason: "length" }))
    ).toBeUndefined()
  })
})
