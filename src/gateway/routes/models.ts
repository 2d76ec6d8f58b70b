/** The models that a client can use, in the formats of OpenAI and Anthropic. */
import { HttpRouter, HttpServerRequest } from "@effect/platform"
import { Effect, Either } from "effect"
import type { Listed } from "../../models/model.js"
import * as JsonResponse from "../http/response.js"
import type { Caller } from "../auth/model.js"
import * as Authentication from "../auth/authenticate.js"
import * as HttpErrors from "../http/error.js"
import type { Handler, GatewayContext } from "../http/context.js"
import { accessNames } from "../http/context.js"
import { fromEither } from "../../internal/asEffect.js"

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

const defaultLimit = 20
const maxLimit = 1000

interface Page {
  readonly entries: ReadonlyArray<Entry>
  readonly hasMore: boolean
}

const invalidParam = (name: string, expected: string): Either.Either<never, HttpErrors.HttpError> =>
  Either.left(HttpErrors.invalid(`Invalid value for '${name}': expected ${expected}.`, name))

/**
 * The page after `after_id`, or the one before `before_id`; the first without them. `has_more` is about the direction of the page.
 * Anthropic, API reference: models/list.
 */
const pageOf = (entries: ReadonlyArray<Entry>, params: URLSearchParams): Either.Either<Page, HttpErrors.HttpError> => {
  const [sent, after, before] = [params.get("limit"), params.get("after_id"), params.get("before_id")]
  const limit = sent === null ? defaultLimit : /^\d+$/.test(sent) ? Number(sent) : 0
  if (limit < 1 || limit > maxLimit) return invalidParam("limit", `a whole number from 1 to ${maxLimit}`)
  if (after !== null && before !== null) return invalidParam("before_id", "no cursor beside 'after_id'")
  const cursor = after ?? before
  const position = cursor === null ? -1 : entries.findIndex(({ id }) => id === cursor)
  if (cursor !== null && position === -1) {
    return invalidParam(after === null ? "before_id" : "after_id", "the id of a model in the list")
  }
  const start = before === null ? position + 1 : Math.max(0, position - limit)
  const end = before === null ? start + limit : position
  return Either.right({
    entries: entries.slice(start, end),
    hasMore: before === null ? end < entries.length : start > 0
  })
}

/** Both protocols list models at the same path; only Anthropic's clients send their version. */
const isAnthropicClient = Effect.map(
  HttpServerRequest.HttpServerRequest,
  ({ headers }) => headers["anthropic-version"] !== undefined
)

export const list = (context: GatewayContext): Handler =>
  Authentication.authenticated(context, (caller) =>
    Effect.gen(function* () {
      const entries = entriesFor(context.models.list, caller)
      if (!(yield* isAnthropicClient)) return JsonResponse.json({ object: "list", data: entries.map(openai) })
      const { url } = yield* HttpServerRequest.HttpServerRequest
      const page = yield* fromEither(pageOf(entries, new URL(url, "http://localhost").searchParams))
      return JsonResponse.json({
        data: page.entries.map(anthropic),
        has_more: page.hasMore,
        first_id: page.entries[0]?.id ?? null,
        last_id: page.entries.at(-1)?.id ?? null
      })
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
