/** The errors of an `LLM` as those of `@effect/ai`, and back. */
import * as AiError from "@effect/ai/AiError"
import { Option } from "effect"
import type { ModelInfo } from "../call/model.js"
import type { LLMError } from "../vocabulary/LLMError.js"
import { isLLMError } from "../vocabulary/LLMError.js"

/** The request, of which the library's errors keep no headers. */
const requestOf = (info: ModelInfo): typeof AiError.HttpRequestDetails.Type => ({
  method: "POST",
  url: info.baseUrl ?? "",
  urlParams: [],
  hash: Option.none(),
  headers: {}
})

/** `HttpResponseError` is the one error of `@effect/ai` whose schema has no cause; that of JavaScript errors is used. */
const withCause = <E extends AiError.AiError>(error: E, cause: LLMError): E => Object.assign(error, { cause })

/** The error of `@effect/ai` for an error of the library, which is its `cause`. */
export const toAiError = (error: LLMError, info: ModelInfo, module: string, method: string): AiError.AiError => {
  const place = { module, method, description: error.message, cause: error }
  switch (error._tag) {
    case "MalformedResponseError":
      return new AiError.MalformedOutput(place)
    case "NetworkError":
    case "TimeoutError":
      return new AiError.HttpRequestError({ ...place, reason: "Transport", request: requestOf(info) })
    case "UnsupportedError":
      return new AiError.MalformedInput(place)
    default: {
      if (error.status !== undefined) {
        const { cause: _, ...fields } = place
        const response = { status: error.status, headers: {} }
        return withCause(
          new AiError.HttpResponseError({ ...fields, request: requestOf(info), response, reason: "StatusCode" }),
          error
        )
      }
      return error._tag === "InvalidRequestError" ? new AiError.MalformedInput(place) : new AiError.UnknownError(place)
    }
  }
}

/**
 * Returns the typed error of the `LLM` that an error of `@effect/ai` was made from, such as a `RateLimitError` with the attempts of
 * the call.
 *
 * @since 0.2.0
 * @category errors
 */
export const llmError = (error: AiError.AiError): Option.Option<LLMError> =>
  "cause" in error && isLLMError(error.cause) ? Option.some(error.cause) : Option.none()
