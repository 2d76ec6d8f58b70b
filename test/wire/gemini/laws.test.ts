/** Round trips of Gemini requests, responses and streams. */
import { describe, expect, it } from "@effect/vitest"
import * as FastCheck from "fast-check"
import type { AssistantPart, ChatRequest, ChatResponse, FinishReason, Message } from "../../../src/vocabulary/Chat.js"
import * as Chat from "../../../src/vocabulary/Chat.js"
import * as ChatEvent from "../../../src/vocabulary/ChatEvent.js"
import * as Usage from "../../../src/vocabulary/Usage.js"
import * as Gemini from "../../../src/wire/Gemini.js"
import type { Json } from "../../../src/wire/json.js"
import { isRecord, parseJson, record, records } from "../../../src/wire/json.js"
import type { Frame, WireEvent } from "../../../src/wire/Wire.js"
import {
  collectStream,
  getOrThrow,
  halves,
  interleaveToolCalls,
  jsonRoundTrip,
  source,
  splitDeltas,
  responseRoundTrip,
  writeFrames
} from "../roundTrips.js"
import { character } from "../../support/character.js"
import { content, sampling } from "../generators.js"

const wire = Gemini.make({ labels: true })
const is = FastCheck.constant

const nonEmptyText = FastCheck.string({ minLength: 1, maxLength: 12, unit: character })
const name = FastCheck.stringMatching(/^[a-z]{1,8}$/)
const base64 = FastCheck.stringMatching(/^[A-Za-z0-9+/]{4,8}$/)

// -------------------------------------------------------------------------------------
// content
// -------------------------------------------------------------------------------------

const native = (fields: object) => ({ native: { gemini: { ...fields } } })
const partMetadata = { partMetadata: { source: "a" } }

const text = FastCheck.oneof(
  nonEmptyText.map((text) => ({ text })),
  FastCheck.record({ text: FastCheck.oneof(nonEmptyText, is("")), thoughtSignature: base64 }).map(
    ({ text, thoughtSignature }) => ({ text, provider: "acme", ...native({ thoughtSignature }) })
  ),
  nonEmptyText.map((text) => ({ text, provider: "acme", ...native(partMetadata) }))
).map((part): AssistantPart => ({ type: "text", ...part }))

const reasoning = FastCheck.oneof(
  nonEmptyText.map((text) => ({ text })),
  FastCheck.record({ text: FastCheck.oneof(nonEmptyText, is("")), signature: base64 }),
  nonEmptyText.map((text) => ({ text, ...native(partMetadata) }))
).map((part): AssistantPart => ({ type: "reasoning", ...part, provider: "acme" }))

const toolCall = FastCheck.record({
  name,
  args: FastCheck.dictionary(name, FastCheck.oneof(nonEmptyText, FastCheck.integer(), FastCheck.boolean()), {
    maxKeys: 2
  }),
  provided: FastCheck.oneof(
    is({}),
    base64.map((signature) => ({ signature, provider: "acme" })),
    base64.map((signature) => ({
      signature,
      provider: "acme",
      ...native({ functionCall: { extra: 1 }, ...partMetadata })
    }))
  )
}).map(({ args, name, provided }): AssistantPart => ({
  type: "tool-call",
  id: "",
  name,
  arguments: JSON.stringify(args),
  ...provided
}))

const providerPart = FastCheck.oneof(
  nonEmptyText.map((code) => ({ executableCode: { language: "PYTHON", code }, thoughtSignature: "AAAA" })),
  nonEmptyText.map((output) => ({ codeExecutionResult: { outcome: "OUTCOME_OK", output } })),
  base64.map((thoughtSignature) => ({ toolCall: { toolType: "GOOGLE_SEARCH_WEB", id: "t1" }, thoughtSignature })),
  base64.map((data) => ({ inlineData: { mimeType: "image/png", data } })),
  nonEmptyText.map((value) => ({ laterKind: { value } }))
).map((part): AssistantPart => ({ type: "provider", ...native(part), provider: "acme" }))

/** Whether a part continues the one before it: a text without fields a text, and reasoning the reasoning that has no signature. */
const continues = (part: AssistantPart, before: AssistantPart | undefined): boolean =>
  before?.native === undefined &&
  part.native === undefined &&
  ((part.type === "text" && before?.type === "text") ||
    (part.type === "reasoning" && before?.type === "reasoning" && before.signature === undefined))

