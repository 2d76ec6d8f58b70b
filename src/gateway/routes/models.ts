/** The models that a client may ask, as OpenAI and Anthropic list them. */
import { HttpRouter, HttpServerRequest } from "@effect/platform"
import { Effect } from "effect"
import type { Listed } from "../../models/model.js"
import * as Answer from "../http/response.js"
import type { Caller } from "../auth/model.js"
import * as Authentication from "../auth/authenticate.js"
import * as Problem from "../http/error.js"
import type { Handler, GatewayContext } from "../http/context.js"
import { namesOf } from "../http/context.js"

interface Entry {
  readonly id: string
  readonly owner: string
  readonly contextWindow: number
}

/** Every model and every group by its full name and by its aliases, as far as the client may ask it. */
const entriesFor = (list: ReadonlyArray<Listed>, caller: Caller): ReadonlyArray<Entry> =>
  list.flatMap(({ aliases, contextWindow, members, model, name, provider }) =>
    [name, ...aliases]
      .filter((id) => caller.allows(members === undefined ? [id, name, model] : [id, name]))
      .map((id) => ({ id, owner: members === undefined ? provider : "effect-llm", contextWindow }))
  )

/** OpenAI, API reference: models/object. The size of the window is a word of others. */
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

/** Both list their models at the same path: Anthropic's clients say their version. */
const speaksAnthropic = Effect.map(
  HttpServerRequest.HttpServerRequest,
  ({ headers }) => headers["anthropic-version"] !== undefined
)

export const list = (surroundings: GatewayContext): Handler =>
  Authentication.authenticated(surroundings, (caller) =>
    Effect.map(speaksAnthropic, (isAnthropic) => {
      const entries = entriesFor(surroundings.models.list, caller)
      return Answer.json(
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

/** One model, by any name that a request may have for it. */
export const get = (surroundings: GatewayContext): Handler =>
  Authentication.authenticated(surroundings, (caller) =>
    Effect.gen(function* () {
      const { params } = yield* HttpRouter.RouteContext
      const id = params["*"] ?? ""
      const { info } = yield* Effect.mapError(surroundings.models.get(id), () => Problem.unknownModel(id))
      if (!caller.allows(namesOf(surroundings.models, id, info))) {
        return yield* Effect.fail(Problem.unknownModel(id))
      }
      const entry = { id, owner: info.provider, contextWindow: info.contextWindow }
      return Answer.json((yield* speaksAnthropic) ? anthropic(entry) : openai(entry))
    })
  )
