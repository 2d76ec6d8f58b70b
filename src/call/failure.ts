/** The errors of requests that fail, with the secrets of the endpoint and of the call masked. */
import type { Clock } from "effect"
import { Predicate, Redacted } from "effect"
import type { ErrorAnswer } from "../wire/error/classify.js"
import { classify } from "../wire/error/classify.js"
import type { PartialResponse } from "../vocabulary/Chat.js"
import { withContent } from "../vocabulary/Chat.js"
import type { LLMError } from "../vocabulary/LLMError.js"
import {
  InvalidRequestError,
  MalformedResponseError,
  NetworkError,
  StreamInterruptedError,
  TimeoutError,
  UnsupportedError
} from "../vocabulary/LLMError.js"
import * as Usage from "../vocabulary/Usage.js"
import { parseJson } from "../wire/json.js"
import type { Call, Endpoint } from "../wire/providerClient.js"
import type { AnswerSource, WireFailure } from "../wire/Wire.js"
import * as Secrets from "./endpointSecrets.js"

/** The server that the requests of a client go to. */
export interface Target {
  /** The name of the wire protocol. */
  readonly protocol: string
  readonly endpoint: Endpoint
  /** The secrets of the endpoint, masked in messages: the credentials of its URL and the values of its headers and query. */
  readonly secrets: ReadonlyArray<string>
}

/** The model and key of a request, with all its secrets. */
export interface CallWithSecrets extends Pick<Call, "model" | "key" | "kin" | "affinity"> {
  /** The token that the key was exchanged for. */
  readonly token?: Redacted.Redacted<string>
}

/** A request and the head of its response, with what decoding and errors need. */
export interface Received {
  readonly target: Target
  readonly call: CallWithSecrets
  readonly source: AnswerSource
  readonly clock: Clock.Clock
  readonly sentAt: number
  readonly status: number
  /** Names are in lower case. */
  readonly headers: Readonly<Record<string, string>>
}

/** The longest body of an error that is read, in bytes. */
export const maxErrorBytes = 1024 * 1024

/** The longest whole answer, in bytes after content decoding. */
export const maxAnswerBytes = 64 * 1024 * 1024

const errorContext = ({ endpoint }: Target, call: CallWithSecrets) => ({
  provider: endpoint.provider,
  model: call.model,
  keyId: call.key.id,
  attempts: []
})

const secretsOf = ({ secrets }: Target, { key, token }: CallWithSecrets): ReadonlyArray<string> => [
  ...secrets,
  Redacted.value(key.value),
  ...(token === undefined ? [] : [Redacted.value(token)])
]

/** Masks the secrets of the endpoint and of the call in a text. */
const masked = (target: Target, call: CallWithSecrets, text: string): string =>
  Secrets.masked(text, secretsOf(target, call))

/** Masks the secrets of the endpoint and of the call in JSON. */
export const maskedJson = ({ call, target }: Received, json: unknown): unknown =>
  Secrets.maskedJson(json, secretsOf(target, call))

/** Message and code (`ECONNREFUSED`, `UND_ERR_SOCKET` …) of the innermost cause, which is the actual problem. */
const innermost = (cause: unknown): { readonly code: string; readonly message: string } => {
  let current = cause
  for (let depth = 0; depth < 8 && Predicate.hasProperty(current, "cause") && current.cause instanceof Error; depth++) {
    current = current.cause
  }
  return {
    code: Predicate.hasProperty(current, "code") && typeof current.code === "string" ? current.code : "",
    message: current instanceof Error ? current.message : String(current)
  }
}

const connectCodes: ReadonlySet<string> = new Set(["UND_ERR_CONNECT_TIMEOUT", "ETIMEDOUT"])

/** The error of a connection that was not made, or broke. */
export const connectionError = (target: Target, call: CallWithSecrets, cause: unknown): LLMError => {
  const context = errorContext(target, call)
  const baseUrl = Secrets.shownUrl(target.endpoint.baseUrl)
  const { code, message } = innermost(cause)
  const detail = masked(target, call, code === "" || message.includes(code) ? message : `${message} (${code})`)
  return connectCodes.has(code)
    ? new TimeoutError({
        ...context,
        phase: "connect",
        message: `No connection to ${baseUrl} in time: ${detail}.`
      })
    : new NetworkError({
        ...context,
        ...(code === "" ? {} : { code }),
        message: `The connection to ${baseUrl} failed: ${detail}.`
      })
}

