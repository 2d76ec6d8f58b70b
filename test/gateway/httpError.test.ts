/** The errors that clients receive for every way in which a call can fail. */
import { describe, expect, it } from "@effect/vitest"
import { Duration } from "effect"
import * as HttpErrors from "../../src/gateway/http/error.js"
import * as Protocol from "../../src/gateway/chat/protocols.js"
import type { ErrorTag, LLMError } from "../../src/vocabulary/LLMError.js"
import * as Errors from "../../src/vocabulary/LLMError.js"
import { withContent } from "../../src/vocabulary/Chat.js"
import * as Usage from "../../src/vocabulary/Usage.js"
import * as Anthropic from "../../src/wire/Anthropic.js"
import * as ChatCompletions from "../../src/wire/ChatCompletions.js"
import * as Responses from "../../src/wire/Responses.js"

const secret = "organization org-secret at internal.example"

const about = { provider: "p", model: "m", attempts: [], message: secret }

const partial = withContent({ id: "", model: "", usage: Usage.empty }, [])

const wait = { retryAfter: Duration.millis(1500) }

/** One error of each class with its status, its code, whether the client sees its message, and `x-should-retry`. */
const table: { readonly [T in ErrorTag]: readonly [LLMError, number, string, boolean, boolean | undefined] } = {
  RateLimitError: [
    new Errors.RateLimitError({ ...about, source: "provider" }),
    429,
    "rate_limit_exceeded",
    false,
    undefined
  ],
  QuotaExceededError: [new Errors.QuotaExceededError(about), 503, "upstream_quota_exceeded", false, false],
  AuthenticationError: [new Errors.AuthenticationError(about), 502, "upstream_authentication_failed", false, false],
  PermissionError: [new Errors.PermissionError(about), 502, "upstream_permission_denied", false, false],
  ModelNotFoundError: [new Errors.ModelNotFoundError(about), 404, "model_not_found", false, undefined],
  ContextLengthError: [new Errors.ContextLengthError(about), 400, "context_length_exceeded", true, undefined],
  ContentFilterError: [new Errors.ContentFilterError(about), 400, "content_filter", true, undefined],
  InvalidRequestError: [
    new Errors.InvalidRequestError({ ...about, field: "messages[0].role" }),
    400,
    "invalid_request",
    true,
    undefined
  ],
  ProviderUnavailableError: [new Errors.ProviderUnavailableError(about), 503, "provider_unavailable", false, undefined],
  NetworkError: [new Errors.NetworkError(about), 502, "provider_unreachable", false, undefined],
  TimeoutError: [new Errors.TimeoutError({ ...about, phase: "total" }), 504, "timeout", false, false],
  MalformedResponseError: [
    new Errors.MalformedResponseError({ ...about, path: "", excerpt: secret }),
    502,
    "malformed_response",
    false,
    undefined
  ],
  StreamInterruptedError: [
    new Errors.StreamInterruptedError({ ...about, begun: true, partial }),
    502,
    "stream_interrupted",
    false,
    false
  ],
  UnsupportedError: [
    new Errors.UnsupportedError({ ...about, feature: "embeddings" }),
    400,
    "unsupported",
    true,
    undefined
  ],
  KeyPoolExhaustedError: [new Errors.KeyPoolExhaustedError(about), 503, "no_key_available", false, false],
  BalanceExhaustedError: [
    new Errors.BalanceExhaustedError({ ...about, answers: [], retryable: false }),
    503,
    "no_deployment_available",
    false,
    false
  ],
  SharedStateError: [
    new Errors.SharedStateError({ ...about, reason: "timeout" }),
    503,
    "shared_state_unavailable",
    false,
    undefined
  ],
  BudgetExceededError: [new Errors.BudgetExceededError(about), 402, "budget_exceeded", false, undefined]
}

describe("fromLLMError", () => {
  it("covers every LLMError tag in this test's table", () => {
    expect(Object.keys(table).sort()).toEqual(Errors.LLMError.members.map(({ identifier }) => identifier).sort())
  })

  it.each(Object.entries(table))(
    "maps %s to its status, code, message and shouldRetry",
    (_, [llmError, status, code, isOwnMessage, shouldRetry]) => {
      const error = HttpErrors.fromLLMError(llmError)
      expect(error).toMatchObject({ status, code })
      expect(error.shouldRetry).toBe(shouldRetry)
      expect(error.message.includes(secret)).toBe(isOwnMessage)
      expect(error.message.length).toBeGreaterThan(10)
    }
  )
})

