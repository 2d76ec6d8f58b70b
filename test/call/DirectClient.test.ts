/** The direct form of a client has the same results and errors as its Effect form. */
import { HttpClient, HttpClientResponse } from "@effect/platform"
import { describe, expect, it } from "@effect/vitest"
import { Chunk, Effect, Either, Redacted, Stream } from "effect"
import * as fc from "fast-check"
import type { AnswerSoFar } from "../../src/call/collector.js"
import * as Collector from "../../src/call/collector.js"
import * as Direct from "../../src/call/direct.js"
import * as DirectClient from "../../src/call/directClient.js"
import * as ProviderClient from "../../src/call/ProviderClient.js"
import { textOf, relayOf } from "../../src/call/passthrough.js"
import * as Chat from "../../src/vocabulary/Chat.js"
import * as ChatEvent from "../../src/vocabulary/ChatEvent.js"
import * as LLMErrors from "../../src/vocabulary/LLMError.js"
import * as Usage from "../../src/vocabulary/Usage.js"
import * as Anthropic from "../../src/wire/Anthropic.js"
import * as ChatCompletions from "../../src/wire/ChatCompletions.js"
import * as Framing from "../../src/wire/framing.js"
import * as Gemini from "../../src/wire/Gemini.js"
import * as Ollama from "../../src/wire/Ollama.js"
import * as Responses from "../../src/wire/Responses.js"
import type { ClientWire, Wire } from "../../src/wire/Wire.js"
import * as DashScope from "../support/dashscope.js"
import * as Server from "../support/scriptedServer.js"
import { eventually } from "../support/eventually.js"
import { timers } from "../support/timers.js"
import { chatRequest, chatResponse } from "../wire/generators.js"
import { splitDeltas, writeFrames } from "../wire/roundTrips.js"

const wires: ReadonlyArray<Wire> = [
  ChatCompletions.make(),
  Responses.make(),
  Anthropic.make(),
  Gemini.make(),
  Ollama.make(),
  DashScope.make()
]

const timings: ReadonlyArray<Server.Timing> = ["synchronous", "asynchronous"]

const endpoint: ProviderClient.Endpoint = { provider: "acme", baseUrl: "http://acme.test/v1" }

const question: Chat.ChatRequest = { messages: [Chat.user("?")] }

const answer: Chat.ChatResponse = Chat.withContent(
  {
    id: "answer_1",
    provider: "acme",
    model: "large",
    finishReason: "tool-calls" as const,
    rawFinishReason: "tool_calls",
    usage: Usage.make({ inputTokens: 3, outputTokens: 4 }),
    latency: 0,
    keyId: "key-1",
    attempts: [],
    providerMetadata: {}
  },
  [
    { type: "reasoning", text: "Hmm …", provider: "acme" },
    Chat.text("Grüße 🙂"),
    { type: "tool-call", id: "call_1", name: "weather", arguments: '{"city":"Zürich"}' }
  ]
)

interface Clients {
  readonly effect: ProviderClient.Service
  readonly direct: DirectClient.DirectClient
}

const clientsOf = (
  wire: ClientWire,
  server: Server.ScriptedServer,
  at: ProviderClient.Endpoint = endpoint
): Effect.Effect<Clients> =>
  ProviderClient.make(wire, at).pipe(
    Effect.provideService(HttpClient.HttpClient, server.http),
    Effect.map((effect) => {
      const direct = DirectClient.of(effect)
      if (direct === undefined) throw new Error("The client has no direct form.")
      return { effect, direct }
    })
  )

const streamType = ({ framing }: ClientWire) => (framing === "sse" ? "text/event-stream" : "application/x-ndjson")

const wholeScript = (wire: Wire, response: Chat.ChatResponse): Server.Script => ({
  headers: { "content-type": "application/json" },
  pieces: Server.bytes(JSON.stringify(wire.encodeResponse(response)))
})

const framesOf = (wire: Wire, response: Chat.ChatResponse, size = 5): ReadonlyArray<string> =>
  writeFrames(wire, splitDeltas(ChatEvent.fromResponse(response), size), {
    stream_options: { include_usage: true }
  }).map((frame) => Framing.render(wire.framing, frame))

const streamScript = (wire: ClientWire, text: string, end: Server.End = "close"): Server.Script => ({
  headers: { "content-type": streamType(wire) },
  pieces: Server.bytes(text),
  end
})

/** Both forms answer the same for a script; returns what they answer. */
const sameChat = (wire: ClientWire, script: Server.Script, timing: Server.Timing, request = question) =>
  Effect.gen(function* () {
    const server = Server.make(() => script, timing)
    const { direct, effect } = yield* clientsOf(wire, server)
    const expected = yield* Server.chat(effect, request)
    expect(Server.plainResult(yield* Server.directChat(direct, request))).toEqual(expected)
    expect(server.open()).toBe(0)
    return expected
  })

