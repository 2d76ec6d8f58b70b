/** What is written reads back as what was meant, on both sides and in both ways of answering. */
import { describe, expect, it } from "@effect/vitest"
import { Either, FastCheck } from "effect"
import type { ChatRequest, ChatResponse, Message } from "../../src/Chat.js"
import * as Chat from "../../src/Chat.js"
import * as ChatEvent from "../../src/ChatEvent.js"
import * as Usage from "../../src/Usage.js"
import * as ChatCompletions from "../../src/wire/ChatCompletions.js"
import type { WireEvent } from "../../src/wire/Wire.js"

const wire = ChatCompletions.make({ developerRole: "developer", history: "reasoning_details" })
const source = { provider: "acme", model: "asked", estimatedInputTokens: 0 }

const words = FastCheck.string({ minLength: 1, maxLength: 12 })
const name = FastCheck.stringMatching(/^[a-z]{1,8}$/)
const maybe = <A>(arbitrary: FastCheck.Arbitrary<A>) => FastCheck.option(arbitrary, { nil: undefined })

/** The fields that are there. */
const present = <A extends object>(fields: { readonly [K in keyof A]: A[K] | undefined }): Partial<A> =>
  JSON.parse(JSON.stringify(fields))

const toolCalls = FastCheck.array(FastCheck.record({ name, arguments: words }), { maxLength: 3 }).map((calls) =>
  calls.map((call, index) => ({ id: `call-${index}`, ...call }))
)

const usage = FastCheck.record({
  inputTokens: FastCheck.nat(1000),
  outputTokens: FastCheck.nat(1000),
  cachedInputTokens: FastCheck.nat(1000),
  cacheWriteTokens: FastCheck.nat(1000)
}).map(Usage.make)

const responses: FastCheck.Arbitrary<ChatResponse> = FastCheck.record({
  id: name,
  model: name,
  text: FastCheck.oneof(FastCheck.constant(""), words),
  reasoning: FastCheck.oneof(FastCheck.constant(""), words),
  refusal: FastCheck.oneof(FastCheck.constant(""), words),
  toolCalls,
  usage,
  length: FastCheck.boolean()
}).map(({ length, reasoning, ...rest }) => ({
  ...rest,
  provider: "acme",
  reasoning,
  reasoningParts: reasoning === "" ? [] : [{ type: "reasoning", text: reasoning, provider: "acme" }],
  finishReason: length ? "length" : rest.toolCalls.length > 0 ? "tool-calls" : "stop",
  rawFinishReason: length ? "length" : rest.toolCalls.length > 0 ? "tool_calls" : "stop",
  latency: 0,
  keyId: "key",
  attempts: [],
  providerMetadata: {}
}))

/** What only the client knows is not on the wire. */
const onTheWire = ({ attempts: _, keyId: __, latency: ___, provider: ____, ...rest }: ChatResponse) => rest

const content = FastCheck.oneof(
  words,
  FastCheck.array(
    FastCheck.oneof(
      words.map(Chat.text),
      FastCheck.constantFrom(
        Chat.image("https://example.com/a.png", { detail: "high" }),
        Chat.audio(new Uint8Array([1, 2])),
        Chat.file(new Uint8Array([3]), { filename: "a.pdf" }),
        { type: "file" as const, fileId: "file-1" }
      )
    ),
    { minLength: 1, maxLength: 3 }
  )
)

const messages: FastCheck.Arbitrary<Message> = FastCheck.oneof(
  words.map(Chat.system),
  words.map((content): Message => ({ role: "developer", content })),
  content.map(Chat.user),
  FastCheck.tuple(words, toolCalls).map(([text, calls]) => Chat.assistant(text, calls.length > 0 ? calls : undefined)),
  FastCheck.tuple(name, words).map(([id, text]) => Chat.toolResult(id, text))
)

const requests: FastCheck.Arbitrary<ChatRequest> = FastCheck.record({
  messages: FastCheck.array(messages, { minLength: 1, maxLength: 4 }),
  model: FastCheck.constant("asked"),
  tools: maybe(
    FastCheck.array(FastCheck.record({ name, parameters: FastCheck.constant({ type: "object", properties: {} }) }), {
      minLength: 1,
      maxLength: 2
    })
  ),
  toolChoice: maybe(
    FastCheck.oneof(
      FastCheck.constantFrom("auto" as const, "none" as const, "required" as const),
      FastCheck.record({ name })
    )
  ),
  parallelToolCalls: maybe(FastCheck.boolean()),
  responseFormat: maybe(
    FastCheck.oneof(
      FastCheck.constantFrom("text" as const, "json" as const),
      FastCheck.record({ name, schema: FastCheck.constant({ type: "object" }), strict: FastCheck.boolean() })
    )
  ),
  temperature: maybe(FastCheck.integer({ min: 0, max: 2 })),
  topP: maybe(FastCheck.constantFrom(0, 0.5, 1)),
  maxTokens: maybe(FastCheck.integer({ min: 1, max: 1000 })),
  stop: maybe(FastCheck.array(words, { minLength: 1, maxLength: 2 })),
  seed: maybe(FastCheck.integer()),
  reasoning: maybe(FastCheck.record({ effort: FastCheck.constantFrom("low" as const, "high" as const) })),
  user: maybe(words),
  metadata: maybe(FastCheck.constant({ a: "b" })),
  extra: maybe(FastCheck.constant({ logit_bias: { "1": 2 } }))
}).map(({ messages, ...rest }) => ({ messages, ...present<Omit<ChatRequest, "messages">>(rest) }))

describe("laws", () => {
  it.prop(
    "a request reads back as it was written",
    { request: requests, stream: FastCheck.boolean() },
    ({ request, stream }) => {
      const written = Either.getOrThrow(wire.encodeRequest(request, { provider: "acme", model: "asked", stream }))
      expect(wire.decodeRequest(JSON.parse(JSON.stringify(written.body)))).toEqual(Either.right({ request, stream }))
    }
  )

  it.prop("an answer reads back as it was written", { response: responses }, ({ response }) => {
    const written: unknown = JSON.parse(JSON.stringify(wire.encodeResponse(response)))
    expect(wire.decodeResponse(written, source)).toEqual(Either.right(onTheWire(response)))
  })

  it.prop("a stream says what the whole answer says", { response: responses }, ({ response }) => {
    const encoder = wire.encodeStream({ stream_options: { include_usage: true } })
    const decoder = wire.decodeStream(source)
    const events: Array<WireEvent> = []
    for (const event of ChatEvent.fromResponse(response)) {
      for (const frame of encoder.push(event)) expect(decoder.push(frame, events)).toBe(undefined)
    }
    expect(decoder.state).toBe("done")
    const said = events.reduce(ChatEvent.append, ChatEvent.nothing)
    const whole = onTheWire(response)
    expect({
      id: decoder.id,
      model: decoder.model,
      text: said.text,
      refusal: said.refusal,
      reasoningParts: said.reasoningParts,
      toolCalls: said.toolCalls,
      finishReason: said.finish?.reason,
      rawFinishReason: said.finish?.rawReason,
      usage: said.finish?.usage,
      providerMetadata: said.finish?.providerMetadata
    }).toEqual({ ...whole, reasoning: undefined })
  })
})
