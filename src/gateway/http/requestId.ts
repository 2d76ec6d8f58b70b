/** What every response has: the id of its request, security headers, and CORS headers where they are configured. */
import type { HttpApp } from "@effect/platform"
import { Headers, HttpMiddleware, HttpServerRequest, HttpServerResponse } from "@effect/platform"
import { Effect } from "effect"
import { randomUUID } from "node:crypto"
import * as AccessLog from "../../telemetry/AccessLog.js"
import type { RequestHeaders, ResponseHeaders } from "./exchange.js"
import { header } from "./exchange.js"

/** From OWASP's "REST Security Cheat Sheet" for responses that are not HTML. A page sets its own. */
const securityHeaders = {
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY",
  "referrer-policy": "no-referrer",
  "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
  "cache-control": "no-store"
}

/** Whether an id is safe in headers and logs. */
const isSafeId = (id: string): boolean => /^[\w.:/+=-]{1,128}$/.test(id)

/** The client's own id of a request, or a new one. */
export const idOf = (headers: RequestHeaders): string => {
  const sent = header(headers, "x-request-id")
  return sent !== undefined && isSafeId(sent) ? sent : `req_${randomUUID().replaceAll("-", "")}`
}

/** The log annotation with the id of a request. */
export const annotation = "request_id"

/** The headers of a response with the id of its request, and the security headers that it does not set itself. */
export const headersWith = (id: string, headers: ResponseHeaders): ResponseHeaders => ({
  ...securityHeaders,
  ...headers,
  "x-request-id": id
})

/** Adds the request id to the response, the logs and the access log, and the security headers. */
export const withRequestId = <E, R>(app: HttpApp.Default<E, R>): HttpApp.Default<E, R> =>
  Effect.flatMap(HttpServerRequest.HttpServerRequest, ({ headers }) => {
    const id = idOf(headers)
    return Effect.map(Effect.annotateLogs(AccessLog.withRequestId(app, id), annotation, id), (response) =>
      HttpServerResponse.setHeaders(response, Headers.unsafeFromRecord(headersWith(id, response.headers)))
    )
  })

/** Which origins of web pages can call the gateway. */
export type Cors = NonNullable<Parameters<typeof HttpMiddleware.cors>[0]>

export const withCors = (cors: Cors | undefined): (<E, R>(app: HttpApp.Default<E, R>) => HttpApp.Default<E, R>) =>
  cors === undefined ? (app) => app : HttpMiddleware.cors(cors)
