/**
 * The hot routes: those that call models. Each request is one fiber over an `Exchange`, without the platform's router, responses and
 * streams. Every server runs the same handlers: `nodeListener.ts` for Node's own, `hotApp.ts` for any other.
 */
import type { Fiber } from "effect"
import { Cause, Context, Effect, FiberId, FiberRef, Option } from "effect"
import { WantsRawResponse } from "../../call/passthrough.js"
import { whileChanged } from "../../internal/context.js"
import { Label } from "../../internal/label.js"
import type { ServerWire } from "../../wire/Wire.js"
import { callerOf } from "../auth/authenticate.js"
import type { Caller } from "../auth/model.js"
import type { BodyAccount } from "./bodyAccount.js"
import type { GatewayContext } from "./context.js"
import * as HttpErrors from "./error.js"
import type { Exchange } from "./exchange.js"

/** An admitted request of an authenticated caller. */
export interface HotCall extends Exchange {
  readonly caller: Caller
  /** Counts the bytes of the body. Released at the latest at the end of the response. */
  readonly account: BodyAccount
  /** Whether the request was interrupted because the gateway shuts down. */
  readonly isExpired: () => boolean
}

export interface HotRoute {
  readonly path: `/${string}`
  /** The wire whose raw answers are returned beside the decoded ones. */
  readonly rawProtocol?: string
  /** Sends the response. A failure must come before it begins. */
  readonly answer: (call: HotCall) => Effect.Effect<void, HttpErrors.HttpError>
  /** Encodes the failures of `answer`. */
  readonly encodeError: ServerWire["encodeError"]
}

/** Whether a fiber was interrupted from outside, rather than by its own effect. */
export const isInterrupted = (fiber: Fiber.RuntimeFiber<unknown, unknown>): boolean =>
  !Cause.isEmptyType(fiber.getFiberRef(FiberRef.interruptedCause))

/** The error that the client gets; undefined when it has left, which interrupts the fiber of its request. */
const errorOf = (
  cause: Cause.Cause<HttpErrors.HttpError>,
  isExpired: boolean,
  hasLeft: boolean
): HttpErrors.HttpError | undefined => {
  const failure = Cause.failureOption(cause)
  if (Option.isSome(failure)) return failure.value
  if (isExpired) return HttpErrors.shuttingDown
  return hasLeft && Cause.isInterruptedOnly(cause) ? undefined : HttpErrors.internal
}

/** Logs what is not a typed error. */
export const logDefect = (message: string, cause: Cause.Cause<unknown>): Effect.Effect<void> =>
  Option.match(Cause.dieOption(cause), {
    onNone: () => Effect.void,
    onSome: (defect) => Effect.logError(message, defect)
  })

/** Handles a request from its admission to the end of its response. */
export const serve = (
  context: GatewayContext,
  { answer, encodeError, rawProtocol }: HotRoute,
  exchange: Exchange
): Effect.Effect<void> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.withFiberRuntime<void>((fiber) => {
      const { request, response } = exchange
      let expired = false
      const isExpired = (): boolean => expired

      const fail = (error: HttpErrors.HttpError): Effect.Effect<void> =>
        // A logger of the program that throws must not keep the client from its answer.
        Effect.ensuring(
          HttpErrors.record(error),
          Effect.sync(() => {
            const body = JSON.stringify(encodeError(HttpErrors.servedError(error)))
            response.send(error.status, HttpErrors.headersOf(error), body)
          })
        )

      const exit = context.requests.enter(() => {
        expired = true
        fiber.unsafeInterruptAsFork(FiberId.none)
      })
      if (exit === undefined) return fail(HttpErrors.shuttingDown)
      let account: BodyAccount | undefined
      const leave = (): void => {
        account?.release()
        exit()
      }

      const answered = Effect.flatMap(restore(callerOf(context, request.headers)), (caller) => {
        account = context.bodies.make(caller.id)
        return whileChanged(restore(answer({ request, response, caller, account, isExpired })), (outer) => {
          const labelled = Context.add(outer, Label, caller.label)
          return rawProtocol === undefined ? labelled : Context.add(labelled, WantsRawResponse, rawProtocol)
        })
      })
      return Effect.matchCauseEffect(answered, {
        onSuccess: () => Effect.sync(leave),
        onFailure: (cause) => {
          const error = errorOf(cause, expired, isInterrupted(fiber))
          const failed = error === undefined ? Effect.void : fail(error)
          return Effect.ensuring(
            Effect.ensuring(logDefect("unexpected error while handling a request", cause), failed),
            Effect.sync(leave)
          )
        }
      })
    })
  )
