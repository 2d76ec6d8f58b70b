/** Routers. */
import type { Scope } from "effect"
import { Context, Effect, Tracer } from "effect"
import type { HttpMethod, HttpServerResponse } from "effect/http"
import { FindMyWay, HttpRouter, HttpServerRequest } from "effect/http"

type Handler<R> = Effect.Effect<HttpServerResponse.HttpServerResponse, never, R>

type InRoute = HttpServerRequest.HttpServerRequest | HttpRouter.RouteContext | Scope.Scope

/** The routes of `HttpRouter.route`. */
export type Router = ReadonlyArray<HttpRouter.Route<never, InRoute>>

export interface RoutedApp {
  readonly method: HttpMethod.HttpMethod | "*"
  readonly path: HttpRouter.PathInput
  readonly app: Handler<InRoute>
}

export const make = (routes: ReadonlyArray<RoutedApp>): Router =>
  routes.map(({ app, method, path }) => HttpRouter.route(method, path, app))

export interface Address {
  readonly method: HttpMethod.HttpMethod | "*"
  readonly path: HttpRouter.PathInput
}

export const addressesOf = (router: Router): ReadonlyArray<Address> => router

/** Answers by the first router that has a route for the request, or else by another app. */
export const orElse = <R>(
  routers: ReadonlyArray<Router>,
  otherwise: Handler<R>
): Handler<HttpServerRequest.HttpServerRequest | Scope.Scope | R> => {
  const known = FindMyWay.make<Router[number]>()
  const taken = new Set<string>()
  for (const route of routers.flat()) {
    // A rest can be empty.
    const paths: ReadonlyArray<HttpRouter.PathInput> = route.path.endsWith("/*")
      ? [route.path, `/${route.path.slice(1, -2)}`]
      : [route.path]
    for (const path of paths) {
      if (taken.has(`${route.method} ${path}`)) continue
      taken.add(`${route.method} ${path}`)
      if (route.method === "*") known.all(path, route)
      else known.on(route.method, path, route)
    }
  }
  return Effect.flatMap(
    HttpServerRequest.HttpServerRequest,
    (request): Handler<HttpServerRequest.HttpServerRequest | Scope.Scope | R> => {
      const { method, url } = request
      const found = known.find(method, url) ?? (method === "HEAD" ? known.find("GET", url) : undefined)
      if (found === undefined) return otherwise
      const { handler: route, params, searchParams } = found
      return Effect.flatMap(Effect.serviceOption(Tracer.ParentSpan), (span) => {
        if (span._tag === "Some" && span.value._tag === "Span") span.value.attribute("http.route", route.path)
        // The app of a server runs where it cannot be interrupted.
        return (route.uninterruptible ? route.handler : Effect.interruptible(route.handler)).pipe(
          Effect.provideContext(
            Context.make(HttpRouter.RouteContext, { params, route }).pipe(
              Context.add(HttpServerRequest.ParsedSearchParams, searchParams)
            )
          )
        )
      })
    }
  )
}
