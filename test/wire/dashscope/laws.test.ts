/** What is written reads back as what was meant, as far as the protocol has words for it. */
import { describe, expect, it } from "@effect/vitest"
import { FastCheck } from "effect"
import type { AssistantPart, ChatRequest, ChatResponse, Message, UserPart } from "../../../src/vocabulary/Chat.js"
import { text, textOf } from "../../../src/vocabulary/Chat.js"
import * as ChatEvent from "../../../src/vocabulary/ChatEvent.js"
import * as Usage from "../../../src/vocabulary/Usage.js"
import * as DashScope from "../../../src/wire/DashScope.js"
import { chatRequest, chatResponse } from "../generators.js"
import { collectStream, splitDeltas, estimatedUsage, getOrThrow, jsonRoundTrip, source, responseRoundTrip, writeFrames } from "../roundTrips.js"

const wire = DashScope.make()

/** What a client asks that wants what is new alone. */
const incrementally = { parameters: { incremental_output: true } }

// -------------------------------------------------------------------------------------
// answers
// -------------------------------------------------------------------------------------

/** Pieces of the same channel that begin alike are only told from repetitions by what follows: none of these do. */
const apart = (mark: string, said: string): string => (said === "" ? "" : mark + said)

const distinct = (response: ChatResponse): ChatResponse => {
  const reasoningParts = response.reasoningParts.map((part, index) => ({ ...part, text: apart(`${index}`, part.text) }))
  return {
    ...response,
    text: apart("t", response.text),
    refusal: apart("r", response.refusal),
    reasoningParts,
    reasoning: reasoningParts.map((part) => part.text).join("")
  }
}

const answers: FastCheck.Arbitrary<ChatResponse> = FastCheck.record({
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
}).map(({ providerMetadata, response }) => ({ ...distinct(response), model: source.model, providerMetadata }))

/** What of an answer the protocol can say: one thought, no refusal but in words, functions alone. */
const sayable = (response: ChatResponse): ChatResponse => ({
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
    "every response survives writing and reading as one body, except for fields that DashScope lacks",
    [answers],
    ([response]) => {
      expect(responseRoundTrip(wire, response)).toEqual(sayable(response))
    }
  )
  it.prop(
    "every response survives an incremental stream whose deltas are split at any size",
    [answers, FastCheck.integer({ min: 1, max: 20 })],
    ([response, size]) => {
      const frames = writeFrames(wire, splitDeltas(ChatEvent.fromResponse(response), size), incrementally)
      expect(collectStream(wire, frames, response)).toEqual(sayable(response))
    }
  )
  it.prop("every response survives an incremental stream of whole deltas", [answers], ([response]) => {
    expect(collectStream(wire, writeFrames(wire, ChatEvent.fromResponse(response), incrementally), response)).toEqual(
      sayable(response)
    )
  })
  it.prop("every response survives a cumulative stream of whole deltas", [answers], ([response]) => {
    expect(collectStream(wire, writeFrames(wire, ChatEvent.fromResponse(response)), response)).toEqual(sayable(response))
  })
  it.prop(
    "every response survives a cumulative stream whose deltas are split at any size",
    [
      FastCheck.lorem({ maxCount: 30 }),
      FastCheck.lorem({ maxCount: 30 }),
      FastCheck.integer({ min: 1, max: 9 }),
      answers
    ],
    ([thought, said, size, { toolCalls, ...response }]) => {
      const answer: ChatResponse = {
        ...response,
        reasoning: thought,
        reasoningParts: [{ type: "reasoning", text: thought, provider: "acme" }],
        text: said,
        refusal: "",
        toolCalls: toolCalls.map((call) => ({ ...call, arguments: `{"words":${JSON.stringify(said)}}` }))
      }
      const frames = writeFrames(wire, splitDeltas(ChatEvent.fromResponse(answer), size))
      expect(collectStream(wire, frames, answer)).toEqual(sayable(answer))
    }
  )
  it.prop(
    "a response without counts gets the same estimated usage from the body and from the stream",
    [answers],
    ([counted]) => {
      const { usage: _, ...providerMetadata } = counted.providerMetadata
      const response: ChatResponse = { ...counted, providerMetadata, usage: { ...Usage.empty, estimated: true } }
      const expected: ChatResponse = {
        ...sayable(response),
        usage: estimatedUsage(counted)
      }
      expect(responseRoundTrip(wire, response)).toEqual(expected)
      expect(collectStream(wire, writeFrames(wire, ChatEvent.fromResponse(response), incrementally), response)).toEqual(
        expected
      )
    }
  )
})

