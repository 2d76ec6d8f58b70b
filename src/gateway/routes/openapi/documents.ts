/** The routes of the OpenAPI document and its page. They contain no secrets, and need no key. */
import { HttpServerResponse } from "@effect/platform"
import { Effect } from "effect"
import * as DocsPage from "./docsPage.js"
import * as OpenApiDocument from "./openapi.js"
import type { Handler } from "../../http/context.js"

interface DocumentRoute {
  readonly method: "GET"
  readonly path: "/openapi.json" | "/docs"
  readonly handler: Handler
}

/** Both are made on the first request, and cached. */
export const make: Effect.Effect<ReadonlyArray<DocumentRoute>> = Effect.gen(function* () {
  const specification = yield* Effect.cached(Effect.sync(OpenApiDocument.document))
  const json = yield* Effect.cached(Effect.map(specification, (made) => JSON.stringify(made)))
  const page = yield* Effect.cached(Effect.map(specification, DocsPage.render))
  const headers = { "cache-control": "no-cache" }
  return [
    {
      method: "GET",
      path: "/openapi.json",
      handler: Effect.map(json, (text) => HttpServerResponse.text(text, { contentType: "application/json", headers }))
    },
    {
      method: "GET",
      path: "/docs",
      handler: Effect.map(page, (text) =>
        HttpServerResponse.text(text, {
          contentType: "text/html; charset=utf-8",
          headers: { ...headers, "content-security-policy": DocsPage.contentSecurityPolicy }
        })
      )
    }
  ]
})
