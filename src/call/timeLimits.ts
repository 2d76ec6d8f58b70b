/** The time limits of a call, for effects: for the whole call, for an answer, to the first event of a stream, and between events. */
import { Context, Effect } from "effect"
import { clockOf, wholeNow } from "../internal/clock.js"
import { durationText } from "../internal/durationText.js"
import * as Events from "../vocabulary/ChatEvent.js"
import type { LLMError } from "../vocabulary/LLMError.js"
import { TimeoutError } from "../vocabulary/LLMError.js"
import * as Usage from "../vocabulary/Usage.js"
import type { AttemptWatch } from "./attemptWatch.js"
import * as Watches from "./attemptWatch.js"
import type { AnswerSoFar } from "./collector.js"
import { CallLimits, narrow } from "./limits.js"
import type { ModelInfo } from "./model.js"
import type { Open } from "./openStream.js"
import { attemptsOf, startOf } from "./origin.js"
import { within } from "./timeout.js"
import { withStreamLimits } from "./streamTimeout.js"

/** The limits in milliseconds; infinite when absent. */
export interface Millis {
  readonly total: number
  readonly response: number
  readonly firstEvent: number
  readonly idle: number
}

export const isUnlimited = ({ firstEvent, idle, response, total }: Millis): boolean =>
  Math.min(total, response, firstEvent, idle) === Infinity

const phaseMessages: Record<TimeoutError["phase"], string> = {
  connect: "There was no connection",
  response: "The answer was not complete",
  "first-event": "The stream had not begun",
  idle: "The stream stalled: there was no event",
  total: "The call was not over"
}

/** The limit that expires first: that of this middleware, or the deadline of the call. */
export interface EffectiveLimit<Phase> {
  readonly phase: Phase | "total"
  readonly millis: number
}

/** The limit, or the deadline of the call where it comes first. */
export const shorterLimit = <const Phase>(phase: Phase, limit: number, left: number): EffectiveLimit<Phase> =>
  left <= limit ? { phase: "total", millis: left } : { phase, millis: limit }

/** The error of a limit that has expired. Must be made before the call is interrupted. */
export const expired = (
  info: ModelInfo,
  limit: EffectiveLimit<TimeoutError["phase"]>,
  now: number,
  watch: AttemptWatch,
  answer?: AnswerSoFar
): LLMError => {
  const { running } = watch
  const attempts = Watches.expire(watch, now)
  return new TimeoutError({
    provider: running?.provider ?? info.provider,
    model: running?.model ?? info.model,
    attempts,
    phase: limit.phase,
    message: `${phaseMessages[limit.phase]} within ${durationText(limit.millis)}.`,
    ...(running === undefined ? {} : { keyId: running.keyId }),
    ...(answer?.collected.start === undefined
      ? {}
      : {
          keyId: answer.collected.start.keyId,
          partial: Events.toPartial(
            answer.collected,
            Usage.make({ outputTokens: answer.generatedTokens(), estimated: true })
          )
        })
  })
}

export const make = (info: ModelInfo, { firstEvent, idle, response, total }: Millis) => {
  /** Runs an effect until its limit or the deadline of the call, with one timer for both. */
  const limitWhole = <A, R>(effect: Effect.Effect<A, LLMError, R>): Effect.Effect<A, LLMError, R> =>
    Watches.withWatch((watch) =>
      Effect.withFiberRuntime((fiber) => {
        const clock = clockOf(fiber)
        const outer = Context.get(fiber.currentContext, CallLimits)
        const now = wholeNow(clock)
        const monotonicStart = startOf(fiber.currentContext, info, now)
        watch.failed = attemptsOf(fiber.currentContext, info)
        const limit = shorterLimit("response", response, Math.min(outer.deadline - monotonicStart, total))
        if (limit.millis === Infinity) return effect
        return within(
          total === Infinity ? effect : narrow(effect, { deadline: monotonicStart + total }),
          Math.max(0, monotonicStart + limit.millis - now),
          () => expired(info, limit, clock.unsafeCurrentTimeMillis(), watch)
        )
      })
    )

  /** Opens and reads a stream until a limit expires. */
  const limitStream =
    (stream: Open): Open =>
    (finalizers) =>
      Watches.withWatch((watch) =>
        Effect.withFiberRuntime((fiber) => {
          const clock = clockOf(fiber)
          const outer = Context.get(fiber.currentContext, CallLimits)
          const now = wholeNow(clock)
          const monotonicStart = startOf(fiber.currentContext, info, now)
          watch.failed = attemptsOf(fiber.currentContext, info)
          const deadline = Math.min(outer.deadline, monotonicStart + total)
          const opening = shorterLimit("first-event", firstEvent, deadline - monotonicStart)
          const open: Open =
            total === Infinity && idle === Infinity
              ? stream
              : (inner) => narrow(stream(inner), { deadline: monotonicStart + total, idle })
          const limits = {
            opening,
            idle: { phase: "idle", millis: idle },
            total: { phase: "total", millis: deadline - monotonicStart }
          } as const
          return opening.millis === Infinity && idle === Infinity
            ? open(finalizers)
            : withStreamLimits(open, {
                opening: Math.max(0, monotonicStart + opening.millis - now),
                idle,
                deadline,
                expired: (limit, answer) => expired(info, limits[limit], clock.unsafeCurrentTimeMillis(), watch, answer)
              })(finalizers)
        })
      )

  return { limitStream, limitWhole }
}
