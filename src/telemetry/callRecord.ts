/** Records of calls for the access log and callbacks: all metadata of a call, and none of its content. */
import type { Effect, Fiber } from "effect"
import { Cause, Context, Exit, Option, Tracer } from "effect"
import * as Watches from "../call/attemptWatch.js"
import type { Entry } from "./entry.js"
import type { ModelInfo } from "../call/model.js"
import { outcomeOf } from "../call/observer.js"
import type { LLMError } from "../vocabulary/LLMError.js"
import type { CallStarted } from "./model.js"
import { clockOf } from "../internal/clock.js"
import { changed } from "../internal/context.js"
import { Label } from "../internal/label.js"
import type { Answer, ObservedCall } from "./observe.js"
import { errorOf } from "./observe.js"

/** The request id of a call; empty when none is set. */
export class RequestId extends Context.Reference<RequestId>()("effect-llm/RequestId", {
  defaultValue: (): string => ""
}) {}

const hexadecimal = (n: number): string => n.toString(16).padStart(14, "0")

/** A hundred random bits. */
const randomId = (): string =>
  hexadecimal(Math.floor(Math.random() * Number.MAX_SAFE_INTEGER)) +
  hexadecimal(Math.floor(Math.random() * Number.MAX_SAFE_INTEGER))

const traceIdOf = (context: Context.Context<never>): string | undefined => {
  const span = Option.getOrUndefined(Context.getOption(context, Tracer.ParentSpan))
  return span?._tag === "Span" ? span.traceId : undefined
}

/** The status of a server's response to its client when the call ends so: `undefined` for an answer. */
export type StatusOf = (error: LLMError | undefined) => number

/** Set by a server whose responses have other statuses than those of the providers. */
export class ResponseStatus extends Context.Reference<ResponseStatus>()("effect-llm/ResponseStatus", {
  defaultValue: (): StatusOf | undefined => undefined
}) {}

/** The watch of the attempts of one call. */
interface CallWatch {
  readonly watch: Watches.AttemptWatch
  /** Whether a recorder uses it. */
  isTaken: boolean
}

/**
 * Set by a server, whose requests have a context of their own, together with `CurrentWatch` and the request id: the recorder of the call
 * does not change the context again.
 */
export class RequestWatch extends Context.Reference<RequestWatch>()("effect-llm/RequestWatch", {
  defaultValue: (): CallWatch | undefined => undefined
}) {}

/** The context that `RequestWatch` describes. */
export const watchedContext = (): Context.Context<RequestWatch | Watches.CurrentWatch> => {
  const watch = Watches.make(undefined)
  return Context.make(RequestWatch, { watch, isTaken: false }).pipe(Context.add(Watches.CurrentWatch, watch))
}

/** The watch that a server has made for this call. A recorder within that of the access log reads the same one. */
const takeWatch = (context: Context.Context<never>, isInner: boolean): Watches.AttemptWatch | undefined => {
  const made = Context.get(context, RequestWatch)
  if (made === undefined || Context.get(context, Watches.CurrentWatch) !== made.watch) return undefined
  if (made.isTaken) return isInner ? made.watch : undefined
  made.isTaken = true
  return made.watch
}

/** The recorder of one call. */
export interface CallRecorder {
  readonly started: CallStarted
  /**
   * Provides the request id to the effects of the call, and watches its attempts. Absent where a server has done both for its request.
   */
  readonly around?: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  readonly opened: () => void
  readonly entryOf: (exit: Exit.Exit<unknown, LLMError>, answer: Answer | undefined) => Entry
}

export const makeRecorder = (
  info: ModelInfo,
  { model, operation, streamed }: ObservedCall,
  fiber: Fiber.RuntimeFiber<unknown, unknown>,
  isInner = false
): CallRecorder => {
  const context = fiber.currentContext
  const clock = clockOf(fiber)
  const given = Context.get(context, RequestId)
  const requestId = given === "" ? randomId() : given
  const label = Context.get(context, Label)
  const responseStatus = Context.get(context, ResponseStatus)
  const taken = given === "" ? undefined : takeWatch(context, isInner)
  const watch = taken ?? Watches.make(Context.get(context, Watches.CurrentWatch))
  const traceId = traceIdOf(context)
  const startedAt = clock.unsafeCurrentTimeMillis()
  const elapsed = (): number => clock.unsafeCurrentTimeMillis() - startedAt
  const started: CallStarted = { requestId, label, operation, streamed, provider: info.provider, model, startedAt }
  let timeToFirstEvent: number | undefined

  /** The head of a stream was sent with its first event. An interrupted call has no response, a defect is an internal error. */
  const statusOf = (
    respond: StatusOf,
    exit: Exit.Exit<unknown, LLMError>,
    error: LLMError | undefined
  ): number | undefined => {
    if (Exit.isSuccess(exit) || timeToFirstEvent !== undefined) return respond(undefined)
    if (error !== undefined) return respond(error)
    return Cause.isInterrupted(exit.cause) ? undefined : 500
  }

  const inCall = (): Context.Context<RequestId | Watches.CurrentWatch> =>
    Context.make(RequestId, requestId).pipe(Context.add(Watches.CurrentWatch, watch))

  return {
    started,
    ...(taken === undefined ? { around: (effect) => changed(effect, (outer) => Context.merge(outer, inCall())) } : {}),
    opened: () => {
      timeToFirstEvent = elapsed()
    },
    entryOf: (exit, answer) => {
      const error = errorOf(exit)
      const outcome = outcomeOf(exit)
      const attempts =
        error?.attempts ?? answer?.attempts ?? Watches.attemptsUntil(watch, clock.unsafeCurrentTimeMillis(), outcome)
      const last = attempts[attempts.length - 1]
      const status =
        responseStatus === undefined ? (error?.status ?? last?.status) : statusOf(responseStatus, exit, error)
      // Not by spreads, which take longer than the rest of the call's observation.
      const entry: { -readonly [Field in keyof Entry]: Entry[Field] } = {
        requestId,
        label,
        operation,
        streamed,
        provider: answer?.provider ?? (error?.provider || info.provider),
        model,
        answeredBy: answer?.model ?? "",
        keyId: answer?.keyId ?? error?.keyId ?? last?.keyId ?? "",
        attempts,
        outcome,
        startedAt,
        latency: elapsed()
      }
      if (status !== undefined) entry.status = status
      if (answer !== undefined) {
        entry.usage = answer.usage
        if (answer.finishReason !== undefined) entry.finishReason = answer.finishReason
        if (answer.cost !== undefined) entry.cost = answer.cost
      }
      if (timeToFirstEvent !== undefined) entry.timeToFirstEvent = timeToFirstEvent
      if (watch.waitedForPermit > 0) entry.waitedForPermit = watch.waitedForPermit
      if (watch.waitedForKey > 0) entry.waitedForKey = watch.waitedForKey
      if (traceId !== undefined) entry.traceId = traceId
      return entry
    }
  }
}
