/**
 * Time limits of a stream. One fiber opens and pulls, and one timer checks the limits, for any number of events: racing every
 * pull against a timer costs ten times as much as the pull itself.
 */
import { Cause, Effect, Exit, Option } from "effect"
import { wholeNow } from "../internal/clock.js"
import * as Finalizer from "../internal/finalizer.js"
import type { LLMError } from "../vocabulary/LLMError.js"
import * as Background from "./backgroundStream.js"
import type { AnswerSoFar } from "./collector.js"
import * as Collector from "./collector.js"
import type { Open } from "./openStream.js"
import { checkRepeatedly } from "./timeout.js"

export interface StreamLimits {
  /** The longest wait for the first event, in milliseconds. */
  readonly opening: number
  /** The longest wait for the next event, in milliseconds. The time of the consumer does not count. */
  readonly idle: number
  /** The time at which the stream fails in any case, in milliseconds of the monotonic clock. */
  readonly deadline: number
  /** Makes the error. Called before the stream is interrupted. */
  readonly expired: (phase: "opening" | "idle" | "total", answer: AnswerSoFar) => LLMError
}

/** Reads a stream at most one chunk ahead of its consumer and fails it when a limit expires. */
export const withStreamLimits =
  (open: Open, limits: StreamLimits): Open =>
  (finalizers) =>
    Effect.uninterruptibleMask((restore) =>
      Effect.flatMap(Effect.clock, (clock) => {
        const collector = Collector.make()
        /** The start of the current wait for the provider; undefined while the consumer is busy. */
        let waitingSince: number | undefined

        const begin = Background.begin(open, finalizers, {
          onPull: () => {
            waitingSince = wholeNow(clock)
          },
          onEvents: (events) => {
            waitingSince = undefined
            for (const event of events) collector.add(event)
          }
        })

        /** Milliseconds until the next limit can expire; undefined when one has expired or the stream has ended. */
        const timeLeft =
          ({ end, isOver }: Background.BackgroundStream) =>
          (): number | undefined => {
            if (isOver()) return undefined
            const now = wholeNow(clock)
            const idleUntil = (waitingSince ?? now) + limits.idle
            if (now < limits.deadline && now < idleUntil) return Math.min(idleUntil, limits.deadline) - now
            try {
              end(Cause.fail(Option.some(limits.expired(now >= limits.deadline ? "total" : "idle", collector))))
            } catch (defect) {
              // A timer calls this outside of any fiber: an exception would end the process.
              end(Cause.die(defect))
            }
            return undefined
          }

        return Effect.flatMap(begin, (stream) =>
          Effect.flatMap(
            Effect.onInterrupt(restore(stream.begun(limits.opening)), () => stream.close),
            (exit) => {
              if (exit === undefined) {
                return Effect.flatMap(
                  Effect.sync(() => limits.expired("opening", collector)),
                  (error) => Finalizer.onExit(Effect.fail(error), () => stream.close)
                )
              }
              if (Exit.isFailure(exit)) return Finalizer.onExit(exit, () => stream.close)
              return Effect.flatMap(checkRepeatedly(timeLeft(stream)), (stop) =>
                finalizers.add(
                  () => Effect.zipRight(stop, stream.close),
                  () => exit
                )
              )
            }
          )
        )
      })
    )
