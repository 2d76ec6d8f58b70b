/** Request fields beyond the vocabulary: forwarded to a provider of the same protocol, dropped or refused for any other. */
import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { start, upstreams } from "./support/gateway.js"
import type { Protocol } from "./support/http.js"
import { paths, post, question } from "./support/http.js"
import { rich } from "./support/richRequests.js"
import { minimalAnswer } from "./support/minimalAnswers.js"
import { answering, respondWith } from "./support/upstream.js"

/** A minimal answer in each protocol. */
const answers = {
  "chat completions": { choices: [{ index: 0, message: { role: "assistant", content: "Hi" }, finish_reason: "stop" }] },
  messages: { type: "message", role: "assistant", content: [{ type: "text", text: "Hi" }], stop_reason: "end_turn" },
  responses: { object: "response", status: "completed", output: [] }
}

const types = {
  "chat completions": "chat-completions",
  messages: "anthropic-messages",
  responses: "responses"
}

/** The body that the provider receives when a client sends this body for a model of the section. */
const forwardedBody = (protocol: Protocol, section: string, body: Readonly<Record<string, unknown>>) =>
  Effect.gen(function* () {
    const upstream = yield* respondWith("application/json", JSON.stringify(answers[protocol]))
    const entry = { model_name: "large", type: types[protocol], api_keys: ["k"], base_url: `${upstream.origin}/v1` }
    const { url } = yield* start({
      entry: { base_url: `${upstream.origin}/v1` },
      sections: section in upstreams ? {} : { [section]: [entry] },
      gateway: { responses: false }
    })
    const { headers, json, status } = yield* post(`${url}${paths[protocol]}`, { model: `${section}/large`, ...body })
    expect(status, JSON.stringify(json)).toBe(200)
    expect(headers.get("x-effect-llm-dropped")).toBeNull()
    return upstream.bodies[0]
  })

