/** Who is let in, and under which names what they do is known. */
import { HttpServerRequest } from "@effect/platform"
import { Effect, Option, Redacted } from "effect"
import { Label } from "../../internal/label.js"
import type { AccessDeniedError, Caller } from "./model.js"
import type { AccessStoreError } from "../AccessStore.js"
import * as Loopback from "./loopback.js"
import * as Problem from "../http/error.js"
import type { Handler, GatewayContext } from "../http/context.js"

type Headers = Readonly<Record<string, string | undefined>>

/** The secret that a client sends: `Authorization: Bearer` as OpenAI's do, `x-api-key` as Anthropic's do. */
export const secretOf = (headers: Headers): Option.Option<Redacted.Redacted<string>> => {
  const bearer = /^Bearer +(\S+)$/i.exec(headers["authorization"] ?? "")?.[1]
  const secret = bearer ?? headers["x-api-key"] ?? ""
  return secret === "" ? Option.none() : Option.some(Redacted.make(secret))
}

const problemOf = (error: AccessDeniedError | AccessStoreError): Effect.Effect<Problem.Problem> => {
  if (error._tag === "AccessStoreError") return Effect.as(Effect.logError(error.message, error.cause), Problem.keysAway)
  return Effect.succeed(
    error.reason === "forbidden" ? Problem.forbidden(error.message) : Problem.unauthenticated(error.message)
  )
}

const refusing = <A, R>(
  effect: Effect.Effect<A, AccessDeniedError | AccessStoreError, R>
): Effect.Effect<A, Problem.Problem, R> =>
  Effect.catchAll(effect, (error) => Effect.flatMap(problemOf(error), Effect.fail))

/** Runs a route for the one whose key was sent: counted as under way, and under the caller's label. */
export const authenticated = ({ access, running }: GatewayContext, route: (caller: Caller) => Handler): Handler =>
  Effect.gen(function* () {
    yield* running.admit
    const { headers } = yield* HttpServerRequest.HttpServerRequest
    if (access.isOpen && !Loopback.isOwnPage(headers)) return yield* Effect.fail(foreign)
    const caller = yield* refusing(access.caller(secretOf(headers)))
    return yield* Effect.provideService(route(caller), Label, caller.label)
  })

/** Runs a route for the administration alone. */
export const requireAdmin = ({ access }: Pick<GatewayContext, "access">, route: Handler): Handler =>
  Effect.flatMap(HttpServerRequest.HttpServerRequest, ({ headers }) =>
    Effect.zipRight(refusing(access.administrator(secretOf(headers))), route)
  )

const foreign = Problem.forbidden(
  "A gateway without keys answers programs on its own machine, and no web pages of others. Configure a key."
)
