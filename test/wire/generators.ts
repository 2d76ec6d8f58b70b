/** Arbitrary requests and responses. The laws of each wire remove what the wire cannot express. */
import * as FastCheck from "fast-check"
import type {
  AssistantMessage,
  AssistantPart,
  ChatRequest,
  ChatResponse,
  FinishReason,
  Message,
  ReasoningPart,
  ToolCall,
  ToolDefinition,
  UserPart
} from "../../src/vocabulary/Chat.js"
import * as Chat from "../../src/vocabulary/Chat.js"
import * as Usage from "../../src/vocabulary/Usage.js"
import { character } from "../support/character.js"

const is = FastCheck.constant
const oneOf = FastCheck.constantFrom

const string = FastCheck.string({ maxLength: 12, unit: character })
const nonEmptyString = FastCheck.string({ minLength: 1, maxLength: 12, unit: character })
const name = FastCheck.stringMatching(/^[a-z]{1,8}$/)
const id = FastCheck.stringMatching(/^[a-z]{1,4}_[0-9a-f]{1,6}$/)

/** JSON values that are unchanged by writing and reading. */
const json = FastCheck.oneof(
  string,
  FastCheck.boolean(),
  FastCheck.integer(),
  FastCheck.array(FastCheck.integer(), { maxLength: 2 })
)

const schema = FastCheck.record({
  type: is("object"),
  properties: FastCheck.dictionary(name, is({ type: "string" }), { maxKeys: 2 })
})

// -------------------------------------------------------------------------------------
// parts
// -------------------------------------------------------------------------------------

const text = FastCheck.record({ type: is("text" as const), text: string })

const image = FastCheck.record(
  {
    type: is("image" as const),
    url: oneOf("https://example.com/a.png", "data:image/png;base64,AAAA"),
    detail: oneOf("low" as const, "high" as const, "auto" as const)
  },
  { requiredKeys: ["type", "url"] }
)

const audio = FastCheck.record({
  type: is("audio" as const),
  url: oneOf("data:audio/wav;base64,AAAA", "data:audio/mpeg;base64,AAAA")
})

const file = FastCheck.oneof(
  FastCheck.record({ type: is("file" as const), url: is("data:application/pdf;base64,AAAA"), filename: name }),
  FastCheck.record({ type: is("file" as const), fileId: id })
)

const userPart: FastCheck.Arbitrary<UserPart> = FastCheck.oneof<FastCheck.MaybeWeightedArbitrary<UserPart>[]>(
  text,
  image,
  audio,
  file
)

/** A reasoning part of this provider: with text, with text and a signature, as a summary, or with a signature alone. */
export const reasoningPart = (provider: string): FastCheck.Arbitrary<ReasoningPart> => {
  const common = { type: is("reasoning" as const), provider: is(provider) }
  return FastCheck.oneof<FastCheck.MaybeWeightedArbitrary<ReasoningPart>[]>(
    FastCheck.record({ ...common, text: nonEmptyString }),
    FastCheck.record({ ...common, text: nonEmptyString, signature: nonEmptyString }),
    FastCheck.record({ ...common, text: nonEmptyString, id, format: is("reasoning.summary") }),
    FastCheck.record({ ...common, text: is(""), signature: nonEmptyString, id })
  )
}

/** Tool calls with unique ids. All calls of one tool have the same type. */
export const toolCalls: FastCheck.Arbitrary<ReadonlyArray<ToolCall>> = FastCheck.uniqueArray(
  FastCheck.record(
    { type: is("tool-call" as const), id, name, arguments: nonEmptyString, custom: is(true as const) },
    { requiredKeys: ["type", "id", "name", "arguments"] }
  ),
  { maxLength: 3, selector: (call) => `${call.id} ${call.name}` }
).filter(
  (calls) =>
    new Set(calls.map((call) => call.id)).size === calls.length &&
    new Set(calls.map((call) => call.name)).size === new Set(calls.map((call) => `${call.name} ${call.custom}`)).size
)

