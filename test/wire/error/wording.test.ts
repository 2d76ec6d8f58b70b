import { describe, expect, it } from "@effect/vitest"
import * as LLMError from "../../../src/vocabulary/LLMError.js"
import type { ErrorAnswer } from "../../../src/wire/error/classify.js"
import { classify } from "../../../src/wire/error/classify.js"

const tagOf = (answer: Omit<ErrorAnswer, "headers"> & Partial<ErrorAnswer>, provider = "somebody"): LLMError.ErrorTag =>
  classify(
    { headers: {}, ...answer },
    {
      provider,
      model: "some-model",
      keyId: "key-1",
      now: Date.parse("2026-03-01T12:00:00Z"),
      mask: (text) => text
    }
  )._tag

const errorBody = (message: string, code: string | number | null = null) => ({ error: { message, code } })

describe("classify: codes of single providers", () => {
  it.each<readonly [number, string, LLMError.ErrorTag]>([
    // quota
    [400, "budget_exceeded", "QuotaExceededError"],
    [412, "usage_limit_exceeded", "QuotaExceededError"],
    [429, "credit_limit", "QuotaExceededError"],
    [500, "insufficient_balance_error", "QuotaExceededError"],
    [403, "NOT_ENOUGH_BALANCE", "QuotaExceededError"],
    [403, "local:insufficient_quota", "QuotaExceededError"],
    [429, "INSUFFICIENT_G9_CREDITS_BALANCE", "QuotaExceededError"],
    [401, "CreditsError", "QuotaExceededError"],
    [429, "AccountQuotaExceeded", "QuotaExceededError"],
    [429, "SetLimitExceeded", "QuotaExceededError"],
    [403, "OperationDenied.ServiceOverdue", "QuotaExceededError"],
    [200, "FailedOperation.ResourcePackExhausted", "QuotaExceededError"],
    [200, "ResourceUnavailable.InArrears", "QuotaExceededError"],
    [400, "ServiceQuotaExceededException", "QuotaExceededError"],
    // limits and load
    [403, "ModelAccountRpmRateLimitExceeded", "RateLimitError"],
    [200, "RequestLimitExceeded", "RateLimitError"],
    [403, "user_weekly_rate_limited:team", "RateLimitError"],
    [429, "resource_unavailable", "ProviderUnavailableError"],
    [400, "InvalidEndpoint.ClosedEndpoint", "ProviderUnavailableError"],
    // content and length
    [403, "unsafe_request", "ContentFilterError"],
    [451, "censorship_blocked", "ContentFilterError"],
    [400, "OutofContextError", "ContextLengthError"],
    [400, "model_context_window_exceeded", "ContextLengthError"],
    // models and keys
    [400, "unavailable_model", "ModelNotFoundError"],
    [404, "InvalidEndpoint.NotFound", "ModelNotFoundError"],
    [404, "UnsupportedModel", "ModelNotFoundError"],
    [404, "RESOURCE_DOES_NOT_EXIST", "ModelNotFoundError"],
    [404, "ENDPOINT_NOT_FOUND", "ModelNotFoundError"],
    [403, "ExpiredTokenException", "AuthenticationError"],
    [403, "UnrecognizedClientException", "AuthenticationError"],
    [200, "AuthFailure.SecretIdNotFound", "AuthenticationError"],
    [401, "key_model_access_denied", "PermissionError"],
    [200, "usage_not_included", "PermissionError"]
  ])("maps status %d with the code %s to %s", (status, code, tag) => {
    expect(tagOf({ status, body: errorBody("Oh dear.", code) })).toBe(tag)
  })

  it("reads Amazon's code from the x-amzn-errortype header", () => {
    const headers = { "x-amzn-errortype": "InvalidSignatureException:http://internal/" }
    expect(tagOf({ status: 403, headers, body: { message: "No." } })).toBe("AuthenticationError")
  })

  it("maps MiniMax's numeric codes, and only for MiniMax", () => {
    const answer = (status_code: number, status_msg = "…") => ({
      status: 200,
      body: { base_resp: { status_code, status_msg } }
    })
    expect(tagOf(answer(1004), "minimax")).toBe("AuthenticationError")
    expect(tagOf(answer(1008), "minimax-cn")).toBe("QuotaExceededError")
    expect(tagOf(answer(1039), "minimax")).toBe("RateLimitError")
    expect(tagOf(answer(1027), "minimax")).toBe("ContentFilterError")
    expect(tagOf(answer(2061), "minimax")).toBe("PermissionError")
    expect(tagOf(answer(2013), "minimax")).toBe("InvalidRequestError")
    expect(tagOf(answer(2013, "the context window exceeds the limit"), "minimax")).toBe("ContextLengthError")
    expect(tagOf(answer(2013, "unknown model 'tiny'"), "minimax")).toBe("ModelNotFoundError")
    expect(tagOf(answer(1000), "minimax")).toBe("ProviderUnavailableError")
    expect(tagOf(answer(1008), "somebody")).toBe("ProviderUnavailableError")
  })

  it("maps resource-exhausted errors of xAI and Google by their message", () => {
    const exhausted = (error: string) => ({ status: 429, body: { code: "resource-exhausted", error } })
    expect(tagOf(exhausted("That model is at capacity."))).toBe("ProviderUnavailableError")
    expect(tagOf(exhausted("Your team has used all available credits."))).toBe("QuotaExceededError")
    expect(tagOf(exhausted("Too many requests for this team."))).toBe("RateLimitError")
    expect(tagOf({ status: 200, body: errorBody("Try later.", "RESOURCE_EXHAUSTED") })).toBe("RateLimitError")
    expect(tagOf({ status: 429, body: errorBody("Beyond calls_per_day_per_project", "RESOURCE_EXHAUSTED") })).toBe(
      "QuotaExceededError"
    )
  })
})

