/** The errors of an `LLM` as those of `@effect/ai`, and back. */
import * as AiError from "@effect/ai/AiError"
import { Option } from "effect"
import type { ModelInfo } from "../call/model.js"
import type { LLMError } from "../vocabulary/LLMError.js"
import {
  InvalidRequestError,
  isLLMError,
  MalformedResponseError,
  NetworkError,
  ProviderUnavailableError
} from "../vocabulary/LLMError.js"
import { classify } from "../wire/error/classify.js"
import { parseJson } from "../wire/json.js"

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

/** The error of `@effect/ai` for an answer that a model wrote wrongly. */
export const malformedOutput = (module: string, method: string, description: string, cause: unknown): AiError.AiError =>
  new AiError.MalformedOutput({ module, method, description, cause })

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

/** The error of the library for an error of `@effect/ai`: the one that it was made from, or one of the same meaning. */
export const ofAiError = (error: AiError.AiError, { model, provider }: ModelInfo, now: number): LLMError => {
  const original = llmError(error)
  if (Option.isSome(original)) return original.value
  const { message } = error
  const context = { provider, model, keyId: "", attempts: [], message: `${provider}: ${message}` }
  switch (error._tag) {
    case "HttpRequestError":
      return error.reason === "Transport" ? new NetworkError(context) : new InvalidRequestError(context)
    case "HttpResponseError": {
      const { status } = error.response
      if (error.reason !== "StatusCode") {
        return new MalformedResponseError({ ...context, status, path: "", excerpt: (error.body ?? "").slice(0, 200) })
      }
      const headers = Object.fromEntries(
        Object.entries(error.response.headers).map(([name, value]) => [name.toLowerCase(), value])
      )
      const body = parseJson(error.body ?? "") ?? error.body ?? message
      return classify({ status, headers, body }, { provider, model, keyId: "", now, mask: (text) => text })
    }
    case "MalformedInput":
      return new InvalidRequestError(context)
    case "MalformedOutput":
      return new MalformedResponseError({ ...context, path: "", excerpt: "" })
    case "UnknownError":
      return new ProviderUnavailableError(context)
  }
}