const sameStream = (wire: ClientWire, script: Server.Script, timing: Server.Timing, request = question) =>
  Effect.gen(function* () {
    const server = Server.make(() => script, timing)
    const { direct, effect } = yield* clientsOf(wire, server)
    const expected = yield* Server.chatStream(effect, request)
    const streamed = yield* Server.directStream(direct, request)
    expect(Server.plainStream(streamed)).toEqual(expected)
    expect(streamed.reads.every((events) => events.length > 0)).toBe(true)
    if (streamed.reads.length > 0) {
      expect(streamed.collected).toEqual(streamed.reads.flat().reduce(ChatEvent.append, ChatEvent.nothing))
    }
    expect(server.open()).toBe(0)
    return expected
  })

/** Cuts a text at these shares of its length. */
const cutAt = (text: string, shares: ReadonlyArray<number>): ReadonlyArray<Uint8Array> => {
  const whole = new TextEncoder().encode(text)
  const ends = [...shares.map((share) => Math.floor(share * whole.length)), whole.length].sort((a, b) => a - b)
  return ends.map((end, at) => whole.subarray(ends[at - 1] ?? 0, end)).filter((piece) => piece.length > 0)
}

const cases = fc.record({
  response: chatResponse("acme"),
  request: chatRequest("acme"),
  size: fc.integer({ min: 1, max: 6 }),
  shares: fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 6 }),
  timing: fc.constantFrom(...timings)
})

