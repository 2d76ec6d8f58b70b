/** Requests whose answer is not streamed: chats, embeddings and lists of models. */
import { Effect, Either, Exit, Scope } from "effect"
import type { ChatRequest, ChatResponse } from "../vocabulary/Chat.js"
import type { EmbeddingRequest, EmbeddingResponse } from "../vocabulary/Embedding.js"
import type { LLMError } from "../vocabulary/LLMError.js"
import type { Call } from "../wire/providerClient.js"
import * as Usage from "../vocabulary/Usage.js"
import type { EmbeddingsWire, ListedModel, ModelsWire, ClientWire, WireFailure } from "../wire/Wire.js"
import * as Answer from "./answer.js"
import { maskedJson } from "./failure.js"
import type { Encoded } from "./message.js"
import { WantsRawResponse, withRawText } from "./passthrough.js"
import * as RawRequests from "./rawRequest.js"
import type { Exchange, Transport } from "./transport.js"
import { fetch, sendChat, sendEncoded, text } from "./transport.js"
import { fromEither } from "../internal/asEffect.js"
import * as Finalizer from "../internal/finalizer.js"

/**
 * Aborts the requests of an effect unless it succeeds. Their scope is not closed after a success: the bodies are read then, and nothing
 * is left to abort.
 */
const aborting = <A, E>(effect: Effect.Effect<A, E, Scope.Scope>): Effect.Effect<A, E> =>
  Effect.flatMap(Scope.make(), (scope) =>
    Finalizer.onError(Scope.extend(effect, scope), (cause) => Scope.close(scope, Exit.failCause(cause)))
  )

/** Reads the whole body and decodes it. */
const read = <A>(
  exchange: Exchange,
  decode: (body: unknown) => Either.Either<A, WireFailure>
): Effect.Effect<A, LLMError> =>
  Effect.flatMap(text(exchange), (text) => fromEither(Answer.decode(exchange, text, decode)))

/** Reads and decodes the vectors of an answer, with its raw text when the caller requests it in this protocol. */
const readEmbeddings = (
  exchange: Exchange,
  wire: EmbeddingsWire,
  source: Parameters<EmbeddingsWire["decodeResponse"]>[1]
): Effect.Effect<EmbeddingResponse, LLMError> =>
  Effect.flatMap(text(exchange), (text) =>
    Effect.flatMap(WantsRawResponse, (rawProtocol) =>
      fromEither(
        Either.map(
          Answer.decode(exchange, text, (body) => wire.decodeResponse(body, source)),
          (decoded): EmbeddingResponse => {
            const answer = { ...decoded, ...Answer.responseMetadata(exchange) }
            const protocol = wire.verbatim?.protocol
            return protocol === undefined || protocol !== rawProtocol
              ? answer
              : withRawText({ protocol, isFaithful: true }, text, answer)
          }
        )
      )
    )
  )

/** Reads and decodes a chat answer, with its raw text when the caller requests it in this protocol. */
export const readWhole = (exchange: Exchange, wire: ClientWire): Effect.Effect<ChatResponse, LLMError> =>
  Effect.flatMap(text(exchange), (text) =>
    Effect.flatMap(WantsRawResponse, (rawProtocol) => fromEither(Answer.decodeChat(exchange, wire, text, rawProtocol)))
  )

export const chat = (
  transport: Transport,
  wire: ClientWire,
  request: ChatRequest,
  call: Call
): Effect.Effect<ChatResponse, LLMError> =>
  aborting(Effect.flatMap(sendChat(transport, wire, request, call, false), (exchange) => readWhole(exchange, wire)))

/** Embeds the texts of one request. */
export const embed = (
  transport: Transport,
  wire: EmbeddingsWire,
  request: EmbeddingRequest,
  call: Call
): Effect.Effect<EmbeddingResponse, LLMError> => {
  const target = { provider: transport.server.endpoint.provider, model: call.model }
  const raw = RawRequests.verbatimEmbedding(wire, request, target)
  const encoded: Either.Either<Encoded, WireFailure> =
    raw === undefined ? wire.encodeRequest(request, target) : Either.right(raw.sent)
  const source = {
    ...target,
    count: request.input.length,
    dimensions: request.dimensions,
    request:
      raw?.body ?? (Either.isRight(encoded) && !RawRequests.isVerbatim(encoded.right) ? encoded.right.body : undefined),
    get estimatedInputTokens() {
      return Usage.estimateAll(request.input)
    }
  }
  return aborting(
    Effect.flatMap(sendEncoded(transport, encoded, call, source), (exchange) => readEmbeddings(exchange, wire, source))
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
    Effect.flatMap(
      aborting(
        Effect.flatMap(fetch(transport, { path: wire.path, query }, call), (exchange) =>
          read(exchange, (body) => wire.decodeResponse(maskedJson(exchange, body)))
        )
      ),
      ({ models, next }) => {
        const all = [...earlier, ...models]
        return next === undefined || page >= maxPages ? Effect.succeed(all) : fetchFrom(next, all, page + 1)
      }
    )
  return fetchFrom(wire.query ?? {}, [], 1)
}
