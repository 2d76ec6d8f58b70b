/** The errors that the gateway answers with. Those of calls are in `callErrors.ts`. */
import { HttpServerResponse } from "@effect/platform"
import { Duration, Effect, Metric } from "effect"
import { durationText } from "../../internal/durationText.js"
import { Label } from "../../internal/label.js"
import { callerLabel } from "../../telemetry/boundedLabel.js"
import type { ServedError, ServerWire, WireFailure } from "../../wire/Wire.js"
import { inSeconds, overloadCode } from "./callErrors.js"

import type { HttpError, Requested } from "./model.js"

export { fromLLMError } from "./callErrors.js"
export type { HttpError } from "./model.js"

/** What the body of a request asks for. */
export const requestedBy = ({ model, stream }: Readonly<Record<string, unknown>>): Requested => ({
  streamed: stream === true,
  ...(typeof model === "string" ? { model } : {})
})

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
  message: `The request body did not arrive within ${durationText(timeout)}.`,
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

/** Codes come from this module, and labels are bounded, so the number of series is. */
const count = ({ code = "", status }: HttpError, label: string): Effect.Effect<void> =>
  errors.pipe(
    Metric.tagged("status", String(status)),
    Metric.tagged("code", code),
    Metric.tagged("label", callerLabel(label)),
    Metric.update(1)
  )

/** Counts the error under the label of the client's key, and logs the cause of a 5xx, which the client does not see. */
export const record = (error: HttpError): Effect.Effect<void> => {
  const { code = "", error: cause, label, status } = error
  const counted = Effect.flatMap(Label, (current) => count(error, label ?? current))
  return cause === undefined || status < 500
    ? counted
    : Effect.zipRight(
        counted,
        Effect.annotateLogs(Effect.logWarning(`${cause._tag}: ${cause.message}`), { status, code })
      )
}

/** The store of responses cannot be reached, so nothing was sent, and a retry can succeed. */
export const responsesUnavailable: HttpError = {
  status: 503,
  code: "responses_unavailable",
  message: "The gateway cannot reach its store of responses. Send the whole conversation in 'input', or try again.",
  retryAfter: Duration.seconds(1)
}

/** The same error for a response that does not exist and one of another client key. */
export const unknownResponse = (id: string): HttpError => ({
  status: 404,
  code: "response_not_found",
  message: `Response with id '${id.slice(0, 200)}' not found.`,
  param: "response_id"
})

/** An id of a conversation, container or file. */
export const unknownId = (id: string): HttpError => ({
  status: 404,
  code: "not_found",
  message: `No conversation, container or file with id '${id.slice(0, 200)}' found.`
})

/** OpenAI's code; `message` says how to go on. */
export const unknownPreviousResponse = (id: string): HttpError => ({
  status: 404,
  code: "previous_response_not_found",
  message:
    `Previous response with id '${id.slice(0, 200)}' not found: it has expired, was deleted, was not stored, or belongs to another key. ` +
    "Send the whole conversation in 'input'.",
  param: "previous_response_id"
})

export const unfinishedPreviousResponse = (id: string): HttpError =>
  invalid(
    `Previous response with id '${id.slice(0, 200)}' is still in progress. Wait until its status is final.`,
    "previous_response_id"
  )

export const unknownItem = (id: string): HttpError => ({
  status: 404,
  code: "item_not_found",
  message:
    `Item with id '${id.slice(0, 200)}' not found: its response has expired, was deleted, was not stored, or belongs to another key. ` +
    "Send the item itself in 'input'; the AI SDK does so with 'store: false'.",
  param: "input"
})

/** `feature` is what the request needs the store for. */
export const noResponseStore = (feature: string, param: string): HttpError => ({
  status: 400,
  code: "unsupported",
  message:
    `${feature} needs the store of responses, which this gateway does not have. Send the whole conversation in 'input' with ` +
    "'store: false', or let the operator of the gateway enable the store; with several workers it must be in Redis.",
  param
})

export const threadElsewhere: HttpError = {
  status: 400,
  code: "unsupported",
  message:
    "'thread' of type 'continue' refers to a conversation that only Anthropic has, and the provider of this model uses another protocol. " +
    "Send the whole conversation in 'messages', or use a model of Anthropic.",
  param: "thread"
}

export const noOwner: HttpError = {
  status: 404,
  code: "no_owner",
  message: "The account that has what the request refers to is not one of this model. Use the model that it came from."
}

export const tooManyBackgroundResponses: HttpError = {
  status: 429,
  code: "too_many_background_responses",
  message: "The gateway runs as many background responses as it can. Try again when some have ended.",
  retryAfter: Duration.seconds(5)
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

/** How a response to a client is made. */
export interface ResponseOptions {
  /** The id of the request, which Anthropic's errors contain. */
  readonly requestId?: string
  /** The status of an overload, where the protocol has one. @default 503 */
  readonly overloadedStatus?: number
}

/** The status and the body of a response, encoded by the protocol of the client. */
export const encoded = (
  encodeError: ServerWire["encodeError"],
  error: HttpError,
  { overloadedStatus = error.status, requestId }: ResponseOptions = {}
): { readonly status: number; readonly body: Record<string, unknown> } => {
  const served = servedError(error)
  return {
    status: error.code === overloadCode ? overloadedStatus : error.status,
    body: encodeError(requestId === undefined ? served : { ...served, requestId })
  }
}

/** A response of the platform. */
export const response = (
  encodeError: ServerWire["encodeError"],
  error: HttpError,
  options?: ResponseOptions
): HttpServerResponse.HttpServerResponse => {
  const { body, status } = encoded(encodeError, error, options)
  return HttpServerResponse.unsafeJson(body, { status, headers: headersOf(error) })
}

/** The fields that the response body contains. */
export const servedError = ({ code, message, param, status, type }: HttpError): ServedError => ({
  status,
  message,
  ...(code === undefined ? {} : { code }),
  ...(type === undefined ? {} : { type }),
  ...(param === undefined ? {} : { param })
})