describe.each(wires.map((wire) => [wire.name, wire] as const))("direct client of %s", (_, wire) => {
  it.live("gives the same answer as the Effect form for generated answers in any pieces", () =>
    Effect.promise(() =>
      fc.assert(
        fc.asyncProperty(cases, ({ request, response, shares, timing }) => {
          const text = JSON.stringify(wire.encodeResponse(response))
          const script = { ...wholeScript(wire, response), pieces: cutAt(text, shares) }
          return Effect.runPromise(Effect.asVoid(sameChat(wire, script, timing, request)))
        }),
        { numRuns: 40 }
      )
    )
  )

  it.live("gives the same events as the Effect form for generated streams in any pieces", () =>
    Effect.promise(() =>
      fc.assert(
        fc.asyncProperty(cases, ({ request, response, shares, size, timing }) => {
          const pieces = cutAt(framesOf(wire, response, size).join(""), shares)
          const streamed = sameStream(wire, { ...streamScript(wire, ""), pieces }, timing, request)
          return Effect.runPromise(Effect.asVoid(streamed))
        }),
        { numRuns: 40 }
      )
    )
  )

  it.live("gives the same answer when it arrives byte by byte, and the answer itself is right", () =>
    Effect.gen(function* () {
      const text = JSON.stringify(wire.encodeResponse(answer))
      const script = { ...wholeScript(wire, answer), pieces: Server.dribbled(text) }
      expect(yield* sameChat(wire, script, "asynchronous")).toMatchObject({ text: "Grüße 🙂" })
      const frames = framesOf(wire, answer).join("")
      for (const timing of timings) {
        const dribbled = { ...streamScript(wire, ""), pieces: Server.dribbled(frames) }
        expect((yield* sameStream(wire, dribbled, timing)).end).toBe("complete")
      }
    })
  )

  it.live("gives the same result when the answer is divided in two at eighty places", () =>
    Effect.gen(function* () {
      const whole = new TextEncoder().encode(JSON.stringify(wire.encodeResponse(answer)))
      const frames = new TextEncoder().encode(framesOf(wire, answer).join(""))
      const inTwo = (body: Uint8Array, at: number) => [body.subarray(0, at), body.subarray(at)]
      for (let place = 1; place < 80; place++) {
        const timing = place % 2 === 0 ? "synchronous" : "asynchronous"
        const divided = inTwo(whole, Math.ceil((place / 80) * (whole.length - 1)))
        yield* sameChat(wire, { ...wholeScript(wire, answer), pieces: divided }, timing)
        const pieces = inTwo(frames, Math.ceil((place / 80) * (frames.length - 1)))
        yield* sameStream(wire, { ...streamScript(wire, ""), pieces }, timing)
      }
    })
  )

  it.live("gives the same result when the connection ends or breaks after any frame", () =>
    Effect.gen(function* () {
      const frames = framesOf(wire, answer, 8)
      for (const end of ["close", "reset"] as const) {
        for (let count = 0; count <= frames.length; count++) {
          const script = streamScript(wire, "", end)
          const pieces = frames.slice(0, count).flatMap(Server.bytes)
          yield* sameStream(wire, { ...script, pieces }, count % 2 === 0 ? "synchronous" : "asynchronous")
          // The same frames in one read, and the beginning of the next one.
          const text = frames.slice(0, count).join("") + (frames[count] ?? "").slice(0, 12)
          yield* sameStream(wire, streamScript(wire, text, end), "asynchronous")
        }
      }
    })
  )

  it.live("gives the same result when the connection stays open after any frame from the finish signal on", () =>
    Effect.gen(function* () {
      const frames = framesOf(wire, { ...answer, finishReason: "stop" }, 100)
      const last = frames.length
      yield* Effect.forEach(
        [last - 1, last],
        (count) =>
          Effect.gen(function* () {
            const text = frames.slice(0, count).join("")
            const complete = yield* sameStream(wire, streamScript(wire, text), "asynchronous")
            // A stream that does not know its end would stay open for ever.
            if (complete.end !== "complete") return
            yield* sameStream(wire, streamScript(wire, text, "stay open"), "asynchronous")
          }),
        { concurrency: "unbounded" }
      )
    })
  )

  it.live("gives the same error for every status and body, with the rate limit and retry headers", () =>
    Effect.gen(function* () {
      const bodies = [
        "",
        "<html>Bad gateway</html>",
        "null",
        JSON.stringify(wire.encodeError({ status: 400, message: "It is wrong with sk-test-0123456789.", code: "bad" })),
        JSON.stringify({ error: { message: "Slow down.", code: "rate_limit_exceeded", type: "requests" } })
      ]
      const headers = { "retry-after": "3", "x-request-id": "req_1", "x-should-retry": "true" }
      for (const status of [300, 400, 401, 402, 403, 404, 408, 413, 429, 500, 503, 529]) {
        for (const [at, body] of bodies.entries()) {
          const script = { status, headers: at % 2 === 0 ? headers : {}, pieces: Server.bytes(body) }
          const expected = yield* sameChat(wire, script, "asynchronous")
          expect(expected).toMatchObject({ status, keyId: "key-1" })
          expect(JSON.stringify(expected)).not.toContain("sk-test")
          yield* sameStream(wire, script, "synchronous")
          yield* sameChat(wire, { ...script, end: "reset" }, "asynchronous")
        }
      }
    })
  )

  it.live("gives the same error for an error under status 200, whole and in the middle of a stream", () =>
    Effect.gen(function* () {
      const error = { status: 503, message: "It broke.", code: "broken" }
      const whole = JSON.stringify(wire.encodeError(error))
      const json = { headers: { "content-type": "application/json" }, pieces: Server.bytes(whole) }
      yield* sameChat(wire, json, "asynchronous")
      yield* sameStream(wire, json, "asynchronous")
      const encoder = wire.encodeStream({})
      const begun = [
        ...encoder.push({ _tag: "Start", id: "a", provider: "p", model: "m", keyId: "", attempts: [] }),
        ...encoder.push({ _tag: "TextDelta", index: 0, text: "Hello" })
      ].map((frame) => Framing.render(wire.framing, frame))
      const failed = encoder.fail(error).map((frame) => Framing.render(wire.framing, frame))
      for (const timing of timings) {
        const begins = yield* sameStream(wire, streamScript(wire, [...begun, ...failed].join("")), timing)
        expect(begins.end).toMatchObject({ _tag: "StreamInterruptedError", begun: true, partial: { text: "Hello" } })
        const pieces = [...begun, ...failed].flatMap(Server.bytes)
        yield* sameStream(wire, { ...streamScript(wire, ""), pieces }, timing)
        yield* sameStream(wire, streamScript(wire, failed.join("")), timing)
      }
    })
  )

  it.live("gives the same result for whole answers, pages and texts that come in place of a stream", () =>
    Effect.gen(function* () {
      const json = JSON.stringify(wire.encodeResponse(answer))
      const texts = [json, "<html>login</html>", '"text"', "null", "", "[]", "data: not json\n\n", "{\n", "hello"]
      for (const type of ["application/json; charset=utf-8", "text/html", "text/event-stream", ""]) {
        for (const text of texts) {
          const script = { headers: { "content-type": type }, pieces: Server.bytes(text) }
          const whole = yield* sameStream(wire, script, "asynchronous")
          yield* sameStream(wire, { ...script, end: "reset" }, "synchronous")
          if (text === json && type.startsWith("application/json")) expect(whole.end).toBe("complete")
        }
      }
    })
  )

  it.live("sends the same request as the Effect form", () =>
    Effect.promise(() =>
      fc.assert(
        fc.asyncProperty(chatRequest("acme"), (request) =>
          Effect.runPromise(
            Effect.gen(function* () {
              const server = Server.make(() => wholeScript(wire, answer))
              const at = {
                ...endpoint,
                baseUrl: "http://user:secret@acme.test/base/?in=url#hash",
                query: { "api-version": "1 2" },
                headers: { "X-Title": "Ours", "User-Agent": "test", "Content-Length": "1" }
              }
              const custom: ClientWire = {
                ...wire,
                encodeRequest: (...args) =>
                  Either.map(wire.encodeRequest(...args), (encoded) => ({
                    ...encoded,
                    headers: { ...encoded.headers, "X-Protocol": "acme", Accept: "application/vnd.acme" }
                  }))
              }
              const { direct, effect } = yield* clientsOf(custom, server, at)
              for (const ask of [
                [Server.chat(effect, request), Server.directChat(direct, request)],
                [Server.chatStream(effect, request), Server.directStream(direct, request)]
              ] as const) {
                server.requests.length = 0
                yield* ask[0]
                const [portable] = server.requests
                yield* ask[1]
                expect(server.requests.at(-1)).toEqual(portable)
              }
            })
          )
        ),
        { numRuns: 15 }
      )
    )
  )
})

