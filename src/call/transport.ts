/** Sending requests over HTTP, for whole answers and streams, and the errors of requests that fail. */
import { parseJson } from "../wire/json.js"
import type { HttpClientError, HttpClientResponse } from "@effect/platform"
import { HttpClient, HttpClientRequest } from "@effect/platform"
import type { Clock, Scope } from "effect"
import { Effect, Either, Predicate, Redacted, Ref } from "effect"
import type { ChatRequest, PartialResponse } from "../vocabulary/Chat.js"
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
import type { Auth, Call, Endpoint } from "../wire/providerClient.js"
import * as Usage from "../vocabulary/Usage.js"
import { classify } from "../wire/error/classify.js"
import { rateLimits } from "../wire/headers/rateLimits.js"
import * as Secrets from "./endpointSecrets.js"
import { estimateInput } from "./request.js"
import type { AnswerSource, ClientWire, WireFailure, WireRequest } from "../wire/Wire.js"

export interface Transport {
  /** The name of the wire protocol. */
  readonly protocol: string
  readonly endpoint: Endpoint
  /** Aborts the request on interruption. */
  readonly http: HttpClient.HttpClient
  /** Aborts the request when the scope closes. */
  readonly scopedHttp: HttpClient.HttpClient.With<HttpClientError.HttpClientError, Scope.Scope>
  /** Error messages of this server that reject optional fields. Later requests leave these fields out. */
  readonly rejectedFields: Ref.Ref<ReadonlyArray<string>>
  /** The secrets of the endpoint, masked in messages: the credentials of its URL and the values of its headers and query. */
  readonly secrets: ReadonlyArray<string>
}

export const make = (protocol: string, endpoint: Endpoint, client: HttpClient.HttpClient): Effect.Effect<Transport> =>
  Effect.map(Ref.make<ReadonlyArray<string>>([]), (rejectedFields) => {
    // An attempt has its own span, and the provider does not need our trace ids.
    const http = HttpClient.withTracerDisabledWhen(client, () => true)
    return {
      protocol,
      endpoint,
      http,
      scopedHttp: HttpClient.withScope(http),
      rejectedFields,
      secrets: Secrets.ofEndpoint(endpoint)
    }
  })

/** A call with all its secrets. */
export interface CallWithSecrets extends Call {
  /** The token that the key was exchanged for. */
  readonly token?: Redacted.Redacted<string>
}

/** A request and the head of its response, with what decoding and errors need. */
export interface Exchange {
  readonly transport: Transport
  readonly call: CallWithSecrets
  readonly source: AnswerSource
  readonly clock: Clock.Clock
  readonly sentAt: number
  readonly response: HttpClientResponse.HttpClientResponse
}

const errorContext = (transport: Transport, call: Call) => ({
  provider: transport.endpoint.provider,
  model: call.model,
  keyId: call.key.id,
  attempts: []
})

/** Masks the secrets of the endpoint and of the call in a text. */
const masked = (transport: Transport, { key, token }: CallWithSecrets, text: string): string =>
  Secrets.masked(text, secretsOf(transport, key, token))

const secretsOf = (
  { secrets }: Transport,
  key: Call["key"],
  token: CallWithSecrets["token"]
): ReadonlyArray<string> => [
  ...secrets,
  Redacted.value(key.value),
  ...(token === undefined ? [] : [Redacted.value(token)])
]

/** Masks the secrets of the endpoint and of the call in JSON. */
export const maskedJson = ({ call: { key, token }, transport }: Exchange, json: unknown): unknown =>
  Secrets.maskedJson(json, secretsOf(transport, key, token))

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

