/** Sending requests over an `HttpClient`, for whole answers and streams. */
import type { HttpClientError, HttpClientResponse } from "@effect/platform"
import { HttpClient, HttpClientRequest } from "@effect/platform"
import type { Clock, Scope } from "effect"
import { Effect, Either } from "effect"
import { causeOf, isInvalidUrl } from "../internal/platformErrors.js"
import type { ChatRequest } from "../vocabulary/Chat.js"
import type { LLMError } from "../vocabulary/LLMError.js"
import { rateLimits } from "../wire/headers/rateLimits.js"
import type { Call } from "../wire/providerClient.js"
import type { AnswerSource, ClientWire, WireFailure } from "../wire/Wire.js"
import { isDeclaredTooLong, isSuccess } from "./answer.js"
import type { DirectRequest } from "./direct.js"
import type { CallWithSecrets, Received } from "./failure.js"
import * as Failure from "./failure.js"
import type { Server, Unsent } from "./message.js"
import * as Message from "./message.js"

/**
 * Aborts the request when the scope closes, also for a whole answer: a client without a scope does not abort a request whose fiber is
 * interrupted after the head of the response and before its body is read.
 */
type ScopedHttp = HttpClient.HttpClient.With<HttpClientError.HttpClientError, Scope.Scope>

export interface Transport {
  readonly server: Server
  readonly http: ScopedHttp
}

export const make = (server: Server, client: HttpClient.HttpClient): Transport => {
  // An attempt has its own span, and the provider does not need our trace ids.
  return { server, http: HttpClient.withScope(HttpClient.withTracerDisabledWhen(client, () => true)) }
}

/** A request and its response, whose body has not been read. */
export interface Exchange extends Received {
  readonly response: HttpClientResponse.HttpClientResponse
}

const httpRequest = ({ body, headers, method, url }: DirectRequest): HttpClientRequest.HttpClientRequest =>
  method === "GET"
    ? HttpClientRequest.get(url, { headers })
    : HttpClientRequest.bodyText(HttpClientRequest.post(url, { headers }), body ?? "", "application/json")

/** The error of a request without a response. It uses only the cause of the HTTP client's error, which contains the key. */
export const clientError = (
  target: Failure.Target,
  call: CallWithSecrets,
  error: HttpClientError.HttpClientError
): LLMError =>
  isInvalidUrl(error) ? Failure.urlError(target, call) : Failure.connectionError(target, call, causeOf(error))

/** The error of a response whose status is not a success. A body that breaks off must not hide the status. */
const statusError = (exchange: Exchange): Effect.Effect<LLMError> =>
  Effect.map(
    Effect.orElseSucceed(exchange.response.text, () => ""),
    (text) => Failure.statusError(exchange, text.slice(0, Failure.maxErrorBytes))
  )

/** The text of a whole answer. A longer one than is allowed is not read when its length is declared, else not decoded. */
export const text = (exchange: Exchange): Effect.Effect<string, LLMError> => {
  const tooLong = Effect.suspend(() => Effect.fail(Failure.tooLongError(exchange)))
  if (isDeclaredTooLong(exchange)) return tooLong
  return Effect.matchEffect(exchange.response.text, {
    onFailure: (error) => Effect.fail(clientError(exchange.target, exchange.call, error)),
    onSuccess: (text) => (text.length > Failure.maxAnswerBytes ? tooLong : Effect.succeed(text))
  })
}

/** Sends a message with its key or token, and succeeds when the head of a successful response has arrived. */
const sendMessage = (
  http: ScopedHttp,
  server: Server,
  request: Unsent,
  call: CallWithSecrets & Pick<Call, "onRateLimits">,
  source: AnswerSource,
  clock: Clock.Clock,
  accept: string,
  chat: ChatRequest | undefined
): Effect.Effect<Exchange, LLMError, Scope.Scope> => {
  const body = Message.encodeBody(server, call, request, chat)
  if (Either.isLeft(body)) return Effect.fail(body.left)
  const sentAt = clock.unsafeCurrentTimeMillis()
  const message = Message.messageOf(server, call, request, accept, body.right)
  return Effect.matchEffect(http.execute(httpRequest(message)), {
    onFailure: (error) => Effect.fail(clientError(server, call, error)),
    onSuccess: (response) => {
      const { headers, status } = response
      const exchange: Exchange = { target: server, call, source, clock, sentAt, status, headers, response }
      if (!isSuccess(status)) return Effect.flatMap(statusError(exchange), Effect.fail)
      const limits = call.onRateLimits === undefined ? undefined : rateLimits(headers, sentAt)
      return limits === undefined || call.onRateLimits === undefined
        ? Effect.succeed(exchange)
        : Effect.as(call.onRateLimits(limits), exchange)
    }
  })
}

