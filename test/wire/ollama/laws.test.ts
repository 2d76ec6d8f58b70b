/** Round trips of Ollama requests and responses, without the fields that the protocol lacks. */
import { describe, expect, it } from "@effect/vitest"
import { FastCheck } from "effect"
import type { AssistantPart, ChatRequest, ChatResponse, Message, UserPart } from "../../../src/vocabulary/Chat.js"
import { text, textOf } from "../../../src/vocabulary/Chat.js"
import * as ChatEvent from "../../../src/vocabulary/ChatEvent.js"
import * as Usage from "../../../src/vocabulary/Usage.js"
import * as Ollama from "../../../src/wire/Ollama.js"
import { chatRequest, chatResponse } from "../generators.js"
import {
  collectStream,
  splitDeltas,
  estimatedUsage,
  getOrThrow,
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

/** Responses with Ollama's metadata, and tool calls whose arguments are JSON objects or, in the first call, any text. */
const responses: FastCheck.Arbitrary<ChatResponse> = FastCheck.record({
  response: chatResponse("acme"),
  args: FastCheck.array(jsonObject, { minLength: 3, maxLength: 3 }),
  providerMetadata: FastCheck.record(
    {
      total_duration: FastCheck.nat(),
      logprobs: FastCheck.constant([{ token: "a", logprob: -0.5 }]),
      images: FastCheck.constant(["AAAA"])
    },
    { requiredKeys: [] }
  )
}).map(({ args, providerMetadata, response }) => ({
  ...response,
  providerMetadata,
  toolCalls: response.toolCalls.map((call, index) =>
    index === 0 ? call : { type: "tool-call", id: call.id, name: call.name, arguments: args[index] ?? "{}" }
  )
}))

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

/** A response without what the protocol lacks: it has one reasoning part, the refusal as text, no ids and two counts. */
const expressible = (response: ChatResponse): ChatResponse => ({
  ...response,
  ...ending(response),
  id: "",
  text: response.text + response.refusal,
  refusal: "",
  reasoningParts:
    response.reasoning === "" ? [] : [{ type: "reasoning", text: response.reasoning, provider: response.provider }],
  toolCalls: response.toolCalls.map(({ type: _, ...call }) => call),
  usage: Usage.make({ inputTokens: response.usage.inputTokens, outputTokens: response.usage.outputTokens })
})

describe("Ollama response laws", () => {
  it.prop(
    "every Ollama response survives writing and reading as one body, except for fields that Ollama lacks",
    [responses],
    ([response]) => {
      expect(responseRoundTrip(wire, response)).toEqual(expressible(response))
    }
  )
  it.prop(
    "every Ollama response survives a stream whose deltas are split at any size",
    [responses, FastCheck.integer({ min: 1, max: 20 })],
    ([response, size]) => {
      const frames = writeFrames(wire, splitDeltas(ChatEvent.fromResponse(response), size))
      expect(collectStream(wire, frames, response)).toEqual(expressible(response))
    }
  )
  it.prop(
    "an Ollama response without counts gets the same estimated usage from the body and from the stream",
    [responses],
    ([counted]) => {
      const response: ChatResponse = { ...counted, usage: { ...Usage.empty, estimated: true } }
      const expected: ChatResponse = {
        ...expressible(response),
        usage: estimatedUsage(counted)
      }
      expect(responseRoundTrip(wire, response)).toEqual(expected)
      expect(collectStream(wire, writeFrames(wire, ChatEvent.fromResponse(response)), response)).toEqual(expected)
    }
  )
})

// -------------------------------------------------------------------------------------
// requests
// -------------------------------------------------------------------------------------

const isSupportedPart = (part: UserPart): boolean =>
  part.type === "text" || (part.type === "image" && part.url.startsWith("data:"))

/** A message without the parts that are `Unsupported`. */
const supportedMessage = (message: Message, args: string): Message => {
  switch (message.role) {
    case "user":
      return {
        role: "user",
        content: typeof message.content === "string" ? message.content : message.content.filter(isSupportedPart)
      }
    case "assistant":
      return message.toolCalls === undefined
        ? message
        : { ...message, toolCalls: message.toolCalls.map(({ id, name }) => ({ id, name, arguments: args })) }
    default:
      return message
  }
}

const requests = FastCheck.tuple(chatRequest("acme"), jsonObject).map(([request, args]): ChatRequest => {
  const { logitBias: _, parallelToolCalls: __, toolChoice, ...rest } = request
  return {
    ...rest,
    messages: request.messages.map((message) => supportedMessage(message, args)),
    ...(toolChoice === "none" || toolChoice === "auto" ? { toolChoice } : {})
  }
})

const expectedAssistantContent = (
  content: string | ReadonlyArray<AssistantPart>
): string | ReadonlyArray<AssistantPart> => {
  if (typeof content === "string") return content
  const reasoning = content.map((part) => (part.type === "reasoning" ? part.text : "")).join("")
  const joinedText = textOf(content)
  return reasoning === ""
    ? joinedText
    : [{ type: "reasoning", text: reasoning }, ...(joinedText === "" ? [] : [text(joinedText)])]
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

const efforts = { none: "none", minimal: "low", low: "low", medium: "medium", high: "high", xhigh: "high" } as const

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
})
