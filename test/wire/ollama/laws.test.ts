/** Round trips of Ollama requests and responses, without the fields that the protocol lacks. */
import { describe, expect, it } from "@effect/vitest"
import * as FastCheck from "fast-check"
import type {
  AssistantMessage,
  AssistantPart,
  ChatRequest,
  ChatResponse,
  Message,
  UserPart
} from "../../../src/vocabulary/Chat.js"
import { text, textOf, toolCall, withContent } from "../../../src/vocabulary/Chat.js"
import * as ChatEvent from "../../../src/vocabulary/ChatEvent.js"
import * as Usage from "../../../src/vocabulary/Usage.js"
import * as Ollama from "../../../src/wire/Ollama.js"
import { chatRequest, chatResponse } from "../generators.js"
import { foreignParts, inOneField, inStreamOrder, withReversedEnds } from "../plainParts.js"
import {
  collectStream,
  splitDeltas,
  estimatedUsage,
  getOrThrow,
  interleaveToolCalls,
  jsonRoundTrip,
  responseRoundTrip,
  writeFrames
} from "../roundTrips.js"

const wire = Ollama.make()

const jsonObject = FastCheck.dictionary(FastCheck.stringMatching(/^[a-z]{1,4}$/), FastCheck.string(), {
  maxKeys: 2
}).map((fields) => JSON.stringify(fields))

// -------------------------------------------------------------------------------------
// responses
// -------------------------------------------------------------------------------------

/**
 * Responses with Ollama's metadata, parts of other protocols, and tool calls whose arguments are JSON objects or, in the first
 * call, any text.
 */
const responses: FastCheck.Arbitrary<ChatResponse> = FastCheck.record({
  response: chatResponse("acme"),
  withForeignParts: foreignParts,
  args: FastCheck.array(jsonObject, { minLength: 3, maxLength: 3 }),
  providerMetadata: FastCheck.record(
    {
      total_duration: FastCheck.nat(),
      logprobs: FastCheck.constant([{ token: "a", logprob: -0.5 }]),
      images: FastCheck.constant(["AAAA"])
    },
    { requiredKeys: [] }
  )
}).map(({ args, providerMetadata, response, withForeignParts }) => {
  const [first, ...others] = response.toolCalls
  const content = response.content.map((part) =>
    part.type === "tool-call" && part !== first ? { ...part, arguments: args[others.indexOf(part)] ?? "{}" } : part
  )
  return withContent({ ...response, providerMetadata }, withForeignParts(content))
})

const ending = ({ finishReason, rawFinishReason }: ChatResponse) => {
  switch (finishReason) {
    case "tool-calls":
      return { finishReason, rawFinishReason: "stop" }
    case "content-filter":
    case "other":
      return { finishReason: "other" as const, rawFinishReason: rawFinishReason || "other" }
    default:
      return { finishReason, rawFinishReason }
  }
}

/** A response with what the protocol has: texts, reasoning and function calls, no id and two counts. */
const expressible = (response: ChatResponse, parts: typeof inOneField): ChatResponse =>
  withContent(
    {
      ...response,
      ...ending(response),
      id: "",
      usage: Usage.make({ inputTokens: response.usage.inputTokens, outputTokens: response.usage.outputTokens })
    },
    parts(response.content, "acme")
  )

describe("Ollama response laws", () => {
  it.prop(
    "every Ollama response survives writing and reading as one body, with the order kept within each field",
    [responses],
    ([response]) => {
      expect(responseRoundTrip(wire, response)).toEqual(expressible(response, inOneField))
    }
  )
  it.prop(
    "every Ollama response survives a stream whose deltas are split at any size, in the order of the stream",
    [responses, FastCheck.integer({ min: 1, max: 20 })],
    ([response, size]) => {
      const frames = writeFrames(wire, splitDeltas(ChatEvent.fromResponse(response), size))
      expect(collectStream(wire, frames, response)).toEqual(expressible(response, inStreamOrder))
    }
  )
  it.prop(
    "every Ollama response survives a stream whose tool calls are interleaved and end in any order",
    [responses, FastCheck.integer({ min: 1, max: 5 }), FastCheck.boolean()],
    ([response, size, isReversed]) => {
      const events = interleaveToolCalls(ChatEvent.fromResponse(response), size)
      const frames = writeFrames(wire, isReversed ? withReversedEnds(events) : events)
      expect(collectStream(wire, frames, response)).toEqual(expressible(response, inStreamOrder))
    }
  )
  it.prop(
    "an Ollama response has the same parts from the body and, put into the fields of the body, from the stream",
    [responses],
    ([response]) => {
      const streamed = collectStream(wire, writeFrames(wire, ChatEvent.fromResponse(response)), response)
      expect(withContent(streamed, inOneField(streamed.content, "acme"))).toEqual(responseRoundTrip(wire, response))
    }
  )
  it.prop(
    "an Ollama response without counts gets the usage estimated from its parts, from the body and from the stream",
    [responses],
    ([counted]) => {
      const response: ChatResponse = { ...counted, usage: { ...Usage.empty, estimated: true } }
      const withEstimate = (parts: typeof inOneField): ChatResponse => {
        const expected = expressible(response, parts)
        return { ...expected, usage: estimatedUsage(expected) }
      }
      expect(responseRoundTrip(wire, response)).toEqual(withEstimate(inOneField))
      expect(collectStream(wire, writeFrames(wire, ChatEvent.fromResponse(response)), response)).toEqual(
        withEstimate(inStreamOrder)
      )
    }
  )
})

