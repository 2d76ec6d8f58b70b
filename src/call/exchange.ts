/** A question and its whole answer. */
import type { HttpClientError } from "@effect/platform"
import { Effect, Either } from "effect"
import type { Attempt } from "../vocabulary/Attempt.js"
import type { ChatRequest, ChatResponse } from "../vocabulary/Chat.js"
import type { EmbeddingRequest, EmbeddingResponse } from "../vocabulary/Embedding.js"
import type { LLMError } from "../vocabulary/LLMError.js"
import type { Call } from "../wire/providerClient.js"
import * as Usage from "../vocabulary/Usage.js"
import type { EmbeddingsWire, ListedModel, ModelsWire, ClientWire, WireFailure } from "../wire/Wire.js"
import { parseJson } from "../wire/json.js"
import { malformed } from "../wire/Wire.js"
import { withRawText, WantsRawResponse } from "./passthrough.js"
import type { Exchange, Transport } from "./transport.js"
import { fetch, maskedJson, sendEncoded, sendWhole, unanswered, unreadable } from "./transport.js"

const parse = <A>(
  exchange: Exchange,
  text: string,
  decode: (body: unknown) => Either.Either<A, WireFailure>
): Either.Either<A, LLMError> =>
  Either.mapLeft(
    Either.flatMap(
      Either.fromNullable(parseJson(text), () => malformed("", text)),
      decode
    ),
    (failure) => unreadable(exchange, failure)
  )

const text = (exchange: Exchange): Effect.Effect<string, LLMError> =>
  Effect.mapError(exchange.response.text, (error: HttpClientError.HttpClientError) =>
    unanswered(exchange.transport, exchange.call, error)
  )

/** Reads the answer to the end. */
const read = <A>(
  exchange: Exchange,
  decode: (body: unknown) => Either.Either<A, WireFailure>
): Effect.Effect<A, LLMError> => Effect.flatMap(text(exchange), (text) => parse(exchange, text, decode))

/** What only the client knows of an answer. */
const known = ({ call, clock, response, sentAt, source }: Exchange) => {
  const latency = clock.unsafeCurrentTimeMillis() - sentAt
  const attempt: Attempt = {
    provider: source.provider,
    model: call.model,
    keyId: call.key.id,
    status: response.status,
    duration: latency
  }
  return { provider: source.provider, latency, attempts: [attempt] }
}

/** Reads the answer of a chat, of which this is the text. */
export const parseWhole = (exchange: Exchange, wire: ClientWire, text: string): Either.Either<ChatResponse, LLMError> =>
  Either.map(
    parse(exchange, text, (body) => wire.decodeResponse(body, exchange.source)),
    (answer) => ({ ...answer, ...known(exchange), keyId: exchange.call.key.id })
  )

/** Reads the answer of a chat to the end. */
export const readWhole = (exchange: Exchange, wire: ClientWire): Effect.Effect<ChatResponse, LLMError> =>
  Effect.flatMap(Effect.zip(text(exchange), WantsRawResponse), ([text, relayed]) => {
    const answer = parseWhole(exchange, wire, text)
    return relayed === wire.name ? Either.map(answer, (read) => withRawText(wire.name, text, read)) : answer
  })

export const chat = (
  transport: Transport,
  wire: ClientWire,
  request: ChatRequest,
  call: Call
): Effect.Effect<ChatResponse, LLMError> =>
  Effect.flatMap(sendWhole(transport, wire, request, call), (exchange) => readWhole(exchange, wire))

/** Embeds as many texts as one request may have. */
export const embed = (
  transport: Transport,
  wire: EmbeddingsWire,
  request: EmbeddingRequest,
  call: Call
): Effect.Effect<EmbeddingResponse, LLMError> => {
  const peer = { provider: transport.endpoint.provider, model: call.model }
  const encoded = wire.encodeRequest(request, peer)
  const source = {
    ...peer,
    count: request.input.length,
    dimensions: request.dimensions,
    request: Either.getOrUndefined(encoded)?.body,
    get estimatedInputTokens() {
      return Usage.estimateAll(request.input)
    }
  }
  return Effect.flatMap(sendEncoded(transport, encoded, call, source), (exchange) =>
    Effect.map(
      read(exchange, (body) => wire.decodeResponse(body, source)),
      (answer) => ({ ...answer, ...known(exchange) })
    )
  )
}

/** No provider has so many models that its list has more pages; one that never ends is a fault. */
const mostPages = 100

/** Lists the models that the key may ask, page by page. */
export const listModels = (
  transport: Transport,
  wire: ModelsWire,
  call: Call
): Effect.Effect<ReadonlyArray<ListedModel>, LLMError> => {
  const from = (
    query: Readonly<Record<string, string>>,
    earlier: ReadonlyArray<ListedModel>,
    page: number
  ): Effect.Effect<ReadonlyArray<ListedModel>, LLMError> =>
    Effect.flatMap(fetch(transport, { path: wire.path, query }, call), (exchange) =>
      Effect.flatMap(
        read(exchange, (body) => wire.decodeResponse(maskedJson(exchange, body))),
        ({ models, next }) => {
          const all = [...earlier, ...models]
          return next === undefined || page >= mostPages ? Effect.succeed(all) : from(next, all, page + 1)
        }
      )
    )
  return from(wire.query ?? {}, [], 1)
}
