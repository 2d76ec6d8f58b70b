/** The errors of an `LLM` as those of Effect, and back. */
import { Option, Redacted } from "effect"
import * as AiError from "effect/ai/AiError"
import type { ModelInfo } from "../call/model.js"
import type { LLMError } from "../vocabulary/LLMError.js"
import * as Errors from "../vocabulary/LLMError.js"
import { classify } from "../wire/error/classify.js"
import { parseJson } from "../wire/json.js"

/** The answer, of which the library's errors keep no headers. */
const httpOf = ({ status }: LLMError): { readonly http?: typeof AiError.HttpContext.Type } =>
  status === undefined ? {} : { http: { response: { status, headers: {} } } }

const reasonOf = (error: LLMError, info: ModelInfo): AiError.AiErrorReason => {
  const description = error.message
  const fields = { description, ...httpOf(error) }
  switch (error._tag) {
    case "RateLimitError":
      return new AiError.RateLimitError({
        ...httpOf(error),
        ...(error.retryAfter === undefined ? {} : { retryAfter: error.retryAfter })
      })
    case "QuotaExceededError":
    case "BudgetExceededError":
      return new AiError.QuotaExhaustedError(httpOf(error))
    case "AuthenticationError":
      return new AiError.AuthenticationError({ kind: "InvalidKey", ...fields })
    case "PermissionError":
      return new AiError.AuthenticationError({ kind: "InsufficientPermissions", ...fields })
    case "ContentFilterError":
      return new AiError.ContentPolicyError(fields)
    case "InvalidRequestError":
    case "ContextLengthError":
    case "ModelNotFoundError":
    case "UnsupportedError":
      return new AiError.InvalidRequestError(fields)
    case "ProviderUnavailableError":
    case "SharedStateError":
      return new AiError.InternalProviderError(fields)
    case "NetworkError":
    case "TimeoutError":
      return new AiError.NetworkError({
        reason: "TransportError",
        method: "POST",
        url: info.baseUrl ?? "",
        description,
        cause: error
      })
    case "MalformedResponseError":
      return new AiError.InvalidOutputError({ description })
    case "StreamInterruptedError":
    case "KeyPoolExhaustedError":
    case "BalanceExhaustedError":
      return new AiError.UnknownError(fields)
  }
}

/** Most reasons have no field for a cause; that of JavaScript errors is used. */
const withCause = <R extends AiError.AiErrorReason>(reason: R, cause: unknown): R => Object.assign(reason, { cause })

/** The error of Effect for an answer that a model wrote wrongly. */
export const malformedOutput = (module: string, method: string, description: string, cause: unknown): AiError.AiError =>
  AiError.make({ module, method, reason: withCause(new AiError.InvalidOutputError({ description }), cause) })

/** The error of Effect for an error of the library, which is the cause of its reason. */
export const toAiError = (error: LLMError, info: ModelInfo, module: string, method: string): AiError.AiError =>
  AiError.make({ module, method, reason: withCause(reasonOf(error, info), error) })

/**
 * Returns the typed error of the `LLM` that an error of Effect was made from, such as a `RateLimitError` with the attempts of the call.
 *
 * @since 0.2.0
 * @category errors
 */
export const llmError = ({ reason }: AiError.AiError): Option.Option<LLMError> =>
  "cause" in reason && Errors.isLLMError(reason.cause) ? Option.some(reason.cause) : Option.none()

/** The answer of the provider that a reason has kept. */
const answerIn = (reason: AiError.AiErrorReason) => {
  const http = "http" in reason ? reason.http : undefined
  if (http?.response === undefined) return undefined
  const headers = Object.fromEntries(
    Object.entries(http.response.headers).map(([header, value]) => [
      header.toLowerCase(),
      Redacted.isRedacted(value) ? Redacted.value(value) : value
    ])
  )
  return { status: http.response.status, headers, body: http.body }
}

/** The error of the library for an error of Effect: the one that it was made from, or one of the same meaning. */
export const ofAiError = (error: AiError.AiError, { model, provider }: ModelInfo, now: number): LLMError => {
  const original = llmError(error)
  if (Option.isSome(original)) return original.value
  const { reason } = error
  const answer = answerIn(reason)
  const context = { provider, model, keyId: "", attempts: [], message: `${provider}: ${error.message}` }
  switch (reason._tag) {
    case "InvalidResponseError":
      return new Errors.MalformedResponseError({
        ...context,
        ...(answer === undefined ? {} : { status: answer.status }),
        path: "",
        excerpt: (answer?.body ?? "").slice(0, 200)
      })
    case "InvalidOutputError":
    case "StructuredOutputError":
      return new Errors.MalformedResponseError({ ...context, path: "", excerpt: "" })
    default:
      if (answer === undefined) return ofReason(reason, context)
  }
  const { body: text = "", headers, status } = answer
  const body = parseJson(text) ?? (text === "" ? reason.message : text)
  return classify({ status, headers, body }, { provider, model, keyId: "", now, mask: (value) => value })
}

interface Context {
  readonly provider: string
  readonly model: string
  readonly keyId: string
  readonly attempts: ReadonlyArray<never>
  readonly message: string
}

/** The error of the library for a reason without an answer of the provider. */
const ofReason = (reason: AiError.AiErrorReason, context: Context): LLMError => {
  switch (reason._tag) {
    case "RateLimitError":
      return new Errors.RateLimitError({
        ...context,
        source: "provider",
        ...(reason.retryAfter === undefined ? {} : { retryAfter: reason.retryAfter })
      })
    case "QuotaExhaustedError":
      return new Errors.QuotaExceededError(context)
    case "AuthenticationError":
      return reason.kind === "InsufficientPermissions"
        ? new Errors.PermissionError(context)
        : new Errors.AuthenticationError(context)
    case "ContentPolicyError":
      return new Errors.ContentFilterError(context)
    case "NetworkError":
      return reason.reason === "TransportError"
        ? new Errors.NetworkError(context)
        : new Errors.InvalidRequestError(context)
    case "InternalProviderError":
    case "UnknownError":
      return new Errors.ProviderUnavailableError(context)
    case "ToolNotFoundError":
    case "ToolParameterValidationError":
      // The model called a tool that it was not given, or with other parameters.
      return new Errors.MalformedResponseError({ ...context, path: "", excerpt: "" })
    default:
      return new Errors.InvalidRequestError(context)
  }
}
