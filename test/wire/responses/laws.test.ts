/** Round trips of Responses requests, responses and streams. */
import { describe, expect, it } from "@effect/vitest"
import { FastCheck } from "effect"
import type {
  AssistantPart,
  ChatRequest,
  ChatResponse,
  Message,
  ReasoningPart,
  ToolCall
} from "../../../src/vocabulary/Chat.js"
import * as Chat from "../../../src/vocabulary/Chat.js"
import * as ChatEvent from "../../../src/vocabulary/ChatEvent.js"
import * as Usage from "../../../src/vocabulary/Usage.js"
import * as Responses from "../../../src/wire/Responses.js"
import type { Frame } from "../../../src/wire/Wire.js"
import {
  collectStream,
  getOrThrow,
  halves,
  asReadByServer,
  jsonRoundTrip,
  responseRoundTrip,
  writeFrames
} from "../roundTrips.js"
import { character } from "../../support/character.js"
import { sampling } from "../generators.js"

const wire = Responses.make({ store: undefined, sealedReasoning: false })

const nonEmptyText = FastCheck.string({ minLength: 1, maxLength: 12, unit: character })
const name = FastCheck.stringMatching(/^[a-z]{1,8}$/)

// -------------------------------------------------------------------------------------
// responses
// -------------------------------------------------------------------------------------

/** The parts of one reasoning item: they share its id, and the last has the signature. */
const reasoningItem = (id: string, provider: string | undefined): FastCheck.Arbitrary<ReadonlyArray<ReasoningPart>> =>
  FastCheck.record({
    format: FastCheck.constantFrom("reasoning.summary", "reasoning.text"),
    texts: FastCheck.array(nonEmptyText, { minLength: 1, maxLength: 3 }),
    signature: FastCheck.option(nonEmptyText),
    visible: FastCheck.boolean()
  }).map(({ format, visible, signature, texts }) => {
    const common = { type: "reasoning" as const, id, ...(provider === undefined ? {} : { provider }) }
    const signed = signature === null ? {} : { signature }
    return visible
      ? texts.map((text, index) => ({ ...common, text, format, ...(index === texts.length - 1 ? signed : {}) }))
      : [{ ...common, text: "", signature: signature ?? "sealed" }]
  })

const reasoningItems = (provider: string | undefined) =>
  FastCheck.nat(3)
    .chain((count) =>
      FastCheck.tuple(...Array.from({ length: count }, (_, index) => reasoningItem(`rs_${index}`, provider)))
    )
    .map((parts) => parts.flat())

const toolCalls: FastCheck.Arbitrary<ReadonlyArray<ToolCall>> = FastCheck.array(
  FastCheck.record({ name, arguments: nonEmptyText, custom: FastCheck.boolean() }),
  { maxLength: 3 }
).map((calls) =>
  calls.map(({ custom, ...call }, index) => ({
    id: `call_${index}`,
    ...call,
    ...(custom ? { type: "custom" as const } : {})
  }))
)

const usage = FastCheck.record({
  uncached: FastCheck.nat(1000),
  textTokens: FastCheck.nat(1000),
  totalTokens: FastCheck.nat(3000),
  cachedInputTokens: FastCheck.nat(1000),
  cacheWriteTokens: FastCheck.nat(1000),
  reasoningTokens: FastCheck.nat(1000)
}).map(({ textTokens, uncached, ...counts }) =>
  Usage.make({
    ...counts,
    inputTokens: uncached + counts.cachedInputTokens + counts.cacheWriteTokens,
    outputTokens: textTokens + counts.reasoningTokens
  })
)

const rawReasons = ["completed", "max_output_tokens", "content_filter", "in_progress", "pause_turn"] as const

const endings: Readonly<Record<(typeof rawReasons)[number], Chat.FinishReason | undefined>> = {
  completed: undefined,
  max_output_tokens: "length",
  content_filter: "content-filter",
  in_progress: "other",
  pause_turn: "other"
}

