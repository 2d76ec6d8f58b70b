import { describe, expect, it } from "@effect/vitest"
import type * as LLMError from "../../../src/vocabulary/LLMError.js"
import type { ErrorAnswer } from "../../../src/wire/error/classify.js"
import { classify } from "../../../src/wire/error/classify.js"
import { errorAnswer, inBand, openAi, source } from "./errorAnswers.js"

const tagOf = (answer: ErrorAnswer, provider?: string): string => classify(answer, source(provider))._tag

describe("classify: status", () => {
  it.each<readonly [number, LLMError.ErrorTag]>([
    [301, "InvalidRequestError"],
    [400, "InvalidRequestError"],
    [401, "AuthenticationError"],
    [402, "QuotaExceededError"],
    [403, "PermissionError"],
    [404, "InvalidRequestError"],
    [405, "InvalidRequestError"],
    [408, "ProviderUnavailableError"],
    [409, "ProviderUnavailableError"],
    [413, "InvalidRequestError"],
    [422, "InvalidRequestError"],
    [424, "ProviderUnavailableError"],
    [425, "ProviderUnavailableError"],
    [429, "RateLimitError"],
    [451, "PermissionError"],
    [498, "ProviderUnavailableError"],
    [499, "ProviderUnavailableError"],
    [500, "ProviderUnavailableError"],
    [501, "ProviderUnavailableError"],
    [502, "ProviderUnavailableError"],
    [503, "ProviderUnavailableError"],
    [504, "ProviderUnavailableError"],
    [524, "ProviderUnavailableError"],
    [529, "ProviderUnavailableError"]
  ])("maps status %d without an error code to %s", (status, tag) => {
    expect(tagOf(errorAnswer(status, ""))).toBe(tag)
    expect(tagOf(errorAnswer(status, openAi("Oh dear.", null)))).toBe(tag)
  })

  it("maps an in-band error without a code to ProviderUnavailableError", () => {
    expect(tagOf(inBand({}))).toBe("ProviderUnavailableError")
    expect(tagOf(inBand({ error: "the runner stopped" }))).toBe("ProviderUnavailableError")
  })
})