const wire = ChatCompletions.make()

const chunk = (delta: object, fields: object = {}): string =>
  `data: ${JSON.stringify({ id: "a", choices: [{ index: 0, delta, ...fields }] })}\n\n`

const stop = chunk({}, { finish_reason: "stop" })

const counts = `data: ${JSON.stringify({ id: "a", choices: [], usage: { prompt_tokens: 3, completion_tokens: 2 } })}\n\n`

const done = "data: [DONE]\n\n"

/** A stream that the test drives by hand, and what it has reported. */
const driven = (options: Partial<DirectClient.DirectCall> = {}, abortAt?: ChatEvent.ChatEvent["_tag"]) =>
  Effect.gen(function* () {
    const log: Array<string> = []
    let sink: Direct.Sink | undefined
    const transport: Direct.DirectTransport = {
      send: (_, given) => {
        sink = given
        return {
          abort: () => void log.push("abort"),
          pause: () => void log.push("pause"),
          resume: () => void log.push("resume")
        }
      }
    }
    const server = Server.make(() => ({}))
    Direct.register(server.http, transport)
    const { direct } = yield* clientsOf(wire, server)
    const call = yield* Server.directCall(options)
    const soFar: Array<AnswerSoFar> = []
    /** The log right after the events with `Finish` have been handled. */
    const afterFinish: Array<ReadonlyArray<string>> = []
    const stream: DirectClient.DirectStream = direct.chatStream(question, call, {
      onEvents: (events, answer) => {
        soFar.push(answer)
        const tags = events.map(({ _tag }) => _tag)
        log.push(tags.join(" "))
        if (tags.includes("Finish")) queueMicrotask(() => afterFinish.push([...log]))
        if (abortAt !== undefined && tags.includes(abortAt)) stream.abort()
      },
      onEnd: () => void log.push("end"),
      onError: (error) => void log.push(error._tag)
    })
    if (sink === undefined) throw new Error("Nothing was sent.")
    const { onData, onEnd, onError, onHead } = sink
    return {
      log,
      soFar,
      afterFinish,
      stream,
      head: () => onHead(200, { "content-type": "text/event-stream" }),
      data: (text: string) => Server.bytes(text).forEach(onData),
      end: onEnd,
      break: () => onError(new Error("reset"))
    }
  })

/** The milliseconds of the timers of graces that are running. */
const graceTimers = Effect.map(
  timers,
  (alive) => () => alive().flatMap((timer) => (timer.includes("directExchange") ? [Number.parseFloat(timer)] : []))
)

type Driven = Effect.Effect.Success<ReturnType<typeof driven>>

