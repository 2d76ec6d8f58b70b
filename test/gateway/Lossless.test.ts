/** Fields that the vocabulary has no word for, and fields that another protocol has none for. */
import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { start, upstreams } from "./support/gateway.js"
import type { Spoken } from "./support/http.js"
import { paths, post, question } from "./support/http.js"
import { rich } from "./support/richRequests.js"
import { answering, chunksOf, sse } from "./support/upstream.js"

/** The shortest answer of each protocol. */
const answers = {
  "chat completions": { choices: [{ index: 0, message: { role: "assistant", content: "Hi" }, finish_reason: "stop" }] },
  messages: { type: "message", role: "assistant", content: [{ type: "text", text: "Hi" }], stop_reason: "end_turn" },
  responses: { object: "response", status: "completed", output: [] }
}

/** What the provider was asked, where a client asks this of a model of the section. */
const passedOn = (spoken: Spoken, section: string, body: Readonly<Record<string, unknown>>) =>
  Effect.gen(function* () {
    const upstream = yield* answering("application/json", JSON.stringify(answers[spoken]))
    const entry = { model_name: "large", api_keys: ["k"], base_url: `${upstream.origin}/v1` }
    const { url } = yield* start({
      entry: { base_url: `${upstream.origin}/v1` },
      sections: section in upstreams ? {} : { [section]: [entry] }
    })
    const { headers, json, status } = yield* post(`${url}${paths[spoken]}`, { model: `${section}/large`, ...body })
    expect(status, JSON.stringify(json)).toBe(200)
    expect(headers.get("x-effect-llm-dropped")).toBeNull()
    return upstream.asked[0]
  })

describe("a request reaches a provider of the same protocol as the client wrote it", () => {
  it.scopedLive.each([
    ["chat completions", "openai"],
    ["chat completions", "openrouter"],
    ["chat completions", "deepseek"],
    ["messages", "anthropic"],
    ["responses", "responses"]
  ] as const)("%s to %s", ([spoken, section]) =>
    Effect.gen(function* () {
      expect(yield* passedOn(spoken, section, rich[section])).toStrictEqual({ model: "large", ...rich[section] })
    })
  )

  /** What may be written in more ways than one is written in one, which means the same. */
  const restated: ReadonlyArray<readonly [string, Spoken, string, object, object]> = [
    ["nothing is left open with null", "chat completions", "openai", { stop: null, vendor: null, n: null }, {}],
    ["no stream is not asked for", "chat completions", "openai", { stream: false }, {}],
    ["one stop is a list of one", "chat completions", "openai", { stop: "END" }, { stop: ["END"] }],
    [
      "the limit has the provider's name",
      "chat completions",
      "openai",
      { max_tokens: 9 },
      { max_completion_tokens: 9 }
    ],
    [
      "functions stand before other tools",
      "chat completions",
      "openai",
      {
        tools: [
          { type: "custom", custom: { name: "a" } },
          { type: "function", function: { name: "b" } }
        ]
      },
      {
        tools: [
          { type: "function", function: { name: "b", parameters: { type: "object", properties: {} } } },
          { type: "custom", custom: { name: "a" } }
        ]
      }
    ],
    [
      "a tool of the client's own needs no type",
      "messages",
      "anthropic",
      { tools: [{ type: "custom", name: "a", input_schema: { type: "object" } }] },
      { tools: [{ name: "a", input_schema: { type: "object" } }] }
    ],
    ["no stream is said", "responses", "responses", {}, { stream: false }],
    [
      "a text is the message that it means",
      "responses",
      "responses",
      { input: [{ role: "assistant", content: "Hi" }] },
      {
        input: [
          { type: "message", role: "assistant", content: [{ type: "output_text", text: "Hi", annotations: [] }] }
        ],
        stream: false
      }
    ],
    [
      "the usage of a stream is asked for, whether the client wants it or not",
      "chat completions",
      "openai",
      { stream: true, stream_options: { include_usage: false, include_obfuscation: false } },
      { stream: true, stream_options: { include_usage: true, include_obfuscation: false } }
    ],
    [
      "texts of the model that are no more than that are one",
      "chat completions",
      "openai",
      {
        messages: [
          {
            role: "assistant",
            content: [
              { type: "text", text: "Hello, " },
              { type: "text", text: "you" }
            ]
          }
        ]
      },
      { messages: [{ role: "assistant", content: "Hello, you" }] }
    ],
    [
      "turns of one role are one turn, in which what tools returned comes first and calls come last",
      "messages",
      "anthropic",
      {
        messages: [
          { role: "user", content: "Hello" },
          {
            role: "assistant",
            content: [
              { type: "tool_use", id: "a", name: "f", input: {} },
              { type: "text", text: "I call." }
            ]
          },
          { role: "user", content: [{ type: "text", text: "And" }] },
          { role: "user", content: [{ type: "tool_result", tool_use_id: "a", content: "1" }] }
        ]
      },
      {
        messages: [
          { role: "user", content: "Hello" },
          {
            role: "assistant",
            content: [
              { type: "text", text: "I call." },
              { type: "tool_use", id: "a", name: "f", input: {} }
            ]
          },
          {
            role: "user",
            content: [
              { type: "tool_result", tool_use_id: "a", content: "1" },
              { type: "text", text: "And" }
            ]
          }
        ]
      }
    ]
  ]
  it.scopedLive.each(restated)("but that %s", ([, spoken, section, written, expected]) =>
    Effect.gen(function* () {
      const plain = question(spoken, "large")
      const asked = yield* passedOn(spoken, section, question(spoken, `${section}/large`, { ...written }))
      const input = [{ type: "message", role: "user", content: "Hello" }]
      expect(asked).toStrictEqual({ ...plain, ...(spoken === "responses" ? { input } : {}), ...expected })
    })
  )
})

