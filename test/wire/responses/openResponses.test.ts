/** What the server's half writes is valid by the specification of Open Responses, whatever the request and the answer contain. */
import { describe, expect, it } from "@effect/vitest"
import * as FastCheck from "fast-check"
import * as Chat from "../../../src/vocabulary/Chat.js"
import * as ChatEvent from "../../../src/vocabulary/ChatEvent.js"
import * as Usage from "../../../src/vocabulary/Usage.js"
import { isRecord, parseJson } from "../../../src/wire/json.js"
import * as Responses from "../../../src/wire/Responses.js"
import type { Frame, ServedError } from "../../../src/wire/Wire.js"
import { answerFaults, eventFaults } from "../../gateway/openResponses/schema.js"
import { content } from "../generators.js"

const wire = Responses.make()

const anything = FastCheck.oneof(
  FastCheck.constantFrom(null, "", "auto", true, 0.5, -1, 1e308, [], {}),
  FastCheck.jsonValue({ maxDepth: 2 })
)

const tool = FastCheck.record(
  {
    type: FastCheck.constant("function"),
    name: FastCheck.string(),
    description: FastCheck.string(),
    parameters: FastCheck.constantFrom(null, { type: "object" }),
    strict: FastCheck.boolean()
  },
  { requiredKeys: ["type", "name"] }
)

/** The fields that a response repeats. The types of those that the vocabulary does not have are checked nowhere else. */
const requests = FastCheck.record(
  {
    background: anything,
    frequency_penalty: anything,
    instructions: anything,
    max_output_tokens: anything,
    max_tool_calls: anything,
    metadata: anything,
    parallel_tool_calls: anything,
    presence_penalty: anything,
    previous_response_id: anything,
    prompt_cache_key: anything,
    reasoning: FastCheck.record(
      { effort: FastCheck.constantFrom("low", null), summary: FastCheck.constantFrom("auto", null) },
      { requiredKeys: [] }
    ),
    safety_identifier: anything,
    service_tier: anything,
    store: anything,
    temperature: anything,
    text: FastCheck.record(
      {
        verbosity: FastCheck.constant("low"),
        format: FastCheck.oneof(
          anything,
          FastCheck.record(
            {
              type: FastCheck.constant("json_schema"),
              name: FastCheck.string(),
              schema: FastCheck.constant({ type: "object" }),
              description: FastCheck.string(),
              strict: FastCheck.constantFrom(true, false, null)
            },
            { requiredKeys: ["type", "name", "schema"] }
          )
        )
      },
      { requiredKeys: [] }
    ),
    tool_choice: anything,
    tools: FastCheck.oneof(FastCheck.constantFrom(null, "none", [3]), FastCheck.array(tool, { maxLength: 2 })),
    top_logprobs: anything,
    top_p: anything,
    truncation: anything,
    user: anything
  },
  { requiredKeys: [] }
)

/** Custom calls are an item of OpenAI alone. */
const parts = content("acme").map((all) => all.filter((part) => !(part.type === "tool-call" && part.custom === true)))

const reasons: ReadonlyArray<Chat.FinishReason> = ["stop", "length", "tool-calls", "content-filter", "pause", "other"]

const responses = FastCheck.record({
  content: parts,
  finishReason: FastCheck.constantFrom(...reasons),
  rawFinishReason: FastCheck.constantFrom("", "max_tokens", "in_progress"),
  providerMetadata: FastCheck.record({ service_tier: anything }, { requiredKeys: [] })
}).map(({ content, ...fields }) =>
  Chat.withContent(
    {
      id: "msg_1",
      model: "m",
      provider: "acme",
      usage: Usage.make({ inputTokens: 3, outputTokens: 2 }),
      latency: 0,
      keyId: "k",
      attempts: [],
      ...fields
    },
    content
  )
)

const cutOff = {
  id: "1",
  model: "m",
  provider: "acme",
  finishReason: "length",
  rawFinishReason: "max_tokens",
  usage: Usage.make({ inputTokens: 3, outputTokens: 2 }),
  latency: 0,
  keyId: "k",
  attempts: [],
  providerMetadata: {}
} as const

const served = { createdAt: 1_790_000_000 }

const streamed = (
  request: Readonly<Record<string, unknown>>,
  events: ReadonlyArray<ChatEvent.ChatEvent>,
  error?: ServedError
): ReadonlyArray<Frame> => {
  const encoder = wire.encodeStream(request, served.createdAt)
  return [...events.flatMap(encoder.push), ...(error === undefined ? [] : encoder.fail(error))]
}

const faultsOfFrames = (frames: ReadonlyArray<Frame>): ReadonlyArray<string> =>
  frames.slice(0, -1).flatMap(({ data, event }) => {
    const body = parseJson(data) as Readonly<Record<string, unknown>>
    return event === body["type"] ? eventFaults(body) : [`The event ${event} has the type ${String(body["type"])}.`]
  })

