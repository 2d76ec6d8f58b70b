/** What every response has: the id of its request, security headers, and CORS headers where they are configured. */
import type { HttpApp } from "@effect/platform"
import { Headers, HttpMiddleware, HttpServerRequest, HttpServerResponse } from "@effect/platform"
import { Effect } from "effect"
import { randomUUID } from "node:crypto"
import * as AccessLog from "../../telemetry/AccessLog.js"

/** From OWASP's "REST Security Cheat Sheet" for responses that are not HTML. A page sets its own. */
const securityHeaders = Headers.fromInput({
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY",
  "referrer-policy": "no-referrer",
  "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
  "cache-control": "no-store"
})

/** Whether an id is safe in headers and logs. */
const isSafeId = (id: string): boolean => /^[\w.:/+=-]{1,128}$/.test(id)

/**
 * Adds the request id (the client's own, or a new one) to the response, the logs and the access log, and the security headers
 * that the response does not set itself.
 */
export const withRequestId = <E, R>(app: HttpApp.Default<E, R>): HttpApp.Default<E, R> =>
  Effect.flatMap(HttpServerRequest.HttpServerRequest, ({ headers }) => {
    const sent = headers["x-request-id"]
    const id = sent !== undefined && isSafeId(sent) ? sent : `req_${randomUUID().replaceAll("-", "")}`
    return Effect.map(Effect.annotateLogs(AccessLog.withRequestId(app, id), "request_id", id), (response) =>
      HttpServerResponse.setHeaders(
        response,
        Headers.unsafeFromRecord({ ...securityHeaders, ...response.headers, "x-request-id": id })
      )
    )
  })

/** Which origins of web pages can call the gateway. */
export type Cors = NonNullable<Parameters<typeof HttpMiddleware.cors>[0]>

export const withCors = (cors: Cors | undefined): (<E, R>(app: HttpApp.Default<E, R>) => HttpApp.Default<E, R>) =>
  cors === undefined ? (app) => app : HttpMiddleware.cors(cors)
