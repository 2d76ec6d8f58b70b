/** Round trips of DashScope requests and responses, without the fields that the protocol lacks. */
import { describe, expect, it } from "@effect/vitest"
import * as FastCheck from "fast-check"
import type {
  AssistantMessage,
  AssistantPart,
  ChatRequest,
  ChatResponse,
  Message,
  UserPart,
  Reasoning
} from "../../../src/vocabulary/Chat.js"
import { text, textOf, toolCall, withContent } from "../../../src/vocabulary/Chat.js"
import * as ChatEvent from "../../../src/vocabulary/ChatEvent.js"
import * as Usage from "../../../src/vocabulary/Usage.js"
import { budgets } from "../../../src/wire/effort.js"
import * as DashScope from "../../support/dashscope.js"
import { chatRequest, chatResponse } from "../generators.js"
import { foreignParts, inOneField, inStreamOrder, plainParts } from "../plainParts.js"
import {
  collectStream,
  splitDeltas,
  estimatedUsage,
  getOrThrow,
  interleaveToolCalls,
  jsonRoundTrip,
  source,
  responseRoundTrip,
  writeFrames
} from "../roundTrips.js"

const wire = DashScope.make()

/** A request for an incremental stream. */
const incrementalRequest = { parameters: { incremental_output: true } }

// -------------------------------------------------------------------------------------
// responses
// -------------------------------------------------------------------------------------

/** Prefixes texts, because the decoder cannot tell deltas with equal beginnings from repetitions until more follows. */
const withDistinctTexts = (content: ReadonlyArray<AssistantPart>): ReadonlyArray<AssistantPart> =>
  content.map((part, index) =>
    part.type === "provider" || part.type === "tool-call" || part.text === ""
      ? part
      : { ...part, text: `${index}${part.text}` }
  )

const responses: FastCheck.Arbitrary<ChatResponse> = FastCheck.record({
  response: chatResponse("acme"),
  withForeignParts: foreignParts,
  providerMetadata: FastCheck.record(
    {
      search_info: FastCheck.constant({ search_results: [{ index: 1, url: "https://example.com" }] }),
      logprobs: FastCheck.constant({ content: [{ token: "a", logprob: -0.5 }] }),
      annotations: FastCheck.constant([{ type: "url_citation" }]),
      content: FastCheck.constant([{ image: "https://example.com/a.png" }]),
      usage: FastCheck.constant({ image_tokens: 3 })
    },
    { requiredKeys: [] }
  )
}).map(({ providerMetadata, response, withForeignParts }) =>
  withContent(
    { ...response, model: source.model, providerMetadata },
    withForeignParts(withDistinctTexts(response.content))
  )
)

/** A response with what the protocol has: texts, reasoning and function calls. */
const expressible = (response: ChatResponse, parts: typeof inOneField): ChatResponse =>
  withContent({ ...response, rawFinishReason: response.rawFinishReason || "other" }, parts(response.content, "acme"))