/** The error of a base URL that is not a URL. */
export const urlError = (target: Target, call: CallWithSecrets): LLMError =>
  new InvalidRequestError({
    ...errorContext(target, call),
    field: "baseUrl",
    message: `The base URL ${JSON.stringify(Secrets.shownUrl(target.endpoint.baseUrl))} of ${target.endpoint.provider} is not a URL.`
  })

const classified = ({ call, clock, source, target }: Received, answer: ErrorAnswer): LLMError =>
  classify(answer, {
    provider: source.provider,
    model: call.model,
    keyId: call.key.id,
    now: clock.unsafeCurrentTimeMillis(),
    mask: (text) => masked(target, call, text)
  })

/** The error of a response whose status is not a success. */
export const statusError = (received: Received, text: string): LLMError =>
  classified(received, { status: received.status, headers: received.headers, body: parseJson(text) ?? text })

/** The error of a whole answer that is longer than `maxAnswerBytes`. */
export const tooLongError = ({ call, status, target }: Received): LLMError =>
  new MalformedResponseError({
    ...errorContext(target, call),
    status,
    path: "",
    excerpt: "",
    maxBytes: maxAnswerBytes,
    message: `${target.endpoint.provider} sent an answer of more than ${maxAnswerBytes / 1024 / 1024} MiB, which is not read. Limit the answer with maxTokens, or stream it.`
  })

/** The error of an answer that cannot be decoded. `partial` is the answer so far of a stream that has begun. */
export const decodingError = (received: Received, failure: WireFailure, partial?: PartialResponse): LLMError => {
  const { call, status, target } = received
  const context = { ...errorContext(target, call), status }
  switch (failure._tag) {
    case "Malformed":
      return new MalformedResponseError({
        ...context,
        path: failure.path,
        excerpt: masked(target, call, failure.excerpt),
        message: `${context.provider} sent an answer that is not of the ${target.protocol} protocol${
          failure.path === "" ? "" : ` at ${failure.path}`
        }: ${masked(target, call, failure.excerpt)}`,
        ...(partial === undefined ? {} : { partial })
      })
    case "Unsupported":
    case "Invalid":
      return encodingError(target, call, failure)
    case "Truncated":
      return new StreamInterruptedError({
        ...context,
        begun: partial !== undefined,
        partial: partial ?? withContent({ id: "", model: call.model, usage: Usage.empty }, []),
        message: `${context.provider} ended the stream before the answer was complete.`
      })
    case "Reported": {
      const reported = classified(received, { status, headers: received.headers, body: failure.body, inBand: true })
      return partial === undefined
        ? reported
        : new StreamInterruptedError({
            ...context,
            ...(reported.code === undefined ? {} : { code: reported.code }),
            ...(reported.requestId === undefined ? {} : { requestId: reported.requestId }),
            begun: true,
            partial,
            reported: reported._tag,
            message: `${context.provider} broke off the stream: ${reported.message}`
          })
    }
  }
}

/** The error of a stream whose connection broke before the finish signal. */
export const interruptedError = (
  { call, status }: Received,
  error: LLMError,
  begun: boolean,
  partial: PartialResponse
): LLMError =>
  new StreamInterruptedError({
    provider: error.provider,
    model: error.model,
    keyId: call.key.id,
    status,
    ...("code" in error && error.code !== undefined ? { code: error.code } : {}),
    message: `${error.message} The answer was not complete.`,
    attempts: [],
    begun,
    partial
  })

/** The error of a feature that the provider or the protocol does not have. */
export const unsupportedError = (target: Target, call: CallWithSecrets, feature: string): LLMError =>
  new UnsupportedError({
    ...errorContext(target, call),
    feature,
    message: `${target.endpoint.provider} (${target.protocol}) has no ${feature}.`
  })

/** The error of a request that the wire cannot encode. */
export const encodingError = (target: Target, call: CallWithSecrets, failure: WireFailure): LLMError =>
  failure._tag === "Unsupported"
    ? unsupportedError(target, call, failure.feature)
    : new InvalidRequestError({
        ...errorContext(target, call),
        ...(failure._tag === "Malformed" ? { field: failure.path } : {}),
        ...(failure._tag === "Invalid" ? { field: failure.field } : {}),
        message:
          failure._tag === "Invalid"
            ? `${target.endpoint.provider} does not accept the request. ${failure.message}.`
            : "The request cannot be written in the provider's protocol."
      })

/** The error of a body that cannot be written as JSON. */
export const jsonError = (target: Target, call: CallWithSecrets, cause: unknown, field: string): LLMError =>
  new InvalidRequestError({
    ...errorContext(target, call),
    field,
    message: `The request cannot be written as JSON: ${innermost(cause).message}.`
  })
