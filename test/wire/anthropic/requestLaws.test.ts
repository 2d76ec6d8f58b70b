/** Round trips of Anthropic requests. */
import { describe, expect, it } from "@effect/vitest"
import * as FastCheck from "fast-check"
import type { AssistantPart, ChatRequest, Message } from "../../../src/vocabulary/Chat.js"
import * as Chat from "../../../src/vocabulary/Chat.js"
import * as Anthropic from "../../../src/wire/Anthropic.js"
import { content, jsonObject, name, nonBlankText, serverToolBlocks } from "./generators.js"
import { interleaved, sampling } from "../generators.js"
import { asReadByServer, getOrThrow, jsonRoundTrip } from "../roundTrips.js"

const wire = Anthropic.make({ unsignedReasoning: true })

const is = FastCheck.constant
const oneOf = FastCheck.constantFrom

const cacheControls = FastCheck.option(oneOf<Chat.CacheControl>({}, { ttl: "5m" }, { ttl: "1h" })).map((cacheControl) =>
  cacheControl === null ? {} : { cacheControl: cacheControl }
)

const withCacheControl = <A extends object>(part: FastCheck.Arbitrary<A>) =>
  FastCheck.tuple(part, cacheControls).map(([plain, cacheControl]) => ({ ...plain, ...cacheControl }))

const document = FastCheck.oneof(
  is(Chat.file("https://example.com/a.pdf")),
  name.map((filename) => Chat.file("data:application/pdf;base64,AAAA", { filename })),
  is(Chat.file("data:text/plain;base64,SGVsbG8=")),
  name.map((fileId) => ({ type: "file" as const, fileId }))
)

const part = FastCheck.oneof(
  withCacheControl(nonBlankText.map(Chat.text)),
  withCacheControl(oneOf(Chat.image("https://example.com/a.png"), Chat.image("data:image/png;base64,AAAA"))),
  withCacheControl(document)
)

const parts = FastCheck.array(part, { minLength: 1, maxLength: 3 })

const userMessage: FastCheck.Arbitrary<Message> = FastCheck.oneof(nonBlankText.map(Chat.user), parts.map(Chat.user))

/** Content of a tool result, with `isError` or without. */
const result = withCacheControl(
  FastCheck.record(
    { content: FastCheck.oneof(nonBlankText, is(""), parts), isError: FastCheck.boolean() },
    { requiredKeys: ["content"] }
  )
)

/** The parts up to the last that is not reasoning: the API rejects reasoning at the end. */
const withoutLastReasoning = (parts: ReadonlyArray<AssistantPart>): ReadonlyArray<AssistantPart> =>
  parts.slice(0, parts.findLastIndex(({ type }) => type !== "reasoning") + 1)

/** The content of an assistant turn, and tool results. */
const turnParts = FastCheck.record({
  content: FastCheck.oneof(
    nonBlankText,
    content("acme", jsonObject)
      .map(withoutLastReasoning)
      .filter((parts) => parts.length > 0)
  ),
  results: FastCheck.array(result, { minLength: 3, maxLength: 3 })
})

type Turn = typeof turnParts extends FastCheck.Arbitrary<infer A> ? A : never

const turnOf = ({ content, results }: Turn): ReadonlyArray<Message> => [
  { role: "assistant", content },
  ...Chat.toolCallsOf(content).flatMap((call, index) => {
    const returned = results[index]
    return returned === undefined ? [] : [{ role: "tool" as const, toolCallId: call.id, ...returned }]
  })
]

/** No user message follows tool results: the wire would merge it into their turn. */
const conversations = FastCheck.tuple(
  FastCheck.oneof(
    is([]),
    nonBlankText.map((text) => [Chat.system(text)])
  ),
  userMessage,
  turnParts.map(turnOf),
  userMessage
).map(([system, question, turn, last]): ReadonlyArray<Message> => [
  ...system,
  question,
  ...turn,
  ...(turn.at(-1)?.role === "tool" ? [] : [last])
])

const tool = withCacheControl(
  FastCheck.record(
    {
      name,
      description: nonBlankText,
      parameters: is({ type: "object", properties: {}, additionalProperties: false }),
      strict: FastCheck.boolean()
    },
    { requiredKeys: ["name", "parameters"] }
  )
)

/** Sampling settings exclude thinking, so a request has one of them. */
const settings = FastCheck.oneof(
  FastCheck.record(
    {
      temperature: FastCheck.double({ min: 0, max: 1, noNaN: true }).map(Math.abs),
      topP: FastCheck.double({ min: 0, max: 1, noNaN: true }).map(Math.abs),
      topK: sampling.topK
    },
    { requiredKeys: [] }
  ).map((setting): Partial<ChatRequest> => ({ model: "claude-sonnet-4-6", ...setting })),
  oneOf<Chat.Reasoning>(
    {},
    { effort: "none" },
    { effort: "low" },
    { effort: "high", summary: "auto" },
    { effort: "xhigh" }
  ).map((reasoning): Partial<ChatRequest> => ({ model: "claude-opus-5", reasoning })),
  FastCheck.integer({ min: 1024, max: 30_000 }).map((budgetTokens): Partial<ChatRequest> => ({
    model: "claude-haiku-4-5",
    reasoning: { budgetTokens }
  }))
)