describe("direct form of a client", () => {
  it.effect("exists for a client of the very HttpClient that has a direct transport, and for no other", () =>
    Effect.gen(function* () {
      const server = Server.make(() => ({}))
      const clientOver = (http: HttpClient.HttpClient, at = endpoint) =>
        Effect.provideService(ProviderClient.make(wire, at), HttpClient.HttpClient, http)
      const client = yield* clientOver(server.http)
      expect(DirectClient.of(client)).toBeDefined()
      expect(DirectClient.of({ ...client })).toBeUndefined()
      const wrapped = HttpClient.mapRequest(server.http, (request) => request)
      expect(DirectClient.of(yield* clientOver(wrapped))).toBeUndefined()
    })
  )

  it.effect("does not exist for an endpoint whose token is an Effect", () =>
    Effect.gen(function* () {
      const auth = { header: "authorization", token: () => Effect.succeed(Redacted.make("token")) }
      const client = yield* Effect.provideService(
        ProviderClient.make(wire, { ...endpoint, auth }),
        HttpClient.HttpClient,
        Server.make(() => ({})).http
      )
      expect(DirectClient.of(client)).toBeUndefined()
    })
  )

  it.live(
    "reports a connection that is not made, an invalid base URL and an unreadable request like the Effect form",
    () =>
      Effect.gen(function* () {
        const refused = Object.assign(new Error("connect ECONNREFUSED"), { code: "ECONNREFUSED" })
        const timedOut = new Error("failed", { cause: Object.assign(new Error("slow"), { code: "ETIMEDOUT" }) })
        for (const [error, tag] of [
          [refused, "NetworkError"],
          [timedOut, "TimeoutError"]
        ] as const) {
          for (const timing of timings) {
            expect(yield* sameChat(wire, { refused: error }, timing)).toMatchObject({ _tag: tag })
            expect((yield* sameStream(wire, { refused: error }, timing)).end).toMatchObject({ _tag: tag })
          }
        }
        const server = Server.make(() => ({ refused: new TypeError("Invalid URL") }))
        const { direct, effect } = yield* clientsOf(wire, server, { ...endpoint, baseUrl: "acme.test/v1" })
        const expected = yield* Server.chat(effect, question)
        expect(expected).toMatchObject({ _tag: "InvalidRequestError", field: "baseUrl" })
        expect(Server.plainResult(yield* Server.directChat(direct, question))).toEqual(expected)
        const unsendable: Chat.ChatRequest = { ...question, extra: { big: 1n } }
        expect(yield* sameChat(wire, {}, "synchronous", unsendable)).toMatchObject({ field: "extra" })
        const foreign: Chat.ChatRequest = {
          messages: [{ role: "user", content: [{ type: "provider", native: { other: {} } }] }]
        }
        expect(yield* sameChat(wire, {}, "synchronous", foreign)).toMatchObject({ _tag: "UnsupportedError" })
      })
  )

  it.live("passes the rate limit headers of a success on before the answer, and those of an error not at all", () =>
    Effect.gen(function* () {
      const headers = { "content-type": "application/json", "x-ratelimit-remaining-requests": "7" }
      for (const status of [200, 500]) {
        const server = Server.make(() => ({ ...wholeScript(wire, answer), status, headers }))
        const { direct } = yield* clientsOf(wire, server)
        const remaining: Array<number | undefined> = []
        yield* Server.directChat(direct, question, {
          onRateLimits: ({ remainingRequests }) => void remaining.push(remainingRequests)
        })
        expect(remaining).toEqual(status === 200 ? [7] : [])
      }
    })
  )

  it.live("reports that the server rejects an optional field, which both forms leave out from then on", () =>
    Effect.gen(function* () {
      for (const timing of timings) {
        const message = "Unrecognized request argument supplied: stream_options"
        const server = Server.make(
          ({ body = "" }) =>
            body.includes("stream_options")
              ? { status: 400, pieces: Server.bytes(JSON.stringify({ error: { message } })) }
              : streamScript(wire, [chunk({ content: "Hello" }), stop, done].join("")),
          timing
        )
        const { direct, effect } = yield* clientsOf(wire, server)
        const streamed = yield* Server.directStream(direct, question)
        expect(streamed.error).toMatchObject({ _tag: "InvalidRequestError", isFieldOmitted: true })
        expect(server.requests.length).toBe(1)
        const again = yield* Server.directStream(direct, question)
        expect(again.error).toBeUndefined()
        expect(again.generatedTokens).toBe(Usage.estimateTokens("Hello"))
        yield* Server.chatStream(effect, question)
        expect(server.requests.length).toBe(3)
        expect(server.open()).toBe(0)
      }
    })
  )

  it.live("sends the optional field again after a request without it was rejected, too", () =>
    Effect.gen(function* () {
      const error = { error: { message: "Unrecognized request argument supplied: stream_options" } }
      const server = Server.make(() => ({ status: 400, pieces: Server.bytes(JSON.stringify(error)) }))
      const { direct } = yield* clientsOf(wire, server)
      for (let call = 0; call < 4; call++) yield* Server.directStream(direct, question)
      const hasField = server.requests.map(({ body = "" }) => body.includes("stream_options"))
      expect(hasField).toEqual([true, false, true, false])
    })
  )

  it.live("sends a request of the portable form once where the caller sends it again", () =>
    Effect.gen(function* () {
      const error = { error: { message: "Unrecognized request argument supplied: stream_options" } }
      const server = Server.make(() => ({ status: 400, pieces: Server.bytes(JSON.stringify(error)) }))
      const { effect } = yield* clientsOf(wire, server)
      const { key, model } = yield* Server.directCall()
      const run = (resends: boolean) =>
        Effect.flip(Stream.runDrain(effect.chatStream(question, { key, model, resends })))
      expect(yield* run(true)).toMatchObject({ _tag: "InvalidRequestError", isFieldOmitted: true })
      expect(server.requests.length).toBe(1)
      yield* run(false)
      expect(server.requests.length).toBe(2)
      yield* run(false)
      expect(server.requests.length).toBe(4)
    })
  )

  it.live(
    "attaches the raw text to an answer and the bytes to the events of each network read, when they are wanted",
    () =>
      Effect.gen(function* () {
        const whole = yield* clientsOf(
          wire,
          Server.make(() => wholeScript(wire, answer))
        )
        const result = yield* Server.directChat(whole.direct, question, { rawProtocol: wire.name })
        expect(textOf(wire.name, Either.getOrThrow(result))?.text).toBe(JSON.stringify(wire.encodeResponse(answer)))
        const pieces = [`${chunk({ content: "a" })}${chunk({ content: "b" })}`, `${stop}${done}`].flatMap(Server.bytes)
        const streaming = yield* clientsOf(
          wire,
          Server.make(() => ({ ...streamScript(wire, ""), pieces }))
        )
        const { reads } = yield* Server.directStream(streaming.direct, question, { rawProtocol: wire.name })
        const relayed = reads.map((events) =>
          new TextDecoder().decode(relayOf(wire.name, Chunk.unsafeFromArray(events))?.bytes)
        )
        expect(relayed).toEqual([`${chunk({ content: "a" })}${chunk({ content: "b" })}`, `${stop}${done}`])
        const other = yield* Server.directStream(streaming.direct, question, { rawProtocol: "other" })
        expect(other.reads.map((events) => relayOf(wire.name, Chunk.unsafeFromArray(events)))).toEqual([
          undefined,
          undefined
        ])
      })
  )

  it.live("reports what a custom wire throws after the request was sent, and throws what it throws before", () =>
    Effect.gen(function* () {
      const broken = (): never => {
        throw new Error("the wire is broken")
      }
      const decoder = () => wire.decodeStream({ provider: "acme", model: "m", estimatedInputTokens: 0 })
      const wires: ReadonlyArray<ClientWire> = [
        { ...wire, decodeResponse: broken, decodeStream: broken },
        { ...wire, decodeResponse: broken, decodeStream: () => ({ ...decoder(), push: broken }) },
        {
          ...wire,
          decodeResponse: broken,
          decodeStream: () => ({ ...decoder(), state: "open", usage: Usage.empty, end: broken })
        }
      ]
      for (const custom of wires) {
        for (const timing of timings) {
          const server = Server.make(
            (request) =>
              request.body?.includes('"stream":true') === true
                ? streamScript(wire, chunk({ content: "Hello" }))
                : wholeScript(wire, answer),
            timing
          )
          const { direct } = yield* clientsOf(custom, server)
          const malformed = { _tag: "MalformedResponseError" }
          expect(Server.plainResult(yield* Server.directChat(direct, question))).toMatchObject(malformed)
          expect((yield* Server.directStream(direct, question)).error).toMatchObject(malformed)
          expect(server.open()).toBe(0)
        }
      }
      const server = Server.make(() => ({}))
      const { direct } = yield* clientsOf({ ...wire, encodeRequest: broken }, server)
      const call = yield* Server.directCall()
      expect(() => direct.chat(question, call, () => undefined)).toThrow("the wire is broken")
      expect(server.requests).toEqual([])
    })
  )
})

