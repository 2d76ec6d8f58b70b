/** Records of calls for the access log and callbacks: all metadata of a call, and none of its content. */
import type { Exit } from "effect"
import { Context, Effect, Option, Random } from "effect"
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
const randomId: Effect.Effect<string> = Effect.zipWith(
  Random.nextIntBetween(0, Number.MAX_SAFE_INTEGER),
  Random.nextIntBetween(0, Number.MAX_SAFE_INTEGER),
  (first, second) => hexadecimal(first) + hexadecimal(second)
)

const requestId: Effect.Effect<string> = Effect.flatMap(RequestId, (id) => (id === "" ? randomId : Effect.succeed(id)))

const traceId: Effect.Effect<string | undefined> = Effect.map(Effect.option(Effect.currentSpan), (span) =>
  Option.isSome(span) ? span.value.traceId : undefined
)

/** The recorder of one call. */
export interface CallRecorder {
  readonly started: CallStarted
  /** Provides the request id to the effects of the call. */
  readonly withRequestId: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  readonly opened: Effect.Effect<void>
  readonly entryOf: (exit: Exit.Exit<unknown, LLMError>, answer: Answer | undefined) => Entry
}

export const makeRecorder = (
  info: ModelInfo,
  { model, operation, streamed }: ObservedCall
): Effect.Effect<CallRecorder> =>
  Effect.map(Effect.all([requestId, Label, traceId, Effect.clock]), ([requestId, label, traceId, clock]) => {
    const startedAt = clock.unsafeCurrentTimeMillis()
    const elapsed = (): number => clock.unsafeCurrentTimeMillis() - startedAt
    const started: CallStarted = { requestId, label, operation, streamed, provider: info.provider, model, startedAt }
    let timeToFirstEvent: number | undefined
    return {
      started,
      withRequestId: (effect) => Effect.provideService(effect, RequestId, requestId),
      opened: Effect.sync(() => {
        timeToFirstEvent = elapsed()
      }),
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
  })
