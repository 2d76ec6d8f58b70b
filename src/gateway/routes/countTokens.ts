/** The number of tokens of a request. Anthropic, API reference: messages/count_tokens. */
import { Effect } from "effect"
import * as TokenCounter from "../../tokens/TokenCounter.js"
import * as Body from "../http/body.js"
import * as HttpErrors from "../http/error.js"
import { anthropic } from "../chat/protocols.js"
import type { GatewayContext } from "../http/context.js"
import type { HotRoute } from "../http/hotRoute.js"
import { fromEither } from "../../internal/asEffect.js"

/** Uses the `TokenCounter` in context, without a request to the provider. Its refusals are shown as those of the chat that it counts. */
export const route = (context: GatewayContext): HotRoute => ({
  path: "/v1/messages/count_tokens",
  operation: "chat",
  encodeError: anthropic.wire.encodeError,
  answer: ({ account, caller, request, response, setRequested }) =>
    Effect.gen(function* () {
      const { json: body } = yield* Body.read(request, context.bodyLimits, account)
      setRequested(body)
      const decoded = yield* Effect.mapError(fromEither(anthropic.wire.decodeRequest(body)), HttpErrors.fromWireFailure)
      const { info } = yield* context.resolveModel(caller, decoded.request.model)
      const { tokens } = yield* TokenCounter.count(decoded.request, info.model)
      response.send(200, {}, JSON.stringify({ input_tokens: tokens }))
    })
})
