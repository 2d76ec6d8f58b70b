/** What the gateway answers where it cannot answer: one table from errors to statuses, codes and words. */
import { HttpServerResponse } from "@effect/platform"
import { Duration, Effect, Metric, Option } from "effect"
import type { LLMError, Tag } from "../../vocabulary/LLMError.js"
import * as Errors from "../../vocabulary/LLMError.js"
import type { ServedError, ServerWire, WireFailure } from "../../wire/Wire.js"

/** A refusal or a failure, before a protocol has put it into its own words. */
export interface Problem extends ServedError {
  readonly retryAfter?: Duration.Duration
  /** Told as `x-should-retry`, which the official clients obey: false where trying again cannot help. */
  readonly shouldRetry?: boolean
  readonly headers?: Readonly<Record<string, string>>
  /** What is for the operator: in the log, under the id of the request. */
  readonly error?: LLMError
}

/** One row of the table. */
interface Row {
  readonly status: number
  readonly code: string
  /**
   * What the client is told. `"its own"`: the words of the error, which speak of the request. All else is for the operator (which
   * account, which host, how much others have spent) and stands in the log.
   */
  readonly says: "its own" | string
}

/**
 * A provider's 401 or 403 is no fault of our client, whose own key is good: the gateway's credentials were refused, and so it is
 * a bad gateway. That an account of ours has no credit, or that all our keys rest, is a service that is unavailable for a while.
 */
const table: Readonly<Record<Tag, Row>> = {
  RateLimitError: {
    status: 429,
    code: "rate_limit_exceeded",
    says: "Too many requests for this model at the moment."
  },
  QuotaExceededError: {
    status: 503,
    code: "upstream_quota_exceeded",
    says: "The gateway's account with the provider has nothing left."
  },
  AuthenticationError: {
    status: 502,
    code: "upstream_authentication_failed",
    says: "The provider refused the gateway's credentials."
  },
  PermissionError: {
    status: 502,
    code: "upstream_permission_denied",
    says: "The provider does not let the gateway's account do this."
  },
  ModelNotFoundError: { status: 404, code: "model_not_found", says: "The provider does not have this model." },
  ContextLengthError: { status: 400, code: "context_length_exceeded", says: "its own" },
  ContentFilterError: { status: 400, code: "content_filter", says: "its own" },
  InvalidRequestError: { status: 400, code: "invalid_request", says: "its own" },
  ProviderUnavailableError: { status: 503, code: "provider_unavailable", says: "The provider is not available." },
  NetworkError: { status: 502, code: "provider_unreachable", says: "The provider could not be reached." },
  TimeoutError: { status: 504, code: "timeout", says: "The provider took too long to answer." },
  MalformedResponseError: { status: 502, code: "malformed_response", says: "The provider's answer could not be read." },
  StreamInterruptedError: { status: 502, code: "stream_interrupted", says: "The answer broke off before its end." },
  UnsupportedError: { status: 400, code: "unsupported", says: "its own" },
  KeyPoolExhaustedError: {
    status: 503,
    code: "no_key_available",
    says: "None of the gateway's keys for this model can be used at the moment."
  },
  BalanceExhaustedError: {
    status: 503,
    code: "no_deployment_available",
    says: "Nobody who has this model can answer."
  },
  SharedStateError: {
    status: 503,
    code: "shared_state_unavailable",
    says: "The gateway cannot reach what it shares with others."
  },
  BudgetExceededError: { status: 402, code: "budget_exceeded", says: "The budget for such calls is spent." }
}

const inSeconds = (wait: Duration.Duration): number => Math.ceil(Duration.toSeconds(wait))

/** Statuses at which the official clients try again by themselves. */
const retriedUnasked = (status: number): boolean => status >= 500 || status === 429 || status === 408 || status === 409

/** The client may know which model has no price: it has named it. */
const unpriced = ({ model, provider }: LLMError): Row => ({
  status: 402,
  code: "price_unknown",
  says:
    `The budget for this call is in dollars and the price of '${provider}/${model}' is not known, so the call was not sent.` +
    ` The operator of the gateway can set the "price" of this model in provider.json.`
})

const rowOf = (error: LLMError): Row =>
  error._tag === "BudgetExceededError" && error.reason === "unknown-price" ? unpriced(error) : table[error._tag]

/** An error of a call, as it is told to the one who asked for the call. */
export const ofError = (error: LLMError): Problem => {
  const { code, says, status } = rowOf(error)
  const wait = Option.filter(Errors.retryAfter(error), Duration.isFinite)
  const words = says === "its own" ? error.message : says
  return {
    status,
    code,
    error,
    message: Option.match(wait, {
      onNone: () => words,
      onSome: (wait) => `${words} Try again in ${inSeconds(wait)} seconds.`
    }),
    ...("field" in error && error.field !== undefined && error.field !== "" ? { param: error.field } : {}),
    ...(Option.isSome(wait) ? { retryAfter: wait.value } : {}),
    ...(retriedUnasked(status) && !worthAnotherTry(error) ? { shouldRetry: false } : {})
  }
}