describe("DashScope response laws", () => {
  it.prop(
    "every DashScope response survives writing and reading as one body, with the order kept within each field",
    [responses],
    ([response]) => {
      expect(responseRoundTrip(wire, response)).toEqual(expressible(response, inOneField))
    }
  )
  it.prop(
    "every DashScope response survives an incremental stream whose deltas are split at any size, in the order of the stream",
    [responses, FastCheck.integer({ min: 1, max: 20 })],
    ([response, size]) => {
      const frames = writeFrames(wire, splitDeltas(ChatEvent.fromResponse(response), size), incrementalRequest)
      expect(collectStream(wire, frames, response)).toEqual(expressible(response, inStreamOrder))
    }
  )
  it.prop(
    "every DashScope response survives an incremental stream whose tool calls are interleaved",
    [responses, FastCheck.integer({ min: 1, max: 5 })],
    ([response, size]) => {
      const frames = writeFrames(wire, interleaveToolCalls(ChatEvent.fromResponse(response), size), incrementalRequest)
      expect(collectStream(wire, frames, response)).toEqual(expressible(response, inStreamOrder))
    }
  )
  it.prop(
    "every DashScope response survives incremental and cumulative streams of whole deltas, in the order of the stream",
    [responses, FastCheck.constantFrom(incrementalRequest, {})],
    ([response, request]) => {
      const frames = writeFrames(wire, ChatEvent.fromResponse(response), request)
      expect(collectStream(wire, frames, response)).toEqual(expressible(response, inStreamOrder))
    }
  )
  it.prop(
    "every DashScope response survives a cumulative stream whose deltas are split at any size, in the order of the stream",
    [FastCheck.lorem({ maxCount: 30 }), FastCheck.integer({ min: 1, max: 9 }), responses],
    ([words, size, response]) => {
      const content = response.content.map((part): AssistantPart => {
        switch (part.type) {
          case "tool-call":
            return { ...part, arguments: JSON.stringify({ words }) }
          case "provider":
            return part
          default:
            return { ...part, text: words }
        }
      })
      const answer: ChatResponse = withContent(response, content)
      const frames = writeFrames(wire, splitDeltas(ChatEvent.fromResponse(answer), size))
      expect(collectStream(wire, frames, answer)).toEqual(expressible(answer, inStreamOrder))
    }
  )
  it.prop(
    "a DashScope response has the same parts from the body and, put into the fields of the body, from the stream",
    [responses],
    ([response]) => {
      const streamed = collectStream(
        wire,
        writeFrames(wire, ChatEvent.fromResponse(response), incrementalRequest),
        response
      )
      expect(withContent(streamed, inOneField(streamed.content, "acme"))).toEqual(responseRoundTrip(wire, response))
    }
  )
  it.prop(
    "a DashScope response without counts gets the usage estimated from its parts, from the body and from the stream",
    [responses],
    ([counted]) => {
      const { usage: _, ...providerMetadata } = counted.providerMetadata
      const response: ChatResponse = { ...counted, providerMetadata, usage: { ...Usage.empty, estimated: true } }
      const withEstimate = (parts: typeof inOneField): ChatResponse => {
        const expected = expressible(response, parts)
        return { ...expected, usage: estimatedUsage(expected) }
      }
      expect(responseRoundTrip(wire, response)).toEqual(withEstimate(inOneField))
      expect(
        collectStream(wire, writeFrames(wire, ChatEvent.fromResponse(response), incrementalRequest), response)
      ).toEqual(withEstimate(inStreamOrder))
    }
  )
})

// -------------------------------------------------------------------------------------
// requests
// -------------------------------------------------------------------------------------

/** A message without the parts that are `Unsupported`. */
const supportedMessage = (
  message: Message,
  withForeignParts: (content: ReadonlyArray<AssistantPart>) => ReadonlyArray<AssistantPart>
): Message => {
  switch (message.role) {
    case "user":
      return {
        role: "user",
        content:
          typeof message.content === "string"
            ? message.content
            : message.content.map((part) =>
                part.type === "file" ? { type: "file", url: "data:video/mp4;base64,AAAA" } : part
              )
      }
    case "assistant":
      return typeof message.content === "string"
        ? message
        : {
            ...message,
            content: withForeignParts(
              message.content.map((part) =>
                part.type === "tool-call" ? toolCall(part.id, part.name, part.arguments) : part
              )
            )
          }
    default:
      return message
  }
}

/** Model names that the wire takes for multimodal models. */
const multimodalModels: ReadonlyArray<string> = ["asr", "audio", "ocr", "omni", "qvq", "vl"]

const requests = FastCheck.tuple(
  chatRequest("acme"),
  FastCheck.nat(29).map((at) => multimodalModels[at]),
  foreignParts
).map(([{ frequencyPenalty: _, logitBias: __, toolChoice, ...request }, model, withForeignParts]): ChatRequest => ({
  ...request,
  ...(model === undefined ? {} : { model: model }),
  messages: request.messages.map((message) => supportedMessage(message, withForeignParts)),
  ...(toolChoice === undefined || toolChoice === "required" ? {} : { toolChoice })
}))

type Service = NonNullable<DashScope.Dialect["service"]>

const plainPart = (part: UserPart): UserPart => (part.type === "image" ? { type: "image", url: part.url } : part)

const expectedContent = <Part extends UserPart>(
  content: string | ReadonlyArray<Part>,
  service: Service
): string | ReadonlyArray<UserPart> => {
  if (typeof content === "string") return content
  if (service === "text-generation") return textOf(content)
  const [only] = content
  return content.length === 1 && only?.type === "text" ? only.text : content.map(plainPart)
}

