/** Answers of a faithful provider of the client's protocol: the client gets the same bytes, apart from named edits. */
import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import * as FastCheck from "fast-check"
import { objectTexts, renderObject, spaces } from "../wire/jsonTexts.js"
import type { ObjectText } from "../wire/jsonTexts.js"
import { start } from "./support/gateway.js"
import type { Protocol } from "./support/http.js"
import { paths, postText, question } from "./support/http.js"
import { sendingPieces } from "./support/upstream.js"

const protocols: ReadonlyArray<Protocol> = ["chat completions", "responses", "messages"]

const models = { "chat completions": "openai/large", responses: "oai/large", messages: "anthropic/large" } as const

const limits = { rate_limit_capacity: 1000, rate_limit_refill_rate: 1000 }

/** A gateway in front of a provider that sends the pieces of `next`. */
const relaying = (protocol: Protocol) =>
  Effect.gen(function* () {
    const upstream = yield* sendingPieces()
    const base_url = `${upstream.origin}/v1`
    const { url } = yield* start({
      entry: { base_url },
      sections: {
        oai: [{ model_name: "large", type: "responses", preset: "openai", api_keys: ["k"], base_url, ...limits }]
      }
    })
    return (contentType: string, pieces: ReadonlyArray<Uint8Array>, fields: Readonly<Record<string, unknown>> = {}) =>
      Effect.suspend(() => {
        upstream.answer(contentType, pieces)
        return postText(url + paths[protocol], JSON.stringify(question(protocol, models[protocol], fields)))
      })
  })

const utf8 = new TextEncoder()

/** The bytes in pieces that end at these places of every thousand bytes, also within a character. */
const cut = (text: string, places: ReadonlyArray<number>): ReadonlyArray<Uint8Array> => {
  const bytes = utf8.encode(text)
  const ends = [...places.map((place) => Math.floor((place * bytes.length) / 1000)), bytes.length].sort((a, b) => a - b)
  return ends.map((end, index) => bytes.subarray(ends[index - 1] ?? 0, end)).filter(({ length }) => length > 0)
}

const places = FastCheck.array(FastCheck.nat(999), { maxLength: 5 })

/** An object with known members among unknown ones. */
const withMembers = (unknown: ObjectText, members: Readonly<Record<string, string>>, isLast: boolean): string => {
  const known = Object.entries(members).map(([name, value]) => ({ name, quoted: JSON.stringify(name), value }))
  return renderObject({
    ...unknown,
    members: isLast ? [...unknown.members, ...known] : [...known, ...unknown.members]
  })
}

const answers: Readonly<Record<Protocol, Readonly<Record<string, string>>>> = {
  "chat completions": {
    id: '"chatcmpl-1"',
    choices:
      '[{"index":0,"message":{"role":"assistant","content":"H\\u0069 \\ud83d\\ude00","reasoning_content":"r","x":1.0,' +
      '"tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":"{\\"a\\": 1.0}"}}]},"finish_reason":"tool_calls"}]',
    usage: '{"prompt_tokens":5,"completion_tokens":2.0,"total_tokens":7}'
  },
  responses: {
    object: '"response"',
    status: '"completed"',
    output:
      '[{"type":"x_item", "a":1e3},{"type":"message","role":"assistant","content":[{"type":"output_text","text":"H"}]}]',
    usage: '{"input_tokens":5, "output_tokens":2,"total_tokens":7}'
  },
  messages: {
    type: '"message"',
    role: '"assistant"',
    content:
      '[{"type":"thinking","thinking":"t","signature":"s","x":1.0},{"type":"text","text":"H"},{"type":"x_block"}]',
    stop_reason: '"end_turn"',
    usage: '{"input_tokens":5,"output_tokens":2}'
  }
}

const chunkOf = (delta: string, reason = "null", more = ""): string =>
  `{"id":"chatcmpl-1","object":"chat.completion.chunk","created":7,"model":"m"${more},"choices":[{"index":0,"delta":${delta},"finish_reason":${reason}}]}`

const usageChunk =
  '{"id":"chatcmpl-1","choices": [ ],"usage":{"prompt_tokens":5,"completion_tokens":2,"total_tokens":7}}'

interface Event {
  readonly name?: string
  readonly data: string
}