describe("classify: codes and types", () => {
  it.each<readonly [number, string, LLMError.ErrorTag]>([
    [429, "insufficient_quota", "QuotaExceededError"],
    [401, "insufficient_quota", "QuotaExceededError"],
    [429, "billing_hard_limit_reached", "QuotaExceededError"],
    [429, "project_spend_limit_exceeded", "QuotaExceededError"],
    [429, "exceeded_current_quota_error", "QuotaExceededError"],
    [429, "usage_limit_reached", "QuotaExceededError"],
    [400, "Arrearage", "QuotaExceededError"],
    [403, "AllocationQuota.FreeTierOnly", "QuotaExceededError"],
    [403, "personal-team-blocked:spending-limit", "QuotaExceededError"],
    [413, "rate_limit_exceeded", "RateLimitError"],
    [429, "rate_limit_reached_error", "RateLimitError"],
    [403, "RateLimitReached", "RateLimitError"],
    [429, "Throttling.RateQuota", "RateLimitError"],
    [429, "token_quota_exceeded", "RateLimitError"],
    [429, "engine_overloaded_error", "ProviderUnavailableError"],
    [429, "service_tier_capacity_exceeded", "ProviderUnavailableError"],
    [429, "ServerOverloaded", "ProviderUnavailableError"],
    [429, "MODEL_CAPACITY_EXHAUSTED", "ProviderUnavailableError"],
    [400, "content_filter", "ContentFilterError"],
    [400, "ResponsibleAIPolicyViolation", "ContentFilterError"],
    [400, "data_inspection_failed", "ContentFilterError"],
    [400, "DataInspectionFailed", "ContentFilterError"],
    [400, "InputTextSensitiveContentDetected", "ContentFilterError"],
    [400, "invalid_prompt", "ContentFilterError"],
    [400, "context_length_exceeded", "ContextLengthError"],
    [400, "exceed_context_size_error", "ContextLengthError"],
    [400, "too_many_prompt_tokens", "ContextLengthError"],
    [413, "tokens_limit_reached", "ContextLengthError"],
    [403, "model_not_found", "ModelNotFoundError"],
    [404, "DeploymentNotFound", "ModelNotFoundError"],
    [400, "invalid_model", "ModelNotFoundError"],
    [400, "model_decommissioned", "ModelNotFoundError"],
    [400, "API_KEY_INVALID", "AuthenticationError"],
    [403, "InvalidApiKey", "AuthenticationError"],
    [400, "authentication_error", "AuthenticationError"],
    [401, "ip_not_authorized", "PermissionError"],
    [403, "unsupported_country_region_territory", "PermissionError"],
    [400, "permission_error", "PermissionError"],
    [501, "not_supported_error", "InvalidRequestError"],
    [400, "invalid_request_error", "InvalidRequestError"]
  ])("maps status %d with the code or type %s to %s", (status, code, tag) => {
    expect(tagOf(errorAnswer(status, openAi("Oh dear.", code)))).toBe(tag)
    expect(tagOf(errorAnswer(status, openAi("Oh dear.", null, code)))).toBe(tag)
    expect(tagOf(errorAnswer(status, { message: "Oh dear.", code }))).toBe(tag)
  })

  it("maps string_above_max_length of message text to ContextLengthError, of other fields to InvalidRequestError", () => {
    const tooLong = (field: string) => openAi(`Invalid '${field}': string too long.`, "string_above_max_length")
    expect(tagOf(errorAnswer(400, tooLong("messages[0].content")))).toBe("ContextLengthError")
    expect(tagOf(errorAnswer(400, tooLong("tools[0].function.description")))).toBe("InvalidRequestError")
  })

  it("prefers the error code to the words of the message", () => {
    const tokens = openAi(
      "Too many tokens per second. Reduce the length of the messages.",
      "rate_limit_exceeded",
      "tokens"
    )
    expect(tagOf(errorAnswer(413, tokens))).toBe("RateLimitError")
    const access = openAi("The prompt was flagged: the model does not exist.", "model_not_found")
    expect(tagOf(errorAnswer(400, access))).toBe("ModelNotFoundError")
  })

  it("maps in-band errors by their code or type", () => {
    expect(tagOf(inBand(openAi("Slow.", "rate_limit_exceeded")))).toBe("RateLimitError")
    expect(tagOf(inBand({ type: "error", error: { type: "overloaded_error", message: "Busy" } }))).toBe(
      "ProviderUnavailableError"
    )
    expect(tagOf(inBand(openAi("No tool.", "tool_use_failed", "invalid_request_error")))).toBe("InvalidRequestError")
    expect(tagOf(inBand({ response: { status: "failed", error: { code: "insufficient_quota" } } }))).toBe(
      "QuotaExceededError"
    )
    expect(tagOf(inBand(openAi("A field is wrong.", null, "invalid_request_error")))).toBe("InvalidRequestError")
  })

  it.each<readonly [unknown, LLMError.ErrorTag]>([
    [{ error: { code: 401, message: "No." } }, "AuthenticationError"],
    [{ error: { code: 402, message: "No." } }, "QuotaExceededError"],
    [{ error: { code: "429", message: "No." } }, "RateLimitError"],
    [{ error: { code: 502, message: "No." }, choices: [{ finish_reason: "error" }] }, "ProviderUnavailableError"],
    [{ error: { message: "No.", status_code: 400 } }, "InvalidRequestError"],
    [{ choices: [{ error: { code: 403, message: "No." } }] }, "PermissionError"],
    [{ error: { error: { code: 404, message: "No." } } }, "InvalidRequestError"],
    [{ status: 422, title: "No." }, "InvalidRequestError"]
  ])("reads the status inside the in-band error %j as %s", (body, tag) => {
    expect(tagOf(inBand(body))).toBe(tag)
  })
})

