/** What is written reads back as what was meant, on both sides and in both ways of answering. */
import { describe, expect, it } from "@effect/vitest"
import { Either, FastCheck } from "effect"
import type { ChatRequest, ChatResponse, Message } from "../../src/Chat.js"
import * as ChatEvent from "../../src/ChatEvent.js"
import * as Usage from "../../src/Usage.js"
import * as ChatCompletions from "../../src/wire/ChatCompletions.js"
import { records } from "../../src/wire/json.js"
import { strictly } from "../../src/wire/strictSchema.js"
import type { Frame, WireEvent, WireFailure } from "../../src/wire/Wire.js"
import { chatRequest, chatResponse } from "./generators.js"

const wire = ChatCompletions.make({ developerRole: "developer", history: "reasoning_details" })
const source = { provider: "acme", model: "asked", estimatedInputTokens: 3 }

const got = <A>(result: Either.Either<A, WireFailure>): A =>
  Either.getOrThrowWith(result, (failure) => new Error(JSON.stringify(failure)))

/** Through the network and back. */
const sent = (body: unknown): unknown => JSON.parse(JSON.stringify(body))

const whole = (response: ChatResponse): ChatResponse => ({
  ...got(wire.decodeResponse(sent(wire.encodeResponse(response)), source)),
  provider: response.provider,
  latency: response.latency,
  keyId: response.keyId,
  attempts: response.attempts
})

/** The answer that a client collects of a stream. */
const collected = (frames: ReadonlyArray<Frame>, of: ChatResponse): ChatResponse => {
  const decoder = wire.decodeStream(source)
  const out: Array<WireEvent> = []
  for (const frame of frames) {
    const failure = decoder.push(frame, out)
    if (failure !== undefined) throw new Error(JSON.stringify(failure))
  }
  const said = out.reduce((all, event: ChatEvent.ChatEvent) => ChatEvent.append(all, event), ChatEvent.nothing)
  if (said.finish === undefined || decoder.state !== "done") throw new Error("the stream has no end")
  return {
    ...of,
    id: decoder.id,
    model: decoder.model,
    text: said.text,
    reasoning: said.reasoningParts.map((part) => part.text).join(""),
    reasoningParts: said.reasoningParts,
    refusal: said.refusal,
    toolCalls: said.toolCalls,
    finishReason: said.finish.reason,
    rawFinishReason: said.finish.rawReason,
    usage: said.finish.usage,
    providerMetadata: said.finish.providerMetadata
  }
}

/** What a client asks that wants the usage and has declared the custom tools of the answer. */
const asking = (response: ChatResponse): Record<string, unknown> => ({
  stream_options: { include_usage: true },
  tools: response.toolCalls
    .filter((call) => call.type === "custom")
    .map(({ name }) => ({ type: "custom", custom: { name } }))
})

const answers = chatResponse("acme")

const streamed = (response: ChatResponse, events = ChatEvent.fromResponse(response)): ReadonlyArray<Frame> => {
  const encoder = wire.encodeStream(asking(response))
  return events.flatMap((event) => encoder.push(event))
}

const pieces = (text: string, size: number): ReadonlyArray<string> =>
  text === ""
    ? [""]
    : Array.from({ length: Math.ceil(text.length / size) }, (_, at) => text.slice(at * size, (at + 1) * size))

/** One event in pieces; a thought is signed at its end. */
const broken = (event: ChatEvent.ChatEvent, size: number): ReadonlyArray<ChatEvent.ChatEvent> => {
  switch (event._tag) {
    case "TextDelta":
    case "RefusalDelta":
      return pieces(event.text, size).map((text): ChatEvent.ChatEvent => Object.assign({}, event, { text }))
    case "ReasoningDelta": {
      const { signature, ...rest } = event
      const told = pieces(event.text, size)
      const seal = signature === undefined ? {} : { signature }
      return told.map((text, at): ChatEvent.ChatEvent =>
        Object.assign({}, rest, { text }, at === told.length - 1 ? seal : {})
      )
    }
    case "ToolCallDelta":
      return pieces(event.argumentsDelta, size).map((argumentsDelta): ChatEvent.ChatEvent =>
        Object.assign({}, event, { argumentsDelta })
      )
    default:
      return [event]
  }
}

