/** Fibers, servers and spans of requests: one module, since those of Effect 4 have another form. */
import { Headers, HttpMiddleware, HttpServerRequest } from "@effect/platform"
import type { HttpServer } from "@effect/platform"
import { Cause, Effect, FiberId, FiberRef, FiberRefs, HashMap, Runtime } from "effect"
import type { Context, Fiber } from "effect"

export type ServerService = HttpServer.HttpServer

/** The host that a server listens on; undefined for a socket of Unix. */
export const hostOf = ({ address }: ServerService): string | undefined =>
  address._tag === "TcpAddress" ? address.hostname : undefined

/** Whether a fiber that ends with a cause was interrupted from outside, rather than by its own effect. */
export const isInterrupted = (fiber: Fiber.RuntimeFiber<unknown, unknown>, _cause: Cause.Cause<unknown>): boolean =>
  !Cause.isEmptyType(fiber.getFiberRef(FiberRef.interruptedCause))

export type Forking = Runtime.Runtime<never>

export const forking: Effect.Effect<Forking> = Effect.runtime<never>()

/** What all fibers have in their context. */
export const contextOf = ({ context }: Forking): Context.Context<never> => context

/** Runs an effect in a fiber that begins with a context and with an annotation of its log lines. */
export const unsafeFork = <A, E>(
  { fiberRefs, runtimeFlags }: Forking,
  context: Context.Context<never>,
  annotation: string,
  value: string,
  effect: Effect.Effect<A, E>
): Fiber.RuntimeFiber<A, E> =>
  Runtime.runFork(
    Runtime.make({
      runtimeFlags,
      context,
      fiberRefs: FiberRefs.updateAs(fiberRefs, {
        fiberId: FiberId.none,
        fiberRef: FiberRef.currentLogAnnotations,
        value: HashMap.set(FiberRefs.getOrDefault(fiberRefs, FiberRef.currentLogAnnotations), annotation, value)
      })
    })
  )(effect)

type Redacted = string | RegExp

/** Serves without spans for some requests, and with more names of headers whose values spans must not have. */
export const withSpansOf = <A, E, R>(
  serve: Effect.Effect<A, E, R>,
  redacted: ReadonlyArray<Redacted>,
  isUntraced: (request: HttpServerRequest.HttpServerRequest) => boolean
): Effect.Effect<A, E, R> =>
  HttpMiddleware.withTracerDisabledWhenEffect(
    Effect.locallyWith(serve, Headers.currentRedactedNames, (names) => [...names, ...redacted]),
    isUntraced
  )

export const redactedNames: Effect.Effect<ReadonlyArray<Redacted>> = Effect.flatMap(
  Headers.currentRedactedNames,
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
    ...(remoteAddress === undefined ? {} : { remoteAddress })
  })