/** The events of a stream, with reasoning and tool calls in forms that an encoder would change. */
const streams: Readonly<Record<Protocol, ReadonlyArray<Event>>> = {
  "chat completions": [
    { data: chunkOf('{"role":"assistant","content":""}', "null", ',"x":1.0') },
    { data: chunkOf('{"reasoning_content":"th\\u0069nk"}') },
    { data: chunkOf('{"content":"H\\ud83d\\ude00"}') },
    { data: chunkOf('{"content":"\u00e9\u{1f600}"}') },
    { data: chunkOf('{"tool_calls":[{"index":0,"id":"c","type":"function","function":{"name":"f","arguments":""}}]}') },
    { data: chunkOf('{"tool_calls":[{"index":0,"function":{"arguments":"{}"}}]}') },
    { data: chunkOf("{}", '"tool_calls"') },
    { data: usageChunk },
    { data: "[DONE]" }
  ],
  responses: [
    { name: "response.created", data: '{"type":"response.created","response":{"id":"r","model":"m","output":[]}}' },
    { name: "response.x", data: '{"type":"response.x","a":1.0}' },
    {
      name: "response.output_text.delta",
      data: '{"type":"response.output_text.delta","output_index":0,"content_index":0,"delta":"H\u00e9"}'
    },
    {
      name: "response.completed",
      data: '{"type":"response.completed","response":{"id":"r","model":"m","status":"completed","output":[{"type":"message","role":"assistant","content":[{"type":"output_text","text":"H\u00e9"}]}],"usage":{"input_tokens":1,"output_tokens":1,"total_tokens":2}}}'
    }
  ],
  messages: [
    {
      name: "message_start",
      data: '{"type":"message_start","message":{"id":"m","type":"message","role":"assistant","model":"m","content":[],"usage":{"input_tokens":5,"output_tokens":1.0}}}'
    },
    {
      name: "content_block_start",
      data: '{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}'
    },
    { name: "ping", data: '{"type": "ping"}' },
    {
      name: "content_block_delta",
      data: '{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"\u00e9\\u00e9"}}'
    },
    { name: "content_block_stop", data: '{"type":"content_block_stop","index":0 }' },
    {
      name: "message_delta",
      data: '{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":2}}'
    },
    { name: "message_stop", data: '{"type":"message_stop"}' }
  ]
}

/** How a server writes the frames of its stream. */
const notations = FastCheck.record({
  lineEnd: FastCheck.constantFrom("\n", "\r\n"),
  space: FastCheck.constantFrom("", " "),
  /** Other lines before each frame, and other frames. */
  others: FastCheck.array(FastCheck.constantFrom("", ": comment", "id: 7", "retry: 100", ": a\n\n: b"), {
    minLength: 10,
    maxLength: 10
  }),
  places: FastCheck.array(FastCheck.nat(999), { maxLength: 8 })
})

type Notation = typeof notations extends FastCheck.Arbitrary<infer A> ? A : never

const write = (events: ReadonlyArray<Event>, { lineEnd, others, space }: Notation): string =>
  events
    .map(({ data, name }, index) =>
      [
        ...((others[index] ?? "") === "" ? [] : [others[index]]),
        ...(name === undefined ? [] : [`event:${space}${name}`]),
        `data:${space}${data}`,
        "",
        ""
      ]
        .join("\n")
        .replaceAll("\n", lineEnd)
    )
    .join("")

const samples = <A>(arbitrary: FastCheck.Arbitrary<A>): ReadonlyArray<A> =>
  FastCheck.sample(arbitrary, { numRuns: 40, seed: 1 })

const eventStream = "text/event-stream"

const withUsage = { stream: true, stream_options: { include_usage: true } }