const drafts = FastCheck.record({
  id: FastCheck.stringMatching(/^resp_[0-9a-f]{4}$/),
  model: name,
  text: FastCheck.oneof(FastCheck.constant(""), nonEmptyText),
  refusal: FastCheck.oneof(FastCheck.constant(""), nonEmptyText),
  reasoningParts: reasoningItems("acme"),
  toolCalls,
  usage,
  rawFinishReason: FastCheck.constantFrom(...rawReasons),
  metadata: FastCheck.record(
    {
      service_tier: name,
      items: FastCheck.constant([{ type: "web_search_call", id: "ws_1" }]),
      usage: FastCheck.constant({ cost: 0.5 })
    },
    { requiredKeys: [] }
  ),
  cited: FastCheck.boolean()
})

type Draft = typeof drafts extends FastCheck.Arbitrary<infer A> ? A : never

const responseOf = ({ cited, metadata, ...response }: Draft): ChatResponse => ({
  ...response,
  provider: "acme",
  reasoning: response.reasoningParts.map((part) => part.text).join(""),
  finishReason: endings[response.rawFinishReason] ?? (response.toolCalls.length > 0 ? "tool-calls" : "stop"),
  latency: 0,
  keyId: "k",
  attempts: [],
  providerMetadata: {
    ...metadata,
    ...(cited && response.text !== "" ? { annotations: [{ type: "url_citation", url: "https://example.com" }] } : {})
  }
})

const responses = drafts.map(responseOf)

/** The same events in halved deltas, those of parallel tool calls interleaved. */
const halveDeltas = (events: ReadonlyArray<ChatEvent.ChatEvent>): ReadonlyArray<ChatEvent.ChatEvent> => {
  const calls = events.filter((event) => event._tag === "ToolCallDelta")
  const interleaved = [0, 1].flatMap((half) =>
    calls.map(({ argumentsDelta, id, index, name }): ChatEvent.ToolCallDelta => ({
      _tag: "ToolCallDelta",
      index,
      id,
      name,
      argumentsDelta: halves(argumentsDelta)[half] ?? ""
    }))
  )
  const callEnds = events.filter((event) => event._tag === "ToolCallEnd")
  const others = events.flatMap((event): ReadonlyArray<ChatEvent.ChatEvent> => {
    switch (event._tag) {
      case "TextDelta":
      case "RefusalDelta":
        return halves(event.text).map((text) => ({ _tag: event._tag, text }))
      case "ReasoningDelta": {
        const { signature, ...rest } = event
        const [first = "", second = ""] = halves(event.text)
        return [
          { ...rest, text: first },
          {
            _tag: "ReasoningDelta",
            index: event.index,
            text: second,
            ...(signature === undefined ? {} : { signature })
          }
        ]
      }
      case "ToolCallDelta":
      case "ToolCallEnd":
        return []
      default:
        return [event]
    }
  })
  return [...others.slice(0, -1), ...interleaved, ...callEnds, ...others.slice(-1)]
}

describe("Responses response laws", () => {
  it.prop("every Responses response survives writing and reading as one body", [responses], ([response]) => {
    expect(responseRoundTrip(wire, response)).toEqual(response)
  })
  it.prop("every Responses response survives writing and reading as a stream", [responses], ([response]) => {
    expect(collectStream(wire, writeFrames(wire, ChatEvent.fromResponse(response)), response, "event")).toEqual(
      response
    )
  })
  it.prop(
    "every Responses response survives a stream whose deltas are halved and interleaved",
    [responses],
    ([response]) => {
      const events = halveDeltas(ChatEvent.fromResponse(response))
      expect(collectStream(wire, writeFrames(wire, events), response, "event")).toEqual(response)
    }
  )
  it.prop(
    "a stream without deltas, or with its last event alone, reads as the same response",
    [responses],
    ([response]) => {
      const frames = writeFrames(wire, ChatEvent.fromResponse(response))
      const withoutDeltas = frames.filter(({ event }) => event?.endsWith(".delta") !== true)
      expect(collectStream(wire, frames.slice(-1), response, "event")).toEqual(response)
      expect(collectStream(wire, withoutDeltas, response, "event")).toEqual(response)
    }
  )
})

