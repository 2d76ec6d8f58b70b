/** Fibers, servers and spans of requests. */
import { Cause, Context, Effect, Option, References } from "effect"
import type { Fiber } from "effect"
import { Headers, HttpMiddleware, HttpServer, HttpServerRequest } from "effect/http"

export type ServerService = HttpServer.HttpServer["Service"]

/** The host that a server listens on; undefined for a socket of Unix. */
export const hostOf = ({ address }: ServerService): string | undefined =>
  address._tag === "UnixPathAddress" ? undefined : new URL(HttpServer.formatAddress(address)).hostname

/** Whether a fiber that ends with a cause was interrupted from outside, rather than by its own effect. */
export const isInterrupted = ({ id }: Fiber.Fiber<unknown, unknown>, cause: Cause.Cause<unknown>): boolean =>
  cause.reasons.some((reason) => Cause.isInterruptReason(reason) && reason.fiberId !== id)

export type Forking = Context.Context<never>

export const forking: Effect.Effect<Forking> = Effect.context<never>()

/** What all fibers have in their context. */
export const contextOf = (forking: Forking): Context.Context<never> => forking

/** Runs an effect in a fiber that begins with a context and with an annotation of its log lines. */
export const unsafeFork = <A, E>(
  _forking: Forking,
  context: Context.Context<never>,
  annotation: string,
  value: string,
  effect: Effect.Effect<A, E>
): Fiber.Fiber<A, E> =>
  Effect.runForkWith(
    Context.add(context, References.CurrentLogAnnotations, {
      ...Context.get(context, References.CurrentLogAnnotations),
      [annotation]: value
    })
  )(effect)

type Redacted = string | RegExp

/** Serves without spans for some requests, and with more names of headers whose values spans must not have. */
export const withSpansOf = <A, E, R>(
  serve: Effect.Effect<A, E, R>,
  redacted: ReadonlyArray<Redacted>,
  isUntraced: (request: HttpServerRequest.HttpServerRequest) => boolean
): Effect.Effect<A, E, R> =>
  serve.pipe(
    Effect.updateService(Headers.CurrentRedactedNames, (names) => [...names, ...redacted]),
    Effect.provideService(HttpMiddleware.TracerDisabledWhen, isUntraced)
  )

export const redactedNames: Effect.Effect<ReadonlyArray<Redacted>> = Effect.flatMap(
  Headers.CurrentRedactedNames,
  Effect.succeed
)

/** A request of the platform, for the generator of the names of spans. */
export const requestOf = (
  method: string,
  url: string,
  headers: Headers.Headers,
  remoteAddress: string | undefined
): HttpServerRequest.HttpServerRequest =>
  HttpServerRequest.fromWeb(new Request("http://localhost", { method })).modify({
    url,
    headers,
    remoteAddress: Option.fromUndefinedOr(remoteAddress)
  })
