/**
 * Everything that the gateway answers, one list of routes after the other. What belongs to a gateway and is not here yet (metrics,
 * the documents that describe it, pages for people) is another list.
 */
import type { HttpApp } from "@effect/platform"
import { HttpRouter, HttpServerRequest, HttpServerResponse } from "@effect/platform"
import type { Scope } from "effect"
import { Effect } from "effect"
import type { ServerWire } from "../../wire/Wire.js"
import * as Chat from "../chat/handler.js"
import * as Protocol from "../chat/protocols.js"
import { encodeError as encodeSimpleError } from "../compat/error.js"
import * as Embeddings from "../routes/embeddings.js"
import * as Models from "../routes/models.js"
import type { Route, Router, GatewayContext } from "./context.js"
import * as Admin from "../routes/admin.js"
import * as CountTokens from "../routes/countTokens.js"
import * as Documents from "../routes/openapi/documents.js"
import * as Metrics from "../routes/metrics.js"
import * as Problem from "./error.js"

/** A route's failures in the words of its protocol. A defect is told in the log, and to the client that there was one. */
const answered = ({ encodeError, handler }: Route): HttpApp.Default<never, HttpRouter.RouteContext | Scope.Scope> =>
  handler.pipe(
    Effect.catchAll((problem) => Effect.as(Problem.logged(problem), Problem.response(encodeError, problem))),
    Effect.catchAllDefect((defect) =>
      Effect.as(Effect.logError("a request died", defect), Problem.response(encodeError, Problem.internal))
    )
  )

const routerOf = (routes: ReadonlyArray<Route>): Router =>
  HttpRouter.fromIterable(routes.map((route) => HttpRouter.makeRoute(route.method, route.path, answered(route))))

const asked = (context: GatewayContext, protocol: Protocol.Protocol): Route => ({
  method: "POST",
  path: protocol.path,
  handler: Chat.handler(context, protocol),
  encodeError: protocol.wire.encodeError
})

const openaiError = Protocol.chatCompletions.wire.encodeError

const openai = (context: GatewayContext): ReadonlyArray<Route> => [
  asked(context, Protocol.chatCompletions),
  asked(context, Protocol.responses),
  { method: "POST", path: "/v1/embeddings", handler: Embeddings.handler(context), encodeError: openaiError },
  { method: "GET", path: "/v1/models", handler: Models.list(context), encodeError: openaiError },
  { method: "GET", path: "/v1/models/*", handler: Models.get(context), encodeError: openaiError }
]

const anthropic = (context: GatewayContext): ReadonlyArray<Route> => [
  asked(context, Protocol.anthropic),
  {
    method: "POST",
    path: "/v1/messages/count_tokens",
    handler: CountTokens.handler(context),
    encodeError: Protocol.anthropic.wire.encodeError
  }
]

const admin = (context: GatewayContext): ReadonlyArray<Route> =>
  Admin.routes(context).map((route) => ({ ...route, encodeError: openaiError }))

export const metrics = (context: GatewayContext, options: Metrics.Options): Route => ({
  method: "GET",
  path: "/metrics",
  handler: Metrics.handler(context, options),
  encodeError: openaiError
})

export const documents: Effect.Effect<ReadonlyArray<Route>> = Effect.map(Documents.make, (routes) =>
  routes.map((route) => ({ ...route, encodeError: openaiError }))
)

/** The methods of each path. One that takes all of them is never refused, and is left out. */
const methodsByPath = (routers: ReadonlyArray<Router>): ReadonlyMap<HttpRouter.PathInput, ReadonlyArray<string>> => {
  const known = new Map<HttpRouter.PathInput, ReadonlyArray<string>>()
  for (const { method, path } of routers.flatMap(({ routes }) => Array.from(routes))) {
    if (method !== "*") known.set(path, [...new Set([...(known.get(path) ?? []), method])])
  }
  return known
}

/** Who may be asked for what it has may be asked for its headers, and everything for what it takes: RFC 9110, 9.3.2 and 9.3.7. */
const allowed = (methods: ReadonlyArray<string>): string =>
  [...methods, ...(methods.includes("GET") ? ["HEAD"] : []), "OPTIONS"].join(", ")

/**
 * The paths of these routers, each for all methods: OPTIONS is told which there are, any other is refused with them. To be asked
 * where the routers themselves have nothing.
 */
const refusing = (routers: ReadonlyArray<Router>, errorAt: (path: string) => ServerWire["encodeError"]): Router =>
  HttpRouter.fromIterable(
    Array.from(methodsByPath(routers), ([path, methods]) =>
      HttpRouter.makeRoute(
        "*",
        path,
        Effect.map(HttpServerRequest.HttpServerRequest, ({ method, url }) => {
          const allow = allowed(methods)
          const asked = url.split("?")[0] ?? ""
          return method === "OPTIONS"
            ? HttpServerResponse.empty({ headers: { allow } })
            : Problem.response(errorAt(asked), Problem.methodNotAllowed(method, asked, methods, allow))
        })
      )
    )
  )

const lists = [openai, anthropic, admin]

/** In the words of the protocol whose paths it looks like. */
const errorAt = (path: string): ServerWire["encodeError"] => {
  if (path.startsWith("/llm/")) return encodeSimpleError
  return path.startsWith(Protocol.anthropic.path) ? Protocol.anthropic.wire.encodeError : openaiError
}

/** Whoever asks for what is not there is told so. */
const nowhere = Effect.map(HttpServerRequest.HttpServerRequest, ({ method, url }) => {
  const path = url.split("?")[0] ?? ""
  return Problem.response(errorAt(path), Problem.notFound(method, path))
})

/** What `further` routes say of a path of those `beside` the protocols, such as `/ready` or `/docs`, is what counts. */
const without = (further: ReadonlyArray<Router>, beside: ReadonlyArray<Route>): ReadonlyArray<Route> => {
  const taken = new Set(further.flatMap(({ routes }) => Array.from(routes, ({ method, path }) => `${method} ${path}`)))
  return beside.filter(({ method, path }) => !taken.has(`${method} ${path}`) && !taken.has(`* ${path}`))
}

/** All routes: those of the protocols and of the administration, those `beside` them, and `further` ones. */
export const make = (
  context: GatewayContext,
  beside: ReadonlyArray<Route>,
  further: ReadonlyArray<Router>
): HttpApp.Default<never, Scope.Scope> => {
  const own = routerOf([...lists.flatMap((list) => list(context)), ...without(further, beside)])
  const refused = Effect.catchTag(refusing([own, ...further], errorAt), "RouteNotFound", () => nowhere)
  return Effect.catchTag(HttpRouter.concatAll(own, ...further), "RouteNotFound", () => refused)
}
