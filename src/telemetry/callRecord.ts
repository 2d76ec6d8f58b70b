/** What is written down of a call: everything that one must know to find it again, and nothing that was said in it. */
import type { Exit } from "effect"
import { Context, Effect, Option, Random } from "effect"
import type { Entry } from "./entry.js"
import type { ModelInfo } from "../call/model.js"
import type { LLMError } from "../vocabulary/LLMError.js"
import type { CallStarted } from "./model.js"
import { Label } from "../internal/label.js"
import type { Answer, Call } from "./observe.js"
import { errorOf, outcomeOf } from "./observe.js"

/** The id under which a call is written down everywhere; empty where none was given. */
export class RequestId extends Context.Reference<RequestId>()("effect-llm/RequestId", {
  defaultValue: (): string => ""
}) {}

const hexadecimal = (n: number): string => n.toString(16).padStart(14, "0")

/** A hundred random bits. */
const anyId: Effect.Effect<string> = Effect.zipWith(
  Random.nextIntBetween(0, Number.MAX_SAFE_INTEGER),
  Random.nextIntBetween(0, Number.MAX_SAFE_INTEGER),
  (first, second) => hexadecimal(first) + hexadecimal(second)
)

const requestId: Effect.Effect<string> = Effect.flatMap(RequestId, (given) =>
  given === "" ? anyId : Effect.succeed(given)
)

const traceId: Effect.Effect<string | undefined> = Effect.map(Effect.option(Effect.currentSpan), (span) =>
  Option.isSome(span) ? span.value.traceId : undefined
)

/** A call whose record is being kept. */
export interface Recording {
  readonly started: CallStarted
  /** Whatever the call does knows it by the same id. */
  readonly identified: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  readonly opened: Effect.Effect<void>
  readonly ended: (exit: Exit.Exit<unknown, LLMError>, answer: Answer | undefined) => Entry
}

export const record = (info: ModelInfo, { model, operation, streamed }: Call): Effect.Effect<Recording> =>
  Effect.map(Effect.all([requestId, Label, traceId, Effect.clock]), ([requestId, label, traceId, clock]) => {
    const startedAt = clock.unsafeCurrentTimeMillis()
    const elapsed = (): number => clock.unsafeCurrentTimeMillis() - startedAt
    const started: CallStarted = { requestId, label, operation, streamed, provider: info.provider, model, startedAt }
    let timeToFirstEvent: number | undefined
    return {
      started,
      identified: (effect) => Effect.provideService(effect, RequestId, requestId),
      opened: Effect.sync(() => {
        timeToFirstEvent = elapsed()
      }),
      ended: (exit, answer) => {
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