/** Parts in any order, of which none continues another. The calls have the ids `call_0`, `call_1` … */
const contents = FastCheck.array(
  FastCheck.oneof<FastCheck.MaybeWeightedArbitrary<AssistantPart>[]>(text, reasoning, toolCall, providerPart),
  { maxLength: 8 }
).map((parts) => {
  let calls = 0
  return parts
    .reduce<ReadonlyArray<AssistantPart>>((kept, part) => (continues(part, kept.at(-1)) ? kept : [...kept, part]), [])
    .map((part): AssistantPart => (part.type === "tool-call" ? { ...part, id: `call_${calls++}` } : part))
})

// -------------------------------------------------------------------------------------
// responses
// -------------------------------------------------------------------------------------

const endings: ReadonlyArray<readonly [string, FinishReason]> = [
  ["STOP", "stop"],
  ["MAX_TOKENS", "length"],
  ["RECITATION", "content-filter"],
  ["IMAGE_OTHER", "other"]
]

const usage = FastCheck.record({
  uncached: FastCheck.nat(1000),
  textTokens: FastCheck.nat(1000),
  totalTokens: FastCheck.nat(3000),
  cachedInputTokens: FastCheck.nat(1000),
  reasoningTokens: FastCheck.nat(1000)
}).map(({ textTokens, uncached, ...counts }) =>
  Usage.make({
    ...counts,
    inputTokens: uncached + counts.cachedInputTokens,
    outputTokens: textTokens + counts.reasoningTokens
  })
)

const responses: FastCheck.Arbitrary<ChatResponse> = FastCheck.record({
  id: name,
  model: name,
  content: contents,
  usage,
  ending: FastCheck.constantFrom(...endings),
  metadata: FastCheck.record(
    {
      groundingMetadata: is({ groundingChunks: [{ web: { uri: "https://example.com" } }] }),
      finishMessage: nonEmptyText,
      promptFeedback: is({ safetyRatings: [] }),
      usage: is({ serviceTier: "standard" })
    },
    { requiredKeys: [] }
  )
}).map(({ content, ending: [raw, reason], metadata, ...response }) =>
  Chat.withContent(
    {
      ...response,
      provider: "acme",
      finishReason: Chat.toolCallsOf(content).length > 0 && raw === "STOP" ? "tool-calls" : reason,
      rawFinishReason: raw,
      latency: 0,
      keyId: "key",
      attempts: [],
      providerMetadata: metadata
    },
    content
  )
)

const writeStream = (response: ChatResponse, events = ChatEvent.fromResponse(response)): ReadonlyArray<Frame> =>
  writeFrames(wire, events)

const partsOf = (body: Json): ReadonlyArray<Json> =>
  records(record(records(body, "candidates")[0] ?? {}, "content") ?? {}, "parts")

/** The parts in pieces, as a stream of the API has them: a part with a signature or other fields is whole. */
const pieces = (parts: ReadonlyArray<Json>): ReadonlyArray<Json> =>
  parts.flatMap((part): ReadonlyArray<Json> => {
    const { text, thought, ...fields } = part
    if (typeof text !== "string" || Object.keys(fields).length > 0) return [part]
    return halves(text).map((half) => ({ ...part, text: half }))
  })

/**
 * The content in parts of the protocol: a refusal is text, adjacent texts and thoughts are one, and free text as arguments is a
 * field of an object.
 */
const projected = (content: ReadonlyArray<AssistantPart>): ReadonlyArray<AssistantPart> =>
  content.reduce<ReadonlyArray<AssistantPart>>((parts, from) => {
    const part = projectedPart(from)
    const before = parts.at(-1)
    if (!continues(part, before) || before === undefined || !("text" in before) || !("text" in part)) {
      return [...parts, part]
    }
    return [...parts.slice(0, -1), { ...before, ...part, text: before.text + part.text }]
  }, [])

const projectedPart = (part: AssistantPart): AssistantPart => {
  switch (part.type) {
    case "refusal":
      return Chat.text(part.text)
    case "reasoning": {
      const { format: _, id: __, ...reasoning } = part
      return reasoning
    }
    case "tool-call": {
      const args = part.custom === true ? undefined : parseJson(part.arguments)
      return Chat.toolCall(part.id, part.name, JSON.stringify(isRecord(args) ? args : { input: part.arguments }))
    }
    default:
      return part
  }
}

const anyContent = content("acme", FastCheck.array(providerPart, { maxLength: 2 }))