/** The error of a request without a response. It uses only the cause of the HTTP client's error, which contains the key. */
export const connectionError = (
  transport: Transport,
  call: CallWithSecrets,
  error: HttpClientError.HttpClientError
): LLMError => {
  const context = errorContext(transport, call)
  const baseUrl = Secrets.shownUrl(transport.endpoint.baseUrl)
  if (error._tag === "RequestError" && error.reason === "InvalidUrl") {
    return new InvalidRequestError({
      ...context,
      field: "baseUrl",
      message: `The base URL ${JSON.stringify(baseUrl)} of ${context.provider} is not a URL.`
    })
  }
  const { code, message } = innermost(error.cause)
  const detail = masked(transport, call, code === "" || message.includes(code) ? message : `${message} (${code})`)
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

/** The error of an answer that cannot be decoded. `partial` is the answer so far of a stream that has begun. */
export const decodingError = (exchange: Exchange, failure: WireFailure, partial?: PartialResponse): LLMError => {
  const { call, clock, response, transport } = exchange
  const context = { ...errorContext(transport, call), status: response.status }
  switch (failure._tag) {
    case "Malformed":
      return new MalformedResponseError({
        ...context,
        path: failure.path,
        excerpt: masked(transport, call, failure.excerpt),
        message: `${context.provider} sent an answer that is not of the ${transport.protocol} protocol${
          failure.path === "" ? "" : ` at ${failure.path}`
        }: ${masked(transport, call, failure.excerpt)}`,
        ...(partial === undefined ? {} : { partial })
      })
    case "Unsupported":
    case "Invalid":
      return encodingError(transport, call, failure)
    case "Truncated":
      return new StreamInterruptedError({
        ...context,
        begun: partial !== undefined,
        partial: partial ?? withContent({ id: "", model: call.model, usage: Usage.empty }, []),
        message: `${context.provider} ended the stream before the answer was complete.`
      })
    case "Reported": {
      const reported = classify(
        { status: response.status, headers: response.headers, body: failure.body, inBand: true },
        {
          provider: context.provider,
          model: call.model,
          keyId: call.key.id,
          now: clock.unsafeCurrentTimeMillis(),
          mask: (text) => masked(transport, call, text)
        }
      )
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

/** The error of a feature that the provider or the protocol does not have. */
export const unsupportedError = (transport: Transport, call: Call, feature: string): LLMError =>
  new UnsupportedError({
    ...errorContext(transport, call),
    feature,
    message: `${transport.endpoint.provider} (${transport.protocol}) has no ${feature}.`
  })

const encodingError = (transport: Transport, call: Call, failure: WireFailure): LLMError =>
  failure._tag === "Unsupported"
    ? unsupportedError(transport, call, failure.feature)
    : new InvalidRequestError({
        ...errorContext(transport, call),
        ...(failure._tag === "Malformed" ? { field: failure.path } : {}),
        ...(failure._tag === "Invalid" ? { field: failure.field } : {}),
        message:
          failure._tag === "Invalid"
            ? `${transport.endpoint.provider} does not accept the request. ${failure.message}.`
            : "The request cannot be written in the provider's protocol."
      })

const isWritable = (value: unknown): boolean => Either.isRight(Either.try(() => JSON.stringify(value)))

/** The field that cannot be written as JSON: values of `extra` and native fields can be of any type, such as a bigint. */
const unwritableField = (request: Partial<ChatRequest>): string => {
  const [field = "extra"] = Object.entries(request).find(([, value]) => !isWritable(value)) ?? []
  const index = field === "messages" ? (request.messages ?? []).findIndex((message) => !isWritable(message)) : -1
  return index === -1 ? field : `${field}[${index}]`
}

const encodeBody = (
  transport: Transport,
  call: Call,
  encoded: WireRequest,
  request: Partial<ChatRequest> = {}
): Either.Either<string, LLMError> =>
  Either.try({
    try: () => JSON.stringify(encoded.body),
    catch: (cause) =>
      new InvalidRequestError({
        ...errorContext(transport, call),
        field: unwritableField(request),
        message: `The request cannot be written as JSON: ${innermost(cause).message}.`
      })
  })

/** An encoded request; without a body it is a GET. */
interface Message extends Omit<WireRequest, "body"> {
  readonly body?: string
}

/** The URL of a request. The query of the base URL goes behind the path. */
const urlOf = (endpoint: Endpoint, { path, query }: Message): string => {
  const [base = "", inUrl = ""] = (endpoint.baseUrl.split("#", 1)[0] ?? "").split(/\?(.*)/s)
  const search = new URLSearchParams({ ...query, ...endpoint.query }).toString()
  const whole = [inUrl, search].filter((part) => part !== "").join("&")
  return `${base.replace(/\/+$/, "")}${path}${whole === "" ? "" : `?${whole}`}`
}

const bearer: Auth = { header: "authorization", prefix: "Bearer " }

const requestTo = (
  transport: Transport,
  call: CallWithSecrets,
  request: Message,
  accept: string
): HttpClientRequest.HttpClientRequest => {
  const { auth = bearer, headers } = transport.endpoint
  const options = {
    headers: {
      accept,
      [auth.header]: `${auth.prefix ?? ""}${Redacted.value(call.token ?? call.key.value)}`,
      ...request.headers,
      ...headers
    }
  }
  const url = urlOf(transport.endpoint, request)
  return request.body === undefined
    ? HttpClientRequest.get(url, options)
    : HttpClientRequest.bodyText(HttpClientRequest.post(url, options), request.body, "application/json")
}

const statusError = (exchange: Exchange): Effect.Effect<LLMError> =>
  Effect.map(
    // A body that breaks off must not hide the status, which is more informative.
    Effect.orElseSucceed(exchange.response.text, () => ""),
    (text) =>
      classify(
        { status: exchange.response.status, headers: exchange.response.headers, body: parseJson(text) ?? text },
        {
          provider: exchange.source.provider,
          model: exchange.call.model,
          keyId: exchange.call.key.id,
          now: exchange.clock.unsafeCurrentTimeMillis(),
          mask: (text) => masked(exchange.transport, exchange.call, text)
        }
      )
  )

/** Sends a message with its key or token, and succeeds when the head of a successful response has arrived. */
const sendMessage = <R>(
  http: HttpClient.HttpClient.With<HttpClientError.HttpClientError, R>,
  transport: Transport,
  message: Message,
  call: CallWithSecrets,
  source: AnswerSource,
  accept: string
): Effect.Effect<Exchange, LLMError, R> =>
  Effect.clockWith((clock) => {
    const sentAt = clock.unsafeCurrentTimeMillis()
    return Effect.matchEffect(http.execute(requestTo(transport, call, message, accept)), {
      onFailure: (error) => Effect.fail(connectionError(transport, call, error)),
      onSuccess: (response) => {
        const exchange: Exchange = { transport, call, source, clock, sentAt, response }
        if (response.status < 200 || response.status >= 300) return Effect.flatMap(statusError(exchange), Effect.fail)
        const limits = call.onRateLimits === undefined ? undefined : rateLimits(response.headers, sentAt)
        return limits === undefined || call.onRateLimits === undefined
          ? Effect.succeed(exchange)
          : Effect.as(call.onRateLimits(limits), exchange)
      }
    })
  })

/** Sends a message, after exchanging the key for a token when the endpoint requires one. */
const sendWithToken = <R>(
  http: HttpClient.HttpClient.With<HttpClientError.HttpClientError, R>,
  transport: Transport,
  message: Message,
  call: Call,
  source: AnswerSource,
  accept = "application/json"
): Effect.Effect<Exchange, LLMError, R> => {
  const token = transport.endpoint.auth?.token
  return token === undefined
    ? sendMessage(http, transport, message, call, source, accept)
    : Effect.flatMap(token(call), (token) => sendMessage(http, transport, message, { ...call, token }, source, accept))
}

/**
 * Sends a chat request. When the server rejects an optional field, the request is sent again without it, and later requests leave
 * it out.
 */
const send = <R>(
  http: HttpClient.HttpClient.With<HttpClientError.HttpClientError, R>,
  transport: Transport,
  wire: ClientWire,
  request: ChatRequest,
  call: Call,
  stream: boolean
): Effect.Effect<Exchange, LLMError, R> => {
  const { endpoint } = transport
  const source: AnswerSource = {
    provider: endpoint.provider,
    model: call.model,
    get estimatedInputTokens() {
      return estimateInput(request)
    }
  }
  const accept = stream && wire.framing === "sse" ? "text/event-stream" : "application/json"
  const attempt = (encoded: WireRequest): Effect.Effect<Exchange, LLMError, R> =>
    Either.match(encodeBody(transport, call, encoded, request), {
      onLeft: (error) => Effect.fail(error),
      onRight: (body) => sendWithToken(http, transport, { ...encoded, body }, call, source, accept)
    })
  return Effect.flatMap(Ref.get(transport.rejectedFields), (rejectedFields) => {
    const encoded = wire.encodeRequest(request, { provider: endpoint.provider, model: call.model, stream })
    if (Either.isLeft(encoded)) return Effect.fail(encodingError(transport, call, encoded.left))
    const reduced = rejectedFields.reduce(
      (body, message) => wire.dropUnsupportedField?.(body, message) ?? body,
      encoded.right
    )
    return Effect.catchTag(attempt(reduced), "InvalidRequestError", (error) => {
      const without = wire.dropUnsupportedField?.(reduced, error.message)
      return without === undefined
        ? Effect.fail(error)
        : Effect.tap(attempt(without), () =>
            Ref.update(transport.rejectedFields, (before) => [...before, error.message])
          )
    })
  })
}

/** Sends a chat request for a whole answer. Interrupting this or the reading of the answer aborts the request. */
export const sendWhole = (
  transport: Transport,
  wire: ClientWire,
  request: ChatRequest,
  call: Call
): Effect.Effect<Exchange, LLMError> => send(transport.http, transport, wire, request, call, false)

/** Sends a chat request for a stream. The request is aborted when the scope closes. */
export const sendStream = (
  transport: Transport,
  wire: ClientWire,
  request: ChatRequest,
  call: Call
): Effect.Effect<Exchange, LLMError, Scope.Scope> => send(transport.scopedHttp, transport, wire, request, call, true)

/** Sends an encoded request other than a chat. */
export const sendEncoded = (
  transport: Transport,
  encoded: Either.Either<WireRequest, WireFailure>,
  call: Call,
  source: AnswerSource
): Effect.Effect<Exchange, LLMError> =>
  Either.match(
    Either.flatMap(
      Either.mapLeft(encoded, (failure) => encodingError(transport, call, failure)),
      (request) => Either.map(encodeBody(transport, call, request), (body) => ({ ...request, body }))
    ),
    {
      onLeft: (error) => Effect.fail(error),
      onRight: (message) => sendWithToken(transport.http, transport, message, call, source)
    }
  )

/** Sends a GET request. */
export const fetch = (
  transport: Transport,
  message: Omit<Message, "body">,
  call: Call
): Effect.Effect<Exchange, LLMError> =>
  sendWithToken(transport.http, transport, message, call, {
    provider: transport.endpoint.provider,
    model: call.model,
    estimatedInputTokens: 0
  })
