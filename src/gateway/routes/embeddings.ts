/** Embeddings. OpenAI, API reference: embeddings/create. */
import { Effect } from "effect"
import * as RawResponses from "../../call/passthrough.js"
import * as RawRequests from "../../call/rawRequest.js"
import { protocol } from "../../wire/embeddings/dialect.js"
import { openai as wire } from "../../wire/embeddings/server/openai.js"
import * as Body from "../http/body.js"
import { chatCompletions } from "../chat/protocols.js"
import * as HttpErrors from "../http/error.js"
import type { GatewayContext } from "../http/context.js"
import type { HotRoute } from "../http/hotRoute.js"
import * as UnsupportedFields from "../chat/unsupportedFields.js"
import { fromEither } from "../../internal/asEffect.js"

/** The wires with embeddings in OpenAI's format, to which extra fields are sent unchanged. */
const openaiWires: ReadonlySet<string> = new Set(["chat-completions", "responses"])

export const route = (context: GatewayContext): HotRoute => ({
  path: "/v1/embeddings",
  operation: "embeddings",
  rawProtocol: protocol,
  encodeError: chatCompletions.wire.encodeError,
  answer: ({ account, caller, request, response, setRequested }) =>
    Effect.gen(function* () {
      const { json: body, text } = yield* Body.read(request, context.bodyLimits, account)
      setRequested(body)
      const { model, ...input } = yield* Effect.mapError(
        fromEither(wire.decodeRequest(body)),
        HttpErrors.fromWireFailure
      )
      const llm = yield* context.resolveModel(caller, model)
      const { extra = {}, ...supported } = input
      const passesThrough = openaiWires.has(llm.info.wire)
      const source = { protocol, text, body, headers: {} }
      const answer = yield* Effect.mapError(
        llm.embed(passesThrough ? RawRequests.attach(source, input) : supported),
        HttpErrors.fromLLMError
      )
      const headers = UnsupportedFields.droppedHeader(passesThrough ? [] : Object.keys(extra))
      const raw = RawResponses.textOf(protocol, answer)
      response.send(200, headers, raw?.text ?? JSON.stringify(wire.encodeResponse(answer, body)))
    })
})
