/** The errors that the gateway answers with, and the table that maps the errors of calls to HTTP statuses, codes and messages. */
import { HttpServerResponse } from "@effect/platform"
import { Duration, Effect, Metric, Option } from "effect"
import type { ErrorTag, LLMError } from "../../vocabulary/LLMError.js"
import * as Errors from "../../vocabulary/LLMError.js"
import type { ServedError, ServerWire, WireFailure } from "../../wire/Wire.js"

/** A refusal or a failure, before a protocol encodes it. */
export interface HttpError extends ServedError {
  readonly retryAfter?: Duration.Duration
  /** Sent as `x-should-retry`, which the official clients follow: false where a retry cannot succeed. */
  readonly shouldRetry?: boolean
  readonly headers?: Readonly<Record<string, string>>
  /** The cause, which only the log shows, under the id of the request. */
  readonly error?: LLMError
}

/** One row of the table. */
interface Row {
  readonly status: number
  readonly code: string
  /**
   * What the client reads; absent: the message of the error itself, where that is about the request. Every other message can
   * name accounts, hosts or the spending of other clients, and is only logged.
   */
  readonly message?: string
}

/**
 * A provider's 401 or 403 becomes a 502: it refused the gateway's credentials, while the client's own key is valid. A provider
 * account without credit, and a key pool in cooldown, become a 503.
 */
const table: Readonly<Record<ErrorTag, Row>> = {
  RateLimitError: {
    status: 429,
    code: "rate_limit_exceeded",
    message: "Too many requests for this model at the moment."
  },
  QuotaExceededError: {
    status: 503,
    code: "upstream_quota_exceeded",
    message: "The gateway's account with the provider has no quota left."
  },
  AuthenticationError: {
    status: 502,
    code: "upstream_authentication_failed",
    message: "The provider refused the gateway's credentials."
  },
  PermissionError: {
    status: 502,
    code: "upstream_permission_denied",
    message: "The gateway's account with the provider has no permission for this request."
  },
  ModelNotFoundError: { status: 404, code: "model_not_found", message: "The provider does not have this model." },
  ContextLengthError: { status: 400, code: "context_length_exceeded" },
  ContentFilterError: { status: 400, code: "content_filter" },
  InvalidRequestError: { status: 400, code: "invalid_request" },
  ProviderUnavailableError: { status: 503, code: "provider_unavailable", message: "The provider is not available." },
  NetworkError: { status: 502, code: "provider_unreachable", message: "The provider could not be reached." },
  TimeoutError: { status: 504, code: "timeout", message: "The provider took too long to answer." },
  MalformedResponseError: {
    status: 502,
    code: "malformed_response",
    message: "The provider's answer could not be read."
  },
  StreamInterruptedError: {
    status: 502,
    code: "stream_interrupted",
    message: "The provider's answer ended before it was complete."
  },
  UnsupportedError: { status: 400, code: "unsupported" },
  KeyPoolExhaustedError: {
    status: 503,
    code: "no_key_available",
    message: "None of the gateway's keys for this model can be used at the moment."
  },
  BalanceExhaustedError: {
    status: 503,
    code: "no_deployment_available",
    message: "No deployment of this model is available."
  },
  SharedStateError: {
    status: 503,
    code: "shared_state_unavailable",
    message: "The gateway cannot reach the state that it shares with other instances."
  },
  BudgetExceededError: { status: 402, code: "budget_exceeded", message: "The budget for this call is spent." }
}

const inSeconds = (wait: Duration.Duration): number => Math.ceil(Duration.toSeconds(wait))

/** Whether the official clients retry this status by default. */
const isRetriedByClients = (status: number): boolean =>
  status >= 500 || status === 429 || status === 408 || status === 409

/** The message can name the model without a price, because the client sent that name. */
const unknownPrice = ({ model, provider }: LLMError): Row => ({
  status: 402,
  code: "price_unknown",
  message:
    `The budget for this call is in dollars and the price of '${provider}/${model}' is not known, so the call was not sent.` +
    ` The operator of the gateway can set the "price" of this model in provider.json.`
})

const rowOf = (error: LLMError): Row =>
  error._tag === "BudgetExceededError" && error.reason === "unknown-price" ? unknownPrice(error) : table[error._tag]

/** The error of a call as the client sees it. */
export const fromLLMError = (error: LLMError): HttpError => {
  const { code, message = error.message, status } = rowOf(error)
  const wait = Option.filter(Errors.retryAfter(error), Duration.isFinite)
  return {
    status,
    code,
    error,
    message: Option.match(wait, {
      onNone: () => message,
      onSome: (wait) => `${message} Try again in ${inSeconds(wait)} seconds.`
    }),
    ...("field" in error && error.field !== undefined && error.field !== "" ? { param: error.field } : {}),
    ...(Option.isSome(wait) ? { retryAfter: wait.value } : {}),
    ...(isRetriedByClients(status) && !isWorthRetrying(error) ? { shouldRetry: false } : {})
  }
}

/** True for retryable errors, and for errors with a finite time to wait. */
const isWorthRetrying = (error: LLMError): boolean =>
  Errors.isRetryable(error) || Option.isSome(Option.filter(Errors.retryAfter(error), Duration.isFinite))

/** The error for a request that the wire cannot decode. */
export const fromWireFailure = (failure: WireFailure): HttpError => {
  switch (failure._tag) {
    case "Malformed":
      return invalid(
        failure.path === ""
          ? `The request cannot be read: ${failure.excerpt}`
          : `Invalid value for '${failure.path}': ${failure.excerpt}`,
        failure.path === "" ? undefined : failure.path
      )
    case "Unsupported":
      return { status: 400, code: "unsupported", message: `${failure.feature} is not supported.` }
    case "Invalid":
      return invalid(`${failure.message}.`, failure.field)
    case "Reported":
    case "Truncated":
      return invalid("The request cannot be read.")
  }
}

