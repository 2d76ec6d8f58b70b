/** All routes of the gateway: those of the protocols and of the administration, optional ones, and the routers of the options. */
import type { HttpApp, HttpRouter } from "@effect/platform"
import { HttpServerRequest, HttpServerResponse } from "@effect/platform"
import type { Scope } from "effect"
import { Effect } from "effect"
import type { ServerWire } from "../../wire/Wire.js"
import * as Chat from "../chat/handler.js"
import * as Protocol from "../chat/protocols.js"
import { encodeError as encodeSimpleError } from "../compat/response.js"
import * as Embeddings from "../routes/embeddings.js"
import * as Models from "../routes/models.js"
import type { Route, Router, GatewayContext } from "./context.js"
import * as Admin from "../routes/admin.js"
import * as CountTokens from "../routes/countTokens.js"
import * as Documents from "../routes/openapi/documents.js"
import * as Levels from "../routes/levels.js"
import * as Responses from "../responses/routes.js"
import * as Metrics from "../routes/metrics.js"
import * as AccessLog from "../../telemetry/AccessLog.js"
import { addressOf } from "./address.js"
import * as HttpErrors from "./error.js"
import * as Routers from "./router.js"
import * as HotApp from "./hotApp.js"
import type { HotRoute } from "./hotRoute.js"

/** Encodes the errors of a route by its protocol. A defect is logged, and answered with an internal error. */
const appOf = ({ encodeError, handler }: Route): HttpApp.Default<never, HttpRouter.RouteContext | Scope.Scope> => {
  const responseOf = (error: HttpErrors.HttpError) =>
    Effect.map(AccessLog.requestId, (requestId) => HttpErrors.response(encodeError, error, { requestId }))
  return handler.pipe(
    Effect.catchAll((error) => Effect.zipRight(HttpErrors.record(error), responseOf(error))),
    Effect.catchAllDefect((defect) =>
      Effect.zipRight(
        Effect.logError("unexpected error while handling a request", defect),
        responseOf(HttpErrors.internal)
      )
    )
  )
}

const routerOf = (routes: ReadonlyArray<Route>): Router =>
  Routers.make(routes.map((route) => ({ method: route.method, path: route.path, app: appOf(route) })))

const openaiError = Protocol.chatCompletions.wire.encodeError

/** The hot routes of the protocols. */
const protocolRoutes = (context: GatewayContext): ReadonlyArray<HotRoute> => [
  Chat.route(context, Protocol.chatCompletions),
  Chat.route(context, Protocol.responses),
  Chat.route(context, Protocol.anthropic),
  Embeddings.route(context),
  CountTokens.route(context)
]

const models = (context: GatewayContext): ReadonlyArray<Route> => [
  { method: "GET", path: "/v1/models", handler: Models.list(context), encodeError: openaiError },
  { method: "GET", path: "/v1/models/*", handler: Models.get(context), encodeError: openaiError }
]

const responses = (context: GatewayContext): ReadonlyArray<Route> =>
  Responses.routes(context).map((route) => ({ ...route, encodeError: Protocol.responses.wire.encodeError }))

const admin = (context: GatewayContext): ReadonlyArray<Route> =>
  Admin.routes(context).map((route) => ({ ...route, encodeError: openaiError }))

export const metrics = (context: GatewayContext, options: Metrics.Options): Effect.Effect<Route> =>
  Effect.map(Levels.make(context), (recordLevels) => ({
    method: "GET",
    path: "/metrics",
    handler: Metrics.handler(context, options, recordLevels),
    encodeError: openaiError
  }))

export const documents: Effect.Effect<ReadonlyArray<Route>> = Effect.map(Documents.make, (routes) =>
  routes.map((route) => ({ ...route, encodeError: openaiError }))
)

/** The methods of each path, except for routes that accept all methods. */
const methodsByPath = (routers: ReadonlyArray<Router>): ReadonlyMap<HttpRouter.PathInput, ReadonlyArray<string>> => {
  const byPath = new Map<HttpRouter.PathInput, ReadonlyArray<string>>()
  for (const { method, path } of routers.flatMap(Routers.addressesOf)) {
    if (method !== "*") byPath.set(path, [...new Set([...(byPath.get(path) ?? []), method])])
  }
  return byPath
}

