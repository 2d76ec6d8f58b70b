/** Requests whose answer is not streamed: chats, embeddings and lists of models. */
import type { HttpClientError } from "@effect/platform"
import { Effect, Either } from "effect"
import type { Attempt } from "../vocabulary/attempt.js"
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
import { fetch, maskedJson, sendEncoded, sendWhole, connectionError, decodingError } from "./transport.js"

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
    (failure) => decodingError(exchange, failure)
  )

const text = (exchange: Exchange): Effect.Effect<string, LLMError> =>
  Effect.mapError(exchange.response.text, (error: HttpClientError.HttpClientError) =>
    connectionError(exchange.transport, exchange.call, error)
  )

/** Reads the whole body and decodes it. */
const read = <A>(
  exchange: Exchange,
  decode: (body: unknown) => Either.Either<A, WireFailure>
): Effect.Effect<A, LLMError> => Effect.flatMap(text(exchange), (text) => parse(exchange, text, decode))

/** The fields of an answer that the client adds to the decoded ones. */
const responseMetadata = ({ call, clock, response, sentAt, source }: Exchange) => {
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

/** Decodes the text of a chat answer. */
export const parseWhole = (exchange: Exchange, wire: ClientWire, text: string): Either.Either<ChatResponse, LLMError> =>
  Either.map(
    parse(exchange, text, (body) => wire.decodeResponse(body, exchange.source)),
    (answer) => ({ ...answer, ...responseMetadata(exchange), keyId: exchange.call.key.id })
  )

/** Reads and decodes a chat answer, with its raw text when the caller wants it in this protocol. */
export const readWhole = (exchange: Exchange, wire: ClientWire): Effect.Effect<ChatResponse, LLMError> =>
  Effect.flatMap(Effect.zip(text(exchange), WantsRawResponse), ([text, rawProtocol]) => {
    const answer = parseWhole(exchange, wire, text)
    return rawProtocol === wire.name ? Either.map(answer, (read) => withRawText(wire.name, text, read)) : answer
  })

export const chat = (
  transport: Transport,
  wire: ClientWire,
  request: ChatRequest,
  call: Call
): Effect.Effect<ChatResponse, LLMError> =>
  Effect.flatMap(sendWhole(transport, wire, request, call), (exchange) => readWhole(exchange, wire))

/** Embeds the texts of one request. */
export const embed = (
  transport: Transport,
  wire: EmbeddingsWire,
  request: EmbeddingRequest,
  call: Call
): Effect.Effect<EmbeddingResponse, LLMError> => {
  const target = { provider: transport.endpoint.provider, model: call.model }
  const encoded = wire.encodeRequest(request, target)
  const source = {
    ...target,
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
      (answer) => ({ ...answer, ...responseMetadata(exchange) })
    )
  )
}

/** No provider has more pages of models; the limit ends a list whose pages never end. */
const maxPages = 100

/** Lists the models that the key can use, page by page. */
export const listModels = (
  transport: Transport,
  wire: ModelsWire,
  call: Call
): Effect.Effect<ReadonlyArray<ListedModel>, LLMError> => {
  const fetchFrom = (
    query: Readonly<Record<string, string>>,
    earlier: ReadonlyArray<ListedModel>,
    page: number
  ): Effect.Effect<ReadonlyArray<ListedModel>, LLMError> =>
    Effect.flatMap(fetch(transport, { path: wire.path, query }, call), (exchange) =>
      Effect.flatMap(
        read(exchange, (body) => wire.decodeResponse(maskedJson(exchange, body))),
        ({ models, next }) => {
          const all = [...earlier, ...models]
          return next === undefined || page >= maxPages ? Effect.succeed(all) : fetchFrom(next, all, page + 1)
        }
      )
    )
  return fetchFrom(wire.query ?? {}, [], 1)
}
