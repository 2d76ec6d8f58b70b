/** Maps the errors of calls to HTTP statuses, codes and messages. */
import { Duration, Option } from "effect"
import type { ErrorTag, LLMError } from "../../vocabulary/LLMError.js"
import * as Errors from "../../vocabulary/LLMError.js"
import type { HttpError } from "./model.js"

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
    message: "The provider limits the rate of requests for this model."
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

/** Rounded up, because a retry before the time fails again. */
export const inSeconds = (wait: Duration.Duration): number => Math.ceil(Duration.toSeconds(wait))

const secondsText = (wait: Duration.Duration): string => {
  const seconds = inSeconds(wait)
  return `${seconds} second${seconds === 1 ? "" : "s"}`
}

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

const rateLimits: Readonly<Record<Errors.RateLimitError["source"], Row>> = {
  provider: table.RateLimitError,
  limiter: { ...table.RateLimitError, message: "The gateway's limit for this model is reached." },
  pool: { ...table.RateLimitError, message: "All of the gateway's keys for this model are busy or rate limited." }
}

/** The code of a rate limit of the client's own key, whose message is for the client. */
export const clientLimitCode = "client_key_limit"

const { message: _, ...ownLimit } = table.RateLimitError

/** Anthropic, "Errors": the status of an overload, which its clients know. Others send a code. */
export const anthropicOverloadedStatus = 529

const isOverloadCode = (code: string | undefined): boolean => code !== undefined && /overloaded/i.test(code)

/** The code of an overloaded provider. The clients of Anthropic know a status for it. */
export const overloadCode = "overloaded"

const overloaded: Row = { status: 503, code: overloadCode, message: "The provider is overloaded." }

const isOverload = (error: LLMError): boolean => {
  switch (error._tag) {
    case "ProviderUnavailableError":
      return error.status === anthropicOverloadedStatus || isOverloadCode(error.code)
    case "StreamInterruptedError":
      return error.reported === "ProviderUnavailableError" && isOverloadCode(error.code)
    case "BalanceExhaustedError":
      return error.attempts.length > 0 && error.attempts.every(({ status }) => status === anthropicOverloadedStatus)
    default:
      return false
  }
}

/** What can name an account, a key, a host or a person: such a text of a provider is not for clients. */
const namesOthers =
  /\b(?:organi[sz]ation|account|project|workspace|tenant|deployment|subscription|billing|key|token)s?\b|@|:\/\/|\w\.\w|\w[-_]\w*\d/i

/** The classes of reported errors whose message is about the request, or about the state of the provider. */
const toldClasses: ReadonlySet<string> = new Set<ErrorTag>([
  "ContentFilterError",
  "ContextLengthError",
  "InvalidRequestError",
  "ProviderUnavailableError"
])

const isErrorTag = (tag: string): tag is ErrorTag => Object.hasOwn(table, tag)

const brokenOff = "The provider broke off its answer."

/** An error that the provider reported within a stream: its class, and its reason where that is for clients. */
const reportedRow = ({ message, reported = "" }: Errors.StreamInterruptedError, isOverload: boolean): Row => {
  if (!isErrorTag(reported)) return table.StreamInterruptedError
  const row = isOverload ? overloaded : table[reported]
  if (toldClasses.has(reported) && !namesOthers.test(message)) return { ...row, message }
  return { ...row, message: row.message === undefined ? brokenOff : `${brokenOff} ${row.message}` }
}

const rowOf = (error: LLMError): Row => {
  if (error._tag === "StreamInterruptedError") return reportedRow(error, isOverload(error))
  if (isOverload(error)) return overloaded
  if (error._tag === "RateLimitError") return error.code === clientLimitCode ? ownLimit : rateLimits[error.source]
  return error._tag === "BudgetExceededError" && error.reason === "unknown-price"
    ? unknownPrice(error)
    : table[error._tag]
}

/** The wait for the end of calls in flight, which is not known. */
const unknownWait = Duration.seconds(1)

const isOwnLimit = (error: LLMError): boolean => error._tag === "RateLimitError" && error.source !== "provider"

/** The time to wait; at least a second where a limit of the gateway gives none. */
const waitOf = (error: LLMError): Option.Option<Duration.Duration> => {
  const wait = Errors.retryAfter(error)
  return Option.isNone(wait) && isOwnLimit(error) ? Option.some(unknownWait) : Option.filter(wait, Duration.isFinite)
}

/** The status of the response when a call fails before anything of its answer was sent. */
export const statusOf = (error: LLMError, overloadedStatus = overloaded.status): number => {
  const { code, status } = rowOf(error)
  return code === overloadCode ? overloadedStatus : status
}

/** The error of a call as the client sees it. */
export const fromLLMError = (error: LLMError): HttpError => {
  const { code, message = error.message, status } = rowOf(error)
  const wait = waitOf(error)
  return {
    status,
    code,
    error,
    message: Option.match(wait, {
      onNone: () => message,
      onSome: (wait) => `${message} Try again in ${secondsText(wait)}.`
    }),
    ...("field" in error && error.field !== undefined && error.field !== "" ? { param: error.field } : {}),
    ...(Option.isSome(wait) ? { retryAfter: wait.value } : {}),
    ...(isRetriedByClients(status) && !isWorthRetrying(error) ? { shouldRetry: false } : {})
  }
}

/** True for retryable errors, and for errors with a finite time to wait. */
const isWorthRetrying = (error: LLMError): boolean => Errors.isRetryable(error) || Option.isSome(waitOf(error))