/** The reasoning, the texts and the calls. The multimodal service has a list of texts, the other one text. */
const expectedAssistantContent = (
  content: AssistantMessage["content"],
  service: Service
): AssistantMessage["content"] => {
  if (typeof content === "string") return content
  const joined = inOneField(content)
  const texts = plainParts(content).filter((part) => part.type === "text")
  if (joined.every((part) => part.type === "text") && (service === "text-generation" || texts.length < 2)) {
    return textOf(joined)
  }
  return service === "text-generation"
    ? joined
    : [
        ...joined.filter((part) => part.type === "reasoning"),
        ...texts,
        ...joined.filter((part) => part.type === "tool-call")
      ]
}

const expectedMessage = (message: Message, service: Service): Message => {
  switch (message.role) {
    case "system":
    case "developer": {
      const content = expectedContent(message.content, service)
      return {
        role: "system",
        content:
          typeof content === "string" ? content : content.map((part) => text(part.type === "text" ? part.text : ""))
      }
    }
    case "user":
      return { role: "user", content: expectedContent(message.content, service) }
    case "assistant":
      return { ...message, content: expectedAssistantContent(message.content, service) }
    case "tool":
      return message
  }
}

/** The request as the server reads it, without the fields that the wire drops. */
const expectedRequest = (request: ChatRequest, service: Service): ChatRequest => {
  const { metadata: _, reasoning, tools, user: __, ...rest } = request
  return {
    model: "asked",
    ...rest,
    messages: request.messages.map((message) => expectedMessage(message, service)),
    ...(tools === undefined ? {} : { tools: tools.map(({ strict: ___, ...tool }) => tool) }),
    ...(reasoning === undefined ? {} : { reasoning: readReasoning(reasoning) })
  }
}

/** An effort is written as its budget. */
const readReasoning = ({ budgetTokens, effort }: Reasoning): Reasoning => {
  if (effort === "none") return { effort }
  const budget = budgetTokens ?? (effort && budgets[effort])
  return budget === undefined ? {} : { budgetTokens: budget }
}

const isMedia = (part: { readonly type: string }): boolean => ["image", "audio", "file"].includes(part.type)

const isMultimodal = (request: ChatRequest): boolean =>
  (request.model !== undefined && multimodalModels.includes(request.model)) ||
  request.messages.some((message) => typeof message.content !== "string" && message.content.some(isMedia))

describe("DashScope request laws", () => {
  it.prop(
    "every supported DashScope request survives writing and reading, in the service that its content needs",
    [requests, FastCheck.boolean()],
    ([request, stream]) => {
      const target = { provider: "acme", model: "asked", stream }
      const { body, headers = {}, path } = getOrThrow(wire.encodeRequest(request, target))
      const service = isMultimodal(request) ? "multimodal-generation" : "text-generation"
      expect(path).toBe(`/services/aigc/${service}/generation`)
      expect(getOrThrow(wire.decodeRequest(jsonRoundTrip(body), { path, headers }))).toEqual({
        request: expectedRequest(request, service),
        stream
      })
    }
  )
  it.prop(
    "every supported DashScope request survives writing and reading in the service that the dialect sets",
    [requests],
    ([request]) => {
      const multimodalWire = DashScope.make({ service: "multimodal-generation" })
      const { body, path } = getOrThrow(
        multimodalWire.encodeRequest(request, { provider: "acme", model: "asked", stream: false })
      )
      expect(getOrThrow(multimodalWire.decodeRequest(jsonRoundTrip(body), { path, headers: {} })).request).toEqual(
        expectedRequest(request, "multimodal-generation")
      )
    }
  )
  it.prop(
    "the messages of every DashScope body are the same after reading by the server and writing by the client",
    [requests],
    ([request]) => {
      const target = { provider: "acme", model: "asked", stream: false }
      const { body, path } = getOrThrow(wire.encodeRequest(request, target))
      const { request: read } = getOrThrow(wire.decodeRequest(jsonRoundTrip(body), { path, headers: {} }))
      expect(getOrThrow(wire.encodeRequest(read, target)).body["input"]).toEqual(body["input"])
    }
  )
})
