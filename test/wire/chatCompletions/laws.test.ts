/** Round trips of Chat Completions requests, responses and streams. */
import { describe, expect, it } from "@effect/vitest"
import * as FastCheck from "fast-check"
import type { AssistantPart, ChatRequest, ChatResponse, Message } from "../../../src/vocabulary/Chat.js"
import * as Chat from "../../../src/vocabulary/Chat.js"
import * as ChatEvent from "../../../src/vocabulary/ChatEvent.js"
import * as ChatCompletions from "../../../src/wire/ChatCompletions.js"
import { records } from "../../../src/wire/json.js"
import { strictly } from "../../../src/wire/schema/strict.js"
import { chatRequest, chatResponse, content, interleaved } from "../generators.js"
import {
  collectStream,
  estimatedUsage,
  getOrThrow,
  interleaveToolCalls,
  jsonRoundTrip,
  responseRoundTrip,
  writeFrames
} from "../roundTrips.js"

const dialect: Partial<ChatCompletions.Dialect> = {
  developerRole: "developer",
  assistantFields: ["refusal", "audio"],
  sampling: ["topK", "frequencyPenalty", "presencePenalty", "logitBias", "logprobs"]
}

/** The same protocol with reasoning beside the content, and among its entries. */
const wires = {
  reasoning_details: ChatCompletions.make({ ...dialect, history: "reasoning_details" }),
  "thinking-parts": ChatCompletions.make({ ...dialect, history: "thinking-parts" })
}

const forms = ["reasoning_details", "thinking-parts"] as const

type Form = (typeof forms)[number]

// -------------------------------------------------------------------------------------
// parts
// -------------------------------------------------------------------------------------

const own = (fields: Record<string, unknown>) => ({ native: { "chat-completions": fields } })

/** Entries of the content that this protocol alone has, and texts with fields that it alone has. */
const others: FastCheck.Arbitrary<ReadonlyArray<AssistantPart>> = FastCheck.array(
  FastCheck.oneof(
    FastCheck.nat(9).map((id) => ({
      type: "provider" as const,
      provider: "acme",
      ...own({ type: "reference", reference_ids: [id] })
    })),
    FastCheck.nat(9).map((id) => ({ ...Chat.text(`cited ${id}`), provider: "acme", ...own({ citations: [id] }) }))
  ),
  { maxLength: 2 }
)

/** Some of the calls get a signature, some a field that the vocabulary does not cover. */
const withCallFields = (part: AssistantPart): AssistantPart => {
  if (part.type !== "tool-call") return part
  const kind = part.arguments.length % 4
  return {
    ...part,
    ...(kind === 0 ? {} : { provider: "acme" }),
    ...(kind === 0 || kind === 1 ? {} : { signature: `signature of ${part.id}` }),
    ...(kind === 0 || kind === 2 ? {} : own({ cache: part.id }))
  }
}

const joined = (type: "text" | "refusal", parts: ReadonlyArray<AssistantPart>): ReadonlyArray<AssistantPart> => {
  const text = type === "text" ? Chat.textOf(parts) : Chat.refusalOf(parts)
  return text === "" ? [] : [{ type, text }]
}

/** An entry of the content has the text and the signature of a reasoning part, no id and no format. */
const asEntry = (part: AssistantPart): AssistantPart => {
  if (part.type !== "reasoning") return part
  const { format: _, id: __, ...entry } = part
  return entry
}

/**
 * The parts as one message holds them: reasoning, the content, one refusal, and the tool calls. Plain texts alone are one text,
 * other entries stay in order.
 */
const inMessage = (parts: ReadonlyArray<AssistantPart>, form: Form): ReadonlyArray<AssistantPart> => {
  const isReasoning = (part: AssistantPart) => part.type === "reasoning"
  const entries = parts.filter(
    (part) =>
      part.type === "text" || part.type === "provider" || (part.type === "reasoning" && form === "thinking-parts")
  )
  return [
    ...(form === "thinking-parts" ? [] : parts.filter(isReasoning)),
    ...(entries.every((part) => part.type === "text" && part.native === undefined)
      ? joined("text", entries)
      : entries.map(asEntry)),
    ...joined("refusal", parts),
    ...parts.filter((part) => part.type === "tool-call")
  ]
}

