/** Routers: one module, since those of Effect 4 have another form. */
import type { HttpApp, HttpMethod } from "@effect/platform"
import { HttpRouter } from "@effect/platform"
import type { Scope } from "effect"
import { Effect } from "effect"

export type Router = HttpRouter.HttpRouter<never, Scope.Scope>

export interface RoutedApp {
  readonly method: HttpMethod.HttpMethod | "*"
  readonly path: HttpRouter.PathInput
  readonly app: HttpApp.Default<never, HttpRouter.RouteContext | Scope.Scope>
}

export const make = (routes: ReadonlyArray<RoutedApp>): Router =>
  HttpRouter.fromIterable(routes.map(({ app, method, path }) => HttpRouter.makeRoute(method, path, app)))

export interface Address {
  readonly method: HttpMethod.HttpMethod | "*"
  readonly path: HttpRouter.PathInput
}

export const addressesOf = (router: Router): ReadonlyArray<Address> => Array.from(router.routes)

/** Answers by the first router that has a route for the request, or else by another app. */
export const orElse = <R>(
  routers: ReadonlyArray<Router>,
  otherwise: HttpApp.Default<never, R>
): HttpApp.Default<never, Scope.Scope | R> =>
  Effect.catchTag(
    routers.reduce((all, router) => HttpRouter.concat(all, router)),
    "RouteNotFound",
    () => otherwise
  )
