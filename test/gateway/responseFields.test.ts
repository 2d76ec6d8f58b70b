/** Response fields beyond the vocabulary reach a client of the same protocol. */
import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { start } from "./support/gateway.js"
import type { Protocol } from "./support/http.js"
import { paths, post, question } from "./support/http.js"
import { richAnswers } from "./support/richAnswers.js"
import { respondWith, chunksOf, sse } from "./support/upstream.js"

/** The body that a client receives when a provider of the same protocol gives this answer. */
const receive = (
  protocol: Protocol,
  section: string,
  answer: unknown,
  fields: Readonly<Record<string, unknown>> = {},
  entry: Readonly<Record<string, unknown>> = {}
) =>
  Effect.gen(function* () {
    const upstream = yield* respondWith("application/json", JSON.stringify(answer))
    const { url } = yield* start({ entry: { base_url: `${upstream.origin}/v1`, ...entry } })
    const { json } = yield* post(`${url}${paths[protocol]}`, question(protocol, `${section}/large`, fields))
    return json
  })

const unfaithful = { preset: "openrouter" }

describe("whole answer of a provider of the same protocol", () => {
  it.scopedLive(
    "passes a Chat Completions answer through, and re-encodes one with tool calls of a provider that is not faithful with only a new created time",
    () =>
      Effect.gen(function* () {
        const { openai } = richAnswers
        expect(yield* receive("chat completions", "openai", openai)).toStrictEqual(openai)
        const withToolCalls = yield* receive("chat completions", "openai", openai, {}, unfaithful)
        expect(withToolCalls).toStrictEqual({ ...openai, created: expect.any(Number) })
        const choices = openai.choices.map(({ message: { tool_calls: _, ...message }, ...choice }) => ({
          ...choice,
          message
        }))
        const textAnswer = { ...openai, created: 7, choices, nothing: null, none: [] }
        expect(yield* receive("chat completions", "openai", textAnswer, {}, unfaithful)).toStrictEqual(textAnswer)
      })
  )

  it.scopedLive("returns Chat Completions reasoning under each of its field names", () =>
    Effect.gen(function* () {
      const details = [
        { type: "reasoning.text", text: "Hm.", signature: "sig", format: "anthropic-claude-v1", index: 0 },
        { type: "reasoning.encrypted", data: "sealed", id: "rs_1", index: 1 }
      ]
      const message = { role: "assistant", content: "Hi", reasoning: "Hm.", reasoning_details: details }
      // A signature of an answer that the gateway encodes names the account that made it.
      const received = details.map(({ data, signature, ...detail }) => ({
        ...detail,
        ...(signature === undefined ? {} : { signature: expect.stringMatching(/^ellm1\..*\.sig$/) }),
        ...(data === undefined ? {} : { data: expect.stringMatching(/^ellm1\..*\.sealed$/) })
      }))
      const answer = { id: "gen-1", choices: [{ index: 0, message, finish_reason: "stop" }] }
      expect(yield* receive("chat completions", "openai", answer, {}, unfaithful)).toMatchObject({
        choices: [{ message: { ...message, reasoning_content: "Hm.", reasoning_details: received } }]
      })
    })
  )

  it.scopedLive("passes a Messages answer through unchanged", () =>
    Effect.gen(function* () {
      expect(yield* receive("messages", "anthropic", richAnswers.anthropic)).toStrictEqual(richAnswers.anthropic)
    })
  )

  it.scopedLive("passes a Responses answer through unchanged", () =>
    Effect.gen(function* () {
      expect(yield* receive("responses", "responses", richAnswers.responses)).toStrictEqual(richAnswers.responses)
    })
  )
})

describe("unknown fields of Chat Completions", () => {
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

  it.scopedLive("keeps unknown Chat Completions fields of the request and of the answer", () =>
    Effect.gen(function* () {
      const upstream = yield* respondWith(
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
      expect(upstream.bodies[0]).toMatchObject({ ...fields, model: "large" })
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

  it.scopedLive("keeps unknown Chat Completions fields of a stream", () =>
    Effect.gen(function* () {
      const chunk = (fields: object) => ({
        id: "c",
        object: "chat.completion.chunk",
        created: 7,
        model: "m",
        ...fields
      })
      const { content: _, ...rest } = message
      const upstream = yield* respondWith(
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

describe("unknown fields of Messages", () => {
  it.scopedLive("keeps unknown Messages fields of the request and of the answer", () =>
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
      const upstream = yield* respondWith("application/json", JSON.stringify(answer))
      const { url } = yield* start({ entry: { base_url: `${upstream.origin}/v1` } })
      const fields = {
        top_k: 7,
        service_tier: "auto",
        vendor_field: { deep: [1] },
        tools: [{ type: "web_search_20250305", name: "web_search" }]
      }
      const { json } = yield* post(`${url}/v1/messages`, question("messages", "anthropic/large", fields))
      expect(upstream.bodies[0]).toMatchObject(fields)
      expect(json).toMatchObject(answer)
    })
  )
})

describe("unknown fields of Responses", () => {
  it.scopedLive("keeps unknown Responses fields of the request and of the answer", () =>
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
      const upstream = yield* respondWith("application/json", JSON.stringify(answer))
      const { url } = yield* start({ entry: { base_url: `${upstream.origin}/v1` }, gateway: { responses: false } })
      const fields = { include: ["x"], previous_response_id: "resp_0", store: true, tools: [{ type: "web_search" }] }
      const { json } = yield* post(`${url}/v1/responses`, question("responses", "responses/large", fields))
      expect(upstream.bodies[0]).toMatchObject(fields)
      expect(json).toMatchObject({
        id: "resp_1",
        service_tier: "flex",
        vendor: { region: "eu" },
        usage: { vendor_units: 3 },
        output: expect.arrayContaining([
          expect.objectContaining(search),
          expect.objectContaining({ content: [expect.objectContaining({ annotations: [{ type: "url_citation" }] })] })
        ])
      })
    })
  )
})