describe("HttpError", () => {
  it("names the model without a price and the setting for it instead of a spent budget", () => {
    const error = HttpErrors.fromLLMError(new Errors.BudgetExceededError({ ...about, reason: "unknown-price" }))
    expect(error).toMatchObject({ status: 402, code: "price_unknown" })
    expect(error.message).toContain("the price of 'p/m' is not known")
    expect(error.message).toContain("provider.json")
    expect(error.message).not.toContain("spent")
    expect(error.message).not.toContain(secret)
  })

  const reported = (tag: ErrorTag, message: string, code?: string) =>
    HttpErrors.fromLLMError(
      new Errors.StreamInterruptedError({
        ...about,
        begun: true,
        partial,
        reported: tag,
        message,
        ...(code === undefined ? {} : { code })
      })
    )

  it("keeps the class and the reason of an error that the provider reports within a stream", () => {
    const filtered = "p broke off the stream: p: The answer was filtered. Change the prompt, or use another model."
    expect(reported("ContentFilterError", filtered)).toMatchObject({
      status: 400,
      code: "content_filter",
      message: filtered
    })
    const down = "p broke off the stream: p: The server had an error. Try again later, or use another provider."
    expect(reported("ProviderUnavailableError", down)).toMatchObject({ code: "provider_unavailable", message: down })
    expect(reported("ProviderUnavailableError", down, "overloaded_error")).toMatchObject({
      status: 503,
      code: "overloaded"
    })
    expect(reported("RateLimitError", "Slow down.")).toMatchObject({ status: 429, code: "rate_limit_exceeded" })
  })

  it("hides the reason of an error within a stream that can name an account, a host or a person", () => {
    const told = [secret, "ask ops@example", "see https://internal/", "10.0.0.7 refused", "acme_prod1 is full"]
    for (const reason of told) {
      const { message } = reported("ProviderUnavailableError", reason)
      expect(message).toBe("The provider broke off its answer. The provider is not available.")
    }
    expect(reported("QuotaExceededError", "No credit is left for Jane Doe.").message).not.toContain("Jane")
    expect(reported("RateLimitError", "Jane Doe sends too much.").message).not.toContain("Jane")
  })

  it("names whose rate limit was reached", () => {
    const messageOf = (source: Errors.RateLimitError["source"]) =>
      HttpErrors.fromLLMError(new Errors.RateLimitError({ ...about, source })).message
    expect(messageOf("provider")).toContain("The provider limits")
    expect(messageOf("limiter")).toContain("The gateway's limit for this model")
    expect(messageOf("pool")).toContain("the gateway's keys for this model")
  })

  it("tells when to retry after every limit of the gateway, and after a provider's only where it says so", () => {
    const waitOf = (source: Errors.RateLimitError["source"]) =>
      HttpErrors.fromLLMError(new Errors.RateLimitError({ ...about, source })).retryAfter
    expect(waitOf("provider")).toBeUndefined()
    expect(waitOf("limiter")).toEqual(Duration.seconds(1))
    expect(waitOf("pool")).toEqual(Duration.seconds(1))
  })

  it("answers an overload with the status that the protocol has for it", () => {
    const overloads = [
      new Errors.ProviderUnavailableError({ ...about, status: 529 }),
      new Errors.ProviderUnavailableError({ ...about, status: 200, code: "overloaded_error" }),
      new Errors.BalanceExhaustedError({
        ...about,
        answers: [],
        retryable: true,
        attempts: [
          { provider: "p", model: "m", keyId: "k", error: "ProviderUnavailableError", status: 529, duration: 1 }
        ]
      })
    ]
    for (const overload of overloads) {
      const error = HttpErrors.fromLLMError(overload)
      const { encodeError } = Protocol.anthropic.wire
      expect(HttpErrors.response(encodeError, error, { overloadedStatus: 529 }).status).toBe(529)
      expect(encodeError(HttpErrors.servedError(error))).toMatchObject({ error: { type: "overloaded_error" } })
      expect(HttpErrors.response(Protocol.chatCompletions.wire.encodeError, error).status).toBe(503)
      expect(error.message).not.toContain(secret)
    }
  })

  it("encodes 402 and 429 with the types of OpenAI's protocols", () => {
    const budget = HttpErrors.fromLLMError(table.BudgetExceededError[0])
    for (const { wire } of [Protocol.chatCompletions, Protocol.responses]) {
      expect(wire.encodeError(HttpErrors.servedError(budget))).toMatchObject({ error: { type: "insufficient_quota" } })
      expect(wire.encodeError(HttpErrors.servedError(limited))).toMatchObject({ error: { type: "rate_limit_error" } })
    }
  })

  const limited = HttpErrors.fromLLMError(new Errors.RateLimitError({ ...about, source: "limiter", ...wait }))

  it("rounds retry-after up to seconds and sends retry-after-ms", () => {
    const { headers, status } = HttpErrors.response(Protocol.chatCompletions.wire.encodeError, limited)
    expect(status).toBe(429)
    expect(headers["retry-after"]).toBe("2")
    expect(headers["retry-after-ms"]).toBe("1500")
    expect(headers["x-should-retry"]).toBeUndefined()
    expect(limited.message).toContain("2 seconds")
  })

  it("omits retryAfter when the wait is infinite", () => {
    const { retryAfter } = HttpErrors.fromLLMError(
      new Errors.KeyPoolExhaustedError({ ...about, retryAfter: Duration.infinity })
    )
    expect(retryAfter).toBeUndefined()
  })

  const invalid = HttpErrors.fromLLMError(new Errors.InvalidRequestError({ ...about, field: "temperature" }))

  it("encodes an HttpError as OpenAI's error object with the invalid field in param", () => {
    for (const { wire } of [Protocol.chatCompletions, Protocol.responses]) {
      expect(wire.encodeError(HttpErrors.servedError(invalid))).toEqual({
        error: { message: secret, type: "invalid_request_error", param: "temperature", code: "invalid_request" }
      })
    }
  })

  it("encodes an HttpError as Anthropic's error object", () => {
    expect(Protocol.anthropic.wire.encodeError(HttpErrors.servedError(limited))).toEqual({
      type: "error",
      error: { type: "rate_limit_error", message: limited.message }
    })
    expect(
      Protocol.anthropic.wire.encodeError(HttpErrors.servedError(HttpErrors.fromLLMError(table.BudgetExceededError[0])))
    ).toMatchObject({ error: { type: "billing_error" } })
  })

  it("ends a stream with an error frame in the format of each protocol", () => {
    const frames = [Protocol.chatCompletions, Protocol.responses, Protocol.anthropic].map(({ wire }) =>
      wire.encodeStream({}).fail(HttpErrors.servedError(limited))
    )
    const [chat, responses, anthropic] = frames.map(([frame]) => ({
      event: frame?.event,
      body: JSON.parse(frame?.data ?? "") as unknown
    }))
    // Responses ends with the failed response and an end mark.
    expect(frames.map((frames) => frames.length)).toEqual([1, 3, 1])
    expect(chat).toMatchObject({ event: undefined, body: { error: { code: "rate_limit_exceeded" } } })
    expect(responses).toMatchObject({
      event: "error",
      body: { type: "error", code: "rate_limit_exceeded", sequence_number: 0, param: null }
    })
    expect(anthropic).toMatchObject({ event: "error", body: { type: "error", error: { type: "rate_limit_error" } } })
  })

  it("encodes a stream error that the client half of each wire decodes as a reported failure", () => {
    const source = { provider: "p", model: "m", estimatedInputTokens: 1 }
    for (const wire of [ChatCompletions.make(), Responses.make(), Anthropic.make()]) {
      const [frame] = wire.encodeStream({}).fail(HttpErrors.servedError(limited))
      const failure = frame && wire.decodeStream(source).push(frame, [])
      expect(failure?._tag).toBe("Reported")
    }
  })
})