/** The frames with other ids and indices, shifted by one number each for deltas, done events and items. */
const renumber = (frames: ReadonlyArray<Frame>, shifts: ReadonlyArray<number>): ReadonlyArray<Frame> =>
  frames.map(({ data, event = "" }) => {
    const [ofDeltas = 0, ofWholes = 0, ofItems = 0] = shifts
    const isItem = event.startsWith("response.output_item.")
    const shift = event.endsWith(".delta") ? ofDeltas : isItem ? ofItems : ofWholes
    const fields = JSON.parse(data)
    const moved = (field: string) => (typeof fields[field] === "number" ? { [field]: fields[field] + 7 * shift } : {})
    const id = typeof fields.item_id === "string" ? { item_id: `${fields.item_id}${"'".repeat(shift)}` } : {}
    const item = isItem ? { item: { ...fields.item, id: `${fields.item.id}${"'".repeat(shift)}` } } : {}
    return {
      event,
      data: JSON.stringify({
        ...fields,
        ...moved("output_index"),
        ...moved("content_index"),
        ...moved("summary_index"),
        ...id,
        ...item
      })
    }
  })

const textsOf = ({ reasoning, refusal, text, toolCalls }: ChatResponse) => ({ reasoning, refusal, text, toolCalls })

describe("Responses numbering laws", () => {
  const shifts = FastCheck.array(FastCheck.nat(2), { minLength: 3, maxLength: 3 })
  it.prop(
    "a stream whose deltas, done events and items are numbered differently reads every text once",
    [responses, shifts],
    ([response, by]) => {
      const frames = writeFrames(wire, ChatEvent.fromResponse(response))
      const decoded = collectStream(wire, renumber(frames, by), response, "event")
      expect(textsOf(decoded)).toEqual(textsOf(response))
      const withoutDeltas = frames.filter(({ event }) => event?.endsWith(".delta") !== true)
      expect(textsOf(collectStream(wire, renumber(withoutDeltas, by), response, "event"))).toEqual(textsOf(response))
    }
  )
})

// -------------------------------------------------------------------------------------
// requests
// -------------------------------------------------------------------------------------

const userMessage: FastCheck.Arbitrary<Message> = FastCheck.oneof(
  nonEmptyText.map(Chat.user),
  FastCheck.array(
    FastCheck.oneof(
      nonEmptyText.map(Chat.text),
      FastCheck.constantFrom<"low" | "auto">("low", "auto").map((detail) =>
        Chat.image("https://example.com/a.png", { detail })
      ),
      FastCheck.constant(Chat.image("data:image/png;base64,AAAA")),
      FastCheck.constant(Chat.file("https://example.com/a.pdf")),
      name.map((filename) => Chat.file("data:application/pdf;base64,AAAA", { filename })),
      name.map((fileId) => ({ type: "file" as const, fileId }))
    ),
    { minLength: 1, maxLength: 3 }
  ).map(Chat.user)
)

/** Parts of an assistant turn and its tool results. */
const turnParts = FastCheck.record({
  parts: reasoningItems("acme"),
  text: nonEmptyText,
  calls: toolCalls,
  results: FastCheck.array(nonEmptyText, { minLength: 3, maxLength: 3 })
})

type Turn = typeof turnParts extends FastCheck.Arbitrary<infer A> ? A : never

const turnOf = ({ calls, parts, results, text }: Turn): ReadonlyArray<Message> => {
  const content: string | ReadonlyArray<AssistantPart> = parts.length === 0 ? text : [...parts, Chat.text(text)]
  return [
    { role: "assistant", content, ...(calls.length === 0 ? {} : { toolCalls: calls }) },
    ...calls.map((call, index) => Chat.toolResult(call, results[index] ?? ""))
  ]
}

