import { describe, expect, it } from "@effect/vitest"
import { Either } from "effect"
import type * as LLMError from "../../src/vocabulary/LLMError.js"
import * as Anthropic from "../../src/wire/Anthropic.js"
import * as ChatCompletions from "../../src/wire/ChatCompletions.js"
import * as DashScope from "../support/dashscope.js"
import * as Gemini from "../../src/wire/Gemini.js"
import * as Ollama from "../../src/wire/Ollama.js"
import { classify } from "../../src/wire/error/classify.js"
import * as Responses from "../../src/wire/Responses.js"
import type { WireEvent, WireFailure } from "../../src/wire/Wire.js"

const wires = [
  ["chat-completions", ChatCompletions.make()],
  ["responses", Responses.make()],
  ["anthropic", Anthropic.make()],
  ["gemini", Gemini.make()],
  ["ollama", Ollama.make()],
  ["dashscope", DashScope.make()]
] as const

const source = { provider: "minimax", model: "some-model", estimatedInputTokens: 0 }

const errorClass = (failure: WireFailure | undefined): string | undefined =>
  failure?._tag === "Reported"
    ? classify(
        { status: 200, headers: {}, body: failure.body, inBand: true },
        { provider: source.provider, model: source.model, keyId: "key-1", now: 0, mask: (text) => text }
      )._tag
    : failure?._tag

/** Error bodies of FastAPI, Cloudflare, MiniMax, Qianfan and several gateways. */
const errors: ReadonlyArray<readonly [unknown, LLMError.ErrorTag]> = [
  [{ error: { message: "Slow.", code: "rate_limit_exceeded" } }, "RateLimitError"],
  [{ error: "the model is overloaded" }, "ProviderUnavailableError"],
  [{ error: { message: "No.", code: 401 } }, "AuthenticationError"],
  [{ type: "error", error: { type: "billing_error", message: "No." } }, "QuotaExceededError"],
  [{ code: "insufficient_quota", error: "No." }, "QuotaExceededError"],
  [{ object: "error", message: "No.", type: "BadRequestError", code: 400 }, "InvalidRequestError"],
  [{ message: "insufficient balance" }, "QuotaExceededError"],
  [{ detail: "rate limit exceeded" }, "RateLimitError"],
  [{ detail: { error: "prompt too long" } }, "ContextLengthError"],
  [{ errors: [{ message: "capacity exceeded", code: 7 }], success: false }, "ProviderUnavailableError"],
  [{ code: 429, msg: "later" }, "RateLimitError"],
  [{ error_code: 18, error_msg: "qps request limit reached" }, "RateLimitError"],
  [{ base_resp: { status_code: 1004, status_msg: "…" } }, "AuthenticationError"]
]

describe.each(wires)("errors under status 200: %s", (_, wire) => {
  it.each(errors)("reports the response body %j as %s", (body, tag) => {
    const failure = Either.match(wire.decodeResponse(body, source), {
      onLeft: (left) => left,
      onRight: () => undefined
    })
    expect(errorClass(failure)).toBe(tag)
  })

  it.each(errors)("reports the stream frame %j as %s", (body, tag) => {
    const out: Array<WireEvent> = []
    expect(errorClass(wire.decodeStream(source).push({ data: JSON.stringify(body) }, out))).toBe(tag)
    expect(out).toEqual([])
  })

  it("rejects bodies with empty error fields as Malformed, not as Reported", () => {
    const bodies = [
      {},
      { error: null },
      { errors: [] },
      { message: "" },
      { base_resp: { status_code: 0, status_msg: "ok" } }
    ]
    for (const body of bodies) {
      const failure = Either.match(wire.decodeResponse(body, source), {
        onLeft: (left) => left,
        onRight: () => undefined
      })
      expect(errorClass(failure)).toBe("Malformed")
    }
  })
})