/** The parts as a stream holds them: in order, where adjacent deltas of one kind belong to one part. */
const inStream = (parts: ReadonlyArray<AssistantPart>, form: Form): ReadonlyArray<AssistantPart> => {
  const result: Array<AssistantPart> = []
  for (const each of parts) {
    const part = form === "thinking-parts" ? asEntry(each) : each
    const last = result.at(-1)
    const continues =
      last !== undefined &&
      part.type === last.type &&
      (part.type === "text" ||
        part.type === "refusal" ||
        (form === "thinking-parts" && last.type === "reasoning" && last.signature === undefined))
    if (continues && "text" in last && "text" in part) {
      result[result.length - 1] = Object.assign({}, last, part, { text: last.text + part.text })
    } else result.push(part)
  }
  return result
}

// -------------------------------------------------------------------------------------
// responses
// -------------------------------------------------------------------------------------

/** A request that includes the usage and declares the custom tools of the response. */
const requestFor = (response: ChatResponse): Record<string, unknown> => ({
  stream_options: { include_usage: true },
  tools: response.toolCalls
    .filter((call) => call.custom === true)
    .map(({ name }) => ({ type: "custom", custom: { name } }))
})

/** A response without a raw finish reason is written with "other". */
const responses: FastCheck.Arbitrary<ChatResponse> = chatResponse("acme").chain((response) =>
  interleaved<AssistantPart>(
    FastCheck.tuple<ReadonlyArray<AssistantPart>[]>(FastCheck.constant(response.content.map(withCallFields)), others)
  ).map((parts) => Chat.withContent({ ...response, rawFinishReason: response.rawFinishReason || "other" }, parts))
)

const form = FastCheck.constantFrom(...forms)

/** The response that a client collects from a stream of these events. */
const streamRoundTrip = (response: ChatResponse, form: Form, events = ChatEvent.fromResponse(response)): ChatResponse =>
  collectStream(wires[form], writeFrames(wires[form], events, requestFor(response)), response, "event")

const asMessage = (response: ChatResponse, form: Form): ChatResponse =>
  Chat.withContent(response, inMessage(response.content, form))

const asStream = (response: ChatResponse, form: Form): ChatResponse =>
  Chat.withContent(response, inStream(response.content, form))

describe("Chat Completions response laws", () => {
  it.prop(
    "every Chat Completions response survives writing and reading as one body, with its parts in the order of the fields",
    [responses, form],
    ([response, form]) => {
      expect(responseRoundTrip(wires[form], response)).toEqual(asMessage(response, form))
    }
  )
  it.prop(
    "every Chat Completions response survives writing and reading as a stream, with its parts in their order",
    [responses, form],
    ([response, form]) => {
      expect(streamRoundTrip(response, form)).toEqual(asStream(response, form))
    }
  )
  it.prop(
    "every Chat Completions response survives a stream whose deltas are split at any size and interleaved",
    [responses, form, FastCheck.integer({ min: 1, max: 4 })],
    ([response, form, size]) => {
      const events = interleaveToolCalls(ChatEvent.fromResponse(response), size)
      expect(streamRoundTrip(response, form, events)).toEqual(asStream(response, form))
    }
  )
  it.prop(
    "a Chat Completions response without counts gets the estimated usage of its content from the body and from the stream",
    [responses, form],
    ([response, form]) => {
      const estimated = (content: ChatResponse): ChatResponse => ({ ...content, usage: estimatedUsage(content) })
      expect(responseRoundTrip(wires[form], estimated(response))).toEqual(estimated(asMessage(response, form)))
      expect(streamRoundTrip(estimated(response), form)).toEqual(estimated(asStream(response, form)))
    }
  )
  it.prop(
    "a Chat Completions response that was read once survives unchanged",
    [responses, form],
    ([response, form]) => {
      const read = responseRoundTrip(wires[form], response)
      expect(responseRoundTrip(wires[form], read)).toEqual(read)
      const collected = streamRoundTrip(response, form)
      expect(streamRoundTrip(collected, form)).toEqual(collected)
    }
  )
})

describe("Chat Completions body and stream", () => {
  it.prop(
    "a message read as one stream delta gives the same response as the body",
    [responses, form],
    ([response, form]) => {
      const wire = wires[form]
      const body = wire.encodeResponse(response)
      const { message, ...rest } = records(body, "choices")[0] ?? {}
      const frames = [{ data: JSON.stringify({ ...body, choices: [{ ...rest, delta: message }] }) }, { data: "[DONE]" }]
      expect(collectStream(wire, frames, response, "event")).toEqual(responseRoundTrip(wire, response))
    }
  )
  it.prop(
    "a stream of the parts in the order of a message gives the same response as the body",
    [responses, form],
    ([response, form]) => {
      const ordered = asMessage(response, form)
      const read = responseRoundTrip(wires[form], ordered)
      expect(streamRoundTrip(ordered, form)).toEqual(asStream(read, form))
    }
  )
})