describe("request to a provider of the same protocol", () => {
  it.scopedLive.each([
    ["chat completions", "openai"],
    ["chat completions", "openrouter"],
    ["chat completions", "deepseek"],
    ["messages", "anthropic"],
    ["responses", "responses"]
  ] as const)("forwards every field of a %s request to %s", ([protocol, section]) =>
    Effect.gen(function* () {
      expect(yield* forwardedBody(protocol, section, rich[section])).toStrictEqual({ model: "large", ...rich[section] })
    })
  )

  it.scopedLive("forwards the anthropic-beta header to Anthropic providers only", () =>
    Effect.gen(function* () {
      const upstream = yield* respondWith("application/json", JSON.stringify(answers.messages))
      const { url } = yield* start({ entry: { base_url: `${upstream.origin}/v1` } })
      const ask = (model: string) =>
        post(`${url}${paths.messages}`, question("messages", model), { "anthropic-beta": "files-api-2025-04-14, next" })
      const { status } = yield* ask("anthropic/large")
      expect(status).toBe(200)
      expect(upstream.headers[0]?.["anthropic-beta"]).toBe("files-api-2025-04-14, next")
      expect(upstream.bodies[0]).not.toHaveProperty("betas")
      yield* ask("openai/large")
      expect(upstream.headers[1]).not.toHaveProperty("anthropic-beta")
    })
  )

  /** Requests with several equivalent forms, and the one form that a provider gets whose dialect is not faithful. */
  const normalized: ReadonlyArray<readonly [string, Protocol, string, object, object]> = [
    ["drops null fields", "chat completions", "xai", { stop: null, vendor: null, n: null }, {}],
    ["drops stream false", "chat completions", "xai", { stream: false }, {}],
    ["wraps a single stop in a list", "chat completions", "xai", { stop: "END" }, { stop: ["END"] }],
    [
      "renames max_tokens to the provider's field",
      "chat completions",
      "xai",
      { max_tokens: 9 },
      { max_completion_tokens: 9 }
    ],
    [
      "orders functions before other tools",
      "chat completions",
      "xai",
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
    ["keeps top_k, which excludes thinking", "messages", "moonshot", { top_k: 5 }, { top_k: 5 }],
    [
      "drops the type of a custom Messages tool",
      "messages",
      "moonshot",
      { tools: [{ type: "custom", name: "a", input_schema: { type: "object" } }] },
      { tools: [{ name: "a", input_schema: { type: "object" } }] }
    ],
    ["adds stream false to a Responses request", "responses", "responses", {}, { stream: false }],
    [
      "adds the type to an item with a plain text",
      "responses",
      "responses",
      { input: [{ role: "assistant", content: "Hi" }] },
      {
        input: [{ type: "message", role: "assistant", content: "Hi" }],
        stream: false
      }
    ],
    [
      "always requests the usage of a stream",
      "chat completions",
      "xai",
      { stream: true, stream_options: { include_usage: false, include_obfuscation: false } },
      { stream: true, stream_options: { include_usage: true, include_obfuscation: false } }
    ],
    [
      "joins plain text parts of the assistant",
      "chat completions",
      "xai",
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
      "merges adjacent messages of one role, with tool results first",
      "messages",
      "moonshot",
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
              { type: "tool_use", id: "a", name: "f", input: {} },
              { type: "text", text: "I call." }
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
  it.scopedLive.each(normalized)(
    "normalizes a request to a provider that deviates from the protocol: %s",
    ([, protocol, section, fields, expected]) =>
      Effect.gen(function* () {
        const plain = question(protocol, "large")
        const body = yield* forwardedBody(protocol, section, question(protocol, `${section}/large`, { ...fields }))
        const input = [{ type: "message", role: "user", content: "Hello" }]
        expect(body).toStrictEqual({ ...plain, ...(protocol === "responses" ? { input } : {}), ...expected })
      })
  )
})

/** The body that the provider got, with the answer of the gateway. */
const translated = (
  protocol: Protocol,
  model: string,
  fields: Readonly<Record<string, unknown>>,
  headers: Readonly<Record<string, string>> = {}
) =>
  Effect.gen(function* () {
    const { provider, url } = yield* start({
      sections: {
        lenient: [
          {
            model_name: "large",
            type: "gemini",
            api_keys: ["k"],
            base_url: "http://127.0.0.1:9/v1beta",
            on_unsupported: "drop"
          }
        ]
      }
    })
    const answer = yield* post(url + paths[protocol], question(protocol, model, fields), headers)
    const [exchange] = yield* provider.log
    return { ...answer, dropped: answer.headers.get("x-effect-llm-dropped"), sent: exchange?.body }
  })

const dropping = { "x-effect-llm-on-unsupported": "drop" }

describe("strict schemas", () => {
  const schema = {
    type: "object",
    properties: { a: { type: "string", format: "uri" }, b: { type: "number" } },
    required: ["a"]
  }
  const tool = { name: "f", strict: true, parameters: schema }
  const format = { type: "json_schema", name: "answer", strict: true, schema }
  const hi = { role: "user", content: "Hi" }

  it.scopedLive.each([
    [
      "chat completions",
      {
        messages: [hi],
        tools: [{ type: "function", function: tool }],
        response_format: { type: "json_schema", json_schema: format }
      }
    ],
    ["responses", { input: "Hi", tools: [{ type: "function", ...tool }], text: { format } }],
    [
      "messages",
      {
        max_tokens: 10,
        messages: [hi],
        tools: [{ name: "f", strict: true, input_schema: schema }],
        output_config: { format: { type: "json_schema", schema } }
      }
    ]
  ] as const)("are not rewritten in the same protocol, also where a server deviates from it: %s", ([protocol, body]) =>
    Effect.gen(function* () {
      const sent = yield* forwardedBody(protocol, "acme", body)
      expect(JSON.stringify(sent).split(JSON.stringify(schema))).toHaveLength(3)
      expect(sent).toMatchObject({
        tools: [protocol === "chat completions" ? { function: { strict: true } } : { strict: true }]
      })
    })
  )
})

describe("what a provider of another protocol cannot express", () => {
  it.scopedLive("is dropped and named where it is a hint", () =>
    Effect.gen(function* () {
      const hints = [
        [
          "chat completions",
          "anthropic/large",
          { seed: 1, metadata: { a: "b" }, service_tier: "flex", store: false, verbosity: "low" },
          "seed, metadata, service_tier, store, verbosity"
        ],
        ["messages", "gemini/large", { context_management: { edits: [] } }, "context_management"],
        [
          "messages",
          "openai/large",
          { system: [{ type: "text", text: "S", cache_control: { type: "ephemeral" } }] },
          "cache_control"
        ],
        [
          "messages",
          "gemini/large",
          { system: [{ type: "text", text: "S", cache_control: { type: "ephemeral" } }] },
          "cache_control"
        ],
        [
          "messages",
          "gemini/large",
          {
            tools: [{ name: "find", input_schema: { type: "object" } }],
            tool_choice: { type: "tool", name: "find", disable_parallel_tool_use: true }
          },
          "parallel_tool_calls"
        ],
        [
          "messages",
          "gemini/large",
          {
            tools: [{ name: "find", input_schema: { type: "object" } }],
            tool_choice: { type: "any", disable_parallel_tool_use: true }
          },
          "parallel_tool_calls"
        ]
      ] as const
      for (const [protocol, model, fields, expected] of hints) {
        const { dropped, status } = yield* translated(protocol, model, fields)
        expect([status, dropped]).toEqual([200, expected])
      }
    })
  )

  it.scopedLive("is an error that names the field, the model and the switch where it is meant", () =>
    Effect.gen(function* () {
      const meanings = [
        ["responses", "gemini/large", { tools: [{ type: "web_search" }] }, "tools", "tools.web_search"],
        ["chat completions", "responses/large", { stop: ["END"] }, "stop", "stop"],
        ["chat completions", "anthropic/large", { web_search_options: {} }, "web_search_options", "web_search_options"],
        [
          "messages",
          "gemini/large",
          {
            messages: [
              { role: "user", content: "?" },
              { role: "assistant", content: [{ type: "server_tool_use", id: "s" }] },
              { role: "user", content: "?" }
            ]
          },
          "server_tool_use",
          "messages.content.server_tool_use"
        ]
      ] as const
      for (const [protocol, model, fields, param, name] of meanings) {
        const refused = yield* translated(protocol, model, fields)
        expect([refused.status, refused.sent]).toEqual([400, undefined])
        for (const part of [param, model, "x-effect-llm-on-unsupported: drop"]) expect(refused.text).toContain(part)
        const { dropped, status } = yield* translated(protocol, model, fields, dropping)
        expect([status, dropped]).toEqual([200, name])
      }
    })
  )

  it.scopedLive("is refused in any case where an answer without it would be to another question", () =>
    Effect.gen(function* () {
      const { url } = yield* start({ gateway: { responses: false } })
      const request = question("responses", "gemini/large", { previous_response_id: "resp_0" })
      expect((yield* post(url + paths.responses, request, dropping)).status).toBe(400)
    })
  )

  it.scopedLive("follows the header before the configuration of the model, and refuses another value", () =>
    Effect.gen(function* () {
      const fields = { tools: [{ type: "web_search" }] }
      // The provider is not there: a request that is sent to it fails with 502.
      const statuses = yield* Effect.forEach(
        [{}, { "x-effect-llm-on-unsupported": "error" }, { "x-effect-llm-on-unsupported": "yes" }],
        (headers) =>
          Effect.map(translated("responses", "lenient/large", fields, headers), ({ status, text }) => [
            status,
            /on-unsupported/.test(text)
          ])
      )
      expect(statuses).toEqual([
        [502, false],
        [400, true],
        [400, true]
      ])
    })
  )

  it.scopedLive("is little between OpenAI's protocols: what both have arrives", () =>
    Effect.gen(function* () {
      const shared = {
        store: false,
        service_tier: "flex",
        safety_identifier: "s",
        prompt_cache_key: "k",
        metadata: { a: "b" }
      }
      const { origin, bodies } = yield* answering((_, { url }) => ({
        contentType: "application/json",
        text: JSON.stringify(minimalAnswer(url?.endsWith("/responses") === true ? "responses" : "chat completions"))
      }))
      const entry = { model_name: "large", preset: "openai", api_keys: ["k"], base_url: `${origin}/v1` }
      const { url } = yield* start({
        sections: { one: [{ ...entry, type: "chat-completions" }], other: [{ ...entry, type: "responses" }] }
      })
      const toResponses = yield* post(
        url + paths["chat completions"],
        question("chat completions", "other/large", {
          ...shared,
          verbosity: "low",
          response_format: { type: "json_object" }
        })
      )
      const toChat = yield* post(
        url + paths.responses,
        question("responses", "one/large", { ...shared, text: { verbosity: "low" } })
      )
      expect([toResponses, toChat].map(({ headers }) => headers.get("x-effect-llm-dropped"))).toEqual([null, null])
      expect(bodies[0]).toMatchObject({ ...shared, text: { verbosity: "low", format: { type: "json_object" } } })
      expect(bodies[1]).toMatchObject({ ...shared, verbosity: "low" })
    })
  )
})

describe("request to a provider of another protocol", () => {
  it.scopedLive("drops unsupported top-level fields and lists them in x-effect-llm-dropped", () =>
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

  it.scopedLive(
    "translates the settings of the choice of tokens, and drops those that the provider does not have",
    () =>
      Effect.gen(function* () {
        const { provider, url } = yield* start()
        const settings = {
          frequency_penalty: 0.5,
          presence_penalty: 0,
          logit_bias: { "1": 1 },
          logprobs: true,
          top_logprobs: 2
        }
        const dropped = (model: string) =>
          Effect.map(post(`${url}/v1/chat/completions`, question("chat completions", model, settings)), (answer) => {
            expect(answer.status).toBe(200)
            return answer.headers.get("x-effect-llm-dropped")
          })
        expect(yield* dropped("gemini/large")).toBe("logit_bias")
        expect(yield* dropped("anthropic/large")).toBe("frequency_penalty, presence_penalty, logit_bias, logprobs")
        expect((yield* provider.log)[0]?.body).toMatchObject({
          generationConfig: { frequencyPenalty: 0.5, presencePenalty: 0, responseLogprobs: true, logprobs: 2 }
        })
        const { headers } = yield* post(`${url}/v1/messages`, question("messages", "gemini/large", { top_k: 5 }))
        expect(headers.get("x-effect-llm-dropped")).toBeNull()
        expect((yield* provider.log)[2]?.body).toMatchObject({ generationConfig: { topK: 5 } })
      })
  )

  it.scopedLive("answers 400 to a value that the provider does not accept, with the field", () =>
    Effect.gen(function* () {
      const { provider, url } = yield* start()
      const { json, status } = yield* post(
        `${url}/v1/chat/completions`,
        question("chat completions", "anthropic/large", { temperature: 1.7 })
      )
      expect(status).toBe(400)
      expect(json).toMatchObject({ error: { param: "temperature" } })
      expect(yield* provider.log).toEqual([])
    })
  )

  it.scopedLive("lists dropped fields of messages and tools in x-effect-llm-dropped", () =>
    Effect.gen(function* () {
      const { provider, url } = yield* start()
      const messages = [
        { role: "user", content: [{ type: "text", text: "Hello", vendor_part: 1 }], vendor_message: 1 },
        { role: "assistant", content: null, refusal: "No.", annotations: [] },
        { role: "user", content: "Why?", vendor_message: 2 },
        {
          role: "assistant",
          content: "I look.",
          tool_calls: [{ id: "call_1", type: "function", function: { name: "f", arguments: "{}" }, vendor_call: 1 }]
        },
        { role: "tool", tool_call_id: "call_1", content: "1" }
      ]
      const tools = [{ type: "function", function: { name: "f" }, vendor_tool: 1 }]
      const { headers, status } = yield* post(
        `${url}/v1/chat/completions`,
        question("chat completions", "gemini/large", { messages, tools })
      )
      expect(status).toBe(200)
      expect(headers.get("x-effect-llm-dropped")).toBe(
        "messages.vendor_message, messages.content.vendor_part, messages.tool_calls.vendor_call, tools.vendor_tool"
      )
      expect(JSON.stringify((yield* provider.log)[0]?.body)).not.toContain("vendor")
    })
  )

  it.scopedLive("answers 400 to message parts that the provider's protocol does not support", () =>
    Effect.gen(function* () {
      const { provider, url } = yield* start({ gateway: { responses: false } })
      const cases: ReadonlyArray<readonly [Protocol, object, string]> = [
        [
          "chat completions",
          { messages: [{ role: "user", content: [{ type: "video_url", video_url: {} }] }] },
          "video_url"
        ],
        ["chat completions", { messages: [{ role: "assistant", content: "I", prefix: true }] }, "prefix"],
        ["messages", { messages: [{ role: "user", content: [{ type: "search_result" }] }] }, "search_result"],
        [
          "messages",
          { messages: [{ role: "assistant", content: [{ type: "server_tool_use", id: "srvtoolu_1" }] }] },
          "server_tool_use"
        ],
        ["responses", { input: [{ type: "item_reference", id: "x" }] }, "item_reference"]
      ]
      for (const [protocol, fields, refused] of cases) {
        const { json, status } = yield* post(
          `${url}${paths[protocol]}`,
          question(protocol, "gemini/large", { ...fields })
        )
        expect(status).toBe(400)
        expect(JSON.stringify(json)).toContain(refused)
      }
      expect(yield* provider.log).toEqual([])
    })
  )

  it.scopedLive("answers 400 to essential fields that the provider's protocol does not support", () =>
    Effect.gen(function* () {
      const { provider, url } = yield* start({ gateway: { responses: false } })
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

describe("embedding request", () => {
  it.scopedLive(
    "keeps extra embedding fields for OpenAI-compatible providers, and reports them as dropped for others",
    () =>
      Effect.gen(function* () {
        const { provider, url } = yield* start()
        const ask = (model: string) => post(`${url}/v1/embeddings`, { model, input: "a cat", input_type: "query" })
        const same = yield* ask("openai/large")
        expect(same.status).toBe(200)
        expect(same.headers.get("x-effect-llm-dropped")).toBeNull()
        expect((yield* provider.log).map(({ body }) => body)).toMatchObject([{ input: "a cat", input_type: "query" }])
        const other = yield* ask("gemini/large")
        expect(other.status).toBe(200)
        expect(other.headers.get("x-effect-llm-dropped")).toBe("input_type")
      })
  )
})
