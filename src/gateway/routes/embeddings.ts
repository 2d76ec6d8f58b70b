/** Embeddings. OpenAI, API reference: embeddings/create. */
import { Effect } from "effect"
import { openai as wire } from "../../wire/embeddings/server/openai.js"
import * as JsonResponse from "../http/response.js"
import * as Body from "../http/body.js"
import * as Authentication from "../auth/authenticate.js"
import type { Caller } from "../auth/model.js"
import * as HttpErrors from "../http/error.js"
import type { Handler, GatewayContext } from "../http/context.js"
import { resolveModel } from "../http/context.js"
import * as UnsupportedFields from "../chat/unsupportedFields.js"

/** The wires with embeddings in OpenAI's format, to which extra fields are sent unchanged. */
const openaiWires: ReadonlySet<string> = new Set(["chat-completions", "responses"])

export const handler = (context: GatewayContext): Handler =>
  Authentication.authenticated(context, (caller) =>
    Effect.flatMap(Body.read(context.maxBodySize), (body) =>
      Effect.mapError(respond(context, caller, body), HttpErrors.withRequested(body))
    )
  )

const respond = (context: GatewayContext, caller: Caller, body: Record<string, unknown>): Handler =>
  Effect.gen(function* () {
    const { model, ...request } = yield* Effect.mapError(wire.decodeRequest(body), HttpErrors.fromWireFailure)
    const llm = yield* resolveModel(context, caller, model)
    const { extra = {}, ...supported } = request
    const passesThrough = openaiWires.has(llm.info.wire)
    const call = Effect.mapError(llm.embed(passesThrough ? request : supported), HttpErrors.fromLLMError)
    const response = yield* context.requests.withinDeadline(call)
    return JsonResponse.json(wire.encodeResponse(response, body), {
      headers: UnsupportedFields.droppedHeader(passesThrough ? [] : Object.keys(extra))
    })
  })
