/** How a stream ends: before its finish signal always as an interruption, after it always as a success. */
import { HttpClient, HttpClientResponse } from "@effect/platform"
import { describe, expect, it } from "@effect/vitest"
import { Effect, Either, Fiber, Stream, TestClock } from "effect"
import * as ApiKey from "../../src/vocabulary/ApiKey.js"
import * as Chat from "../../src/vocabulary/Chat.js"
import * as ChatEvent from "../../src/vocabulary/ChatEvent.js"
import * as ProviderClient from "../../src/call/ProviderClient.js"
import * as Timeouts from "../../src/call/Timeouts.js"
import * as Anthropic from "../../src/wire/Anthropic.js"
import * as ChatCompletions from "../../src/wire/ChatCompletions.js"
import * as DashScope from "../support/dashscope.js"
import * as Gemini from "../../src/wire/Gemini.js"
import * as Ollama from "../../src/wire/Ollama.js"
import * as Responses from "../../src/wire/Responses.js"
import * as Usage from "../../src/vocabulary/Usage.js"
import type { ClientWire } from "../../src/wire/Wire.js"
import { scripted } from "../support/scripted.js"

/** The server's action after its last byte. */
type End = "close" | "reset" | "stay open"

/** A response body of these chunks. Each pull of the consumer enqueues the next one, so that a reset discards no earlier chunk. */
const body = (chunks: ReadonlyArray<Uint8Array>, end: End): ReadableStream<Uint8Array> => {
  let next = 0
  return new ReadableStream<Uint8Array>(
    {
      pull: (controller) => {
        const chunk = chunks[next++]
        if (chunk !== undefined) controller.enqueue(chunk)
        else if (end === "close") controller.close()
        else if (end === "reset")
          controller.error(Object.assign(new Error("other side closed"), { code: "ECONNRESET" }))
        else return new Promise<never>(() => undefined)
        return undefined
      }
    },
    { highWaterMark: 0 }
  )
}

const answering = (wire: ClientWire, of: () => ReadableStream<Uint8Array>) => {
  const type = wire.framing === "sse" ? "text/event-stream" : "application/x-ndjson"
  const http = HttpClient.make((request) =>
    Effect.sync(() => HttpClientResponse.fromWeb(request, new Response(of(), { headers: { "content-type": type } })))
  )
  return ProviderClient.make(wire, { provider: "test", baseUrl: "http://provider.test" }).pipe(
    Effect.provideService(HttpClient.HttpClient, http),
    Effect.map((client) =>
      client.chatStream({ messages: [Chat.user("?")] }, { model: "m", key: ApiKey.make("sk-test-0123456789") })
    )
  )
}

const collected = (wire: ClientWire, chunks: ReadonlyArray<Uint8Array>, end: End) =>
  Effect.either(
    Effect.flatMap(
      answering(wire, () => body(chunks, end)),
      ChatEvent.collect
    )
  )

interface Script {
  readonly name: string
  readonly wire: ClientWire
  /** The frames without their trailing blank line or line break. */
  readonly frames: ReadonlyArray<string>
  /** The index of the frame with the finish signal. */
  readonly signal: number
}

const data = (json: unknown): string => `data: ${JSON.stringify(json)}`

const named = (type: string, fields: object = {}): string => `event: ${type}\n${data({ type, ...fields })}`

const chunkOf = (choices: ReadonlyArray<unknown>, more: object = {}) => data({ id: "c1", model: "m", choices, ...more })