describe("size bounds of the direct form", () => {
  const mebibyte = new Uint8Array(1024 * 1024).fill(0x20)

  it.live("cuts the body of an error at 1 MiB, closes the connection, and classifies the error by its status", () =>
    Effect.gen(function* () {
      for (const timing of timings) {
        const server = Server.make(
          () => ({ status: 503, pieces: [mebibyte, mebibyte, mebibyte], end: "stay open" }),
          timing
        )
        const { direct } = yield* clientsOf(wire, server)
        const result = yield* Server.directChat(direct, question)
        expect(Server.plainResult(result)).toMatchObject({ _tag: "ProviderUnavailableError", status: 503 })
        expect(server.open()).toBe(0)
      }
    })
  )

  it.live("fails on a whole answer of more than 64 MiB with a MalformedResponseError that is not retried", () =>
    Effect.gen(function* () {
      const pieces = [...Array.from({ length: 64 }, () => mebibyte), Uint8Array.of(0x7b), Uint8Array.of(0x7d)]
      const headers = { "content-type": "application/json" }
      const scripts: ReadonlyArray<Server.Script> = [
        { headers, pieces, end: "stay open" },
        { headers: { ...headers, "content-length": String(64 * 1024 * 1024 + 1) }, end: "stay open" }
      ]
      for (const script of scripts) {
        const server = Server.make(() => script)
        const { direct } = yield* clientsOf(wire, server)
        const result = yield* Server.directChat(direct, question)
        const error = Either.getOrThrow(Either.flip(result))
        expect(Server.plainError(error)).toMatchObject({
          _tag: "MalformedResponseError",
          maxBytes: 64 * 1024 * 1024
        })
        expect(LLMErrors.isRetryable(error)).toBe(false)
        const { error: streamed } = yield* Server.directStream(direct, question)
        expect(streamed).toMatchObject({ maxBytes: 64 * 1024 * 1024 })
        expect(server.open()).toBe(0)
      }
    })
  )

  it.live(
    "refuses a whole answer over an HttpClient whose declared length is more than 64 MiB without reading it",
    () =>
      Effect.gen(function* () {
        let read = 0
        const body = new ReadableStream<Uint8Array>({ pull: (controller) => controller.enqueue(mebibyte) })
        const counting = body.pipeThrough(
          new TransformStream<Uint8Array, Uint8Array>({
            transform: (piece, controller) => {
              read++
              controller.enqueue(piece)
            }
          })
        )
        const headers = { "content-length": String(64 * 1024 * 1024 + 1) }
        const http = HttpClient.make((request) =>
          Effect.sync(() => HttpClientResponse.fromWeb(request, new Response(counting, { headers })))
        )
        const client = yield* Effect.provideService(ProviderClient.make(wire, endpoint), HttpClient.HttpClient, http)
        const error = yield* Effect.flip(client.chat(question, Server.call))
        expect(error).toMatchObject({ _tag: "MalformedResponseError", maxBytes: 64 * 1024 * 1024 })
        expect(read).toBeLessThan(10)
      })
  )
})

