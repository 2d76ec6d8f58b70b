/** Records of calls for the access log and callbacks: all metadata of a call, and none of its content. */
import type { Exit, Fiber } from "effect"
import { Context, Effect, Option, Tracer } from "effect"
import { clockOf } from "../internal/clock.js"
import type { Entry } from "./entry.js"
import type { ModelInfo } from "../call/model.js"
import { outcomeOf } from "../call/observer.js"
import type { LLMError } from "../vocabulary/LLMError.js"
import type { CallStarted } from "./model.js"
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

/** The recorder of one call. */
export interface CallRecorder {
  readonly started: CallStarted
  /** Provides a new request id to the effects of the call; absent where the request id was there before. */
  readonly withRequestId?: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  readonly opened: () => void
  readonly entryOf: (exit: Exit.Exit<unknown, LLMError>, answer: Answer | undefined) => Entry
}

export const makeRecorder = (
  info: ModelInfo,
  { model, operation, streamed }: ObservedCall,
  fiber: Fiber.RuntimeFiber<unknown, unknown>
): CallRecorder => {
  const context = fiber.currentContext
  const clock = clockOf(fiber)
  const given = Context.get(context, RequestId)
  const requestId = given === "" ? randomId() : given
  const label = Context.get(context, Label)
  const traceId = traceIdOf(context)
  const startedAt = clock.unsafeCurrentTimeMillis()
  const elapsed = (): number => clock.unsafeCurrentTimeMillis() - startedAt
  const started: CallStarted = { requestId, label, operation, streamed, provider: info.provider, model, startedAt }
  let timeToFirstEvent: number | undefined
  return {
    started,
    ...(given === "" ? { withRequestId: (effect) => Effect.provideService(effect, RequestId, requestId) } : {}),
    opened: () => {
      timeToFirstEvent = elapsed()
    },
    entryOf: (exit, answer) => {
      const error = errorOf(exit)
      const attempts = error?.attempts ?? answer?.attempts ?? []
      const last = attempts[attempts.length - 1]
      const status = error?.status ?? last?.status
      return {
        ...started,
        provider: answer?.provider ?? (error?.provider || info.provider),
        answeredBy: answer?.model ?? "",
        keyId: answer?.keyId ?? error?.keyId ?? last?.keyId ?? "",
        attempts,
        outcome: outcomeOf(exit),
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