const scripts: ReadonlyArray<Script> = [
  {
    name: "Chat Completions",
    wire: ChatCompletions.make(),
    frames: [
      chunkOf([{ index: 0, delta: { content: "Grüße" } }]),
      chunkOf([{ index: 0, delta: {}, finish_reason: "stop" }]),
      chunkOf([], { usage: { prompt_tokens: 3, completion_tokens: 2, total_tokens: 5 } }),
      "data: [DONE]"
    ],
    signal: 1
  },
  {
    name: "Anthropic",
    wire: Anthropic.make(),
    frames: [
      named("message_start", { message: { id: "m1", model: "m", content: [], usage: { input_tokens: 3 } } }),
      named("content_block_start", { index: 0, content_block: { type: "text", text: "" } }),
      named("content_block_delta", { index: 0, delta: { type: "text_delta", text: "Grüße" } }),
      named("content_block_stop", { index: 0 }),
      named("message_delta", { delta: { stop_reason: "end_turn" }, usage: { output_tokens: 2 } }),
      named("message_stop")
    ],
    signal: 4
  },
  {
    name: "Responses",
    wire: Responses.make(),
    frames: [
      named("response.created", { response: { id: "r1", model: "m" } }),
      named("response.output_text.delta", { delta: "Grüße" }),
      named("response.completed", { response: { id: "r1", model: "m", status: "completed", output: [] } })
    ],
    signal: 2
  },
  {
    name: "Responses, cut by its length",
    wire: Responses.make(),
    frames: [
      named("response.output_text.delta", { delta: "Grüße" }),
      named("response.incomplete", {
        response: { status: "incomplete", incomplete_details: { reason: "max_output_tokens" } }
      })
    ],
    signal: 1
  },
  {
    name: "Gemini",
    wire: Gemini.make(),
    frames: [
      data({ candidates: [{ content: { parts: [{ text: "Grü" }] } }], usageMetadata: { promptTokenCount: 3 } }),
      data({ candidates: [{ content: { parts: [{ text: "ße" }] }, finishReason: "STOP" }] }),
      data({ usageMetadata: { promptTokenCount: 3, candidatesTokenCount: 2, totalTokenCount: 5 } })
    ],
    signal: 1
  },
  {
    name: "Ollama",
    wire: Ollama.make(),
    frames: [
      JSON.stringify({ model: "m", message: { content: "Grüße" }, done: false }),
      JSON.stringify({ model: "m", message: { content: "" }, done: true, done_reason: "stop", eval_count: 2 })
    ],
    signal: 1
  },
  {
    name: "DashScope",
    wire: DashScope.make(),
    frames: [
      `id:1\nevent:result\n${data({ request_id: "d1", output: { choices: [{ message: { content: "Grüße" }, finish_reason: "null" }] } })}`,
      `id:2\nevent:result\n${data({ output: { choices: [{ message: { content: "" }, finish_reason: "stop" }] } })}`,
      `id:3\nevent:result\n${data({ output: { choices: [] }, usage: { input_tokens: 3, output_tokens: 2 } })}`
    ],
    signal: 1
  }
]

const encoder = new TextEncoder()

const bytesOf = ({ frames, wire }: Script): Uint8Array =>
  encoder.encode(frames.map((frame) => frame + (wire.framing === "sse" ? "\n\n" : "\n")).join(""))

/** The number of bytes up to the end of the finish signal's JSON. */
const signalEnd = ({ frames, signal, wire }: Script): number =>
  encoder.encode(frames.slice(0, signal + 1).join(wire.framing === "sse" ? "\n\n" : "\n")).length

const whole = (bytes: Uint8Array): ReadonlyArray<Uint8Array> => (bytes.length === 0 ? [] : [bytes])

const dribbled = (bytes: Uint8Array): ReadonlyArray<Uint8Array> => Array.from(bytes, (byte) => Uint8Array.of(byte))

/** The fault in the outcome of a stream that is cut after `cut` bytes; undefined when it is correct. */
const faultOf = (script: Script, cut: number, end: End, chunked: (bytes: Uint8Array) => ReadonlyArray<Uint8Array>) =>
  Effect.map(collected(script.wire, chunked(bytesOf(script).slice(0, cut)), end), (result) => {
    const outcome = Either.isLeft(result) ? result.left._tag : result.right.text
    const expected = cut >= signalEnd(script) ? "Grüße" : "StreamInterruptedError"
    return outcome === expected ? undefined : `${end} after ${cut} of ${signalEnd(script)} bytes: ${outcome}`
  })

/** A turn of the event loop, in which a test worker reads its messages. */
const turn = Effect.async<void>((resume) => {
  setImmediate(() => resume(Effect.void))
})

const faultsOf = (
  script: Script,
  cuts: ReadonlyArray<number>,
  end: End,
  chunked: (bytes: Uint8Array) => ReadonlyArray<Uint8Array>
) =>
  Effect.map(
    Effect.forEach(cuts, (cut) => Effect.zipLeft(faultOf(script, cut, end, chunked), turn)),
    (faults) => faults.filter((fault) => fault !== undefined)
  )

/** Every `step`-th byte, and the bytes around the end of the finish signal. */
const positions = (script: Script, step: number): ReadonlyArray<number> => {
  const even = Array.from({ length: Math.ceil((bytesOf(script).length + 1) / step) }, (_, index) => index * step)
  return step === 1 ? even : [...even, signalEnd(script) - 1, signalEnd(script)]
}