/** The parts of several lists, each list in its order, with the lists interleaved in any way. */
export const interleaved = <A>(lists: FastCheck.Arbitrary<ReadonlyArray<ReadonlyArray<A>>>) =>
  FastCheck.tuple(lists, FastCheck.infiniteStream(FastCheck.nat())).map(([all, choices]): ReadonlyArray<A> => {
    const left = all.map((list) => [...list]).filter((list) => list.length > 0)
    const merged: Array<A> = []
    while (left.length > 0) {
      const at = choices.next().value % left.length
      merged.push(...(left[at]?.splice(0, 1) ?? []))
      if (left[at]?.length === 0) left.splice(at, 1)
    }
    return merged
  })

const texts = FastCheck.array(FastCheck.record({ type: is("text" as const), text: nonEmptyString }), { maxLength: 2 })

/** Texts, refusals, reasoning and tool calls in any order; `others` are further parts among them. */
export const content = (
  provider: string,
  others: FastCheck.Arbitrary<ReadonlyArray<AssistantPart>> = is([])
): FastCheck.Arbitrary<ReadonlyArray<AssistantPart>> =>
  interleaved<AssistantPart>(
    FastCheck.tuple<ReadonlyArray<AssistantPart>[]>(
      texts,
      FastCheck.array(FastCheck.record({ type: is("refusal" as const), text: nonEmptyString }), { maxLength: 1 }),
      FastCheck.array(reasoningPart(provider), { maxLength: 3 }),
      toolCalls,
      others
    )
  )

// -------------------------------------------------------------------------------------
// requests
// -------------------------------------------------------------------------------------

const systemContent = FastCheck.oneof(string, FastCheck.array(text, { maxLength: 2 }))

const assistant = (provider: string): FastCheck.Arbitrary<AssistantMessage> =>
  FastCheck.record({ role: is("assistant" as const), content: FastCheck.oneof(string, content(provider)) })

const message = (provider: string): FastCheck.Arbitrary<Message> =>
  FastCheck.oneof<FastCheck.MaybeWeightedArbitrary<Message>[]>(
    FastCheck.record({ role: is("system" as const), content: systemContent }),
    FastCheck.record({ role: is("developer" as const), content: systemContent }),
    FastCheck.record(
      {
        role: is("user" as const),
        content: FastCheck.oneof(string, FastCheck.array(userPart, { maxLength: 3 })),
        name
      },
      { requiredKeys: ["role", "content"] }
    ),
    assistant(provider),
    FastCheck.record({ role: is("tool" as const), toolCallId: id, content: string })
  )

const tool: FastCheck.Arbitrary<ToolDefinition> = FastCheck.record(
  { name, parameters: schema, description: string, strict: FastCheck.boolean() },
  { requiredKeys: ["name", "parameters"] }
)

/** A value of each setting of the choice of tokens, within the ranges of every provider that has the setting. */
export const sampling = {
  topK: FastCheck.integer({ min: 0, max: 500 }),
  frequencyPenalty: FastCheck.double({ min: -2, max: 2, noNaN: true }).map((value) => value || 0),
  presencePenalty: FastCheck.double({ min: -2, max: 2, noNaN: true }).map((value) => value || 0),
  logitBias: FastCheck.dictionary(FastCheck.nat(200_000).map(String), FastCheck.integer({ min: -100, max: 100 }), {
    minKeys: 1,
    maxKeys: 3
  }),
  logprobs: FastCheck.oneof(FastCheck.boolean(), FastCheck.integer({ min: 0, max: 5 }))
}

