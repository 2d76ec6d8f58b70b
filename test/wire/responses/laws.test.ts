/** Round trips of Responses requests, responses and streams. */
import { describe, expect, it } from "@effect/vitest"
import * as FastCheck from "fast-check"
import type { AssistantPart, ChatRequest, ChatResponse, Message, ReasoningPart } from "../../../src/vocabulary/Chat.js"
import * as Chat from "../../../src/vocabulary/Chat.js"
import * as ChatEvent from "../../../src/vocabulary/ChatEvent.js"
import * as Usage from "../../../src/vocabulary/Usage.js"
import * as Responses from "../../../src/wire/Responses.js"
import type { Frame } from "../../../src/wire/Wire.js"
import {
  collectStream,
  getOrThrow,
  interleaveToolCalls,
  joinTexts,
  jsonRoundTrip,
  responseRoundTrip,
  splitDeltas,
  writeFrames
} from "../roundTrips.js"
import { character } from "../../support/character.js"
import { content, interleaved, sampling } from "../generators.js"

const wire = Responses.make({ store: undefined, sealedReasoning: false })

const nonEmptyText = FastCheck.string({ minLength: 1, maxLength: 12, unit: character })
const name = FastCheck.stringMatching(/^[a-z]{1,8}$/)

// -------------------------------------------------------------------------------------
// items
// -------------------------------------------------------------------------------------

const answered = (fields: Record<string, unknown>) => ({ provider: "acme", native: { responses: fields } })

/** The parts of one reasoning item: they share its id, and the last has the signature. */
const reasoningItem = (id: string): FastCheck.Arbitrary<ReadonlyArray<ReasoningPart>> =>
  FastCheck.record({
    format: FastCheck.constantFrom("reasoning.summary", "reasoning.text"),
    texts: FastCheck.array(nonEmptyText, { minLength: 1, maxLength: 3 }),
    signature: FastCheck.option(nonEmptyText),
    visible: FastCheck.boolean(),
    fields: FastCheck.constantFrom({}, { native: { responses: { status: "completed" } } })
  }).map(({ fields, format, visible, signature, texts }) => {
    const common = { type: "reasoning" as const, id, provider: "acme", ...fields }
    const signed = signature === null ? {} : { signature }
    return visible
      ? texts.map((text, index) => ({ ...common, text, format, ...(index === texts.length - 1 ? signed : {}) }))
      : [{ ...common, text: "", signature: signature ?? "sealed" }]
  })

/** The parts of one message item: they share its fields. */
const messageItem = (id: string): FastCheck.Arbitrary<ReadonlyArray<AssistantPart>> =>
  FastCheck.tuple(
    FastCheck.constantFrom({}, { phase: "commentary" }, { phase: "final_answer" }),
    FastCheck.array(
      FastCheck.record({
        type: FastCheck.constantFrom("text" as const, "refusal" as const),
        text: nonEmptyText,
        cited: FastCheck.boolean()
      }),
      { minLength: 1, maxLength: 3 }
    )
  ).map(([phase, parts]) =>
    parts.map(({ cited, text, type }) => {
      const annotations = cited && type === "text" ? { annotations: [{ type: "url_citation", url: text }] } : {}
      return { type, text, ...answered({ ...annotations, message: { id, status: "completed", ...phase } }) }
    })
  )

const callItem = (index: number): FastCheck.Arbitrary<ReadonlyArray<AssistantPart>> =>
  FastCheck.record({ name, arguments: nonEmptyText, custom: FastCheck.boolean() }).map(({ custom, ...call }) => [
    {
      type: "tool-call" as const,
      id: `call_${index}`,
      ...call,
      ...(custom ? { custom: true as const } : {}),
      ...answered({ id: `fc_${index}`, status: "completed" })
    }
  ])

const otherItem = (index: number): FastCheck.Arbitrary<ReadonlyArray<AssistantPart>> =>
  FastCheck.constantFrom("web_search_call", "shell_call", "compaction", "from_the_future").map((type) => [
    { type: "provider" as const, ...answered({ item: { type, id: `x_${index}`, status: "completed" } }) }
  ])