/** HEAD comes with GET, and OPTIONS with every path: RFC 9110, 9.3.2 and 9.3.7. */
const allowHeader = (methods: ReadonlyArray<string>): string =>
  [...methods, ...(methods.includes("GET") ? ["HEAD"] : []), "OPTIONS"].join(", ")

/**
 * Routes for all methods of the paths of these routers, as a fallback of the routers themselves: OPTIONS is answered with the
 * allowed methods, and any other method with a 405.
 */
const methodNotAllowed = (routers: ReadonlyArray<Router>): Router =>
  Routers.make(
    Array.from(methodsByPath(routers), ([path, methods]) => ({
      method: "*",
      path,
      app: Effect.map(HttpServerRequest.HttpServerRequest, ({ method, url }) => {
        const allow = allowHeader(methods)
        const requested = url.split("?")[0] ?? ""
        return method === "OPTIONS"
          ? HttpServerResponse.empty({ headers: { allow } })
          : HttpErrors.response(encoderAt(requested), HttpErrors.methodNotAllowed(method, requested, methods, allow))
      })
    }))
  )

/** The error format of the protocol that a path belongs to. */
const encoderAt = (path: string): ServerWire["encodeError"] => {
  if (path.startsWith("/llm/")) return encodeSimpleError
  return path.startsWith(Protocol.anthropic.path) ? Protocol.anthropic.wire.encodeError : openaiError
}

const notFound = Effect.map(HttpServerRequest.HttpServerRequest, ({ method, url }) => {
  const path = url.split("?")[0] ?? ""
  return HttpErrors.response(encoderAt(path), HttpErrors.notFound(method, path))
})

/** Whether one of the routers has a route for a method and path, such as `/ready` or `/docs`. */
const takenBy = (routers: ReadonlyArray<Router>) => {
  const taken = new Set(routers.flatMap(Routers.addressesOf).map(({ method, path }) => `${method} ${path}`))
  return (method: string, path: string): boolean => taken.has(`${method} ${path}`) || taken.has(`* ${path}`)
}

export interface OptionalRoutes {
  readonly hot: ReadonlyArray<HotRoute>
  readonly others: ReadonlyArray<Route>
}

export interface Routes {
  readonly app: HttpApp.Default<never, Scope.Scope>
  /** The routes of `app` that a server can serve by itself. */
  readonly hot: ReadonlyArray<HotRoute>
  /** Whether the program has a route of its own for a method and path. */
  readonly isTaken: (method: string, path: string) => boolean
}

/** A route of `extraRouters` replaces the one of the same method and path in `optionalRoutes`. */
export const make = (
  context: GatewayContext,
  optionalRoutes: OptionalRoutes,
  extraRouters: ReadonlyArray<Router>
): Routes => {
  const isTaken = takenBy(extraRouters)
  const hot = [...protocolRoutes(context), ...optionalRoutes.hot.filter(({ path }) => !isTaken("POST", path))]
  const others = optionalRoutes.others.filter(({ method, path }) => !isTaken(method, path))
  const own = [
    Routers.make(hot.map((route) => ({ method: "POST", path: route.path, app: HotApp.make(context, route) }))),
    routerOf([...models(context), ...responses(context), ...admin(context), ...others])
  ]
  const refused = Routers.orElse([methodNotAllowed([...own, ...extraRouters])], notFound)
  const ownAddressed = Routers.orElse(own, refused)
  return {
    hot,
    isTaken,
    app: Routers.orElse(
      [...own, ...extraRouters],
      Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) => {
        const [path = "", query = ""] = request.url.split(/(?=\?)/)
        const address = addressOf(path)
        return address === undefined
          ? refused
          : Effect.provideService(
              ownAddressed,
              HttpServerRequest.HttpServerRequest,
              request.modify({ url: `${address.path}${query}` })
            )
      })
    )
  }
}
