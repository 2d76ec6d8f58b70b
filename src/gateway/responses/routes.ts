/** The routes of stored answers: `/v1/responses/{id}`, its input items, and its cancellation. OpenAI, API reference: responses. */
import { HttpRouter, HttpServerRequest } from "@effect/platform"
import { Effect } from "effect"
import type { Json } from "../../wire/json.js"
import { records, string } from "../../wire/json.js"
import * as Authentication from "../auth/authenticate.js"
import type { Caller } from "../auth/model.js"
import type { GatewayContext, Handler, Route } from "../http/context.js"
import * as HttpErrors from "../http/error.js"
import * as JsonResponse from "../http/response.js"
import * as Background from "./background.js"
import type { Stored, StoredResponses } from "./model.js"
import { keyOf, outputItems } from "./model.js"
import { find, inputOf, stored } from "./references.js"

type Result<A> = Effect.Effect<A, HttpErrors.HttpError>

/** Runs for an answer of the caller. */
const withAnswer = (
  context: GatewayContext,
  use: (
    responses: StoredResponses,
    caller: Caller,
    id: string,
    found: Stored,
    params: URLSearchParams
  ) => Result<unknown>
): Handler =>
  Authentication.authenticated(context, (caller) =>
    Effect.gen(function* () {
      const { responses } = context
      if (responses === undefined) {
        return yield* Effect.fail(HttpErrors.noResponseStore("Reading a response by its id", "response_id"))
      }
      const { params } = yield* HttpRouter.RouteContext
      const { url } = yield* HttpServerRequest.HttpServerRequest
      const id = params["id"] ?? ""
      const found = yield* find(responses.store, caller.id, id)
      if (found === undefined) return yield* Effect.fail(HttpErrors.unknownResponse(id))
      const query = new URL(url, "http://localhost").searchParams
      return JsonResponse.json(yield* use(responses, caller, id, found, query))
    })
  )

const get = (context: GatewayContext): Handler =>
  withAnswer(context, (responses, caller, id, found, params) =>
    params.get("stream") === "true"
      ? Effect.fail(
          HttpErrors.invalid(
            "A stored response cannot be streamed. Ask for it without 'stream', until its status is final.",
            "stream"
          )
        )
      : Effect.map(Background.current(responses, caller.id, id, found), ({ response }) => response)
  )

/** Stops a call in the background, whose answer would be stored again. */
const remove = (context: GatewayContext): Handler =>
  withAnswer(context, (responses, caller, id, found) =>
    Effect.gen(function* () {
      const { store } = responses
      const { response } = yield* Background.cancel(responses, caller.id, id, found)
      yield* stored(store.remove(keyOf(caller.id, "response", id)))
      yield* Effect.forEach(outputItems({ response }), (item) =>
        stored(store.remove(keyOf(caller.id, "item", string(item, "id") ?? "")))
      )
      return { id, object: "response", deleted: true }
    })
  )

const cancel = (context: GatewayContext): Handler =>
  withAnswer(context, (responses, caller, id, found) =>
    found.response["background"] === true
      ? Effect.map(Background.cancel(responses, caller.id, id, found), ({ response }) => response)
      : Effect.fail(
          HttpErrors.invalid(
            "Only a response that was created with 'background: true' can be cancelled.",
            "response_id"
          )
        )
  )

const maxLimit = 100

/** Fields that items have in lists, beside those that clients send. */
const listed = (id: string, item: Json, index: number): Json => {
  const type = item["type"] ?? "message"
  const { content } = item
  return {
    id: `${type === "message" ? "msg" : "item"}_${id.replace(/^resp_/, "")}_in_${index}`,
    type,
    status: "completed",
    ...item,
    ...(type === "message" && typeof content === "string"
      ? { content: [{ type: item["role"] === "assistant" ? "output_text" : "input_text", text: content }] }
      : type === "message"
        ? { content: records(item, "content") }
        : {})
  }
}

const inputItems = (context: GatewayContext): Handler =>
  withAnswer(context, ({ store }, caller, id, found, params) =>
    Effect.gen(function* () {
      const sent = params.get("limit") ?? "20"
      const limit = /^\d+$/.test(sent) ? Number(sent) : 0
      if (limit < 1 || limit > maxLimit) {
        return yield* Effect.fail(
          HttpErrors.invalid(`Invalid value for 'limit': expected a whole number from 1 to ${maxLimit}.`, "limit")
        )
      }
      const order = params.get("order") ?? "desc"
      if (order !== "asc" && order !== "desc") {
        return yield* Effect.fail(HttpErrors.invalid("Invalid value for 'order': expected 'asc' or 'desc'.", "order"))
      }
      const all = (yield* inputOf(store, caller.id, found)).map((item, index) => listed(id, item, index))
      const items = order === "asc" ? all : all.toReversed()
      const after = params.get("after")
      const position = after === null ? -1 : items.findIndex((item) => item["id"] === after)
      if (after !== null && position === -1) {
        return yield* Effect.fail(
          HttpErrors.invalid("Invalid value for 'after': expected the id of an item in the list.", "after")
        )
      }
      const data = items.slice(position + 1, position + 1 + limit)
      return {
        object: "list",
        data,
        first_id: data[0]?.["id"] ?? null,
        last_id: data.at(-1)?.["id"] ?? null,
        has_more: position + 1 + limit < items.length
      }
    })
  )

export const routes = (context: GatewayContext): ReadonlyArray<Omit<Route, "encodeError">> => [
  { method: "GET", path: "/v1/responses/:id", handler: get(context) },
  { method: "DELETE", path: "/v1/responses/:id", handler: remove(context) },
  { method: "POST", path: "/v1/responses/:id/cancel", handler: cancel(context) },
  { method: "GET", path: "/v1/responses/:id/input_items", handler: inputItems(context) }
]