const upTo = <A>(
  length: number,
  item: (index: number) => FastCheck.Arbitrary<A>
): FastCheck.Arbitrary<ReadonlyArray<A>> =>
  FastCheck.nat(length).chain((count) => FastCheck.tuple(...Array.from({ length: count }, (_, index) => item(index))))

/** The parts of an answer's items in any order. */
const items: FastCheck.Arbitrary<ReadonlyArray<AssistantPart>> = interleaved<ReadonlyArray<AssistantPart>>(
  FastCheck.tuple<ReadonlyArray<ReadonlyArray<AssistantPart>>[]>(
    upTo(2, (index) => messageItem(`msg_${index}`)),
    upTo(3, (index) => reasoningItem(`rs_${index}`)),
    upTo(3, callItem),
    upTo(2, otherItem)
  )
).map((all) => all.flat())

// -------------------------------------------------------------------------------------
// responses
// -------------------------------------------------------------------------------------

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

const rawReasons = ["completed", "max_output_tokens", "content_filter", "in_progress", "pause_turn", "novel"] as const

const endings: Readonly<Record<(typeof rawReasons)[number], Chat.FinishReason | undefined>> = {
  completed: undefined,
  max_output_tokens: "length",
  content_filter: "content-filter",
  in_progress: "other",
  pause_turn: "pause",
  novel: "other"
}

const responsesOf = (parts: FastCheck.Arbitrary<ReadonlyArray<AssistantPart>>): FastCheck.Arbitrary<ChatResponse> =>
  FastCheck.record({
    id: FastCheck.stringMatching(/^resp_[0-9a-f]{4}$/),
    model: name,
    content: parts,
    usage,
    rawFinishReason: FastCheck.constantFrom(...rawReasons),
    // An answer always names its tier.
    providerMetadata: FastCheck.record(
      { service_tier: name, usage: FastCheck.constant({ cost: 0.5 }) },
      { requiredKeys: ["service_tier"] }
    )
  }).map(({ content, ...response }) =>
    Chat.withContent(
      {
        ...response,
        provider: "acme",
        finishReason:
          endings[response.rawFinishReason] ?? (Chat.toolCallsOf(content).length > 0 ? "tool-calls" : "stop"),
        latency: 0,
        keyId: "k",
        attempts: []
      },
      content
    )
  )

const responses = responsesOf(items)

/** Responses of other protocols, whose parts have no fields of this one. */
const foreignResponses = responsesOf(
  content("acme").filter((parts) => {
    const ids = parts.flatMap((part) => (part.type === "reasoning" && part.id !== undefined ? [part.id] : []))
    return new Set(ids).size === ids.length
  })
)

/** The fields of a part that every protocol has: the items have generated ids, and reasoning has a format. */
const commonFields = (part: AssistantPart) => {
  if (part.type === "provider") return part
  const { native: _, provider: __, ...fields } = part
  if (fields.type !== "reasoning") return fields
  const { format: ___, id: ____, ...reasoning } = fields
  return reasoning
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
    "every Responses response survives a stream whose deltas are split and interleaved",
    [responses, FastCheck.integer({ min: 1, max: 6 })],
    ([response, size]) => {
      for (const divide of [splitDeltas, interleaveToolCalls]) {
        const frames = writeFrames(wire, divide(ChatEvent.fromResponse(response), size))
        expect(collectStream(wire, frames, response, "event")).toEqual(response)
      }
    }
  )
  it.prop(
    "a stream without deltas, or with its last event alone, reads as the same response",
    [responses],
    ([response]) => {
      const frames = writeFrames(wire, ChatEvent.fromResponse(response))
      const withoutDeltas = frames.filter(({ event }) => event?.endsWith(".delta") !== true)
      expect(collectStream(wire, frames.slice(-2), response, "event")).toEqual(response)
      expect(collectStream(wire, withoutDeltas, response, "event")).toEqual(response)
    }
  )
  it.prop(
    "every response of another protocol keeps its parts in their order, as one body and as a stream",
    [foreignResponses],
    ([response]) => {
      const whole = responseRoundTrip(wire, response)
      expect(whole.content.map(commonFields)).toEqual(response.content.map(commonFields))
      const frames = writeFrames(wire, interleaveToolCalls(ChatEvent.fromResponse(response), 3))
      expect(collectStream(wire, frames, response, "event").content).toEqual(whole.content)
    }
  )
})

