/** Round trips of Gemini requests, responses and streams. */
import { describe, expect, it } from "@effect/vitest"
import { FastCheck } from "effect"
import type {
  ChatRequest,
  ChatResponse,
  FinishReason,
  Message,
  ReasoningPart,
  ToolCall
} from "../../../src/vocabulary/Chat.js"
import * as Chat from "../../../src/vocabulary/Chat.js"
import * as ChatEvent from "../../../src/vocabulary/ChatEvent.js"
import * as Usage from "../../../src/vocabulary/Usage.js"
import * as Gemini from "../../../src/wire/Gemini.js"
import type { Frame, WireEvent } from "../../../src/wire/Wire.js"
import {
  collectStream,
  getOrThrow,
  halves,
  asReadByServer,
  jsonRoundTrip,
  source,
  responseRoundTrip,
  writeFrames
} from "../roundTrips.js"
import { character } from "../../support/character.js"
import { sampling } from "../generators.js"

const wire = Gemini.make({ labels: true })
const is = FastCheck.constant

const nonEmptyText = FastCheck.string({ minLength: 1, maxLength: 12, unit: character })
const name = FastCheck.stringMatching(/^[a-z]{1,8}$/)
const base64 = FastCheck.stringMatching(/^[A-Za-z0-9+/]{4,8}$/)

// -------------------------------------------------------------------------------------
// model parts
// -------------------------------------------------------------------------------------

/** One content part of the API. */
type ModelPart =
  | { readonly kind: "thought"; readonly text: string; readonly signature: string }
  | { readonly kind: "text"; readonly text: string; readonly signature: string }
  | { readonly kind: "call"; readonly name: string; readonly args: object; readonly signature: string }
  | { readonly kind: "code"; readonly code: string }

const signature = FastCheck.oneof(is(""), base64)

const modelPart: FastCheck.Arbitrary<ModelPart> = FastCheck.oneof<FastCheck.MaybeWeightedArbitrary<ModelPart>[]>(
  FastCheck.record({ kind: is("thought" as const), text: nonEmptyText, signature }),
  FastCheck.record({ kind: is("text" as const), text: nonEmptyText, signature }),
  FastCheck.record({ kind: is("text" as const), text: is(""), signature: base64 }),
  FastCheck.record({
    kind: is("call" as const),
    name,
    args: FastCheck.dictionary(name, FastCheck.oneof(nonEmptyText, FastCheck.integer(), FastCheck.boolean()), {
      maxKeys: 2
    }),
    signature
  }),
  FastCheck.record({ kind: is("code" as const), code: nonEmptyText })
)

interface DecodedParts {
  readonly reasoningParts: ReadonlyArray<ReasoningPart>
  readonly text: string
  readonly toolCalls: ReadonlyArray<ToolCall>
  /** Parts of other kinds, unchanged. */
  readonly others: ReadonlyArray<object>
}

/**
 * The parts in the common vocabulary. An unsigned thought continues in the next thought, so a second one is skipped until a
 * signed part separates them.
 */
const decodeParts = (modelParts: ReadonlyArray<ModelPart>, provider: { readonly provider?: string }): DecodedParts => {
  const reasoningParts: Array<ReasoningPart> = []
  const toolCalls: Array<ToolCall> = []
  const others: Array<object> = []
  let text = ""
  let open = false
  const addSignature = (format: string, id: string, signature: string): void => {
    reasoningParts.push({ type: "reasoning", text: "", signature, id, format, ...provider })
    open = false
  }
  for (const part of modelParts) {
    if (part.kind === "thought") {
      if (open) continue
      const { signature } = part
      reasoningParts.push({
        type: "reasoning",
        text: part.text,
        ...(signature === "" ? {} : { signature }),
        ...provider
      })
      open = signature === ""
    } else if (part.kind === "text") {
      if (part.signature !== "")
        addSignature("text", `${text.length}:${text.length + part.text.length}`, part.signature)
      text += part.text
    } else if (part.kind === "code") {
      const codePart = { executableCode: { language: "PYTHON", code: part.code } }
      addSignature("executableCode", String(text.length), JSON.stringify(codePart))
      others.push(codePart)
    } else {
      const id = `call_${toolCalls.length}`
      if (part.signature !== "") addSignature("functionCall", id, part.signature)
      toolCalls.push({ id, name: part.name, arguments: JSON.stringify(part.args) })
    }
  }
  return { reasoningParts, text, toolCalls, others }
}

