/** Records of calls for the access log and callbacks: all metadata of a call, and none of its content. */
import type { Fiber } from "effect"
import { Cause, Context, Effect, Exit, Random } from "effect"
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
const randomId: Effect.Effect<string> = Effect.zipWith(
  Random.nextIntBetween(0, Number.MAX_SAFE_INTEGER),
  Random.nextIntBetween(0, Number.MAX_SAFE_INTEGER),
  (first, second) => hexadecimal(first) + hexadecimal(second)
)

/** The status of a server's response to its client when the call ends so: `undefined` for an answer. */
export type StatusOf = (error: LLMError | undefined) => number

/** Set by a server whose responses have other statuses than those of the providers. */
export class ResponseStatus extends Context.Reference<ResponseStatus>()("effect-llm/ResponseStatus", {
  defaultValue: (): StatusOf | undefined => undefined
}) {}

/** The recorder of one call. */
export interface CallRecorder {
  readonly started: CallStarted
  /** Provides the request id to the effects of the call, and watches its attempts. */
  readonly around: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  readonly opened: Effect.Effect<void>
  readonly entryOf: (exit: Exit.Exit<unknown, LLMError>, answer: Answer | undefined) => Entry
}

export const makeRecorder = (info: ModelInfo, call: ObservedCall): Effect.Effect<CallRecorder> =>
  Effect.withFiberRuntime((fiber) => {
    const id = Context.get(fiber.currentContext, RequestId)
    return id === ""
      ? Effect.map(randomId, (random) => recorderOf(fiber, random, info, call))
      : Effect.succeed(recorderOf(fiber, id, info, call))
  })

const recorderOf = (
  fiber: Fiber.RuntimeFiber<unknown, unknown>,
  requestId: string,
  info: ModelInfo,
  { model, operation, streamed }: ObservedCall
): CallRecorder => {
  const { currentContext, currentSpan } = fiber
  const clock = clockOf(fiber)
  const startedAt = clock.unsafeCurrentTimeMillis()
  const label = Context.get(currentContext, Label)
  const responseStatus = Context.get(currentContext, ResponseStatus)
  const watch = Watches.make(Context.get(currentContext, Watches.CurrentWatch))
  const traceId = currentSpan?._tag === "Span" ? currentSpan.traceId : undefined
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

  return {
    started,
    around: (effect) =>
      changed(effect, (context) =>
        Context.add(Context.add(context, RequestId, requestId), Watches.CurrentWatch, watch)
      ),
    opened: Effect.sync(() => {
      timeToFirstEvent = elapsed()
    }),
    entryOf: (exit, answer) => {
      const error = errorOf(exit)
      const outcome = outcomeOf(exit)
      const attempts =
        error?.attempts ?? answer?.attempts ?? Watches.attemptsUntil(watch, clock.unsafeCurrentTimeMillis(), outcome)
      const last = attempts[attempts.length - 1]
      const status =
        responseStatus === undefined ? (error?.status ?? last?.status) : statusOf(responseStatus, exit, error)
      return {
        ...started,
        provider: answer?.provider ?? (error?.provider || info.provider),
        answeredBy: answer?.model ?? "",
        keyId: answer?.keyId ?? error?.keyId ?? last?.keyId ?? "",
        attempts,
        outcome,
        ...(status === undefined ? {} : { status }),
        ...(answer?.finishReason === undefined ? {} : { finishReason: answer.finishReason }),
        ...(answer === undefined ? {} : { usage: answer.usage }),
        ...(answer?.cost === undefined ? {} : { cost: answer.cost }),
        latency: elapsed(),
        ...(timeToFirstEvent === undefined ? {} : { timeToFirstEvent }),
        ...(traceId === undefined ? {} : { traceId })
      }
    }
  }
}
