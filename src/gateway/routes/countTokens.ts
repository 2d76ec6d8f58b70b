/** The number of tokens of a request. Anthropic, API reference: messages/count_tokens. */
import { Effect } from "effect"
import * as TokenCounter from "../../tokens/TokenCounter.js"
import * as JsonResponse from "../http/response.js"
import * as Body from "../http/body.js"
import * as Authentication from "../auth/authenticate.js"
import * as HttpErrors from "../http/error.js"
import * as Protocol from "../chat/protocols.js"
import type { Handler, GatewayContext } from "../http/context.js"
import { resolveModel } from "../http/context.js"

/** Uses the `TokenCounter` in context, without a request to the provider. */
export const handler = (context: GatewayContext): Handler =>
  Authentication.authenticated(context, (caller) =>
    Effect.gen(function* () {
      const body = yield* Body.read(context.maxBodySize)
      const { request } = yield* Effect.mapError(
        Protocol.anthropic.wire.decodeRequest(body),
        HttpErrors.fromWireFailure
      )
      const { info } = yield* resolveModel(context, caller, request.model)
      const { tokens } = yield* TokenCounter.count(request, info.model)
      return JsonResponse.json({ input_tokens: tokens })
    })
  )