describe("stream cut at any byte", () => {
  for (const script of scripts) {
    it.live(`${script.name}: closed at any byte, succeeds only when the finish signal is complete`, () =>
      Effect.map(faultsOf(script, positions(script, 1), "close", whole), (faults) => expect(faults).toEqual([]))
    )
    it.live(`${script.name}: reset at every ninth byte, succeeds only when the finish signal is complete`, () =>
      Effect.map(faultsOf(script, positions(script, 9), "reset", whole), (faults) => expect(faults).toEqual([]))
    )
    it.live(`${script.name}: sent byte by byte, succeeds only when the finish signal is complete`, () =>
      Effect.gen(function* () {
        expect(yield* faultsOf(script, positions(script, 41), "close", dribbled)).toEqual([])
        expect(yield* faultsOf(script, positions(script, 43), "reset", dribbled)).toEqual([])
      })
    )
    it.effect(`${script.name}: succeeds when the connection stays open after the finish signal`, () =>
      Effect.gen(function* () {
        const bytes = bytesOf(script).slice(0, signalEnd(script) + 1)
        const call = yield* Effect.fork(collected(script.wire, [bytes, encoder.encode("\n")], "stay open"))
        yield* TestClock.adjust("1200 millis")
        const result = yield* Fiber.join(call)
        expect(Either.isRight(result) && result.right.text).toBe("Grüße")
      })
    )
  }
})

describe("frames after the finish signal", () => {
  const afterSignal = (script: Script, more: string, end: End = "close") =>
    collected(
      script.wire,
      [
        encoder.encode(
          script.frames
            .slice(0, script.signal + 1)
            .map((frame) => `${frame}\n\n`)
            .join("")
        ),
        encoder.encode(more)
      ],
      end
    )

  for (const script of scripts) {
    if (script.wire.framing !== "sse") continue
    it.effect(`${script.name}: ignores a malformed frame and an error event after the finish signal`, () =>
      Effect.gen(function* () {
        for (const more of [
          'data: {"broken\n\n',
          "data: nonsense\n\n",
          'event: error\ndata: {"error":{"message":"late"}}\n\n'
        ]) {
          const result = yield* afterSignal(script, more)
          expect(Either.isRight(result) ? result.right.text : result.left.message).toBe("Grüße")
        }
      })
    )
  }
})

describe("usage grace of one second", () => {
  const [chat] = scripts
  if (chat === undefined) throw new Error("There is no script.")
  const usageFrame = encoder.encode(`${chat.frames[2]}\n\n`)
  const upToSignal = encoder.encode(
    chat.frames
      .slice(0, 2)
      .map((frame) => `${frame}\n\n`)
      .join("")
  )

  /** Sends the usage frame in `pieces`, one every `every` milliseconds, and then keeps the connection open. */
  const dribbling = (pieces: number, every: number) =>
    Effect.gen(function* () {
      const size = Math.ceil(usageFrame.length / pieces)
      const chunks = Array.from({ length: pieces }, (_, index) => usageFrame.slice(index * size, (index + 1) * size))
      let push: (chunk: Uint8Array) => void = () => undefined
      const stream = new ReadableStream<Uint8Array>({
        start: (controller) => {
          push = (chunk) => controller.enqueue(chunk)
          push(upToSignal)
        }
      })
      const events = yield* answering(chat.wire, () => stream)
      const call = yield* Effect.fork(Stream.runLast(events))
      const settle = Effect.promise(() => new Promise((resolve) => setTimeout(resolve, 0)))
      const start = yield* TestClock.currentTimeMillis
      for (const chunk of chunks) {
        yield* Effect.repeatN(settle, 3)
        yield* TestClock.adjust(every)
        yield* Effect.repeatN(settle, 3)
        if ((yield* Fiber.poll(call))._tag === "Some") break
        push(chunk)
      }
      yield* TestClock.adjust("100 millis")
      const last = yield* Fiber.join(call)
      const elapsed = (yield* TestClock.currentTimeMillis) - start
      return { elapsed, usage: last._tag === "Some" && last.value._tag === "Finish" ? last.value.usage : undefined }
    })

  it.effect("waits for a usage frame that arrives in pieces", () =>
    Effect.gen(function* () {
      const { usage } = yield* dribbling(9, 100)
      expect(usage).toMatchObject({ inputTokens: 3, outputTokens: 2, estimated: false })
    })
  )

  it.effect("does not restart the usage grace with each piece, and drops the unfinished frame at its end", () =>
    Effect.gen(function* () {
      const { elapsed, usage } = yield* dribbling(30, 100)
      expect(usage).toMatchObject({ estimated: true })
      expect(elapsed).toBeLessThanOrEqual(1200)
    })
  )
})

describe("time limit shorter than the usage grace", () => {
  for (const { frames, name, signal, wire } of scripts) {
    it.effect.each([{ idle: 300 }, { total: 300 }])(
      `does not fail an answer whose connection stays open after its finish signal: ${name}, %o`,
      (limits) =>
        Effect.gen(function* () {
          const separator = wire.framing === "sse" ? "\n\n" : "\n"
          const text = frames
            .slice(0, signal + 1)
            .map((frame) => `${frame}${separator}`)
            .join("")
          const events = yield* answering(wire, () => body([encoder.encode(text)], "stay open"))
          const llm = yield* Timeouts.middleware(limits)({ ...(yield* scripted("unused")), chatStream: () => events })
          const call = yield* Effect.fork(ChatEvent.collect(llm.chatStream("?")))
          const settle = Effect.promise(() => new Promise((resolve) => setTimeout(resolve, 0)))
          for (let passed = 0; passed < 600; passed += 150) {
            yield* Effect.repeatN(settle, 3)
            yield* TestClock.adjust(150)
          }
          expect((yield* Fiber.join(call)).text).toBe("Grüße")
        })
    )
  }
})