export const invalid = (message: string, param?: string): HttpError => ({
  status: 400,
  code: "invalid_request",
  message,
  ...(param === undefined ? {} : { param })
})

/** The same error for a model that does not exist and one that the key does not include, so that it reveals no other models. */
export const unknownModel = (name: string): HttpError => ({
  status: 404,
  code: "model_not_found",
  message: `The model '${name.slice(0, 200)}' does not exist or you do not have access to it.`,
  param: "model"
})

export const tooLarge = (limit: number): HttpError => ({
  status: 413,
  code: "request_too_large",
  message: `The request body is larger than the limit of ${limit} bytes.`,
  headers: { connection: "close" }
})

/** The bound is in bytes. */
export const keyBodiesFull = (bound: number): HttpError => ({
  status: 429,
  code: "too_many_request_bytes",
  message: `The requests of this API key that are in flight exceed its limit of ${bound} bytes in sum. Try again when some have been answered.`,
  retryAfter: Duration.seconds(1),
  headers: { connection: "close" }
})

export const bodiesFull: HttpError = {
  status: 503,
  code: "request_memory_full",
  message: "The gateway holds as many request bytes as it can. Try again in a moment.",
  retryAfter: Duration.seconds(1),
  headers: { connection: "close" }
}

export const bodyTimeout = (timeout: Duration.Duration): HttpError => ({
  status: 408,
  code: "request_timeout",
  message: `The request body did not arrive within ${Duration.format(timeout)}.`,
  headers: { connection: "close" }
})

export const unauthenticated = (message: string): HttpError => ({
  status: 401,
  code: "invalid_api_key",
  type: "authentication_error",
  message,
  headers: { "www-authenticate": "Bearer" }
})

export const forbidden = (message: string): HttpError => ({
  status: 403,
  code: "forbidden",
  type: "permission_error",
  message
})

export const notFound = (method: string, path: string): HttpError => ({
  status: 404,
  code: "not_found",
  message: `There is no route for ${method} ${path.slice(0, 200)}.`
})

/** `allow` lists the methods of the path (RFC 9110, 15.5.6). */
export const methodNotAllowed = (
  method: string,
  path: string,
  methods: ReadonlyArray<string>,
  allow: string
): HttpError => ({
  status: 405,
  code: "method_not_allowed",
  message: `${path.slice(0, 200)} does not take ${method}. Send ${methods.join(" or ")}.`,
  headers: { allow }
})

export const unsupportedEncoding = (encoding: string): HttpError => ({
  status: 415,
  code: "unsupported_encoding",
  message: `The content encoding '${encoding.slice(0, 100)}' is not supported. Send the body without one.`
})

export const internal: HttpError = {
  status: 500,
  code: "internal_error",
  message: "Internal error of the gateway. Its log has the cause under the id of this request."
}

export const shuttingDown: HttpError = {
  status: 503,
  code: "shutting_down",
  message: "The gateway is shutting down. Retry in a moment, or use another instance.",
  headers: { connection: "close" }
}

/** The key could not be checked, so nothing was sent, and a retry can succeed. */
export const keyStoreUnavailable: HttpError = {
  status: 503,
  code: "keys_unavailable",
  message: "The gateway cannot reach its key store.",
  retryAfter: Duration.seconds(1)
}

export const cacheUnavailable: HttpError = {
  status: 503,
  code: "cache_unavailable",
  message: "The gateway cannot reach the store of a cache.",
  retryAfter: Duration.seconds(1)
}

const errors = Metric.counter("llm_gateway_errors_total", {
  description: "Requests that the gateway answered with an error, by status and code",
  incremental: true
})

/** Codes come from this module, so the number of label values is bounded. */
const count = ({ code = "", status }: HttpError): Effect.Effect<void> =>
  errors.pipe(Metric.tagged("status", String(status)), Metric.tagged("code", code), Metric.update(1))

/** Counts the error, and logs the cause of a 5xx, which the client does not see. */
export const record = (error: HttpError): Effect.Effect<void> => {
  const { code = "", error: cause, status } = error
  return cause === undefined || status < 500
    ? count(error)
    : Effect.zipRight(
        count(error),
        Effect.annotateLogs(Effect.logWarning(`${cause._tag}: ${cause.message}`), { status, code })
      )
}

export const headersOf = ({ headers, retryAfter, shouldRetry }: HttpError): Readonly<Record<string, string>> => ({
  ...(retryAfter === undefined
    ? {}
    : {
        "retry-after": String(inSeconds(retryAfter)),
        "retry-after-ms": String(Math.ceil(Duration.toMillis(retryAfter)))
      }),
  ...(shouldRetry === undefined ? {} : { "x-should-retry": String(shouldRetry) }),
  ...headers
})

/** The response, encoded by the protocol of the client. */
export const response = (
  encodeError: ServerWire["encodeError"],
  error: HttpError
): HttpServerResponse.HttpServerResponse =>
  HttpServerResponse.unsafeJson(encodeError(servedError(error)), { status: error.status, headers: headersOf(error) })

/** The fields that the response body contains. */
export const servedError = ({ code, message, param, status, type }: HttpError): ServedError => ({
  status,
  message,
  ...(code === undefined ? {} : { code }),
  ...(type === undefined ? {} : { type }),
  ...(param === undefined ? {} : { param })
})