describe("Chat Completions in and out", () => {
  const usage = {
    prompt_tokens: 5,
    completion_tokens: 2,
    total_tokens: 7,
    cost: 0.001,
    prompt_tokens_details: { cached_tokens: 1, audio_tokens: 3 },
    completion_tokens_details: { reasoning_tokens: 0, accepted_prediction_tokens: 4 }
  }

  const choice = {
    index: 0,
    finish_reason: "stop",
    stop_reason: 42,
    logprobs: { content: [{ token: "Hi", logprob: -0.1 }] }
  }

  const message = {
    role: "assistant",
    content: "Hi",
    annotations: [{ type: "url_citation" }],
    citations_of_vendor: [1]
  }

  const beyond = { system_fingerprint: "fp_1", service_tier: "flex", vendor: { region: "eu" } }

  it.scopedLive("keep what a client asks beyond the vocabulary, and what a provider says beyond it", () =>
    Effect.gen(function* () {
      const upstream = yield* answering(
        "application/json",
        JSON.stringify({
          id: "chatcmpl-1",
          object: "chat.completion",
          created: 7,
          model: "exact-model",
          ...beyond,
          choices: [{ ...choice, message }],
          usage
        })
      )
      const { url } = yield* start({ entry: { base_url: `${upstream.origin}/v1` } })
      const fields = {
        logit_bias: { "50256": -100 },
        logprobs: true,
        top_logprobs: 2,
        prediction: { type: "content", content: "x" },
        vendor_field: { deep: [1, { two: null }] },
        tools: [{ type: "web_search", web_search: { size: 1 } }]
      }
      const { headers, json } = yield* post(
        `${url}/v1/chat/completions`,
        question("chat completions", "openai/large", fields)
      )
      expect(upstream.asked[0]).toMatchObject({ ...fields, model: "large" })
      expect(headers.get("x-effect-llm-dropped")).toBeNull()
      expect(json).toMatchObject({
        id: "chatcmpl-1",
        model: "exact-model",
        ...beyond,
        choices: [{ ...choice, message }],
        usage
      })
    })
  )

  it.scopedLive("keep them in streams too", () =>
    Effect.gen(function* () {
      const chunk = (fields: object) => ({
        id: "c",
        object: "chat.completion.chunk",
        created: 7,
        model: "m",
        ...fields
      })
      const { content: _, ...rest } = message
      const upstream = yield* answering(
        "text/event-stream",
        sse([
          chunk({ ...beyond, choices: [{ index: 0, delta: { role: "assistant", content: "H" } }] }),
          chunk({ choices: [{ index: 0, delta: { ...rest, content: "i" } }] }),
          chunk({ choices: [{ ...choice, delta: {} }] }),
          chunk({ choices: [], usage }),
          "[DONE]"
        ])
      )
      const { url } = yield* start({ entry: { base_url: `${upstream.origin}/v1` } })
      const { text } = yield* post(
        `${url}/v1/chat/completions`,
        question("chat completions", "openai/large", { stream: true, stream_options: { include_usage: true } })
      )
      const chunks = chunksOf(text)
      const all = JSON.stringify(chunks)
      for (const field of ["fp_1", '"region":"eu"', '"stop_reason":42', "citations_of_vendor", "url_citation"]) {
        expect(all).toContain(field)
      }
      expect(chunks.at(-1)).toMatchObject({ choices: [], usage })
    })
  )
})

describe("Anthropic in and out", () => {
  it.scopedLive("keep what either side says beyond the vocabulary", () =>
    Effect.gen(function* () {
      const answer = {
        id: "msg_1",
        type: "message",
        role: "assistant",
        model: "m",
        content: [
          { type: "server_tool_use", id: "srv_1", name: "web_search", input: { query: "x" } },
          { type: "text", text: "Hi", citations: [{ type: "web_search_result_location", url: "https://a.example" }] }
        ],
        stop_reason: "end_turn",
        stop_sequence: null,
        container: { id: "c_1" },
        usage: {
          input_tokens: 5,
          output_tokens: 2,
          service_tier: "priority",
          server_tool_use: { web_search_requests: 1 }
        }
      }
      const upstream = yield* answering("application/json", JSON.stringify(answer))
      const { url } = yield* start({ entry: { base_url: `${upstream.origin}/v1` } })
      const fields = {
        top_k: 7,
        service_tier: "auto",
        vendor_field: { deep: [1] },
        tools: [{ type: "web_search_20250305", name: "web_search" }]
      }
      const { json } = yield* post(`${url}/v1/messages`, question("messages", "anthropic/large", fields))
      expect(upstream.asked[0]).toMatchObject(fields)
      expect(json).toMatchObject(answer)
    })
  )
})

