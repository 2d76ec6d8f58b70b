/** The models that a client can use, in the formats of OpenAI and Anthropic. */
import { HttpRouter, HttpServerRequest } from "@effect/platform"
import { Effect } from "effect"
import type { Listed } from "../../models/model.js"
import * as JsonResponse from "../http/response.js"
import type { Caller } from "../auth/model.js"
import * as Authentication from "../auth/authenticate.js"
import * as HttpErrors from "../http/error.js"
import type { Handler, GatewayContext } from "../http/context.js"
import { accessNames } from "../http/context.js"

interface Entry {
  readonly id: string
  readonly owner: string
  readonly contextWindow: number
}

/** Every model and group that the caller can use, once for its full name and once for each alias. */
const entriesFor = (list: ReadonlyArray<Listed>, caller: Caller): ReadonlyArray<Entry> =>
  list.flatMap(({ aliases, contextWindow, members, model, name, provider }) =>
    [name, ...aliases]
      .filter((id) => caller.allows(members === undefined ? [id, name, model] : [id, name]))
      .map((id) => ({ id, owner: members === undefined ? provider : "effect-llm", contextWindow }))
  )

/** OpenAI, API reference: models/object. `context_window` is a field of other providers. */
const openai = ({ contextWindow, id, owner }: Entry) => ({
  id,
  object: "model",
  created: 0,
  owned_by: owner,
  context_window: contextWindow
})

/** Anthropic, API reference: models/list. */
const anthropic = ({ id }: Entry) => ({
  type: "model",
  id,
  display_name: id,
  created_at: "1970-01-01T00:00:00Z"
})

/** Both protocols list models at the same path; only Anthropic's clients send their version. */
const isAnthropicClient = Effect.map(
  HttpServerRequest.HttpServerRequest,
  ({ headers }) => headers["anthropic-version"] !== undefined
)

export const list = (context: GatewayContext): Handler =>
  Authentication.authenticated(context, (caller) =>
    Effect.map(isAnthropicClient, (isAnthropic) => {
      const entries = entriesFor(context.models.list, caller)
      return JsonResponse.json(
        isAnthropic
          ? {
              data: entries.map(anthropic),
              has_more: false,
              first_id: entries[0]?.id ?? null,
              last_id: entries.at(-1)?.id ?? null
            }
          : { object: "list", data: entries.map(openai) }
      )
    })
  )

/** One model, by any of its names. */
export const get = (context: GatewayContext): Handler =>
  Authentication.authenticated(context, (caller) =>
    Effect.gen(function* () {
      const { params } = yield* HttpRouter.RouteContext
      const id = params["*"] ?? ""
      const { info } = yield* Effect.mapError(context.models.get(id), () => HttpErrors.unknownModel(id))
      if (!caller.allows(accessNames(context.models, id, info))) {
        return yield* Effect.fail(HttpErrors.unknownModel(id))
      }
      const entry = { id, owner: info.provider, contextWindow: info.contextWindow }
      return JsonResponse.json((yield* isAnthropicClient) ? anthropic(entry) : openai(entry))
    })
  )
