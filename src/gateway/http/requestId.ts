/** What every response has: the id of its request, security headers, and CORS headers where they are configured. */
import type { HttpApp } from "@effect/platform"
import { Headers, HttpMiddleware, HttpServerRequest, HttpServerResponse } from "@effect/platform"
import { Context, Effect } from "effect"
import { randomUUID } from "node:crypto"
import { changed } from "../../internal/context.js"
import type { StatusOf } from "../../telemetry/callRecord.js"
import { RequestId, ResponseStatus } from "../../telemetry/callRecord.js"
import type { LLMError } from "../../vocabulary/LLMError.js"
import { anthropicOverloadedStatus, statusOf } from "./callErrors.js"
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

/** Whether a request is for a route of Anthropic's protocol. Both protocols list models; only Anthropic's clients send a version. */
export const isAnthropicRequest = (url: string, headers: RequestHeaders): boolean =>
  /^(?:\/v1)?\/messages/.test(url) || (headers["anthropic-version"] !== undefined && /^(?:\/v1)?\/models/.test(url))

/** The headers of a response with the id of its request, and the security headers that it does not set itself. */
export const headersWith = (id: string, isAnthropic: boolean, headers: ResponseHeaders): ResponseHeaders =>
  isAnthropic
    ? // Anthropic's clients read `request-id`.
      { ...securityHeaders, ...headers, "x-request-id": id, "request-id": id }
    : { ...securityHeaders, ...headers, "x-request-id": id }

const responseStatus =
  (overloadedStatus?: number): StatusOf =>
  (error: LLMError | undefined) =>
    error === undefined ? 200 : statusOf(error, overloadedStatus)

const openaiStatus = responseStatus()
const anthropicStatus = responseStatus(anthropicOverloadedStatus)

/** The context of a request: its id, and the statuses of its protocol. */
export const contextOf = (id: string, isAnthropic: boolean): Context.Context<RequestId | ResponseStatus> =>
  Context.make(RequestId, id).pipe(Context.add(ResponseStatus, isAnthropic ? anthropicStatus : openaiStatus))

/** Adds the request id to the response, the logs and the access log, and the security headers. */
export const withRequestId = <E, R>(app: HttpApp.Default<E, R>): HttpApp.Default<E, R> =>
  Effect.flatMap(HttpServerRequest.HttpServerRequest, ({ headers, url }) => {
    const id = idOf(headers)
    const isAnthropic = isAnthropicRequest(url, headers)
    const added = contextOf(id, isAnthropic)
    const identified = changed(app, (context) => Context.merge(context, added))
    return Effect.map(Effect.annotateLogs(identified, annotation, id), (response) =>
      HttpServerResponse.setHeaders(response, Headers.unsafeFromRecord(headersWith(id, isAnthropic, response.headers)))
    )
  })

/** Which origins of web pages can call the gateway. */
export type Cors = NonNullable<Parameters<typeof HttpMiddleware.cors>[0]>

export const withCors = (cors: Cors | undefined): (<E, R>(app: HttpApp.Default<E, R>) => HttpApp.Default<E, R>) =>
  cors === undefined ? (app) => app : HttpMiddleware.cors(cors)