describe("Gemini response laws", () => {
  it.prop("every Gemini response survives writing and reading as one body", [responses], ([response]) => {
    expect(responseRoundTrip(wire, response)).toEqual(response)
  })
  it.prop("every Gemini response survives writing and reading as a stream", [responses], ([response]) => {
    expect(collectStream(wire, writeStream(response), response)).toEqual(response)
  })
  it.prop(
    "every Gemini response survives a stream whose deltas are cut into pieces and whose tool calls are interleaved",
    [responses, FastCheck.integer({ min: 1, max: 4 })],
    ([response, size]) => {
      const events = ChatEvent.fromResponse(response)
      expect(collectStream(wire, writeStream(response, splitDeltas(events, size)), response)).toEqual(response)
      expect(collectStream(wire, writeStream(response, interleaveToolCalls(events, size)), response)).toEqual(response)
    }
  )
  it.prop(
    "a Gemini response in chunks with pieces of its texts collects to the whole response",
    [responses],
    ([response]) => {
      const body = wire.encodeResponse(response)
      const chunks = pieces(partsOf(body)).map((part) => ({
        candidates: [{ content: { role: "model", parts: [part] } }]
      }))
      const last = {
        ...body,
        candidates: [{ ...records(body, "candidates")[0], content: { role: "model", parts: [] } }]
      }
      const frames = [...chunks, last].map((chunk) => ({ data: JSON.stringify(chunk) }))
      expect(collectStream(wire, frames, response)).toEqual(response)
    }
  )
  it.prop(
    "content of every kind is written and read in its order, with refusals as text and free arguments as an object",
    [responses, anyContent, FastCheck.integer({ min: 1, max: 4 })],
    ([response, parts, size]) => {
      const answer = Chat.withContent(response, parts)
      const expected = projected(parts)
      expect(responseRoundTrip(wire, answer).content).toEqual(expected)
      const frames = writeStream(answer, interleaveToolCalls(ChatEvent.fromResponse(answer), size))
      expect(collectStream(wire, frames, answer).content).toEqual(expected)
    }
  )
  it.prop("a stream read as one JSON list gives the same response", [responses], ([response]) => {
    const frames = writeStream(response).map(({ data }): unknown => JSON.parse(data))
    expect({ ...response, ...getOrThrow(wire.decodeResponse(frames, source)) }).toEqual(response)
  })
  it.prop("events that were read from a stream can be written and read again", [responses], ([response]) => {
    const decoder = wire.decodeStream(source)
    const out: Array<WireEvent> = []
    for (const frame of writeStream(response)) decoder.push(frame, out)
    decoder.end(out)
    const start = ChatEvent.fromResponse(response).slice(0, 1)
    expect(collectStream(wire, writeStream(response, [...start, ...out]), response)).toEqual(response)
  })
})

// -------------------------------------------------------------------------------------
// requests
// -------------------------------------------------------------------------------------

const userMessage: FastCheck.Arbitrary<Message> = FastCheck.oneof(
  nonEmptyText.map(Chat.user),
  FastCheck.array(
    FastCheck.constantFrom<Chat.UserPart>(
      Chat.text("a"),
      Chat.image("https://example.com/a.png"),
      Chat.image("data:image/png;base64,AAAA"),
      Chat.audio("data:audio/wav;base64,AAAA"),
      Chat.audio("https://example.com/a.mp3"),
      Chat.file("https://example.com/a.pdf"),
      Chat.file("data:application/pdf;base64,AAAA"),
      { type: "file", fileId: "gs://bucket/a.pdf" },
      { type: "file", url: "https://example.com/a", native: { gemini: { fileData: { mimeType: "application/pdf" } } } },
      { type: "provider", native: { gemini: { executableCode: { language: "PYTHON", code: "1+1" } } } }
    ),
    { minLength: 2, maxLength: 3 }
  ).map(Chat.user)
)

const result = FastCheck.oneof(
  nonEmptyText.map((content) => ({ content })),
  nonEmptyText.map((content) => ({ content, isError: true })),
  nonEmptyText.map((text) => ({ content: [Chat.text(text), Chat.image("data:image/png;base64,AAAA")] }))
)

/** An assistant turn and its tool results. The ids contain the index of the turn, so that no two turns share one. */
const turn = (index: number): FastCheck.Arbitrary<ReadonlyArray<Message>> =>
  FastCheck.tuple(contents, FastCheck.array(result, { minLength: 8, maxLength: 8 })).map(([content, results]) => {
    const named = content.map((part): AssistantPart =>
      part.type === "tool-call" ? { ...part, id: `${part.id}_${index}` } : part
    )
    const calls = Chat.toolCallsOf(named)
    return [
      Chat.toMessage({ content: named }),
      ...calls.map((call, at): Message => ({ role: "tool", toolCallId: call.id, content: "", ...results[at] }))
    ]
  })

