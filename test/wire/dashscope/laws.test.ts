/** Round trips of DashScope requests and responses, without the fields that the protocol lacks. */
import { describe, expect, it } from "@effect/vitest"
import { FastCheck } from "effect"
import type { AssistantPart, ChatRequest, ChatResponse, Message, UserPart } from "../../../src/vocabulary/Chat.js"
import { text, textOf } from "../../../src/vocabulary/Chat.js"
import * as ChatEvent from "../../../src/vocabulary/ChatEvent.js"
import * as Usage from "../../../src/vocabulary/Usage.js"
import * as DashScope from "../../support/dashscope.js"
import { chatRequest, chatResponse } from "../generators.js"
import {
  collectStream,
  splitDeltas,
  estimatedUsage,
  getOrThrow,
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

/** Prefixes a text, because the decoder cannot tell deltas with equal beginnings from repetitions until more follows. */
const prefixed = (mark: string, value: string): string => (value === "" ? "" : mark + value)

const withDistinctTexts = (response: ChatResponse): ChatResponse => {
  const reasoningParts = response.reasoningParts.map((part, index) => ({
    ...part,
    text: prefixed(`${index}`, part.text)
  }))
  return {
    ...response,
    text: prefixed("t", response.text),
    refusal: prefixed("r", response.refusal),
    reasoningParts,
    reasoning: reasoningParts.map((part) => part.text).join("")
  }
}

const responses: FastCheck.Arbitrary<ChatResponse> = FastCheck.record({
  response: chatResponse("acme"),
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
}).map(({ providerMetadata, response }) => ({ ...withDistinctTexts(response), model: source.model, providerMetadata }))

/** A response without what the protocol lacks: it has one reasoning part, the refusal as text and no custom tool calls. */
const expressible = (response: ChatResponse): ChatResponse => ({
  ...response,
  rawFinishReason: response.rawFinishReason || "other",
  text: response.text + response.refusal,
  refusal: "",
  reasoningParts:
    response.reasoning === "" ? [] : [{ type: "reasoning", text: response.reasoning, provider: response.provider }],
  toolCalls: response.toolCalls.map(({ type: _, ...call }) => call)
})

describe("DashScope response laws", () => {
  it.prop(
    "every DashScope response survives writing and reading as one body, except for fields that DashScope lacks",
    [responses],
    ([response]) => {
      expect(responseRoundTrip(wire, response)).toEqual(expressible(response))
    }
  )
  it.prop(
    "every DashScope response survives an incremental stream whose deltas are split at any size",
    [responses, FastCheck.integer({ min: 1, max: 20 })],
    ([response, size]) => {
      const frames = writeFrames(wire, splitDeltas(ChatEvent.fromResponse(response), size), incrementalRequest)
      expect(collectStream(wire, frames, response)).toEqual(expressible(response))
    }
  )
  it.prop("every DashScope response survives an incremental stream of whole deltas", [responses], ([response]) => {
    expect(
      collectStream(wire, writeFrames(wire, ChatEvent.fromResponse(response), incrementalRequest), response)
    ).toEqual(expressible(response))
  })
  it.prop("every DashScope response survives a cumulative stream of whole deltas", [responses], ([response]) => {
    expect(collectStream(wire, writeFrames(wire, ChatEvent.fromResponse(response)), response)).toEqual(
      expressible(response)
    )
  })
  it.prop(
    "every DashScope response survives a cumulative stream whose deltas are split at any size",
    [
      FastCheck.lorem({ maxCount: 30 }),
      FastCheck.lorem({ maxCount: 30 }),
      FastCheck.integer({ min: 1, max: 9 }),
      responses
    ],
    ([reasoning, content, size, { toolCalls, ...response }]) => {
      const answer: ChatResponse = {
        ...response,
        reasoning: reasoning,
        reasoningParts: [{ type: "reasoning", text: reasoning, provider: "acme" }],
        text: content,
        refusal: "",
        toolCalls: toolCalls.map((call) => ({ ...call, arguments: `{"words":${JSON.stringify(content)}}` }))
      }
      const frames = writeFrames(wire, splitDeltas(ChatEvent.fromResponse(answer), size))
      expect(collectStream(wire, frames, answer)).toEqual(expressible(answer))
    }
  )
  it.prop(
    "a DashScope response without counts gets the same estimated usage from the body and from the stream",
    [responses],
    ([counted]) => {
      const { usage: _, ...providerMetadata } = counted.providerMetadata
      const response: ChatResponse = { ...counted, providerMetadata, usage: { ...Usage.empty, estimated: true } }
      const expected: ChatResponse = {
        ...expressible(response),
        usage: estimatedUsage(counted)
      }
      expect(responseRoundTrip(wire, response)).toEqual(expected)
      expect(
        collectStream(wire, writeFrames(wire, ChatEvent.fromResponse(response), incrementalRequest), response)
      ).toEqual(expected)
    }
  )
})

// -------------------------------------------------------------------------------------
// requests
// -------------------------------------------------------------------------------------

/** A message without the parts that are `Unsupported`. */
const supportedMessage = (message: Message): Message => {
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
      return message.toolCalls === undefined
        ? message
        : { ...message, toolCalls: message.toolCalls.map(({ type: _, ...call }) => call) }
    default:
      return message
  }
}

/** Model names that the wire takes for multimodal models. */
const multimodalModels: ReadonlyArray<string> = ["asr", "audio", "ocr", "omni", "qvq", "vl"]

const requests = FastCheck.tuple(
  chatRequest("acme"),
  FastCheck.nat(29).map((at) => multimodalModels[at])
).map(([{ frequencyPenalty: _, logitBias: __, toolChoice, ...request }, model]): ChatRequest => ({
  ...request,
  ...(model === undefined ? {} : { model: model }),
  messages: request.messages.map(supportedMessage),
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

const expectedAssistantContent = (
  content: string | ReadonlyArray<AssistantPart>,
  service: Service
): string | ReadonlyArray<AssistantPart> => {
  if (typeof content === "string") return content
  const reasoning = content.map((part) => (part.type === "reasoning" ? part.text : "")).join("")
  const joinedText = textOf(content)
  const parts = joinedText === "" ? [] : [text(joinedText)]
  if (reasoning !== "") return [{ type: "reasoning", text: reasoning }, ...parts]
  return service === "text-generation" || joinedText !== "" ? joinedText : []
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
    ...(reasoning === undefined ? {} : { reasoning: reasoning.effort === "none" ? { effort: "none" } : {} })
  }
}

const isMedia = (part: { readonly type: string }): boolean => part.type !== "text" && part.type !== "reasoning"

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
})