/** Sends a message, after exchanging the key for a token when the endpoint requires one. */
const sendWithToken = (
  http: ScopedHttp,
  server: Server,
  request: Unsent,
  call: Call,
  source: AnswerSource,
  accept = "application/json",
  chat?: ChatRequest
): Effect.Effect<Exchange, LLMError, Scope.Scope> => {
  const token = server.endpoint.auth?.token
  return Effect.clockWith((clock) =>
    token === undefined
      ? sendMessage(http, server, request, call, source, clock, accept, chat)
      : Effect.flatMap(token(call), (token) =>
          sendMessage(http, server, request, { ...call, token }, source, clock, accept, chat)
        )
  )
}

/** Sends a chat request, in one request. */
const sendOnce = (
  http: ScopedHttp,
  server: Server,
  wire: ClientWire,
  request: ChatRequest,
  call: Call,
  stream: boolean
): Effect.Effect<Exchange, LLMError, Scope.Scope> =>
  Effect.suspend(() => {
    const encoded = Message.encodeChat(server, wire, request, call, stream)
    if (Either.isLeft(encoded)) return Effect.fail(encoded.left)
    const source = Message.chatSource(server, request, call)
    const fields = Message.observeFields(server, wire, encoded.right)
    return Effect.matchEffect(
      sendWithToken(http, server, encoded.right, call, source, Message.acceptOf(wire, stream), request),
      {
        onFailure: (error) => Effect.fail(fields.rejected(error)),
        onSuccess: (exchange) => {
          fields.accepted()
          return Effect.succeed(exchange)
        }
      }
    )
  })

/** Sends a chat request, and sends it again without an optional field that the server rejects, unless the caller does that. */
const send = (
  http: ScopedHttp,
  server: Server,
  wire: ClientWire,
  request: ChatRequest,
  call: Call,
  stream: boolean,
  omissions = call.resends === true ? 0 : Message.maxOmissions
): Effect.Effect<Exchange, LLMError, Scope.Scope> => {
  const sent = sendOnce(http, server, wire, request, call, stream)
  return omissions === 0
    ? sent
    : Effect.catchAll(sent, (error) =>
        Message.isFieldOmitted(error)
          ? send(http, server, wire, request, call, stream, omissions - 1)
          : Effect.fail(error)
      )
}

/** Sends a chat request for a whole answer or a stream. */
export const sendChat = (
  { http, server }: Transport,
  wire: ClientWire,
  request: ChatRequest,
  call: Call,
  stream: boolean
): Effect.Effect<Exchange, LLMError, Scope.Scope> => send(http, server, wire, request, call, stream)

/** Sends an encoded request other than a chat. */
export const sendEncoded = (
  { http, server }: Transport,
  encoded: Either.Either<Message.Encoded, WireFailure>,
  call: Call,
  source: AnswerSource
): Effect.Effect<Exchange, LLMError, Scope.Scope> =>
  Either.isLeft(encoded)
    ? Effect.fail(Failure.encodingError(server, call, encoded.left))
    : sendWithToken(http, server, encoded.right, call, source)

/** Sends a GET request. */
export const fetch = (
  { http, server }: Transport,
  request: Omit<Unsent, "body">,
  call: Call
): Effect.Effect<Exchange, LLMError, Scope.Scope> =>
  sendWithToken(http, server, request, call, {
    provider: server.endpoint.provider,
    model: call.model,
    estimatedInputTokens: 0
  })