describe("answer of a faithful provider of the client's protocol", () => {
  it.scopedLive.each(protocols)("reaches the client of %s whole as it came", (protocol) =>
    Effect.gen(function* () {
      const ask = yield* relaying(protocol)
      for (const [unknown, isLast, space, at] of samples(
        FastCheck.tuple(objectTexts, FastCheck.boolean(), spaces, places)
      )) {
        const text = withMembers({ ...unknown, space }, answers[protocol], isLast)
        const answer = yield* ask("application/json", cut(text, at))
        expect(answer.text).toBe(text)
      }
    })
  )

  it.scopedLive.each(protocols)("reaches the client of %s streamed as it came", (protocol) =>
    Effect.gen(function* () {
      const ask = yield* relaying(protocol)
      for (const notation of samples(notations)) {
        const text = write(streams[protocol], notation)
        expect((yield* ask(eventStream, cut(text, notation.places), withUsage)).text).toBe(text)
      }
    })
  )

  it.scopedLive("lacks the usage chunk where the client did not ask for it, and nothing else", () =>
    Effect.gen(function* () {
      const ask = yield* relaying("chat completions")
      for (const notation of samples(notations)) {
        const plain = { ...notation, others: [] }
        const text = write(streams["chat completions"], plain)
        const expected = write(
          streams["chat completions"].filter(({ data }) => data !== usageChunk),
          plain
        )
        expect((yield* ask(eventStream, cut(text, notation.places), { stream: true })).text).toBe(expected)
      }
    })
  )

  it.scopedLive("gets an estimated usage chunk before [DONE] where the client asked and the provider sent none", () =>
    Effect.gen(function* () {
      const ask = yield* relaying("chat completions")
      const [notation] = samples(notations)
      if (notation === undefined) throw new Error("there is one")
      const plain = { ...notation, lineEnd: "\r\n", others: [] }
      const events = streams["chat completions"].filter(({ data }) => data !== usageChunk)
      const { text } = yield* ask(eventStream, [utf8.encode(write(events, plain))], withUsage)
      const [before = "", chunk = "", after = ""] = text.split(
        /(data: \{"id":"chatcmpl-1"[^\n]*"choices":\[\][^\n]*\n\n)/
      )
      expect(before + after).toBe(write(events, plain))
      expect(after).toBe(write([{ data: "[DONE]" }], plain))
      expect(JSON.parse(chunk.slice(6))).toMatchObject({
        model: "m",
        choices: [],
        usage: { completion_tokens: expect.any(Number), prompt_tokens: expect.any(Number) }
      })
    })
  )

  it.scopedLive("gets a missing end mark, behind a last frame without its blank line too", () =>
    Effect.gen(function* () {
      const chat = yield* relaying("chat completions")
      const events = streams["chat completions"].slice(0, -1)
      const sent = events.map(({ data }) => `data:${data}\n\n`).join("")
      for (const text of [sent, sent.slice(0, -1), sent.slice(0, -2)]) {
        const received = (yield* chat(eventStream, [utf8.encode(text)], withUsage)).text
        expect(received.startsWith(text)).toBe(true)
        expect(received.slice(text.length)).toMatch(/^\n*data: \[DONE\]\n\n$/)
      }
    })
  )

  it.scopedLive("ends with a typed error where it breaks off in a frame, whose beginning is dropped", () =>
    Effect.gen(function* () {
      const ask = yield* relaying("messages")
      const frames = streams.messages.slice(0, 4).map(({ data, name }) => `event:${name}\r\ndata:${data}\r\n\r\n`)
      const { text } = yield* ask(eventStream, cut(`${frames.join("")}event: content_bl`, [500]), withUsage)
      expect(text.startsWith(frames.join(""))).toBe(true)
      const rest = text.slice(frames.join("").length)
      expect(rest).toMatch(/^event: error\ndata: \{"type":"error"/)
    })
  )

  it.scopedLive.each([
    [
      "messages",
      'event: error\r\ndata: {"type":"error", "error":{"type":"overloaded_error","message":"Too busy."}}\r\n\r\n'
    ],
    ["chat completions", ': x\ndata: {"error" : {"message":"Too busy.","type":"server_error","code":null}}\n\n']
  ] as const)("ends with the error that a provider of %s sends in a stream, as it came", ([protocol, error]) =>
    Effect.gen(function* () {
      const ask = yield* relaying(protocol)
      const frames = streams[protocol]
        .slice(0, 4)
        .map(({ data, name }) => `${name === undefined ? "" : `event: ${name}\n`}data: ${data}\n\n`)
        .join("")
      for (const places of [[], [300], [900], [999]]) {
        const { text } = yield* ask(eventStream, cut(frames + error, places), { stream: true })
        expect(text).toBe(frames + error)
      }
    })
  )

  it.scopedLive("ends with an error of the gateway where the message of the provider names an account", () =>
    Effect.gen(function* () {
      const ask = yield* relaying("chat completions")
      const frames = streams["chat completions"]
        .slice(0, 4)
        .map(({ data }) => `data: ${data}\n\n`)
        .join("")
      const message = "The server had an error for organization org-4711"
      const error = `data: ${JSON.stringify({ error: { message, type: "server_error", code: null } })}\n\n`
      const { text } = yield* ask(eventStream, cut(frames + error, []), { stream: true })
      expect(text.startsWith(frames)).toBe(true)
      expect(text).toContain('"error"')
      expect(text).not.toContain("org-4711")
    })
  )
})