/** Whether no text follows a tool call: a response has one text, which is written before the tool calls. */
const isOrdered = (modelParts: ReadonlyArray<ModelPart>): boolean => {
  const firstCall = modelParts.findIndex(({ kind }) => kind === "call")
  return firstCall === -1 || modelParts.slice(firstCall).every(({ kind }) => kind === "call")
}

const modelParts = FastCheck.array(modelPart, { maxLength: 6 }).filter(isOrdered)

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
  modelParts,
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
}).map(({ ending: [raw, reason], metadata, modelParts, ...response }) => {
  const { others: otherParts, ...content } = decodeParts(modelParts, { provider: "acme" })
  return {
    ...response,
    ...content,
    provider: "acme",
    reasoning: content.reasoningParts.map((codePart) => codePart.text).join(""),
    refusal: "",
    finishReason: content.toolCalls.length > 0 && raw === "STOP" ? "tool-calls" : reason,
    rawFinishReason: raw,
    latency: 0,
    keyId: "key",
    attempts: [],
    providerMetadata: { ...metadata, ...(otherParts.length === 0 ? {} : { parts: otherParts }) }
  }
})

const writeStream = (response: ChatResponse, events = ChatEvent.fromResponse(response)): ReadonlyArray<Frame> =>
  writeFrames(wire, events)

/** The same events in halved deltas; the last delta of a reasoning part has its signature. */
const halveDeltas = (events: ReadonlyArray<ChatEvent.ChatEvent>): ReadonlyArray<ChatEvent.ChatEvent> =>
  events.flatMap((event): ReadonlyArray<ChatEvent.ChatEvent> => {
    if (event._tag === "TextDelta") return halves(event.text).map((text) => ({ _tag: "TextDelta", text }))
    if (event._tag !== "ReasoningDelta" || event.text === "") return [event]
    const { signature, ...rest } = event
    const [first = "", second = ""] = halves(event.text)
    return [
      { ...rest, text: first },
      { ...rest, text: second, ...(signature === undefined ? {} : { signature }) }
    ]
  })

describe("Gemini response laws", () => {
  it.prop("every Gemini response survives writing and reading as one body", [responses], ([response]) => {
    expect(responseRoundTrip(wire, response)).toEqual(response)
  })
  it.prop("every Gemini response survives writing and reading as a stream", [responses], ([response]) => {
    expect(collectStream(wire, writeStream(response), response)).toEqual(response)
  })
  it.prop("every Gemini response survives a stream whose deltas are halved", [responses], ([response]) => {
    expect(collectStream(wire, writeStream(response, halveDeltas(ChatEvent.fromResponse(response))), response)).toEqual(
      response
    )
  })
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
      { type: "file", fileId: "gs://bucket/a.pdf" }
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
  FastCheck.tuple(
    modelParts.filter((parts) => parts.some(({ kind }) => kind === "text" || kind === "call")),
    FastCheck.array(result, { minLength: 6, maxLength: 6 })
  ).map(([modelParts, results]) => {
    const { reasoningParts, text, toolCalls } = decodeParts(modelParts, { provider: "acme" })
    const idOf = (id: string) => `${id}_${index}`
    const marks = reasoningParts.map((codePart): ReasoningPart =>
      codePart.format === "functionCall" ? { ...codePart, id: idOf(codePart.id ?? "") } : codePart
    )
    const calls = toolCalls.map((call): ToolCall => ({ ...call, id: idOf(call.id) }))
    // Gemini 3 rejects a tool call without a signature: the client writes a placeholder, which the server drops.
    return [
      {
        role: "assistant",
        content: marks.length === 0 ? text : [...marks, ...(text === "" ? [] : [Chat.text(text)])],
        ...(calls.length === 0 ? {} : { toolCalls: calls })
      },
      ...calls.map((call, at): Message => ({ role: "tool", toolCallId: call.id, content: "", ...results[at] }))
    ]
  })

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
      { effort: "minimal", summary: "auto" }
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
        request: { model: "asked", ...request, messages: request.messages.map(asReadByServer()) },
        stream
      })
    }
  )
})
