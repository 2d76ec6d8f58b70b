/**
 * Everything that the gateway answers, one list of routes after the other. What belongs to a gateway and is not here yet (metrics,
 * the documents that describe it, pages for people) is another list.
 */
import type { HttpApp, HttpMethod } from "@effect/platform"
import { HttpRouter, HttpServerRequest } from "@effect/platform"
import type { Scope } from "effect"
import { Effect } from "effect"
import type { ServerWire } from "../wire/Wire.js"
import * as Admin from "./admin.js"
import * as Chat from "./chat.js"
import * as CountTokens from "./countTokens.js"
import * as Embeddings from "./embeddings.js"
import * as Models from "./models.js"
import * as Problem from "./problem.js"
import * as Protocol from "./protocol.js"
import type { Handler, Surroundings } from "./surroundings.js"

export type Router = HttpRouter.HttpRouter<never, Scope.Scope>

interface Route {
  readonly method: HttpMethod.HttpMethod
  readonly path: HttpRouter.PathInput
  readonly handler: Handler
  /** How its failures are written. */
  readonly encodeError: ServerWire["encodeError"]
}

/** A route's failures in the words of its protocol. A defect is told in the log, and to the client that there was one. */
const answered = ({ encodeError, handler }: Route): HttpApp.Default<never, HttpRouter.RouteContext | Scope.Scope> =>
  handler.pipe(
    Effect.catchAll((problem) => Effect.succeed(Problem.response(encodeError, problem))),
    Effect.catchAllDefect((defect) =>
      Effect.as(Effect.logError("a request died", defect), Problem.response(encodeError, Problem.internal))
    )
  )

const routerOf = (routes: ReadonlyArray<Route>): Router =>
  HttpRouter.fromIterable(routes.map((route) => HttpRouter.makeRoute(route.method, route.path, answered(route))))

const asked = (surroundings: Surroundings, protocol: Protocol.Protocol): Route => ({
  method: "POST",
  path: protocol.path,
  handler: Chat.handler(surroundings, protocol),
  encodeError: protocol.wire.encodeError
})

const openaiError = Protocol.chatCompletions.wire.encodeError

const openai = (surroundings: Surroundings): ReadonlyArray<Route> => [
  asked(surroundings, Protocol.chatCompletions),
  asked(surroundings, Protocol.responses),
  { method: "POST", path: "/v1/embeddings", handler: Embeddings.handler(surroundings), encodeError: openaiError },
  { method: "GET", path: "/v1/models", handler: Models.list(surroundings), encodeError: openaiError },
  { method: "GET", path: "/v1/models/*", handler: Models.get(surroundings), encodeError: openaiError }
]

const anthropic = (surroundings: Surroundings): ReadonlyArray<Route> => [
  asked(surroundings, Protocol.anthropic),
  {
    method: "POST",
    path: "/v1/messages/count_tokens",
    handler: CountTokens.handler(surroundings),
    encodeError: Protocol.anthropic.wire.encodeError
  }
]

const admin = (surroundings: Surroundings): ReadonlyArray<Route> =>
  Admin.routes(surroundings).map((route) => ({ ...route, encodeError: openaiError }))

const lists = [openai, anthropic, admin]

/** Whoever asks for what is not there is told in the words of the protocol whose paths it looks like. */
const nowhere = Effect.map(HttpServerRequest.HttpServerRequest, ({ method, url }) => {
  const path = url.split("?")[0] ?? ""
  const protocol = path.startsWith(Protocol.anthropic.path) ? Protocol.anthropic : Protocol.chatCompletions
  return Problem.response(protocol.wire.encodeError, Problem.notFound(method, path))
})

/** All routes, and `further` ones. */
export const make = (
  surroundings: Surroundings,
  further: ReadonlyArray<Router>
): HttpApp.Default<never, Scope.Scope> => {
  const own = routerOf(lists.flatMap((list) => list(surroundings)))
  return Effect.catchTag(HttpRouter.concatAll(own, ...further), "RouteNotFound", () => nowhere)
}