/** Those that are not retryable at once, but say when they will be, are worth it after that. */
const worthAnotherTry = (error: LLMError): boolean =>
  Errors.isRetryable(error) || Option.isSome(Option.filter(Errors.retryAfter(error), Duration.isFinite))

/** A request that the protocol does not allow. */
export const ofFailure = (failure: WireFailure): Problem => {
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
    case "Reported":
    case "Truncated":
      return invalid("The request cannot be read.")
  }
}

export const invalid = (message: string, param?: string): Problem => ({
  status: 400,
  code: "invalid_request",
  message,
  ...(param === undefined ? {} : { param })
})

/** The same words whether it does not exist or is not for this key: what others may use is not told. */
export const unknownModel = (name: string): Problem => ({
  status: 404,
  code: "model_not_found",
  message: `The model '${name.slice(0, 200)}' does not exist or you do not have access to it.`,
  param: "model"
})

export const tooLarge = (limit: number): Problem => ({
  status: 413,
  code: "request_too_large",
  message: `The request is larger than ${limit} bytes, which is the most that is read.`,
  headers: { connection: "close" }
})

export const unauthenticated = (message: string): Problem => ({
  status: 401,
  code: "invalid_api_key",
  type: "authentication_error",
  message,
  headers: { "www-authenticate": "Bearer" }
})

export const forbidden = (message: string): Problem => ({
  status: 403,
  code: "forbidden",
  type: "permission_error",
  message
})

export const notFound = (method: string, path: string): Problem => ({
  status: 404,
  code: "not_found",
  message: `There is nothing at ${method} ${path.slice(0, 200)}.`
})

/** `allow` is RFC 9110, 15.5.6: which methods there are. */
export const methodNotAllowed = (
  method: string,
  path: string,
  methods: ReadonlyArray<string>,
  allow: string
): Problem => ({
  status: 405,
  code: "method_not_allowed",
  message: `${path.slice(0, 200)} does not take ${method}. Send ${methods.join(" or ")}.`,
  headers: { allow }
})

export const unreadable = (encoding: string): Problem => ({
  status: 415,
  code: "unsupported_encoding",
  message: `A body is read as it is, and not as '${encoding.slice(0, 100)}'.`
})

export const internal: Problem = {
  status: 500,
  code: "internal_error",
  message: "The gateway failed. The log has more under the id of this request."
}

export const shuttingDown: Problem = {
  status: 503,
  code: "shutting_down",
  message: "The gateway is shutting down. Ask another one, or again in a moment.",
  headers: { connection: "close" }
}

/** Whose key it is cannot be told. Nothing was done, and in a moment it may be. */
export const keysAway: Problem = {
  status: 503,
  code: "keys_unavailable",
  message: "The gateway cannot reach its keys.",
  retryAfter: Duration.seconds(1)
}

const errors = Metric.counter("llm_gateway_errors_total", {
  description: "Requests that the gateway answered with an error, by status and code",
  incremental: true
})

/** Codes are words of the gateway's own, so there are few. */
const counted = ({ code = "", status }: Problem): Effect.Effect<void> =>
  errors.pipe(Metric.tagged("status", String(status)), Metric.tagged("code", code), Metric.update(1))

/** Counts it, and tells the operator what the client is not told: that a provider or our account with it is at fault. */
export const logged = (problem: Problem): Effect.Effect<void> => {
  const { code = "", error, status } = problem
  return error === undefined || status < 500
    ? counted(problem)
    : Effect.zipRight(
        counted(problem),
        Effect.annotateLogs(Effect.logWarning(`${error._tag}: ${error.message}`), { status, code })
      )
}

/** What only headers say. */
const headersOf = ({ headers, retryAfter, shouldRetry }: Problem): Readonly<Record<string, string>> => ({
  ...(retryAfter === undefined
    ? {}
    : {
        "retry-after": String(inSeconds(retryAfter)),
        "retry-after-ms": String(Math.ceil(Duration.toMillis(retryAfter)))
      }),
  ...(shouldRetry === undefined ? {} : { "x-should-retry": String(shouldRetry) }),
  ...headers
})

/** The answer, in the words of the protocol that the client speaks. */
export const response = (
  encodeError: ServerWire["encodeError"],
  problem: Problem
): HttpServerResponse.HttpServerResponse =>
  HttpServerResponse.unsafeJson(encodeError(told(problem)), { status: problem.status, headers: headersOf(problem) })

/** What is said in the body. */
export const told = ({ code, message, param, status, type }: Problem): ServedError => ({
  status,
  message,
  ...(code === undefined ? {} : { code }),
  ...(type === undefined ? {} : { type }),
  ...(param === undefined ? {} : { param })
})
