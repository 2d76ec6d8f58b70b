/** What every answer has, and what every request is given: an id, and headers that keep browsers from making more of it. */
import type { HttpApp } from "@effect/platform"
import { Headers, HttpMiddleware, HttpServerRequest, HttpServerResponse } from "@effect/platform"
import { Effect } from "effect"
import { randomUUID } from "node:crypto"
import * as AccessLog from "../../telemetry/AccessLog.js"

/** What OWASP's "REST Security Cheat Sheet" asks of answers that are not for browsers. A page of ours says otherwise itself. */
const security = Headers.fromInput({
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY",
  "referrer-policy": "no-referrer",
  "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
  "cache-control": "no-store"
})

/** An id that may be repeated in headers and logs as it is. */
const isGoodId = (id: string): boolean => /^[\w.:/+=-]{1,128}$/.test(id)

/**
 * The client's own id for its request, or a new one, told in the answer and known to the access log; and the headers above, where
 * the answer has not set them itself.
 */
export const wrapped = <E, R>(app: HttpApp.Default<E, R>): HttpApp.Default<E, R> =>
  Effect.flatMap(HttpServerRequest.HttpServerRequest, ({ headers }) => {
    const given = headers["x-request-id"]
    const id = given !== undefined && isGoodId(given) ? given : `req_${randomUUID().replaceAll("-", "")}`
    return Effect.map(Effect.annotateLogs(AccessLog.withRequestId(app, id), "request_id", id), (response) =>
      HttpServerResponse.setHeaders(
        response,
        Headers.unsafeFromRecord({ ...security, ...response.headers, "x-request-id": id })
      )
    )
  })

/** Which pages of other origins may ask. */
export type Cors = NonNullable<Parameters<typeof HttpMiddleware.cors>[0]>

export const shared = (cors: Cors | undefined): (<E, R>(app: HttpApp.Default<E, R>) => HttpApp.Default<E, R>) =>
  cors === undefined ? (app) => app : HttpMiddleware.cors(cors)
