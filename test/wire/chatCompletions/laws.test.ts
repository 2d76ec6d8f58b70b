/** Round trips of Chat Completions requests, responses and streams. */
import { describe, expect, it } from "@effect/vitest"
import { FastCheck } from "effect"
import type { ChatRequest, ChatResponse } from "../../../src/vocabulary/Chat.js"
import * as ChatEvent from "../../../src/vocabulary/ChatEvent.js"
import * as ChatCompletions from "../../../src/wire/ChatCompletions.js"
import { records } from "../../../src/wire/json.js"
import { strictly } from "../../../src/wire/schema/strict.js"
import { chatRequest, chatResponse } from "../generators.js"
import {
  collectStream,
  estimatedUsage,
  getOrThrow,
  asReadByServer,
  interleaveToolCalls,
  jsonRoundTrip,
  responseRoundTrip,
  writeFrames
} from "../roundTrips.js"

const wire = ChatCompletions.make({
  developerRole: "developer",
  history: "reasoning_details",
  sampling: ["topK", "frequencyPenalty", "presencePenalty", "logitBias", "logprobs"]
})

/** A request that includes the usage and declares the custom tools of the response. */
const requestFor = (response: ChatResponse): Record<string, unknown> => ({
  stream_options: { include_usage: true },
  tools: response.toolCalls
    .filter((call) => call.type === "custom")
    .map(({ name }) => ({ type: "custom", custom: { name } }))
})

/** A response without a raw finish reason is written with "other". */
const responses = chatResponse("acme").map((response) => ({
  ...response,
  rawFinishReason: response.rawFinishReason || "other"
}))

/** The response that a client collects from a stream of these events. */
const streamRoundTrip = (response: ChatResponse, events = ChatEvent.fromResponse(response)): ChatResponse =>
  collectStream(wire, writeFrames(wire, events, requestFor(response)), response, "event")

describe("Chat Completions response laws", () => {
  it.prop("every Chat Completions response survives writing and reading as one body", [responses], ([response]) => {
    expect(responseRoundTrip(wire, response)).toEqual(response)
  })
  it.prop("every Chat Completions response survives writing and reading as a stream", [responses], ([response]) => {
    expect(streamRoundTrip(response)).toEqual(response)
  })
  it.prop(
    "every Chat Completions response survives a stream whose deltas are split at any size and interleaved",
    [responses, FastCheck.integer({ min: 1, max: 4 })],
    ([response, size]) => {
      expect(streamRoundTrip(response, interleaveToolCalls(ChatEvent.fromResponse(response), size))).toEqual(response)
    }
  )
  it.prop(
    "a Chat Completions response without counts gets the same estimated usage from the body and from the stream",
    [responses],
    ([counted]) => {
      const response: ChatResponse = {
        ...counted,
        usage: estimatedUsage(counted)
      }
      expect(responseRoundTrip(wire, response)).toEqual(response)
      expect(streamRoundTrip(response)).toEqual(response)
    }
  )
})

describe("Chat Completions body and stream", () => {
  it.prop("a message read as one stream delta gives the same response as the body", [responses], ([response]) => {
    const body = wire.encodeResponse(response)
    const { message, ...rest } = records(body, "choices")[0] ?? {}
    const frames = [{ data: JSON.stringify({ ...body, choices: [{ ...rest, delta: message }] }) }, { data: "[DONE]" }]
    expect(collectStream(wire, frames, response, "event")).toEqual(responseRoundTrip(wire, response))
  })
})

/** The request with its schemas rewritten for strict mode. */
const strict = ({ responseFormat, tools, ...request }: ChatRequest): ChatRequest => ({
  ...request,
  ...(tools === undefined
    ? {}
    : {
        tools: tools.map(({ parameters = {}, strict: requested, ...tool }) => {
          const { schema, ...strictness } = strictly(parameters, requested)
          return { ...tool, parameters: schema, ...strictness }
        })
      }),
  ...(responseFormat === undefined
    ? {}
    : {
        responseFormat:
          typeof responseFormat === "string"
            ? responseFormat
            : { ...responseFormat, ...strictly(responseFormat.schema, responseFormat.strict) }
      })
})

describe("Chat Completions request laws", () => {
  it.prop(
    "every Chat Completions request survives writing by the client and reading by the server",
    [chatRequest("acme"), FastCheck.boolean()],
    ([request, stream]) => {
      const { body } = getOrThrow(wire.encodeRequest(request, { provider: "acme", model: "asked", stream }))
      const expected: ChatRequest = {
        model: "asked",
        ...strict(request),
        messages: request.messages.map(asReadByServer("chat-completions"))
      }
      expect(getOrThrow(wire.decodeRequest(jsonRoundTrip(body)))).toEqual({ request: expected, stream })
    }
  )
})
