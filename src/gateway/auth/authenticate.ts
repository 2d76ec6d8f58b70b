/** Authenticates requests, and runs their routes as the caller. */
import { HttpServerRequest } from "@effect/platform"
import { Effect, Exit, Option, Redacted } from "effect"
import { isExit } from "../../call/sending.js"
import { Label } from "../../internal/label.js"
import { CurrentClient } from "../../rateLimiter/model.js"
import type { AccessDeniedError, Caller } from "./model.js"
import type { AccessStoreError } from "../AccessStore.js"
import * as Loopback from "./loopback.js"
import * as HttpErrors from "../http/error.js"
import type { Handler, GatewayContext } from "../http/context.js"
import type { RequestHeaders } from "../http/exchange.js"
import { header } from "../http/exchange.js"

/** Where clients send their key: OpenAI's `Authorization`, Anthropic's, Azure OpenAI's and Gemini's. Only the first has `Bearer` before it. */
export const keyHeaders = ["x-api-key", "api-key", "x-goog-api-key"] as const

/** The secret of a request. */
export const secretOf = (headers: RequestHeaders): Option.Option<Redacted.Redacted<string>> => {
  const bearer = /^Bearer +(\S+)$/i.exec(header(headers, "authorization") ?? "")?.[1]
  const secret = bearer ?? keyHeaders.map((name) => header(headers, name)).find((value) => value !== undefined) ?? ""
  return secret === "" ? Option.none() : Option.some(Redacted.make(secret))
}

const errorOf = (error: AccessDeniedError | AccessStoreError): Effect.Effect<HttpErrors.HttpError> => {
  if (error._tag === "AccessStoreError")
    return Effect.as(Effect.logError(error.message, error.cause), HttpErrors.keyStoreUnavailable)
  return Effect.succeed(
    error.reason === "forbidden" ? HttpErrors.forbidden(error.message) : HttpErrors.unauthenticated(error.message)
  )
}

const mapErrors = <A, R>(
  effect: Effect.Effect<A, AccessDeniedError | AccessStoreError, R>
): Effect.Effect<A, HttpErrors.HttpError, R> =>
  isExit(effect) && Exit.isSuccess(effect)
    ? Effect.succeed(effect.value)
    : Effect.matchEffect(effect, {
        onFailure: (error) => Effect.flatMap(errorOf(error), Effect.fail),
        onSuccess: Effect.succeed
      })

/** The caller with the secret in these headers. */
export const callerOf = (
  { access }: Pick<GatewayContext, "access">,
  headers: RequestHeaders
): Effect.Effect<Caller, HttpErrors.HttpError> =>
  access.isOpen && !Loopback.isOwnPage(headers)
    ? Effect.fail(foreignOrigin)
    : mapErrors(access.caller(secretOf(headers)))

/** Runs a route for the caller of the request, counted as in flight, under the caller's label. */
export const authenticated = (context: GatewayContext, route: (caller: Caller) => Handler): Handler =>
  Effect.gen(function* () {
    yield* context.requests.admit
    const { headers } = yield* HttpServerRequest.HttpServerRequest
    const caller = yield* callerOf(context, headers)
    return yield* Effect.mapError(route(caller), (error) => ({ ...error, label: caller.label })).pipe(
      Effect.provideService(Label, caller.label),
      Effect.provideService(CurrentClient, caller)
    )
  })

/** Runs a route if the request has the admin token. */
export const requireAdmin = ({ access }: Pick<GatewayContext, "access">, route: Handler): Handler =>
  Effect.flatMap(HttpServerRequest.HttpServerRequest, ({ headers }) =>
    Effect.zipRight(mapErrors(access.administrator(secretOf(headers))), route)
  )

const foreignOrigin = HttpErrors.forbidden(
  "A gateway without keys refuses web pages of other origins. Configure a key."
)
