/** A question and its whole answer. */
import type { HttpClientError } from "@effect/platform"
import { Effect, Either } from "effect"
import type { ChatRequest, ChatResponse } from "../Chat.js"
import type { LLMError } from "../LLMError.js"
import type { Call } from "../ProviderClient.js"
import type { WireResponse } from "../wire/Wire.js"
import { malformed } from "../wire/Wire.js"
import type { Exchange, Transport } from "./transport.js"
import { sendWhole, unanswered, unreadable } from "./transport.js"

const parse = (exchange: Exchange, text: string): Either.Either<WireResponse, LLMError> =>
  Either.mapLeft(
    Either.flatMap(Either.try({ try: (): unknown => JSON.parse(text), catch: () => malformed("", text) }), (body) =>
      exchange.transport.wire.decodeResponse(body, exchange.source)
    ),
    (failure) => unreadable(exchange, failure)
  )

/** Reads the answer to the end. */
export const readWhole = (exchange: Exchange): Effect.Effect<ChatResponse, LLMError> =>
  Effect.matchEffect(exchange.response.text, {
    onFailure: (error: HttpClientError.HttpClientError) =>
      Effect.fail(unanswered(exchange.transport, exchange.call, error)),
    onSuccess: (text) =>
      Either.map(parse(exchange, text), (answer): ChatResponse => {
        const latency = exchange.clock.unsafeCurrentTimeMillis() - exchange.sentAt
        const { call, source } = exchange
        return {
          ...answer,
          provider: source.provider,
          latency,
          keyId: call.key.id,
          attempts: [
            {
              provider: source.provider,
              model: call.model,
              keyId: call.key.id,
              status: exchange.response.status,
              duration: latency
            }
          ]
        }
      })
  })

export const chat = (transport: Transport, request: ChatRequest, call: Call): Effect.Effect<ChatResponse, LLMError> =>
  Effect.flatMap(sendWhole(transport, request, call), readWhole)