describe("classify: messages", () => {
  it.each<readonly [number, string, LLMError.ErrorTag]>([
    // context length
    [400, "This model's maximum context length is 100 tokens, but you sent 120.", "ContextLengthError"],
    [400, "prompt is too long: 300 tokens > 200 maximum", "ContextLengthError"],
    [400, "input length and `max_tokens` exceed context limit: 80 + 40 > 100", "ContextLengthError"],
    [400, "The input token count (900) exceeds the maximum number of tokens allowed (800).", "ContextLengthError"],
    [400, "This model's maximum prompt length is 10 but the request contains 12 tokens.", "ContextLengthError"],
    [400, "Prompt contains 12 tokens, too large for model with 10 maximum context length", "ContextLengthError"],
    [400, "Your request exceeded model token limit: 8", "ContextLengthError"],
    [400, "the request exceeds the available context size, try increasing it", "ContextLengthError"],
    [400, "Range of input length should be [1, 90]", "ContextLengthError"],
    [400, "too many tokens: the prompt has 12, at most 10 are allowed", "ContextLengthError"],
    [403, "Input tokens + max_tokens must be less than the context length of the model", "ContextLengthError"],
    [500, "input is too large to process. increase the physical batch size", "ContextLengthError"],
    [400, "输入超过模型最大长度", "ContextLengthError"],
    [400, "提示词过长，请缩短", "ContextLengthError"],
    [400, "max_tokens is too large: 9. This model supports at most 4 completion tokens.", "InvalidRequestError"],
    // content
    [400, "Rejected: content exists risk of harm", "ContentFilterError"],
    [400, "Rejected: considered high risk by moderation", "ContentFilterError"],
    [400, "Output blocked by content filtering policy", "ContentFilterError"],
    [400, "the prompt triggered the content management policy", "ContentFilterError"],
    [403, "Content violates usage guidelines.", "ContentFilterError"],
    [403, "This model is moderated and your input was flagged for harassment", "ContentFilterError"],
    [400, "输入内容包含敏感信息", "ContentFilterError"],
    // model
    [404, "The model `gpt-9.5` does not exist or you do not have access to it.", "ModelNotFoundError"],
    [404, "model 'tiny:9b' not found", "ModelNotFoundError"],
    [404, 'model "tiny" not found, try pulling it first', "ModelNotFoundError"],
    [404, "models/tiny-9.1 is not found for API version v1", "ModelNotFoundError"],
    [404, "model: tiny-9", "ModelNotFoundError"],
    [400, "Model Not Exist", "ModelNotFoundError"],
    [400, "Invalid model: tiny", "ModelNotFoundError"],
    [400, "tiny/9 is not a valid model ID", "ModelNotFoundError"],
    [400, "Model tiny is not supported. Supported models are small and large.", "ModelNotFoundError"],
    [400, "The model `tiny` has been decommissioned and is no longer supported.", "ModelNotFoundError"],
    [404, "No endpoints found for tiny/9.", "ModelNotFoundError"],
    [404, "Not found the model tiny or Permission denied", "ModelNotFoundError"],
    [404, "Unable to access model tiny.", "ModelNotFoundError"],
    [400, "模型不存在，请检查模型代码", "ModelNotFoundError"],
    [400, "Unsupported parameter: 'max_tokens' is not supported with this model.", "InvalidRequestError"],
    [400, "Model 'tiny' does not support function calling", "InvalidRequestError"],
    [400, "tiny does not support tools", "InvalidRequestError"],
    [404, "Resource not found", "InvalidRequestError"],
    [404, "No handler found on route.", "InvalidRequestError"],
    // key
    [400, "This API key is not valid here.", "AuthenticationError"],
    [400, "API key expired. Please renew it.", "AuthenticationError"],
    [400, "Incorrect API key provided. You can obtain one from the console.", "AuthenticationError"],
    [403, "Your API key was reported as leaked. Please use another API key.", "AuthenticationError"],
    [400, "鉴权失败", "AuthenticationError"],
    // location and account
    [400, "User location is not supported by this model.", "PermissionError"],
    [400, "This organization has been disabled.", "PermissionError"],
    [403, "Your account has been flagged for unusual activity.", "PermissionError"],
    // quota
    [400, "Your credit balance is too low to access the API.", "QuotaExceededError"],
    [400, "You have reached your specified API usage limits.", "QuotaExceededError"],
    [429, "Insufficient balance, top up first.", "QuotaExceededError"],
    [
      429,
      "Your team has either used all available credits or reached its monthly spending limit.",
      "QuotaExceededError"
    ],
    [403, "Your newly created team doesn't have any credits or licenses yet.", "QuotaExceededError"],
    [403, "Key limit exceeded (total limit).", "QuotaExceededError"],
    [429, "您的账户已欠费，请充值后重试", "QuotaExceededError"],
    [429, "本周已达到使用上限", "QuotaExceededError"],
    // limits and load
    [403, "API rate limit exceeded", "RateLimitError"],
    [429, "Add 10 credits to unlock 1000 requests per day. Rate limit exceeded.", "RateLimitError"],
    [429, "Rate limit reached on tokens per min (TPM). Add a payment method at /account/billing.", "RateLimitError"],
    [429, "Rate limit exceeded. High demand: limited to 1 request per minute.", "RateLimitError"],
    [429, "This model is temporarily rate-limited upstream.", "RateLimitError"],
    [429, "请求过于频繁", "RateLimitError"],
    [429, "Capacity exceeded: all machines of this tier are taken.", "ProviderUnavailableError"],
    [429, "That model is currently overloaded with other requests.", "ProviderUnavailableError"],
    [429, "System is experiencing high demand", "ProviderUnavailableError"],
    [500, "audio input is not supported by this build", "InvalidRequestError"]
  ])("maps status %d with the message '%s' to %s", (status, message, tag) => {
    expect(tagOf(errorAnswer(status, openAi(message, null)))).toBe(tag)
    expect(tagOf(errorAnswer(status, { error: message }))).toBe(tag)
  })

  it.each<readonly [string, LLMError.ErrorTag]>([
    ["litellm.RateLimitError: too many requests", "RateLimitError"],
    ["The model is at capacity right now.", "ProviderUnavailableError"],
    ["Insufficient credits", "QuotaExceededError"],
    ["maximum context length is 10 tokens", "ContextLengthError"],
    ["Timed out waiting for the first token", "ProviderUnavailableError"]
  ])("maps the in-band message '%s' to %s", (message, tag) => {
    expect(tagOf(inBand({ error: { message } }))).toBe(tag)
  })

  it("ignores codes and messages that an error quotes", () => {
    const quoting = {
      error: {
        message: "The model called no tool.",
        code: "tool_use_failed",
        failed_generation: '{"message":"content filter","code":"content_filter"}'
      }
    }
    expect(tagOf(errorAnswer(400, quoting))).toBe("InvalidRequestError")
    expect(tagOf(inBand({ status: "failed", metadata: { reason: "insufficient_quota" } }))).toBe(
      "ProviderUnavailableError"
    )
  })
})