describe("stream of the direct form", () => {
  it.live("reports the events of one network read together, and its text once for all readers", () =>
    Effect.gen(function* () {
      const stream = yield* driven()
      stream.head()
      stream.data(chunk({ content: "Hel" }) + chunk({ content: "lo" }))
      stream.data(chunk({ tool_calls: [{ index: 0, id: "c", function: { name: "f", arguments: '{"a":' } }] }))
      expect(stream.soFar[1]).toBe(stream.soFar[0])
      expect(stream.soFar[0]?.collected.content).toEqual([Chat.text("Hello")])
      expect(stream.soFar[0]?.generatedTokens()).toBe(Usage.estimateTokens('Hello{"a":'))
      stream.data(`${chunk({}, { finish_reason: "tool_calls" })}${counts}${done}`)
      expect(stream.soFar[0]?.generatedTokens()).toBe(Usage.estimateTokens('Hello{"a":'))
      stream.end()
      expect(stream.log).toEqual(["Start TextDelta TextDelta", "ToolCallDelta", "ToolCallEnd Finish", "abort", "end"])
    })
  )

  it.live("keeps the connection after the last event until it ends, so that it can be reused", () =>
    Effect.gen(function* () {
      const stream = yield* driven()
      stream.head()
      stream.data(`${chunk({ content: "a" })}${stop}${counts}${done}`)
      expect(stream.log).toEqual(["Start TextDelta Finish"])
      stream.data(": bytes after the end\n\n")
      stream.end()
      expect(stream.log.at(-1)).toBe("end")
    })
  )

  it.scopedLive("closes a connection that stays open after the last event, and leaves no timer", () =>
    Effect.gen(function* () {
      const graces = yield* graceTimers
      const stream = yield* driven()
      stream.head()
      stream.data(`${chunk({ content: "a" })}${stop}${counts}${done}`)
      yield* eventually(Effect.sync(() => stream.log.includes("end")))
      expect(stream.log).toEqual(["Start TextDelta Finish", "abort", "end"])
      expect(graces()).toEqual([])
    })
  )

  it.scopedLive(
    "ends a stream whose usage does not come at the usage grace, which a time limit of the call shortens",
    () =>
      Effect.gen(function* () {
        const alive = yield* timers
        const graces = () =>
          alive().flatMap((timer) => (timer.includes("directExchange") ? [Number.parseFloat(timer)] : []))
        const stream = yield* driven({ limits: { deadline: Infinity, idle: 100 } })
        stream.head()
        stream.data(`${chunk({ content: "a" })}${stop}`)
        expect(graces().length).toBe(1)
        // Half of the idle limit; without a limit it is one second.
        expect(Math.max(...graces())).toBeLessThanOrEqual(50)
        yield* eventually(Effect.sync(() => stream.log.includes("end")))
        expect(stream.log).toEqual(["Start TextDelta", "Finish", "abort", "end"])
        expect(stream.soFar[0]?.collected.finish?.usage.estimated).toBe(true)
      })
  )

  it.scopedLive("begins a grace anew when the consumer continues after a pause", () =>
    Effect.gen(function* () {
      const graces = yield* graceTimers
      const stream = yield* driven({ limits: { deadline: Infinity, idle: 200 } })
      stream.head()
      stream.data(chunk({ content: "a" }))
      stream.stream.pause()
      stream.stream.pause()
      stream.data(stop)
      expect(graces()).toEqual([])
      yield* Effect.sleep("150 millis")
      expect(stream.log).toEqual(["Start TextDelta", "pause"])
      stream.stream.resume()
      expect(Math.min(...graces())).toBeGreaterThan(50)
      stream.data(`${counts}${done}`)
      stream.end()
      expect(stream.log).toEqual(["Start TextDelta", "pause", "resume", "Finish", "abort", "end"])
      expect(stream.soFar[0]?.collected.finish?.usage.estimated).toBe(false)
      expect(graces()).toEqual([])
    })
  )

  it.live("pauses a request whose head has not come", () =>
    Effect.gen(function* () {
      const server = Server.make(() => ({ end: "stay open" }))
      const { direct } = yield* clientsOf(wire, server)
      const stream = direct.chatStream(question, yield* Server.directCall(), {
        onEvents: () => undefined,
        onEnd: () => undefined,
        onError: () => undefined
      })
      stream.pause()
      expect(server.flow).toEqual(["pause"])
      stream.abort()
      stream.resume()
      expect(server.flow).toEqual(["pause"])
      expect(server.open()).toBe(0)
    })
  )

  it.scopedLive("reports nothing after abort at any point, and aborts the request once", () =>
    Effect.gen(function* () {
      const graces = yield* graceTimers
      const steps = [
        (stream: Driven) => stream.head(),
        (stream: Driven) => stream.data(chunk({ content: "a" })),
        (stream: Driven) => stream.data(stop),
        (stream: Driven) => stream.data(`${counts}${done}`),
        (stream: Driven) => stream.end()
      ]
      for (let at = 0; at < steps.length; at++) {
        const stream = yield* driven()
        for (const step of steps.slice(0, at)) step(stream)
        const before = [...stream.log]
        stream.stream.abort()
        stream.stream.abort()
        for (const step of steps.slice(at)) step(stream)
        stream.break()
        expect(stream.log).toEqual([...before, "abort"])
      }
      expect(graces()).toEqual([])
    })
  )

  it.scopedLive("reports nothing more when its sink aborts it within an event", () =>
    Effect.gen(function* () {
      const graces = yield* graceTimers
      for (const tag of ["Start", "Finish"] as const) {
        const driving = yield* driven({}, tag)
        driving.head()
        driving.data(`${chunk({ content: "a" })}${stop}`)
        driving.data(`${counts}${done}`)
        driving.end()
        expect(driving.log.at(-1)).toBe("abort")
        expect(graces()).toEqual([])
      }
      const pieces = [chunk({ content: "a" }), chunk({ content: "b" }), stop, done].flatMap(Server.bytes)
      const server = Server.make(() => ({ ...streamScript(wire, ""), pieces }))
      const whole = Server.make(() => wholeScript(wire, answer))
      for (const each of [server, whole]) {
        const { direct } = yield* clientsOf(wire, each)
        const log: Array<string> = []
        const stream: DirectClient.DirectStream = direct.chatStream(question, yield* Server.directCall(), {
          onEvents: () => {
            log.push("events")
            stream.abort()
          },
          onEnd: () => void log.push("end"),
          onError: () => void log.push("error")
        })
        yield* eventually(Effect.sync(() => each.open() === 0))
        yield* Effect.sleep("20 millis")
        expect(log).toEqual(["events"])
      }
    })
  )

  it.live("reports a StreamInterruptedError when a custom wire ends a stream without any event", () =>
    Effect.gen(function* () {
      const silent: ClientWire = {
        ...wire,
        decodeStream: ({ model }) => ({
          id: "",
          model,
          state: "open",
          usage: Usage.empty,
          push: () => undefined,
          end: () => undefined
        })
      }
      const { end } = yield* sameStream(silent, streamScript(wire, chunk({ content: "a" })), "asynchronous")
      expect(end).toMatchObject({ _tag: "StreamInterruptedError", begun: false })
    })
  )

  it.live("reports one result of a chat and nothing after its abort", () =>
    Effect.gen(function* () {
      const server = Server.make(() => wholeScript(wire, answer))
      const { direct } = yield* clientsOf(wire, server)
      let results = 0
      const { abort } = direct.chat(question, yield* Server.directCall(), () => results++)
      abort()
      yield* Effect.sleep("20 millis")
      expect([results, server.open()]).toEqual([0, 0])
    })
  )
})