describe("classify: messages of providers and gateways", () => {
  it.each<readonly [number, string, LLMError.ErrorTag]>([
    // quota
    [400, "You are out of extra usage for now.", "QuotaExceededError"],
    [401, "No payment method on file.", "QuotaExceededError"],
    [403, "not enough balance for this call", "QuotaExceededError"],
    [403, "the token quota is not enough", "QuotaExceededError"],
    [403, "The account does not have sufficient credit left", "QuotaExceededError"],
    [412, "This account is suspended, perhaps for reaching its monthly spending limit.", "QuotaExceededError"],
    [400, "The budget has been exceeded! Spent 3 of 2.", "QuotaExceededError"],
    [429, "You have exceeded your monthly quota.", "QuotaExceededError"],
    [429, "Weekly limit exhausted.", "QuotaExceededError"],
    [429, "Subscription usage cap exceeded", "QuotaExceededError"],
    [429, "You have exceeded the 5-hour usage quota.", "QuotaExceededError"],
    [500, "upstream: insufficient balance", "QuotaExceededError"],
    [403, "资源包余量已用尽", "QuotaExceededError"],
    [403, "Denied: make sure your account is in good standing", "QuotaExceededError"],
    // load
    [429, "All machines are at maximum capacity", "ProviderUnavailableError"],
    [429, "Model busy, come back later", "ProviderUnavailableError"],
    [429, "The system is too busy now.", "ProviderUnavailableError"],
    [400, "Service temporarily overloaded", "ProviderUnavailableError"],
    [400, "That model is overloaded. Come back later.", "ProviderUnavailableError"],
    [429, "上游负载已饱和，请稍后重试", "ProviderUnavailableError"],
    [400, "Function id '1-2': DEGRADED function cannot be invoked", "ProviderUnavailableError"],
    // limits
    [400, "This key is being rate limited.", "RateLimitError"],
    [200, "TPM limit exceeded", "RateLimitError"],
    [200, "qps request limit reached", "RateLimitError"],
    // permission and keys
    [400, "Project p is not allowed to use Publisher Model tiny", "PermissionError"],
    [400, "No access from unsupported countries", "PermissionError"],
    [429, "Your subscription plan does not yet include access to tiny", "PermissionError"],
    [500, "your current plan not support model, tiny", "PermissionError"],
    [403, "The security token in this call is expired", "AuthenticationError"],
    [403, "Bearer Token has expired", "AuthenticationError"],
    [403, "The request signature we made does not match yours", "AuthenticationError"],
    [403, "Authentication failed: is the key valid?", "AuthenticationError"],
    // length
    [400, "invalid params, context window exceeds limit", "ContextLengthError"],
    [413, "input and output tokens (90) exceeded this model context window limit (70)", "ContextLengthError"],
    [400, "the total exceeds the model's max context", "ContextLengthError"],
    [400, "combined length (20) exceeds the maximum sequence length (16)", "ContextLengthError"],
    [400, "The number of tokens to keep is greater than the context length.", "ContextLengthError"],
    [400, "Cannot truncate prompt with n_keep (15) >= n_ctx (7)", "ContextLengthError"],
    [400, "the input token count is 90 but model only supports up to 80", "ContextLengthError"],
    [400, "the number of input tokens 90 cannot exceed the limit of 80", "ContextLengthError"],
    [400, "Total tokens of text and image exceed max message tokens", "ContextLengthError"],
    [500, "input (700 tokens) is too large to process", "ContextLengthError"],
    [413, "input must have less than 512 tokens", "ContextLengthError"],
    [400, "输入超出最大长度", "ContextLengthError"],
    // content
    [400, "Your request was rejected by the safety system.", "ContentFilterError"],
    [400, "Your safety filter prohibited words of this prompt.", "ContentFilterError"],
    [400, "proxy.ContentPolicyViolationError: filtered", "ContentFilterError"],
    // models
    [401, "Model tiny is not supported", "ModelNotFoundError"],
    [404, "model 'tiny' was removed in March", "ModelNotFoundError"],
    [410, "The model 'tiny' has reached its end of life.", "ModelNotFoundError"],
    [404, "This Model is marked by its maker as Legacy.", "ModelNotFoundError"],
    [404, "Function 'f-1': Not found for account 'a-1'", "ModelNotFoundError"],
    [404, "No allowed providers are available for the selected model.", "ModelNotFoundError"],
    [400, "unknown provider for model tiny", "ModelNotFoundError"],
    [404, "No models loaded.", "ModelNotFoundError"],
    [400, 'Failed to load model "tiny".', "ModelNotFoundError"]
  ])("maps status %d with the message '%s' to %s", (status, message, tag) => {
    expect(tagOf({ status, body: errorBody(message) })).toBe(tag)
    expect(tagOf({ status, body: { detail: message } })).toBe(tag)
    expect(tagOf({ status, body: { errors: [{ description: message }] } })).toBe(tag)
  })
})

