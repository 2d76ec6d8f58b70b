/** What a path answers that is there, but not for the method it is asked by. */
import { HttpRouter, HttpServerRequest, HttpServerResponse } from "@effect/platform"
import { Effect } from "effect"
import type { ServerWire } from "../../wire/Wire.js"
import * as Problem from "./error.js"
import type { Router } from "./context.js"

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
export const refusing = (
  routers: ReadonlyArray<Router>,
  errorAt: (path: string) => ServerWire["encodeError"]
): Router =>
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
