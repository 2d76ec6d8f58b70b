/** How long a request is, before it is sent. Anthropic, API reference: messages/count_tokens. */
import { Effect } from "effect"
import * as TokenCounter from "../../tokens/TokenCounter.js"
import * as Answer from "../http/response.js"
import * as Body from "../http/body.js"
import * as Authentication from "../auth/authenticate.js"
import * as Problem from "../http/error.js"
import * as Protocol from "../chat/protocols.js"
import type { Handler, GatewayContext } from "../http/context.js"
import { modelFor } from "../http/context.js"

/** Counted by the `TokenCounter` in context: no provider is asked. */
export const handler = (surroundings: GatewayContext): Handler =>
  Authentication.authenticated(surroundings, (caller) =>
    Effect.gen(function* () {
      const body = yield* Body.read(surroundings.maxBodySize)
      const { request } = yield* Effect.mapError(Protocol.anthropic.wire.decodeRequest(body), Problem.ofFailure)
      const { info } = yield* modelFor(surroundings, caller, request.model)
      const { tokens } = yield* TokenCounter.count(request, info.model)
      return Answer.json({ input_tokens: tokens })
    })
  )