const exchange = FastCheck.tuple(
  userMessage,
  FastCheck.array(
    FastCheck.record({
      role: FastCheck.constantFrom<"system" | "developer">("system", "developer"),
      content: nonEmptyText
    }),
    { maxLength: 1 }
  ),
  turnParts.map(turnOf)
).map(([question, instructions, turn]): ReadonlyArray<Message> => [question].concat(instructions, turn))

const conversations = FastCheck.tuple(
  FastCheck.array(
    nonEmptyText.map((text): Message => Chat.system(text)),
    { maxLength: 1 }
  ),
  FastCheck.array(exchange, { maxLength: 2 }),
  userMessage
).map(([first, exchanges, last]) => first.concat(exchanges.flat(), [last]))

const requests: FastCheck.Arbitrary<ChatRequest> = FastCheck.record(
  {
    messages: conversations,
    model: name,
    tools: FastCheck.uniqueArray(
      FastCheck.record(
        {
          name,
          description: nonEmptyText,
          parameters: FastCheck.constant({ type: "object", properties: {} }),
          strict: FastCheck.constant(false)
        },
        { requiredKeys: ["name", "parameters", "strict"] }
      ),
      { minLength: 1, maxLength: 2, selector: (tool) => tool.name }
    ),
    toolChoice: FastCheck.oneof(
      FastCheck.constantFrom<"auto" | "none" | "required">("auto", "none", "required"),
      name.map((chosen) => ({ name: chosen }))
    ),
    parallelToolCalls: FastCheck.boolean(),
    responseFormat: FastCheck.oneof(
      FastCheck.constantFrom<"text" | "json">("text", "json"),
      name.map((format) => ({ name: format, schema: { type: "string" } }))
    ),
    temperature: FastCheck.double({ min: 0, max: 2, noNaN: true }).map(Math.abs),
    topP: FastCheck.double({ min: 0, max: 1, noNaN: true }).map(Math.abs),
    ...sampling,
    // `false` is not sent: nothing is requested.
    logprobs: sampling.logprobs.map((requested) => requested || true),
    maxTokens: FastCheck.integer({ min: 1 }),
    reasoning: FastCheck.constantFrom<Chat.Reasoning>({ effort: "high" }, { effort: "minimal", summary: "auto" }),
    user: nonEmptyText,
    metadata: FastCheck.constant({ a: "b" }),
    extra: FastCheck.constant({ service_tier: "flex", tools: [{ type: "web_search" }] })
  },
  { requiredKeys: ["messages"] }
)

/** Reasoning summaries without encrypted content are written only when the provider stores responses. */
const storingWire = Responses.make({
  store: true,
  sealedReasoning: false,
  sampling: ["topK", "frequencyPenalty", "presencePenalty", "logitBias", "logprobs"]
})

const isInstruction = ({ role }: Message): boolean => role === "system" || role === "developer"

/** Mark of tools and of later instructions, which the server reads as native. */
const native = { native: { responses: {} } }

describe("Responses request laws", () => {
  it.prop(
    "every Responses request survives writing by the client and reading by the server",
    [requests, FastCheck.boolean()],
    ([request, streamed]) => {
      const { body } = getOrThrow(
        storingWire.encodeRequest(request, { provider: "acme", model: "m", stream: streamed })
      )
      const start = request.messages.findIndex((message) => !isInstruction(message))
      const messages = request.messages
        .map(asReadByServer("responses"))
        .map((message, index) => (index > start && isInstruction(message) ? { ...message, ...native } : message))
      const tools = request.tools === undefined ? {} : { tools: request.tools.map((tool) => ({ ...tool, ...native })) }
      expect(getOrThrow(storingWire.decodeRequest(jsonRoundTrip(body)))).toEqual({
        request: { model: "m", ...request, ...tools, messages, extra: { store: true, ...request.extra } },
        stream: streamed
      })
    }
  )
})