describe("accumulation of a stream", () => {
  const piece = fc.record({
    index: fc.integer({ min: 0, max: 4 }),
    text: fc.string({ maxLength: 3 }),
    provider: fc.constantFrom("acme", "other"),
    native: fc.constant({ wire: { a: 1 } })
  })
  const origin = { id: "a", provider: "acme", model: "m", keyId: "k", attempts: [] }
  const events = fc.oneof<fc.MaybeWeightedArbitrary<ChatEvent.ChatEvent>[]>(
    fc.record({ _tag: fc.constant("TextDelta" as const), index: fc.nat(4), text: fc.string({ maxLength: 3 }) }),
    piece.map((fields) => ({ _tag: "TextDelta" as const, ...fields })),
    piece.map((fields) => ({ _tag: "RefusalDelta" as const, ...fields })),
    piece.map(({ index, text }) => ({ _tag: "ReasoningDelta" as const, index, text, signature: text })),
    piece.map(({ index, text }) => ({ _tag: "ReasoningDelta" as const, index, text, id: text, format: "f" })),
    piece.map(({ index, text }) => ({
      _tag: "ToolCallDelta" as const,
      index,
      id: "c",
      name: "f",
      argumentsDelta: text
    })),
    piece.map(({ index, text }) => ({
      _tag: "ToolCallEnd" as const,
      index,
      call: { type: "tool-call" as const, id: "c", name: "f", arguments: text }
    })),
    piece.map(({ index, native }) => ({
      _tag: "ProviderPart" as const,
      index,
      part: { type: "provider" as const, native }
    })),
    fc.constant({ _tag: "Start" as const, ...origin }),
    fc.constant({ _tag: "Continued" as const, ...origin, provider: "other", usage: Usage.empty })
  )

  it.prop(
    "collects the same content as ChatEvent.append, whatever the order of the events",
    [fc.array(events)],
    ([all]) => {
      const collector = Collector.make()
      for (const event of all) collector.add(event)
      expect(collector.collected).toEqual(all.reduce(ChatEvent.append, ChatEvent.nothing))
    }
  )
})