/** A message as the server reads it: no part has a provider, and a native field marks signatures of this protocol. */
const asReadByServer = (message: Message): Message => {
  if (message.role !== "assistant" || typeof message.content === "string") return message
  const content = message.content.map((part): AssistantPart => {
    const { provider: _, ...read } = part
    return read.type === "reasoning" || (read.type === "tool-call" && read.signature !== undefined)
      ? { ...read, native: read.native ?? { gemini: {} } }
      : read
  })
  return { ...message, content }
}

const exchange = (index: number) =>
  FastCheck.tuple(userMessage, turn(index)).map(([question, turnMessages]): ReadonlyArray<Message> => [
    question,
    ...turnMessages
  ])

const conversations = FastCheck.tuple(
  FastCheck.array(
    nonEmptyText.map((text): Message => Chat.system(text)),
    { maxLength: 1 }
  ),
  FastCheck.nat(2).chain((count) => FastCheck.tuple(...Array.from({ length: count }, (_, index) => exchange(index)))),
  userMessage
).map(([first, exchanges, last]) => first.concat(exchanges.flat(), [last]))

const requests: FastCheck.Arbitrary<ChatRequest> = FastCheck.record(
  {
    messages: conversations,
    model: FastCheck.oneof(name, is("gemini-3-pro"), is("tunedModels/mine"), is("a/b c")),
    tools: FastCheck.uniqueArray(
      FastCheck.record(
        { name, description: nonEmptyText, parameters: is({ type: "object", properties: { a: { type: "string" } } }) },
        { requiredKeys: ["name"] }
      ),
      { minLength: 1, maxLength: 2, selector: (tool) => tool.name }
    ),
    toolChoice: FastCheck.oneof(
      FastCheck.constantFrom<"auto" | "none" | "required">("auto", "none", "required"),
      name.map((chosen) => ({ name: chosen }))
    ),
    responseFormat: FastCheck.constantFrom<Chat.ResponseFormat>("text", "json", {
      name: "response",
      schema: { type: "object", properties: { a: { anyOf: [{ type: "string" }, { type: "null" }] } } }
    }),
    temperature: FastCheck.double({ min: 0, max: 2, noNaN: true }).map(Math.abs),
    topP: FastCheck.double({ min: 0, max: 1, noNaN: true }).map(Math.abs),
    topK: sampling.topK,
    frequencyPenalty: sampling.frequencyPenalty,
    presencePenalty: sampling.presencePenalty,
    logprobs: sampling.logprobs,
    maxTokens: FastCheck.integer({ min: 1 }),
    stop: FastCheck.array(nonEmptyText, { minLength: 1, maxLength: 2 }),
    seed: FastCheck.integer(),
    reasoning: FastCheck.constantFrom<Chat.Reasoning>(
      { effort: "low" },
      { budgetTokens: 100 },
      { effort: "high", summary: "auto" }
    ),
    metadata: is({ team: "a" }),
    extra: FastCheck.constantFrom(
      { safetySettings: [] },
      { tools: [{ googleSearch: {} }] },
      { generationConfig: { audioTimestamp: true } }
    )
  },
  { requiredKeys: ["messages"] }
)

describe("Gemini request laws", () => {
  it.prop(
    "every Gemini request survives writing by the client and reading by the server",
    [requests, FastCheck.boolean()],
    ([request, stream]) => {
      const { body, path } = getOrThrow(wire.encodeRequest(request, { provider: "acme", model: "asked", stream }))
      expect(getOrThrow(wire.decodeRequest(jsonRoundTrip(body), { path, headers: {} }))).toEqual({
        request: { model: "asked", ...request, messages: request.messages.map(asReadByServer) },
        stream
      })
    }
  )
  it.prop("a Gemini request that was read by the server is written with the same contents", [requests], ([request]) => {
    const peer = { provider: "acme", model: "asked", stream: false }
    const { body, path } = getOrThrow(wire.encodeRequest(request, peer))
    const read = getOrThrow(wire.decodeRequest(jsonRoundTrip(body), { path, headers: {} }))
    expect(getOrThrow(wire.encodeRequest(read.request, peer)).body["contents"]).toEqual(body["contents"])
  })
})