/** Requests whose reasoning history is of this provider. */
export const chatRequest = (provider: string): FastCheck.Arbitrary<ChatRequest> =>
  FastCheck.record(
    {
      messages: FastCheck.array(message(provider), { minLength: 1, maxLength: 4 }),
      model: name,
      tools: FastCheck.array(tool, { minLength: 1, maxLength: 2 }),
      toolChoice: FastCheck.oneof(
        oneOf("auto" as const, "none" as const, "required" as const),
        FastCheck.record({ name })
      ),
      parallelToolCalls: FastCheck.boolean(),
      responseFormat: FastCheck.oneof(
        oneOf("text" as const, "json" as const),
        FastCheck.record(
          { name, schema, description: string, strict: FastCheck.boolean() },
          { requiredKeys: ["name", "schema"] }
        )
      ),
      temperature: FastCheck.double({ min: 0, max: 2, noNaN: true }).map(Math.abs),
      topP: FastCheck.double({ min: 0, max: 1, noNaN: true }).map(Math.abs),
      ...sampling,
      maxTokens: FastCheck.integer({ min: 1, max: 100_000 }),
      stop: FastCheck.array(nonEmptyString, { minLength: 1, maxLength: 2 }),
      seed: FastCheck.integer(),
      reasoning: FastCheck.record({
        effort: oneOf("none" as const, "minimal" as const, "high" as const, "xhigh" as const)
      }),
      user: string,
      metadata: FastCheck.dictionary(name, string, { minKeys: 1, maxKeys: 2 }),
      extra: FastCheck.dictionary(
        name.map((field) => `x_${field}`),
        json,
        { minKeys: 1, maxKeys: 2 }
      )
    },
    { requiredKeys: ["messages"] }
  )

// -------------------------------------------------------------------------------------
// responses
// -------------------------------------------------------------------------------------

/** Counts that are consistent with each other, as `Usage` documents. */
export const usage = FastCheck.tuple(
  FastCheck.nat(1000),
  FastCheck.nat(1000),
  FastCheck.nat(1000),
  FastCheck.nat(1000)
).map(([cached, written, reasoning, visible]) =>
  Usage.make({
    inputTokens: cached + written + 1,
    outputTokens: reasoning + visible,
    cachedInputTokens: cached,
    cacheWriteTokens: written,
    reasoningTokens: reasoning
  })
)

interface Ending {
  readonly finishReason: FinishReason
  readonly rawFinishReason: string
}

const endings: ReadonlyArray<Ending> = [
  { finishReason: "stop", rawFinishReason: "stop" },
  { finishReason: "length", rawFinishReason: "length" },
  { finishReason: "content-filter", rawFinishReason: "content_filter" },
  { finishReason: "other", rawFinishReason: "paused" },
  { finishReason: "other", rawFinishReason: "" }
]

const callsEnding: Ending = { finishReason: "tool-calls", rawFinishReason: "tool_calls" }

const drafts = (provider: string) =>
  FastCheck.record({
    id,
    provider: is(provider),
    model: name,
    content: content(provider),
    usage,
    ending: oneOf(...endings),
    latency: is(0),
    keyId: is("key"),
    attempts: is([]),
    providerMetadata: FastCheck.record(
      {
        service_tier: name,
        citations: FastCheck.array(FastCheck.webUrl(), { minLength: 1, maxLength: 2 }),
        annotations: is([{ type: "url_citation", url_citation: { url: "https://example.com" } }]),
        logprobs: is({ content: [{ token: "a", logprob: -0.5 }], refusal: null })
      },
      { requiredKeys: [] }
    )
  })

type Draft = ReturnType<typeof drafts> extends FastCheck.Arbitrary<infer A> ? A : never

/** A response with tool calls has the finish reason tool-calls or length. */
const responseOf = ({ content, ending, ...draft }: Draft): ChatResponse =>
  Chat.withContent(
    {
      ...draft,
      ...(Chat.toolCallsOf(content).length === 0 || ending.finishReason === "length" ? ending : callsEnding)
    },
    content
  )

/** Responses of this provider. */
export const chatResponse = (provider: string): FastCheck.Arbitrary<ChatResponse> => drafts(provider).map(responseOf)
