/** Vectors for texts. */
import { Effect } from "effect"
import { openai as wire } from "../../wire/embeddings/server/openai.js"
import * as Answer from "../http/response.js"
import * as Body from "../http/body.js"
import * as Authentication from "../auth/authenticate.js"
import * as Problem from "../http/error.js"
import type { Handler, GatewayContext } from "../http/context.js"
import { modelFor } from "../http/context.js"
import * as UnsupportedFields from "../chat/unsupportedFields.js"

/** The wires whose embeddings are asked for in OpenAI's own words: there further fields go through as they are. */
const openai: ReadonlySet<string> = new Set(["chat-completions", "responses"])

export const handler = (surroundings: GatewayContext): Handler =>
  Authentication.authenticated(surroundings, (caller) =>
    Effect.gen(function* () {
      const body = yield* Body.read(surroundings.maxBodySize)
      const { model, ...asked } = yield* Effect.mapError(wire.decodeRequest(body), Problem.ofFailure)
      const llm = yield* modelFor(surroundings, caller, model)
      const { extra = {}, ...known } = asked
      const goesThrough = openai.has(llm.info.wire)
      const embedded = Effect.mapError(llm.embed(goesThrough ? asked : known), Problem.ofError)
      const answer = yield* surroundings.running.withinDeadline(embedded)
      return Answer.json(wire.encodeResponse(answer, body), {
        headers: UnsupportedFields.header(goesThrough ? [] : Object.keys(extra))
      })
    })
  )