describe("classify: quoted request content", () => {
  it.each([
    "Unknown parameter: 'extra.rate_limit_tier'.",
    "unknown field rateLimit",
    "invalid option: rate_limit_penalty",
    "tools.3.name: 'rate limit' does not match the pattern",
    "stop[0]: 'too many requests' is longer than 16 characters",
    "Invalid schema for function 'rate_limiter_status': no type.",
    "Invalid schema for response_format 'flagged_items': no additionalProperties.",
    "the content filter settings must be an object",
    "Invalid schema for function 'list': model not found_count must be a number",
    "max_tokens: 100 > 80, which is the maximum allowed number of output tokens",
    "The maximum tokens you requested exceeds the model limit of 40.",
    "tool_call_id call_1 not found in messages",
    "model tiny does not support the parameter seed",
    "Expected a string with maximum length 64, but got one with length 80.",
    "invalid token in JSON at position 14"
  ])("maps '%s' to InvalidRequestError, although it names another class of error", (message) => {
    expect(tagOf({ status: 400, body: errorBody(message, "invalid_request_error") })).toBe("InvalidRequestError")
    expect(tagOf({ status: 200, body: errorBody(message, "invalid_request_error") })).toBe("InvalidRequestError")
  })

  it("prefers the code to words in a quoted function name", () => {
    const message = "Function 'count too many requests or rate limit exceeded' has no schema."
    expect(tagOf({ status: 400, body: errorBody(message, "invalid_function_parameters") })).toBe("InvalidRequestError")
  })

  it("ignores the prompt that pydantic quotes", () => {
    const fault = "[{'type': 'string_type', 'loc': ('body', 'messages', 2), 'msg': 'a string is needed', "
    const printed = `${fault}'input': {'text': 'invalid api key, rate limit exceeded'}}]`
    expect(tagOf({ status: 400, body: { object: "error", message: printed } })).toBe("InvalidRequestError")
    const listed = { detail: [{ loc: ["body"], msg: "a string is needed", input: "rate limit exceeded" }] }
    expect(tagOf({ status: 400, body: listed })).toBe("InvalidRequestError")
  })

  it("maps string_above_max_length to ContextLengthError for message text alone", () => {
    const tooLong = (field: string) =>
      tagOf({ status: 400, body: errorBody(`Invalid '${field}': string too long.`, "string_above_max_length") })
    expect(tooLong("input[5].output")).toBe("ContextLengthError")
    expect(tooLong("messages[1].content[0].text")).toBe("ContextLengthError")
    expect(tooLong("input")).toBe("ContextLengthError")
    expect(tooLong("messages[3].tool_calls[0].id")).toBe("InvalidRequestError")
    expect(tooLong("user")).toBe("InvalidRequestError")
  })

  it("maps a broken rate limiter under status 500 to ProviderUnavailableError", () => {
    expect(tagOf({ status: 500, body: errorBody("rate limiter: no connection") })).toBe("ProviderUnavailableError")
  })
})