// -------------------------------------------------------------------------------------
// requests
// -------------------------------------------------------------------------------------

const isSupportedPart = (part: UserPart): boolean =>
  part.type === "text" || (part.type === "image" && part.url.startsWith("data:"))

/** A message without the parts that are `Unsupported`. */
const supportedMessage = (
  message: Message,
  args: string,
  withForeignParts: (content: ReadonlyArray<AssistantPart>) => ReadonlyArray<AssistantPart>
): Message => {
  switch (message.role) {
    case "user":
      return {
        role: "user",
        content: typeof message.content === "string" ? message.content : message.content.filter(isSupportedPart)
      }
    case "assistant":
      return typeof message.content === "string"
        ? message
        : {
            ...message,
            content: withForeignParts(
              message.content.map((part) => (part.type === "tool-call" ? toolCall(part.id, part.name, args) : part))
            )
          }
    default:
      return message
  }
}

const requests = FastCheck.tuple(chatRequest("acme"), jsonObject, foreignParts).map(
  ([request, args, withForeignParts]): ChatRequest => {
    const { logitBias: _, parallelToolCalls: __, toolChoice, ...rest } = request
    return {
      ...rest,
      messages: request.messages.map((message) => supportedMessage(message, args, withForeignParts)),
      ...(toolChoice === "none" || toolChoice === "auto" ? { toolChoice } : {})
    }
  }
)

const expectedAssistantContent = (content: AssistantMessage["content"]): AssistantMessage["content"] => {
  if (typeof content === "string") return content
  const parts = inOneField(content)
  return parts.every((part) => part.type === "text") ? textOf(parts) : parts
}

const expectedUserContent = (content: string | ReadonlyArray<UserPart>): string | ReadonlyArray<UserPart> => {
  const joinedText = textOf(content)
  const images = typeof content === "string" ? [] : content.flatMap((part) => (part.type === "image" ? [part] : []))
  return images.length === 0
    ? joinedText
    : [...(joinedText === "" ? [] : [text(joinedText)]), ...images.map(({ type, url }) => ({ type, url }))]
}

const expectedMessage = (message: Message): Message => {
  switch (message.role) {
    case "system":
    case "developer":
      return { role: "system", content: textOf(message.content) }
    case "user":
      return { role: "user", content: expectedUserContent(message.content) }
    case "assistant":
      return { ...message, content: expectedAssistantContent(message.content) }
    case "tool":
      return message
  }
}

const efforts = {
  none: "none",
  minimal: "low",
  low: "low",
  medium: "medium",
  high: "high",
  xhigh: "high",
  max: "high"
} as const

/** The request as the server reads it: without the fields that the wire drops, and without tools for tool choice none. */
const expectedRequest = (request: ChatRequest): ChatRequest => {
  const { metadata: _, reasoning, responseFormat, toolChoice, tools, user: __, ...rest } = request
  const effort = reasoning?.effort
  return {
    model: "asked",
    ...rest,
    messages: request.messages.map(expectedMessage),
    ...(tools === undefined || toolChoice === "none" ? {} : { tools: tools.map(({ strict: ___, ...tool }) => tool) }),
    ...(responseFormat === undefined || responseFormat === "text"
      ? {}
      : { responseFormat: responseFormat === "json" ? "json" : { name: "answer", schema: responseFormat.schema } }),
    ...(reasoning === undefined ? {} : { reasoning: effort === undefined ? {} : { effort: efforts[effort] } })
  }
}

describe("Ollama request laws", () => {
  it.prop(
    "every supported Ollama request survives writing by the client and reading by the server",
    [requests, FastCheck.boolean()],
    ([request, stream]) => {
      const {
        body,
        headers = {},
        path
      } = getOrThrow(wire.encodeRequest(request, { provider: "acme", model: "asked", stream }))
      expect(getOrThrow(wire.decodeRequest(jsonRoundTrip(body), { path, headers }))).toEqual({
        request: expectedRequest(request),
        stream
      })
    }
  )
  it.prop(
    "the messages of every Ollama body are the same after reading by the server and writing by the client",
    [requests],
    ([request]) => {
      const target = { provider: "acme", model: "asked", stream: false }
      const { body } = getOrThrow(wire.encodeRequest(request, target))
      const { request: read } = getOrThrow(wire.decodeRequest(jsonRoundTrip(body)))
      expect(getOrThrow(wire.encodeRequest(read, target)).body["messages"]).toEqual(body["messages"])
    }
  )
})
