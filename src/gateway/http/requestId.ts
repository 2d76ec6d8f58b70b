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

/** Whether a request is for a route of Anthropic's protocol. Both protocols list models; only Anthropic's clients send a version. */
const isAnthropicRequest = ({ headers, url }: HttpServerRequest.HttpServerRequest): boolean =>
  url.startsWith("/v1/messages") || (headers["anthropic-version"] !== undefined && url.startsWith("/v1/models"))

const responseStatus =
  (overloadedStatus?: number): StatusOf =>
  (error: LLMError | undefined) =>
    error === undefined ? 200 : statusOf(error, overloadedStatus)

const openaiStatus = responseStatus()
const anthropicStatus = responseStatus(anthropicOverloadedStatus)

/**
 * Adds the request id (the client's own, or a new one) to the response, the logs and the access log, and the security headers
 * that the response does not set itself.
 */
export const withRequestId = <E, R>(app: HttpApp.Default<E, R>): HttpApp.Default<E, R> =>
  Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) => {
    const sent = request.headers["x-request-id"]
    const id = sent !== undefined && isSafeId(sent) ? sent : `req_${randomUUID().replaceAll("-", "")}`
    const isAnthropic = isAnthropicRequest(request)
    // Anthropic's clients read `request-id`.
    const ids = isAnthropic ? { "x-request-id": id, "request-id": id } : { "x-request-id": id }
    const identified = changed(app, (context) =>
      Context.add(Context.add(context, RequestId, id), ResponseStatus, isAnthropic ? anthropicStatus : openaiStatus)
    )
    return Effect.map(Effect.annotateLogs(identified, "request_id", id), (response) =>
      HttpServerResponse.setHeaders(
        response,
        Headers.unsafeFromRecord({ ...securityHeaders, ...response.headers, ...ids })
      )
    )
  })

/** Which origins of web pages can call the gateway. */
export type Cors = NonNullable<Parameters<typeof HttpMiddleware.cors>[0]>

export const withCors = (cors: Cors | undefined): (<E, R>(app: HttpApp.Default<E, R>) => HttpApp.Default<E, R>) =>
  cors === undefined ? (app) => app : HttpMiddleware.cors(cors)