describe("classify: upstream errors inside gateway messages", () => {
  it("reads the JSON error of the upstream inside a gateway's message", () => {
    const quoting = (inner: unknown) => ({
      status: 500,
      body: errorBody(`UpstreamException - ${JSON.stringify(inner)}`)
    })
    expect(tagOf(quoting({ error: { code: "rate_limit_exceeded", message: "slow" } }))).toBe("RateLimitError")
    expect(tagOf(quoting({ type: "error", error: { type: "billing_error", message: "no" } }))).toBe(
      "QuotaExceededError"
    )
    expect(tagOf(quoting({ error: "prompt too long" }))).toBe("ContextLengthError")
  })

  it("ignores JSON in a message that is no error object or is incomplete", () => {
    expect(tagOf({ status: 400, body: errorBody('bad input: {"type":"object","code":"insufficient_quota"}') })).toBe(
      "InvalidRequestError"
    )
    expect(tagOf({ status: 400, body: errorBody('bad input: {"error": {"code": "insufficient_quota"') })).toBe(
      "InvalidRequestError"
    )
  })
})

describe("x-should-retry header", () => {
  const error = (status: number, shouldRetry: string, body: unknown = "") =>
    classify(
      { status, headers: { "x-should-retry": shouldRetry }, body },
      { provider: "somebody", model: "some-model", keyId: "key-1", now: 0, mask: (text) => text }
    )

  it("makes an error with x-should-retry: false not retryable, but leaves it key-scoped", () => {
    const tooLarge = error(413, "false", errorBody("Larger than a minute's tokens.", "rate_limit_exceeded"))
    expect(tooLarge._tag).toBe("RateLimitError")
    expect(LLMError.isRetryable(tooLarge)).toBe(false)
    expect(LLMError.isKeyScoped(tooLarge)).toBe(true)
    expect(LLMError.isRetryable(error(500, "False"))).toBe(false)
  })

  it("leaves retryability to the error class for any other value of x-should-retry", () => {
    expect(LLMError.isRetryable(error(500, "true"))).toBe(true)
    expect(LLMError.isRetryable(error(429, "perhaps"))).toBe(true)
    expect(LLMError.isRetryable(error(400, "true"))).toBe(false)
    expect(LLMError.isRetryable(error(401, "true"))).toBe(false)
  })

  it("ignores x-should-retry under a success status", () => {
    expect(LLMError.isRetryable(error(200, "false", errorBody("Busy.", "overloaded_error")))).toBe(true)
  })
})

describe("classify: bodies without JSON", () => {
  it.each<readonly [number, string, LLMError.ErrorTag]>([
    [
      502,
      "<html><head><title>502 Bad Gateway</title></head><body><h1>502</h1></body></html>",
      "ProviderUnavailableError"
    ],
    [520, "error code: 520", "ProviderUnavailableError"],
    [521, "<!DOCTYPE html><title>x | 521: Web server is down</title>", "ProviderUnavailableError"],
    [526, "", "ProviderUnavailableError"],
    [530, "error code: 1033", "ProviderUnavailableError"],
    [503, "no healthy upstream", "ProviderUnavailableError"],
    [500, "<title>Rate limit exceeded: a dashboard</title><body>Sorry</body>", "ProviderUnavailableError"],
    [429, "error code: 1015", "RateLimitError"],
    [403, "<html><title>Just a moment...</title></html>", "PermissionError"],
    [401, "<center><h1>401 Authorization Required</h1></center>", "AuthenticationError"],
    [404, "404 page not found", "InvalidRequestError"],
    [413, "Payload Too Large", "InvalidRequestError"]
  ])("maps status %d with the body '%s' to %s", (status, body, tag) => {
    expect(tagOf({ status, body })).toBe(tag)
  })
})