describe("what the server of the Responses protocol writes", () => {
  it.prop("is a valid answer for any request", [responses, requests], ([response, request]) => {
    expect(answerFaults(wire.encodeResponse(response, { ...served, request }))).toEqual([])
  })

  it.prop("is a stream of valid events that ends with [DONE], for any request", [responses, requests], (values) => {
    const [response, request] = values
    const frames = streamed(request, ChatEvent.fromResponse(response))
    expect(faultsOfFrames(frames)).toEqual([])
    expect(frames.at(-1)).toEqual({ data: "[DONE]" })
  })

  it.prop("is a stream that ends with a failed response where it breaks off", [responses, requests], (values) => {
    const [response, request] = values
    const error = { status: 503, message: "It broke.", code: "broken" }
    const frames = streamed(request, ChatEvent.fromResponse(response).slice(0, -1), error)
    expect(faultsOfFrames(frames)).toEqual([])
    const [failure, end, done] = frames.slice(-3)
    expect(parseJson(failure?.data ?? "")).toMatchObject({ type: "error", error: { message: "It broke." } })
    expect(parseJson(end?.data ?? "")).toMatchObject({
      type: "response.failed",
      response: {
        id: "msg_1",
        status: "failed",
        completed_at: null,
        error: { code: "server_error", message: "It broke." }
      }
    })
    expect(done).toEqual({ data: "[DONE]" })
  })

  it("has the citations and log probabilities that Chat Completions and Ollama have beside the text", () => {
    const answer = (providerMetadata: Readonly<Record<string, unknown>>) =>
      Chat.withContent({ ...cutOff, finishReason: "stop", providerMetadata }, [
        { type: "reasoning", text: "Hm." },
        Chat.text("Hi")
      ])
    const entry = { token: "Hi", logprob: -0.1, bytes: [72, 105] }
    const url = { url: "https://example.com", title: "Example", start_index: 0, end_index: 2 }
    const chat = {
      annotations: [{ type: "url_citation", url_citation: url }, { type: "unknown" }],
      logprobs: { content: [{ ...entry, top_logprobs: [{ token: "Hé", logprob: -2, bytes: null }] }], refusal: null }
    }
    const text = {
      type: "output_text",
      text: "Hi",
      annotations: [{ type: "url_citation", ...url }],
      logprobs: [{ ...entry, top_logprobs: [{ token: "Hé", logprob: -2, bytes: [72, 195, 169] }] }]
    }
    const whole = wire.encodeResponse(answer(chat))
    expect(answerFaults(whole)).toEqual([])
    expect(whole["output"]).toMatchObject([{ type: "reasoning" }, { content: [text] }])
    const frames = streamed({}, ChatEvent.fromResponse(answer(chat)))
    expect(faultsOfFrames(frames)).toEqual([])
    const events = frames.map(({ data }) => parseJson(data)).filter(isRecord)
    expect(events.slice(-5)).toMatchObject([
      { type: "response.output_text.annotation.added", annotation_index: 0, annotation: text.annotations[0] },
      { type: "response.output_text.done", logprobs: text.logprobs },
      { type: "response.content_part.done", part: text },
      { type: "response.output_item.done", item: { content: [text] } },
      { type: "response.completed", response: { output: [{}, { content: [text] }] } }
    ])
    const ollama = wire.encodeResponse(answer({ logprobs: [entry] }))
    expect(ollama["output"]).toMatchObject([{}, { content: [{ logprobs: [{ ...entry, top_logprobs: [] }] }] }])
  })

  it("has the last message as incomplete where the answer is cut off, and no other item", () => {
    const cut = Chat.withContent(cutOff, [Chat.text("One."), { type: "reasoning", text: "Hm." }, Chat.text("Tw")])
    const statuses = [
      ["message", "completed"],
      ["reasoning", undefined],
      ["message", "incomplete"]
    ]
    const statusesOf = (output: unknown) =>
      (output as ReadonlyArray<Readonly<Record<string, unknown>>>).map(({ status, type }) => [type, status])
    expect(statusesOf(wire.encodeResponse(cut)["output"])).toEqual(statuses)
    const events = streamed({}, ChatEvent.fromResponse(cut))
      .map(({ data }) => parseJson(data))
      .filter(isRecord)
    expect(
      statusesOf(events.filter(({ type }) => type === "response.output_item.done").map(({ item }) => item))
    ).toEqual(statuses)
    const end = events.find(({ type }) => type === "response.incomplete")?.["response"]
    expect(statusesOf(isRecord(end) ? end["output"] : [])).toEqual(statuses)
  })
})
