/** What clients learn of failures. */
import { Duration, Option } from "effect"
import type { ErrorTag } from "../../vocabulary/LLMError.js"
import * as Errors from "../../vocabulary/LLMError.js"
import type { WebError } from "./model.js"

const unavailable = { status: 503, message: "The model is not available at the moment. Try again later." }
const misconfigured = { status: 500, message: "The server cannot call the model." }
const busy = { status: 429, message: "Too many requests at the moment. Try again later." }
const failed = { status: 502, message: "The model's answer was not complete. Try again." }

const answers: Readonly<Record<ErrorTag, Pick<WebError, "status" | "message">>> = {
  RateLimitError: busy,
  KeyPoolExhaustedError: busy,
  BalanceExhaustedError: busy,
  BudgetExceededError: busy,
  QuotaExceededError: misconfigured,
  AuthenticationError: misconfigured,
  PermissionError: misconfigured,
  ModelNotFoundError: misconfigured,
  UnsupportedError: misconfigured,
  SharedStateError: unavailable,
  ProviderUnavailableError: unavailable,
  NetworkError: unavailable,
  TimeoutError: { status: 504, message: "The model took too long to answer. Try again." },
  ContextLengthError: { status: 413, message: "The conversation is too long for the model." },
  ContentFilterError: { status: 400, message: "The model declined to answer." },
  InvalidRequestError: { status: 400, message: "The request is not valid." },
  MalformedResponseError: failed,
  StreamInterruptedError: failed
}

/** The default answer to an error: nothing of the provider, of keys and of the program. */
export const webError = (error: unknown): WebError => {
  if (!Errors.isLLMError(error)) return { status: 500, type: "InternalError", message: "The server has failed." }
  const retryAfter = Option.map(Errors.retryAfter(error), (wait) => Math.ceil(Duration.toSeconds(wait)))
  return {
    ...answers[error._tag],
    type: error._tag,
    ...(Option.isSome(retryAfter) ? { retryAfter: retryAfter.value } : {})
  }
}