// -------------------------------------------------------------------------------------
// requests
// -------------------------------------------------------------------------------------

/** A question without what the protocol refuses to say. */
const supported = (message: Message): Message => {
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

/** Names that say of a model that it sees or hears. */
const seeingNames: ReadonlyArray<string> = ["asr", "audio", "ocr", "omni", "qvq", "vl"]

const requests = FastCheck.tuple(
  chatRequest("acme"),
  FastCheck.nat(29).map((at) => seeingNames[at])
).map(([{ toolChoice, ...request }, seeing]): ChatRequest => ({
  ...request,
  ...(seeing === undefined ? {} : { model: seeing }),
  messages: request.messages.map(supported),
  ...(toolChoice === undefined || toolChoice === "required" ? {} : { toolChoice })
}))

type Service = NonNullable<DashScope.Dialect["service"]>

const plainPart = (part: UserPart): UserPart => (part.type === "image" ? { type: "image", url: part.url } : part)

const heardContent = <Part extends UserPart>(
  content: string | ReadonlyArray<Part>,
  service: Service
): string | ReadonlyArray<UserPart> => {
  if (typeof content === "string") return content
  if (service === "text-generation") return textOf(content)
  const [only] = content
  return content.length === 1 && only?.type === "text" ? only.text : content.map(plainPart)
}

const heardAssistant = (
  content: string | ReadonlyArray<AssistantPart>,
  service: Service
): string | ReadonlyArray<AssistantPart> => {
  if (typeof content === "string") return content
  const thoughts = content.map((part) => (part.type === "reasoning" ? part.text : "")).join("")
  const said = textOf(content)
  const parts = said === "" ? [] : [text(said)]
  if (thoughts !== "") return [{ type: "reasoning", text: thoughts }, ...parts]
  return service === "text-generation" || said !== "" ? said : []
}

const heard = (message: Message, service: Service): Message => {
  switch (message.role) {
    case "system":
    case "developer": {
      const content = heardContent(message.content, service)
      return {
        role: "system",
        content:
          typeof content === "string" ? content : content.map((part) => text(part.type === "text" ? part.text : ""))
      }
    }
    case "user":
      return { role: "user", content: heardContent(message.content, service) }
    case "assistant":
      return { ...message, content: heardAssistant(message.content, service) }
    case "tool":
      return message
  }
}

/** What a server hears of a question: nothing that only advises. */
const heardRequest = (request: ChatRequest, service: Service): ChatRequest => {
  const { metadata: _, reasoning, tools, user: __, ...rest } = request
  return {
    model: "asked",
    ...rest,
    messages: request.messages.map((message) => heard(message, service)),
    ...(tools === undefined ? {} : { tools: tools.map(({ strict: ___, ...tool }) => tool) }),
    ...(reasoning === undefined ? {} : { reasoning: reasoning.effort === "none" ? { effort: "none" } : {} })
  }
}

const isMedia = (part: { readonly type: string }): boolean => part.type !== "text" && part.type !== "reasoning"

const needsEyes = (request: ChatRequest): boolean =>
  (request.model !== undefined && seeingNames.includes(request.model)) ||
  request.messages.some((message) => typeof message.content !== "string" && message.content.some(isMedia))

describe("DashScope request laws", () => {
  it.prop(
    "every supported request survives writing and reading, in the service that its content needs",
    [requests, FastCheck.boolean()],
    ([request, stream]) => {
      const asked = { provider: "acme", model: "asked", stream }
      const { body, headers = {}, path } = getOrThrow(wire.encodeRequest(request, asked))
      const service = needsEyes(request) ? "multimodal-generation" : "text-generation"
      expect(path).toBe(`/services/aigc/${service}/generation`)
      expect(getOrThrow(wire.decodeRequest(jsonRoundTrip(body), { path, headers }))).toEqual({
        request: heardRequest(request, service),
        stream
      })
    }
  )
  it.prop(
    "every supported request survives writing and reading in the service that the dialect sets",
    [requests],
    ([request]) => {
      const seeing = DashScope.make({ service: "multimodal-generation" })
      const { body, path } = getOrThrow(seeing.encodeRequest(request, { provider: "acme", model: "asked", stream: false }))
      expect(getOrThrow(seeing.decodeRequest(jsonRoundTrip(body), { path, headers: {} })).request).toEqual(
        heardRequest(request, "multimodal-generation")
      )
    }
  )
})