describe("Responses in and out", () => {
  it.scopedLive("keep what either side says beyond the vocabulary, and repeat what was asked", () =>
    Effect.gen(function* () {
      const search = {
        type: "web_search_call",
        id: "ws_1",
        status: "completed",
        action: { type: "search", query: "x" }
      }
      const answer = {
        id: "resp_1",
        object: "response",
        created_at: 7,
        status: "completed",
        model: "m",
        service_tier: "flex",
        vendor: { region: "eu" },
        output: [
          search,
          {
            type: "message",
            id: "msg_1",
            role: "assistant",
            status: "completed",
            content: [{ type: "output_text", text: "Hi", annotations: [{ type: "url_citation" }] }]
          }
        ],
        usage: { input_tokens: 5, output_tokens: 2, total_tokens: 7, vendor_units: 3 }
      }
      const upstream = yield* answering("application/json", JSON.stringify(answer))
      const { url } = yield* start({ entry: { base_url: `${upstream.origin}/v1` } })
      const fields = { include: ["x"], previous_response_id: "resp_0", store: true, tools: [{ type: "web_search" }] }
      const { json } = yield* post(`${url}/v1/responses`, question("responses", "responses/large", fields))
      expect(upstream.asked[0]).toMatchObject(fields)
      expect(json).toMatchObject({
        id: "resp_1",
        service_tier: "flex",
        vendor: { region: "eu" },
        previous_response_id: "resp_0",
        store: true,
        usage: { vendor_units: 3 },
        output: expect.arrayContaining([
          expect.objectContaining(search),
          expect.objectContaining({ content: [expect.objectContaining({ annotations: [{ type: "url_citation" }] })] })
        ])
      })
    })
  )
})

describe("one protocol in and another out", () => {
  it.scopedLive("leaves out what the other has no word for, and says so", () =>
    Effect.gen(function* () {
      const { provider, url } = yield* start()
      const { headers, status } = yield* post(
        `${url}/v1/chat/completions`,
        question("chat completions", "gemini/large", { logit_bias: {}, "odd\r\nname": 1, n: 1 })
      )
      expect(status).toBe(200)
      expect(headers.get("x-effect-llm-dropped")).toBe("logit_bias, odd%0D%0Aname")
      expect(JSON.stringify((yield* provider.log)[0]?.body)).not.toContain("logit_bias")
    })
  )

  it.scopedLive("says so of what stands inside of messages and tools, too", () =>
    Effect.gen(function* () {
      const { provider, url } = yield* start()
      const messages = [
        { role: "user", content: [{ type: "text", text: "Hello", vendor_part: 1 }], vendor_message: 1 },
        { role: "assistant", content: null, refusal: "No.", annotations: [] },
        { role: "user", content: "Why?", vendor_message: 2 }
      ]
      const tools = [{ type: "function", function: { name: "f" }, vendor_tool: 1 }]
      const { headers, status } = yield* post(
        `${url}/v1/chat/completions`,
        question("chat completions", "gemini/large", { messages, tools })
      )
      expect(status).toBe(200)
      expect(headers.get("x-effect-llm-dropped")).toBe(
        "messages.vendor_message, messages.content.vendor_part, tools.vendor_tool"
      )
      expect(JSON.stringify((yield* provider.log)[0]?.body)).not.toContain("vendor")
    })
  )

  it.scopedLive("refuses parts that the other has none for", () =>
    Effect.gen(function* () {
      const { provider, url } = yield* start()
      const asked: ReadonlyArray<readonly [Spoken, object, string]> = [
        [
          "chat completions",
          { messages: [{ role: "user", content: [{ type: "video_url", video_url: {} }] }] },
          "video_url"
        ],
        ["chat completions", { messages: [{ role: "assistant", content: "I", prefix: true }] }, "prefix"],
        ["messages", { messages: [{ role: "user", content: [{ type: "search_result" }] }] }, "search_result"],
        ["responses", { input: [{ type: "item_reference", id: "x" }] }, "item_reference"]
      ]
      for (const [spoken, fields, refused] of asked) {
        const { json, status } = yield* post(`${url}${paths[spoken]}`, question(spoken, "gemini/large", { ...fields }))
        expect(status).toBe(400)
        expect(JSON.stringify(json)).toContain(refused)
      }
      expect(yield* provider.log).toEqual([])
    })
  )

  it.scopedLive("refuses what would make it another question", () =>
    Effect.gen(function* () {
      const { provider, url } = yield* start()
      for (const fields of [
        { tools: [{ type: "web_search" }] },
        { previous_response_id: "resp_0" },
        { background: true }
      ]) {
        const { json, status } = yield* post(`${url}/v1/responses`, question("responses", "gemini/large", fields))
        expect(status).toBe(400)
        expect(json).toMatchObject({ error: { code: "unsupported", param: Object.keys(fields)[0] } })
      }
      expect(yield* provider.log).toEqual([])
    })
  )
})