// -------------------------------------------------------------------------------------
// requests
// -------------------------------------------------------------------------------------

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

/** A part as a server reads it: without a provider, and marked as received in this protocol where only it can send the part back. */
const asRead = (part: AssistantPart): AssistantPart => {
  const { provider: _, ...read }: AssistantPart & { readonly provider?: string } = part
  return read.type === "reasoning" || (read.type === "tool-call" && read.signature !== undefined)
    ? { ...own({}), ...read }
    : read
}

/** A message as a server reads it: a message with plain texts alone, or without parts, has a string. */
const asReadMessage =
  (form: Form) =>
  (message: Message): Message => {
    if (typeof message.content === "string") return message
    if (message.role !== "assistant") return message.content.length === 0 ? { ...message, content: "" } : message
    const parts = inMessage(message.content, form).map(asRead)
    const isPlain = parts.every((part) => part.type === "text" && part.native === undefined)
    return { ...message, content: isPlain ? Chat.textOf(parts) : parts }
  }

/** Requests that end with an answer of this protocol. */
const requests: FastCheck.Arbitrary<ChatRequest> = FastCheck.tuple(chatRequest("acme"), content("acme", others)).map(
  ([request, parts]) => ({ ...request, messages: [...request.messages, Chat.assistant(parts.map(withCallFields))] })
)

const encode = (request: ChatRequest, form: Form, stream = false) =>
  getOrThrow(wires[form].encodeRequest(request, { provider: "acme", model: "asked", stream })).body

const decode = (body: Record<string, unknown>, form: Form) => getOrThrow(wires[form].decodeRequest(jsonRoundTrip(body)))

const text = FastCheck.string({ minLength: 1, maxLength: 6 })

/** Entries of an assistant message as providers write them. */
const entries = FastCheck.array(
  FastCheck.oneof(
    text.map((value) => ({ type: "text", text: value })),
    text.map((value) => ({ type: "text", text: value, citations: [value] })),
    text.map((value) => ({ type: "thinking", thinking: [{ type: "text", text: value }], signature: value })),
    text.map((value) => ({ type: "thinking", thinking: [{ type: "text", text: value }], closed: true })),
    text.map((value) => ({ type: "reasoning", summary: [{ type: "summary_text", text: value, signature: value }] })),
    text.map((value) => ({ type: "refusal", refusal: value })),
    text.map((value) => ({ type: "reference", reference_ids: [value] }))
  ),
  { minLength: 1, maxLength: 5 }
).filter((list) => list.some((entry) => entry.type !== "text" || "citations" in entry))

const call = text.map((value) => ({
  id: `call_${value}`,
  type: "function",
  function: { name: "f", arguments: value },
  extra_content: { google: { thought_signature: value, other: 1 } }
}))

const writtenMessage = FastCheck.record(
  {
    role: FastCheck.constant("assistant"),
    content: entries,
    refusal: text,
    tool_calls: FastCheck.uniqueArray(call, { minLength: 1, maxLength: 2, selector: ({ id }) => id }),
    audio: FastCheck.constant({ id: "audio_1" }),
    prefix: FastCheck.boolean()
  },
  { requiredKeys: ["role", "content"] }
)

describe("Chat Completions request laws", () => {
  it.prop(
    "every Chat Completions request survives writing by the client and reading by the server, with its parts in order",
    [requests, form, FastCheck.boolean()],
    ([request, form, stream]) => {
      const expected: ChatRequest = {
        model: "asked",
        ...strict(request),
        messages: request.messages.map(asReadMessage(form))
      }
      expect(decode(encode(request, form, stream), form)).toEqual({ request: expected, stream })
    }
  )
  it.prop(
    "every Chat Completions request is written in the same way after a server has read it",
    [requests, form],
    ([request, form]) => {
      const body = encode(request, form)
      expect(encode(decode(body, form).request, form)).toEqual(body)
    }
  )
  it.prop(
    "the entries of an assistant message are written as they were read, in the same order",
    [FastCheck.array(writtenMessage, { minLength: 1, maxLength: 2 })],
    ([messages]) => {
      const { request } = decode({ messages }, "thinking-parts")
      expect(encode(request, "thinking-parts")["messages"]).toEqual(messages)
    }
  )
})