const requests: FastCheck.Arbitrary<ChatRequest> = FastCheck.tuple(
  settings,
  FastCheck.record(
    {
      messages: conversations,
      tools: FastCheck.array(tool, { minLength: 1, maxLength: 2 }),
      responseFormat: name.map((title) => ({
        name: title,
        schema: { title, type: "object", properties: {}, additionalProperties: false }
      })),
      maxTokens: FastCheck.integer({ min: 40_000, max: 64_000 }),
      stop: FastCheck.array(nonBlankText, { minLength: 1, maxLength: 2 }),
      user: nonBlankText,
      extra: is({ service_tier: "auto", tools: [{ type: "web_search_20250305", name: "web_search" }] })
    },
    { requiredKeys: ["messages", "maxTokens"] }
  )
).map(([setting, request]): ChatRequest => ({ ...request, ...setting }))

const choices = FastCheck.record(
  {
    toolChoice: FastCheck.oneof(
      oneOf<Chat.ToolChoice>("auto", "required"),
      name.map((chosen) => ({ name: chosen }))
    ),
    parallelToolCalls: FastCheck.boolean()
  },
  { requiredKeys: ["toolChoice"] }
)

const requestRoundTrip = (request: ChatRequest, stream: boolean) => {
  const { body } = getOrThrow(wire.encodeRequest(request, { provider: "acme", model: "m", stream }))
  return getOrThrow(wire.decodeRequest(jsonRoundTrip(body)))
}

/** Whether the wire keeps the reasoning setting: it drops a budget while a turn that began without reasoning is open. */
const keepsReasoning = ({ messages, reasoning }: ChatRequest): boolean => {
  const before = messages.findLast((message) => message.role === "assistant")
  return (
    reasoning?.budgetTokens === undefined ||
    messages.at(-1)?.role !== "tool" ||
    (typeof before?.content !== "string" && before?.content[0]?.type === "reasoning")
  )
}

/** The message as a server reads it: its parts have no provider. */
const asRead = (message: Message): Message => {
  if (message.role !== "assistant" || typeof message.content === "string") return message
  const content = message.content.map((part): AssistantPart => {
    const { provider: _, ...read } = part
    return read
  })
  return asReadByServer("anthropic-messages")({ ...message, content })
}

/** The blocks of a client, in any order, with fields that only Anthropic has. The last is not reasoning. */
const blocks = FastCheck.tuple(
  interleaved(
    FastCheck.tuple(
      FastCheck.array(
        FastCheck.record(
          { type: is("text"), text: nonBlankText, citations: is([{ type: "page_location" }]) },
          { requiredKeys: ["type", "text"] }
        ),
        { maxLength: 2 }
      ),
      FastCheck.array(
        FastCheck.oneof(
          FastCheck.record({ type: is("thinking"), thinking: FastCheck.string(), signature: nonBlankText }),
          FastCheck.record({ type: is("redacted_thinking"), data: nonBlankText })
        ),
        { maxLength: 3 }
      ),
      FastCheck.uniqueArray(
        FastCheck.record(
          {
            type: is("tool_use"),
            id: name,
            name,
            input: jsonObject.map((text): unknown => JSON.parse(text)),
            caller: is({ type: "direct" }),
            cache_control: is({ type: "ephemeral" })
          },
          { requiredKeys: ["type", "id", "name", "input"] }
        ),
        { maxLength: 2, selector: ({ id }) => id }
      ),
      is(serverToolBlocks)
    ).map((lists): ReadonlyArray<ReadonlyArray<Readonly<Record<string, unknown>>>> => lists)
  ),
  name
).map(([before, id]) => [...before, { type: "tool_use", id: `last_${id}`, name: id, input: {} }])

describe("Anthropic request laws", () => {
  it.prop("the blocks of an assistant message are the same after reading and writing", [blocks], ([content]) => {
    const messages = [
      { role: "user", content: "?" },
      { role: "assistant", content },
      { role: "user", content: "!" }
    ]
    const { request } = getOrThrow(wire.decodeRequest({ model: "claude-opus-5", max_tokens: 9, messages }))
    const target = { provider: "acme", model: "m", stream: false }
    expect(getOrThrow(wire.encodeRequest(request, target)).body["messages"]).toEqual(messages)
  })
  it.prop(
    "every Anthropic request survives writing by the client and reading by the server",
    [requests, FastCheck.boolean()],
    ([request, streamed]) => {
      const { reasoning, ...others } = request
      expect(requestRoundTrip(request, streamed)).toEqual({
        request: {
          ...others,
          ...(reasoning === undefined || !keepsReasoning(request) ? {} : { reasoning }),
          messages: request.messages.map(asRead)
        },
        stream: streamed
      })
    }
  )
  it.prop("every tool choice survives writing by the client and reading by the server", [choices], ([choice]) => {
    const request = { messages: [Chat.user("?")], model: "claude-sonnet-4-6", maxTokens: 9, ...choice }
    const tools = [{ name: "a", parameters: { type: "object" } }]
    expect(requestRoundTrip({ ...request, tools }, false).request).toEqual({ ...request, tools })
  })
})