/** The same events in pieces of some characters, those of parallel calls in turns. */
const dribbled = (events: ReadonlyArray<ChatEvent.ChatEvent>, size: number): ReadonlyArray<ChatEvent.ChatEvent> => {
  const isCall = (event: ChatEvent.ChatEvent) => event._tag === "ToolCallDelta"
  const calls = events.filter(isCall).map((event) => broken(event, size))
  const longest = Math.max(0, ...calls.map((call) => call.length))
  const turns = Array.from({ length: longest }, (_, at) => calls.flatMap((call) => call.slice(at, at + 1))).flat()
  const others = events.filter((event) => !isCall(event)).flatMap((event) => broken(event, size))
  const end = others.findIndex((event) => event._tag === "ToolCallEnd" || event._tag === "Finish")
  return [...others.slice(0, end), ...turns, ...others.slice(end)]
}

describe("an answer that is written reads back", () => {
  it.prop("whole", [answers], ([response]) => {
    expect(whole(response)).toEqual(response)
  })
  it.prop("as a stream", [answers], ([response]) => {
    expect(collected(streamed(response), response)).toEqual(response)
  })
  it.prop("as a stream in pieces of any size", [answers, FastCheck.integer({ min: 1, max: 4 })], ([response, size]) => {
    expect(collected(streamed(response, dribbled(ChatEvent.fromResponse(response), size)), response)).toEqual(response)
  })
  it.prop("with an estimate where nobody counted", [answers], ([counted]) => {
    const said = counted.reasoning + counted.text + counted.refusal
    const response: ChatResponse = {
      ...counted,
      usage: Usage.make({
        inputTokens: source.estimatedInputTokens,
        outputTokens: Usage.estimateTokens(said + counted.toolCalls.map((call) => call.arguments).join("")),
        estimated: true
      })
    }
    expect(whole(response)).toEqual(response)
    expect(collected(streamed(response), response)).toEqual(response)
  })
})

describe("a whole answer and a stream of it", () => {
  it.prop("say the same, however it was put into words", [answers], ([response]) => {
    const body = wire.encodeResponse(response)
    const { message, ...rest } = records(body, "choices")[0] ?? {}
    const frames = [{ data: JSON.stringify({ ...body, choices: [{ ...rest, delta: message }] }) }, { data: "[DONE]" }]
    expect(collected(frames, response)).toEqual(whole(response))
  })
})

/** What the protocol cannot say: a text in parts is one text, and the server is not told who thought. */
const heard = (message: Message): Message => {
  if (message.role !== "assistant" || typeof message.content === "string") return message
  const content = message.content.map((part) => {
    if (part.type === "text") return part
    const { provider: _, ...thought } = part
    return thought
  })
  return { ...message, content }
}

/** With what is to be held to strictly as strict mode wants it. */
const strict = ({ responseFormat, tools, ...request }: ChatRequest): ChatRequest => ({
  ...request,
  ...(tools === undefined
    ? {}
    : {
        tools: tools.map(({ parameters = {}, strict: wished, ...tool }) => {
          const { schema, ...held } = strictly(parameters, wished)
          return { ...tool, parameters: schema, ...held }
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

describe("a request that is written reads back", () => {
  it.prop("in full", [chatRequest("acme"), FastCheck.boolean()], ([request, stream]) => {
    const { body } = got(wire.encodeRequest(request, { provider: "acme", model: "asked", stream }))
    const expected: ChatRequest = { model: "asked", ...strict(request), messages: request.messages.map(heard) }
    expect(got(wire.decodeRequest(sent(body)))).toEqual({ request: expected, stream })
  })
})