describe("responses that resemble errors", () => {
  it("reads a Chat Completions response with MiniMax's base_resp of success", () => {
    const response = {
      choices: [{ index: 0, message: { role: "assistant", content: "Hi." }, finish_reason: "stop" }],
      base_resp: { status_code: 0, status_msg: "" }
    }
    expect(Either.isRight(ChatCompletions.make().decodeResponse(response, source))).toBe(true)
  })

  it("reads a Chat Completions usage chunk with MiniMax's base_resp of success", () => {
    const decoder = ChatCompletions.make().decodeStream(source)
    const counts = { choices: [], usage: { prompt_tokens: 1, completion_tokens: 1 }, base_resp: { status_code: 0 } }
    expect(decoder.push({ data: JSON.stringify(counts) }, [])).toBeUndefined()
  })

  it("reads a line of Ollama, whose message field is no error", () => {
    const line = { message: { role: "assistant", content: "Hi." }, done: false }
    expect(
      Ollama.make()
        .decodeStream(source)
        .push({ data: JSON.stringify(line) }, [])
    ).toBeUndefined()
  })

  it("ignores an unknown event of Responses or Anthropic with message and detail fields", () => {
    const event = { type: "response.aside", message: "by the way", detail: "more" }
    expect(
      Responses.make()
        .decodeStream(source)
        .push({ data: JSON.stringify(event) }, [])
    ).toBeUndefined()
    expect(
      Anthropic.make()
        .decodeStream(source)
        .push({ data: JSON.stringify({ ...event, type: "aside" }) }, [])
    ).toBeUndefined()
  })
})

describe("finish reasons that are failures", () => {
  const wire = ChatCompletions.make()
  const response = (reason: string) => ({
    id: "a",
    choices: [{ index: 0, message: { content: "Half of" }, finish_reason: reason }]
  })
  const chunk = (reason: string | null) => ({
    data: JSON.stringify({ id: "a", choices: [{ index: 0, delta: { content: "Half of" }, finish_reason: reason }] })
  })

  it.each(["insufficient_system_resource", "network_error", "error"])(
    "reports the finish_reason %s as ProviderUnavailableError in responses and streams",
    (reason) => {
      expect(errorClass(Either.getOrUndefined(Either.flip(wire.decodeResponse(response(reason), source))))).toBe(
        "ProviderUnavailableError"
      )
      const decoder = wire.decodeStream(source)
      const out: Array<WireEvent> = []
      expect(decoder.push(chunk(null), out)).toBe(undefined)
      expect(errorClass(decoder.push(chunk(reason), out))).toBe("ProviderUnavailableError")
      expect(out).toEqual([{ _tag: "TextDelta", index: 0, text: "Half of" }])
    }
  )
})

/** `ResponseErrorCode` of OpenAI's specification, and further codes that OpenAI sends. */
const responseCodes: Readonly<Record<string, LLMError.ErrorTag>> = {
  server_error: "ProviderUnavailableError",
  vector_store_timeout: "ProviderUnavailableError",
  rate_limit_exceeded: "RateLimitError",
  invalid_prompt: "ContentFilterError",
  bio_policy: "ContentFilterError",
  cyber_policy: "ContentFilterError",
  misalignment_policy_violation: "ContentFilterError",
  image_content_policy_violation: "ContentFilterError",
  data_residency_mismatch: "InvalidRequestError",
  invalid_image: "InvalidRequestError",
  invalid_image_format: "InvalidRequestError",
  invalid_base64_image: "InvalidRequestError",
  invalid_image_url: "InvalidRequestError",
  image_too_large: "InvalidRequestError",
  image_too_small: "InvalidRequestError",
  image_parse_error: "InvalidRequestError",
  invalid_image_mode: "InvalidRequestError",
  image_file_too_large: "InvalidRequestError",
  unsupported_image_media_type: "InvalidRequestError",
  empty_image_file: "InvalidRequestError",
  failed_to_download_image: "InvalidRequestError",
  image_file_not_found: "InvalidRequestError"
}

describe("Responses error codes", () => {
  const wire = Responses.make()
  const pushed = (event: unknown) => wire.decodeStream(source).push({ data: JSON.stringify(event) }, [])

  it.each(Object.entries(responseCodes))(
    "maps the Responses code %s to %s in a response, in response.failed and in an error event",
    (code, tag) => {
      const error = { code, message: "Sorry." }
      const response = { id: "r", status: "failed", output: [], error }
      expect(errorClass(Either.getOrUndefined(Either.flip(wire.decodeResponse(response, source))))).toBe(tag)
      expect(errorClass(pushed({ type: "response.failed", response }))).toBe(tag)
      expect(errorClass(pushed({ type: "error", ...error, param: null }))).toBe(tag)
    }
  )

  it.each(["bio_policy", "misalignment_policy_violation"])("maps %s under status 403 to ContentFilterError", (code) => {
    const body = { error: { type: "invalid_request_error", code, message: "This request was blocked." } }
    const context = { provider: "openai", model: "m", keyId: "key-1", now: 0, mask: (text: string) => text }
    expect(classify({ status: 403, headers: {}, body }, context)._tag).toBe("ContentFilterError")
  })
})