describe("classify: single providers", () => {
  const exhausted = openAi("You exceeded your current quota (see your plan).", "insufficient_quota")

  it("maps insufficient_quota to QuotaExceededError, but to RateLimitError for DashScope", () => {
    expect(tagOf(errorAnswer(429, exhausted), "openai")).toBe("QuotaExceededError")
    expect(tagOf(errorAnswer(429, exhausted), "dashscope")).toBe("RateLimitError")
    expect(tagOf(errorAnswer(429, exhausted), "my-qwen")).toBe("RateLimitError")
  })

  it("recognises DashScope's insufficient_quota by its documentation link under any provider name", () => {
    const body = openAi(
      "You exceeded your current quota. See /model-studio/error-code#token-limit",
      "insufficient_quota"
    )
    expect(tagOf(errorAnswer(429, body), "mine")).toBe("RateLimitError")
    expect(tagOf(inBand(body), "mine")).toBe("RateLimitError")
  })

  it("maps an exhausted free quota of DashScope to QuotaExceededError", () => {
    const body = { code: "Throttling.AllocationQuota", message: "Free allocated quota exceeded." }
    expect(tagOf(errorAnswer(429, body), "dashscope")).toBe("QuotaExceededError")
    const busy = { code: "Throttling.AllocationQuota", message: "Allocated quota exceeded, please increase it." }
    expect(tagOf(errorAnswer(429, busy), "dashscope")).toBe("RateLimitError")
  })

  const gemini = (quotaId: string, message = "You exceeded your current quota (see your plan).") => [
    {
      error: {
        code: 429,
        message,
        status: "RESOURCE_EXHAUSTED",
        details: [{ "@type": "type.googleapis.com/google.rpc.QuotaFailure", violations: [{ quotaId }] }]
      }
    }
  ]

  it("maps Gemini's quota per minute to RateLimitError and its daily or zero quota to QuotaExceededError", () => {
    expect(tagOf(errorAnswer(429, gemini("RequestsPerMinutePerProject")))).toBe("RateLimitError")
    expect(tagOf(errorAnswer(429, gemini("RequestsPerDayPerProject-FreeTier")))).toBe("QuotaExceededError")
    expect(tagOf(errorAnswer(429, gemini("", "Quota exceeded for metric: requests, limit: 0, model: tiny")))).toBe(
      "QuotaExceededError"
    )
  })

  it.each<readonly [string, LLMError.ErrorTag]>([
    ["1002", "AuthenticationError"],
    ["1112", "PermissionError"],
    ["1113", "QuotaExceededError"],
    ["1211", "ModelNotFoundError"],
    ["1214", "InvalidRequestError"],
    ["1261", "ContextLengthError"],
    ["1301", "ContentFilterError"],
    ["1302", "RateLimitError"],
    ["1305", "RateLimitError"],
    ["1308", "QuotaExceededError"],
    ["1312", "ProviderUnavailableError"]
  ])("maps Zhipu's code %s to %s under every status, wire and provider name", (code, tag) => {
    for (const provider of ["zhipu", "z.ai", "zai-coding", "bigmodel", "glm"]) {
      expect(tagOf(errorAnswer(429, { error: { code, message: "…" } }), provider)).toBe(tag)
      expect(tagOf(errorAnswer(400, { type: "error", error: { type: code, message: "…" } }), provider)).toBe(tag)
      expect(tagOf(inBand({ error: { code, message: "…" } }), provider)).toBe(tag)
    }
  })

  it("ignores Zhipu's codes for other providers", () => {
    const mistral = { object: "error", message: "Rate limit hit", type: "rate_limited", code: "1300" }
    expect(tagOf(errorAnswer(429, mistral), "mistral")).toBe("RateLimitError")
    expect(tagOf(errorAnswer(400, { error: { code: "1113", message: "…" } }), "mozaic")).toBe("InvalidRequestError")
  })

  it.each([
    [1002, "rate limit", "RateLimitError"],
    [1004, "not authorized / token not match group / cookie is missing, log in again", "AuthenticationError"],
    [1008, "insufficient balance", "QuotaExceededError"],
    [1024, "internal error", "ProviderUnavailableError"],
    [1026, "input new_sensitive", "ContentFilterError"]
  ])("maps MiniMax's code %s under status 200 (%s) to %s", (status_code, status_msg, tag) => {
    expect(tagOf(inBand({ choices: null, base_resp: { status_code, status_msg } }), "minimax")).toBe(tag)
  })

  it("maps 498 of Cohere to ContentFilterError and of Groq to ProviderUnavailableError", () => {
    expect(tagOf(errorAnswer(498, { message: "no" }), "cohere")).toBe("ContentFilterError")
    expect(tagOf(errorAnswer(498, { message: "no" }), "groq")).toBe("ProviderUnavailableError")
  })

  it("maps OpenRouter's 402 of the in-flight budget to RateLimitError and other 402s to QuotaExceededError", () => {
    const inFlight = {
      error: { code: 402, message: "Busy", metadata: { limit_source: "openrouter_in_flight_budget" } }
    }
    expect(tagOf(errorAnswer(402, inFlight))).toBe("RateLimitError")
    expect(tagOf(errorAnswer(402, { error: { code: 402, message: "Add credits" } }))).toBe("QuotaExceededError")
  })

  it("reads xAI's sentence in the code field as message and code", () => {
    const error = classify(inBand({ code: "The service is currently unavailable", error: "Timed out" }), source("xai"))
    expect(error._tag).toBe("ProviderUnavailableError")
    expect(error.message).toContain("Timed out")
    expect(error.code).toBe("The service is currently unavailable")
  })
})