describe("Chat Completions stream", () => {
  const wire = ChatCompletions.make()
  const ends = (...frames: ReadonlyArray<string>) =>
    Effect.map(collected(wire, [encoder.encode(frames.map((frame) => `${frame}\n\n`).join(""))], "close"), (result) =>
      Either.isLeft(result) ? result.left._tag : result.right.text
    )
  const done = "data: [DONE]"
  const text = chunkOf([{ index: 0, delta: { content: "a" } }])
  const usage = { usage: { prompt_tokens: 3, completion_tokens: 2, total_tokens: 5 } }

  it.effect("a Chat Completions stream with only [DONE] is interrupted", () =>
    Effect.map(ends(done), (end) => expect(end).toBe("StreamInterruptedError"))
  )
  it.effect("a Chat Completions stream with text and [DONE] but no finish_reason is interrupted", () =>
    Effect.map(ends(text, done), (end) => expect(end).toBe("StreamInterruptedError"))
  )
  it.effect("a Chat Completions stream without finish_reason is complete when only its last chunk has usage", () =>
    Effect.gen(function* () {
      expect(yield* ends(text, chunkOf([], usage), done)).toBe("a")
      expect(yield* ends(chunkOf([{ index: 0, delta: { content: "a" } }], usage), chunkOf([], usage), done)).toBe(
        "StreamInterruptedError"
      )
    })
  )
  it.effect("a Chat Completions stream of several choices is complete when each has its finish_reason", () =>
    Effect.gen(function* () {
      const first = chunkOf([{ index: 0, delta: { content: "a" }, finish_reason: "stop" }])
      const second = chunkOf([{ index: 1, delta: { content: "b" } }])
      const secondStops = chunkOf([{ index: 1, delta: {}, finish_reason: "stop" }])
      expect(yield* ends(second, first)).toBe("StreamInterruptedError")
      expect(yield* ends(second, first, secondStops)).toBe("a")
    })
  )
  /** The answer of a stream that sends this chunk twice, which has the finish signal, and again three seconds later. */
  const continued = (wire: ClientWire, text: string) =>
    Effect.gen(function* () {
      const chunk = encoder.encode(`${text}\n\n`)
      const bytes = Stream.concat(
        Stream.make(chunk, chunk),
        Stream.fromEffect(Effect.delay(Effect.succeed(chunk), 3000))
      )
      const stream = yield* Stream.toReadableStreamEffect(bytes)
      const events = yield* answering(wire, () => stream)
      const call = yield* Effect.fork(ChatEvent.collect(events))
      const settle = Effect.promise(() => new Promise((resolve) => setTimeout(resolve, 0)))
      for (let passed = 0; passed < 4000; passed += 100) {
        yield* Effect.repeatN(settle, 3)
        yield* TestClock.adjust(100)
      }
      return yield* Fiber.join(call)
    })

  it.effect("a Chat Completions stream that continues after a finish_reason is not cut by the usage grace", () =>
    Effect.gen(function* () {
      const chunk = chunkOf([{ index: 0, delta: { content: "a" }, finish_reason: "stop" }])
      expect((yield* continued(wire, chunk)).text).toBe("aaa")
    })
  )

  it.effect("a stream that continues with provider parts after the finish signal is not cut by the usage grace", () =>
    Effect.gen(function* () {
      const part: Chat.ProviderPart = { type: "provider", provider: "test", native: { custom: { type: "search" } } }
      const custom: ClientWire = {
        ...wire,
        decodeStream: ({ model }) => {
          let index = 0
          let isDone = false
          const finish = {
            reason: "stop",
            rawReason: "",
            usage: Usage.empty,
            latency: 0,
            providerMetadata: {}
          } as const
          return {
            id: "",
            model,
            usage: Usage.empty,
            get state() {
              return isDone ? "done" : index === 0 ? "open" : "finishing"
            },
            push: (_, out) => {
              out.push({ _tag: "ProviderPart", index: index++, part })
              return undefined
            },
            end: (out) => {
              isDone = true
              out.push({ _tag: "Finish", ...finish })
              return undefined
            }
          }
        }
      }
      expect((yield* continued(custom, "data: {}")).content).toEqual([part, part, part])
    })
  )
})
