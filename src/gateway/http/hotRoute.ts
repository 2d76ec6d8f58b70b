/**
 * The hot routes: those that call models. Each request is one fiber over an `Exchange`, without the platform's router, responses and
 * streams. Every server runs the same handlers: `nodeListener.ts` for Node's own, `hotApp.ts` for any other.
 */
import { Cause, Context, Effect, Exit, Option } from "effect"
import { WantsRawResponse } from "../../call/passthrough.js"
import { isExit } from "../../call/sending.js"
import { whileChanged } from "../../internal/context.js"
import { Label } from "../../internal/label.js"
import { CurrentClient } from "../../rateLimiter/model.js"
import type { ServerWire } from "../../wire/Wire.js"
import { isInterrupted } from "./platform.js"
import { RequestId, watchedContext } from "../../telemetry/callRecord.js"
import { callerOf } from "../auth/authenticate.js"
import type { Caller } from "../auth/model.js"
import type { BodyAccount } from "./bodyAccount.js"
import type { GatewayContext } from "./context.js"
import * as HttpErrors from "./error.js"
import type { Exchange, Request } from "./exchange.js"
import type { Operation } from "./model.js"
import * as Refusals from "./refusals.js"
import * as Fibers from "../../internal/fibers.js"

/** An admitted request of an authenticated caller. */
export interface HotCall extends Exchange {
  readonly caller: Caller
  /** Counts the bytes of the body. Released at the latest at the end of the response. */
  readonly account: BodyAccount
  /** Tells what the body asks for, for the record of a refusal. */
  readonly setRequested: (body: Readonly<Record<string, unknown>>, text?: string) => void
  /** Whether the request was interrupted because the gateway shuts down. */
  readonly isExpired: () => boolean
  /** Runs an effect after the client has left, in an uninterruptible region. The shutdown deadline interrupts it. */
  readonly inBackground: (effect: Effect.Effect<void>) => Effect.Effect<void>
}

export interface HotRoute {
  readonly path: `/${string}`
  /** What the requests call. Refusals of a route without one are not shown to the observers of calls. */
  readonly operation?: Operation
  /** The status of an overload, where the protocol has one. @default 503 */
  readonly overloadedStatus?: number
  /** The wire whose raw answers are returned beside the decoded ones. */
  readonly rawProtocol?: string
  /** Sends the response. A failure must come before it begins. */
  readonly answer: (call: HotCall) => Effect.Effect<void, HttpErrors.HttpError>
  /** Encodes the failures of `answer`. */
  readonly encodeError: ServerWire["encodeError"]
}

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

/** What all requests of a caller to a route have in their context. */
export const callerContext = (
  { rawProtocol }: HotRoute,
  caller: Caller
): Context.Context<CurrentClient | Label | WantsRawResponse> =>
  Context.make(Label, caller.label).pipe(Context.add(CurrentClient, caller), Context.add(WantsRawResponse, rawProtocol))

/** The caller of a request, where no effect is needed to find it. */
export const knownCaller = (context: GatewayContext, request: Request): Caller | undefined => {
  try {
    const found = callerOf(context, request.headers)
    return isExit(found) && Exit.isSuccess(found) ? found.value : undefined
  } catch {
    // A custom `Access` that throws does so again in the fiber of the request, which answers with an internal error.
    return undefined
  }
}

/**
 * Handles a request from its admission to the end of its response. `known` is the caller in whose context the fiber has begun, if that was
 * known: a context that is changed later costs more than to begin with it.
 */
export const serve = (
  context: GatewayContext,
  route: HotRoute,
  exchange: Exchange,
  known?: Caller
): Effect.Effect<void> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.withFiberRuntime<void>((fiber) => {
      const { operation } = route
      const { request } = exchange
      const requestId = Context.get(fiber.currentContext, RequestId)
      const capture = context.capture?.(requestId)
      const response = capture === undefined ? exchange.response : capture.response(exchange.response)
      let expired = false
      const isExpired = (): boolean => expired
      const inBackground: HotCall["inBackground"] = (effect) =>
        Effect.map(Effect.forkDaemon(effect), (background) =>
          Fibers.observe(
            background,
            context.requests.hold(() => Fibers.unsafeInterrupt(background))
          )
        )

      let caller: Caller | undefined
      let requested: HttpErrors.HttpError["requested"]

      const record = (error: HttpErrors.HttpError): Effect.Effect<void> => {
        const described: HttpErrors.HttpError = {
          ...error,
          ...(caller === undefined ? {} : { label: caller.label }),
          ...(requested === undefined ? {} : { requested })
        }
        const counted = HttpErrors.record(described)
        return operation === undefined
          ? counted
          : Effect.zipRight(counted, Refusals.record(context, operation, described))
      }

      /** Sends the response before the record is written, which observers and loggers of the program can delay or fail. */
      const fail = (error: HttpErrors.HttpError): Effect.Effect<void> =>
        Effect.suspend(() => {
          const { body, status } = HttpErrors.encoded(route.encodeError, error, {
            requestId,
            ...(route.overloadedStatus === undefined ? {} : { overloadedStatus: route.overloadedStatus })
          })
          response.send(status, HttpErrors.headersOf(error), JSON.stringify(body))
          return record(error)
        })

      const setRequested: HotCall["setRequested"] = (body, text) => {
        requested = HttpErrors.requestedBy(body)
        capture?.request(text ?? JSON.stringify(body))
      }

      const exit = context.requests.enter(() => {
        expired = true
        Fibers.unsafeInterrupt(fiber)
      })
      if (exit === undefined) return fail(HttpErrors.shuttingDown)
      let account: BodyAccount | undefined
      const leave = (): void => {
        account?.release()
        exit()
      }

      const answerTo = (found: Caller): Effect.Effect<void, HttpErrors.HttpError> => {
        caller = found
        account = context.bodies.make(found.id)
        return restore(
          route.answer({ request, response, caller: found, account, setRequested, isExpired, inBackground })
        )
      }
      const answered =
        known === undefined
          ? Effect.flatMap(restore(callerOf(context, request.headers)), (found) =>
              whileChanged(answerTo(found), (outer) =>
                Context.mergeAll(outer, callerContext(route, found), watchedContext())
              )
            )
          : Effect.suspend(() => answerTo(known))
      return Effect.matchCauseEffect(answered, {
        onSuccess: () => Effect.sync(leave),
        onFailure: (cause) => {
          const error = errorOf(cause, expired, isInterrupted(fiber, cause))
          const failed = error === undefined ? Effect.void : fail(error)
          return Effect.ensuring(
            Effect.ensuring(logDefect("unexpected error while handling a request", cause), failed),
            Effect.sync(leave)
          )
        }
      })
    })
  )
