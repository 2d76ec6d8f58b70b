/**
 * Time limits of a stream. One fiber opens and pulls and one timer keeps the time, whatever the number of events: racing every
 * pull against a timer costs ten times as much as the pull itself.
 */
import { Cause, Chunk, Effect, Exit, Option, Scope } from "effect"
import * as Events from "../vocabulary/ChatEvent.js"
import type { LLMError } from "../vocabulary/LLMError.js"
import * as Background from "./backgroundStream.js"
import type { Open } from "./openStream.js"
import { lookingAgain } from "./timeout.js"

export interface Watch {
  /** The longest wait for the first event, in milliseconds. */
  readonly opening: number
  /** The longest wait for the next event, in milliseconds. The time that the consumer takes does not count. */
  readonly idle: number
  /** When the stream is given up whatever it does, in milliseconds since the epoch. */
  readonly deadline: number
  /** Called before what takes too long is interrupted. */
  readonly expired: (phase: "opening" | "idle" | "total", said: Events.Collected) => LLMError
}

/** A stream that is read ahead of the consumer by one chunk at the most, and that fails when a limit runs out. */
export const watched = (open: Open, watch: Watch): Open =>
  Effect.uninterruptibleMask((restore) =>
    Effect.flatMap(Effect.zip(Effect.scope, Effect.clock), ([scope, clock]) => {
      let said = Events.nothing
      /** Since when the provider is waited for; undefined while it is the consumer who takes his time. */
      let waitingSince: number | undefined

      const begin = Background.begin(open, {
        asks: () => {
          waitingSince = clock.unsafeCurrentTimeMillis()
        },
        hears: (events) => {
          waitingSince = undefined
          said = Chunk.reduce(events, said, Events.append)
        }
      })

      /** How long nothing can run out, in milliseconds; nothing where something has, or the stream has ended. */
      const timeLeft =
        ({ end, isOver }: Background.BackgroundStream) =>
        (): number | undefined => {
          if (isOver()) return undefined
          const now = clock.unsafeCurrentTimeMillis()
          const idleUntil = (waitingSince ?? now) + watch.idle
          if (now < watch.deadline && now < idleUntil) return Math.min(idleUntil, watch.deadline) - now
          try {
            end(Cause.fail(Option.some(watch.expired(now >= watch.deadline ? "total" : "idle", said))))
          } catch (defect) {
            // A timer calls, and no fiber: what is thrown to it ends the process.
            end(Cause.die(defect))
          }
          return undefined
        }

      return Effect.flatMap(begin, (stream) =>
        Effect.flatMap(
          Effect.onInterrupt(restore(stream.begun(watch.opening)), () => stream.close),
          (exit) => {
            if (exit === undefined) {
              return Effect.flatMap(
                Effect.sync(() => watch.expired("opening", said)),
                (error) => Effect.ensuring(Effect.fail(error), stream.close)
              )
            }
            if (Exit.isFailure(exit)) return Effect.ensuring(exit, stream.close)
            return Effect.flatMap(lookingAgain(timeLeft(stream)), (stop) =>
              Effect.as(Scope.addFinalizer(scope, Effect.zipRight(stop, stream.close)), exit.value)
            )
          }
        )
      )
    })
  )