/** The frames with other ids and indices, shifted by one number each for deltas, done events and items. */
const renumber = (frames: ReadonlyArray<Frame>, shifts: ReadonlyArray<number>): ReadonlyArray<Frame> =>
  frames.map((frame) => {
    const { data, event = "" } = frame
    if (data === "[DONE]") return frame
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

const textsOf = ({ reasoning, refusal, text, toolCalls }: ChatResponse) => ({
  reasoning,
  refusal,
  text,
  toolCalls: toolCalls.map(commonFields)
})

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

/** The parts of an answer, without the native fields of some, with a text at the end: reasoning there is not sent back. */
const history = FastCheck.tuple(items, FastCheck.boolean(), nonEmptyText).map(([parts, plain, last]) => [
  ...parts.map((part): AssistantPart => {
    if (!plain || part.type === "reasoning" || part.type === "provider") return part
    const { native: _, provider: __, ...fields } = part
    return fields
  }),
  Chat.text(last)
])

/** An assistant message and its tool results. */
const turns = FastCheck.tuple(history, nonEmptyText).map(([parts, result]): ReadonlyArray<Message> => [
  Chat.assistant(parts.length === 1 ? Chat.textOf(parts) : parts),
  ...Chat.toolCallsOf(parts).map((call) => Chat.toolResult(call, result))
])

const exchange = FastCheck.tuple(
  userMessage,
  FastCheck.array(
    FastCheck.record({
      role: FastCheck.constantFrom<"system" | "developer">("system", "developer"),
      content: nonEmptyText
    }),
    { maxLength: 1 }
  ),
  turns
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
    maxTokens: FastCheck.integer({ min: 16 }),
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

/** Images have the detail that they have by default. */
const withDetail = (part: Chat.UserPart): Chat.UserPart => (part.type === "image" ? { detail: "auto", ...part } : part)

/** A message as the server reads it: no part names a provider, and reasoning is native to the wire. */
const asRead = (message: Message): Message => {
  if (typeof message.content === "string") return message
  if (message.role === "user") return { ...message, content: message.content.map(withDetail) }
  if (message.role !== "assistant") return message
  const content = joinTexts(message.content).map((part) => {
    const { provider: _, ...fields } = part
    return part.type === "reasoning" ? { ...native, ...fields } : fields
  })
  const isText = content.length === 1 && content[0]?.type === "text" && content[0].native === undefined
  return { ...message, content: isText ? Chat.textOf(content) : content }
}

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
        .map(asRead)
        .map((message, index) => (index > start && isInstruction(message) ? { ...message, ...native } : message))
      const tools = request.tools === undefined ? {} : { tools: request.tools.map((tool) => ({ ...tool, ...native })) }
      expect(getOrThrow(storingWire.decodeRequest(jsonRoundTrip(body)))).toEqual({
        request: { model: "m", ...request, ...tools, messages, extra: { store: true, ...request.extra } },
        stream: streamed
      })
    }
  )
  it.prop(
    "the items of every response survive reading by the server and writing by the client",
    [responsesOf(history)],
    ([response]) => {
      const { output } = wire.encodeResponse(response)
      const input = [{ type: "message", role: "user", content: "a" }, ...(Array.isArray(output) ? output : [])]
      const { request } = getOrThrow(storingWire.decodeRequest({ model: "m", input }))
      const encoded = storingWire.encodeRequest(request, { provider: "acme", model: "m", stream: false })
      expect(getOrThrow(encoded).body["input"]).toEqual(jsonRoundTrip(input))
    }
  )
})
