/**
 * Callbacks that cannot break a call. They are run one after the other by a fiber of their own, from a line of bounded length:
 * a call only puts into it what has happened, and never waits.
 */
import type { Duration, Scope } from "effect"
import { Cause, Effect, Fiber, Mailbox } from "effect"
import type { Service } from "../call/model.js"
import type { Hooks } from "./model.js"
import * as CallRecord from "./callRecord.js"
import { observed } from "./observe.js"

export interface Terms {
  readonly capacity: number
  readonly timeout: Duration.Duration
}

/** Runs a callback to its end, or until it has taken too long. Nothing that it does gets any further. */
const contained = (callback: Effect.Effect<void>, timeout: Duration.Duration): Effect.Effect<void> =>
  // Disconnected: a callback that cannot be interrupted is left to itself.
  Effect.timeoutOption(Effect.disconnect(callback), timeout).pipe(
    Effect.flatMap((done) =>
      done._tag === "None" ? Effect.logWarning("a callback of a call took too long and was given up") : Effect.void
    ),
    Effect.catchAllCause((cause) =>
      Cause.isInterruptedOnly(cause) ? Effect.void : Effect.logWarning("a callback of a call failed", cause)
    )
  )

export const around = (next: Service, hooks: Hooks, terms: Terms): Effect.Effect<Service, never, Scope.Scope> =>
  Effect.gen(function* () {
    const line = yield* Mailbox.make<Effect.Effect<void>>({ capacity: terms.capacity, strategy: "dropping" })
    let lost = 0
    const worker = yield* Effect.forkIn(
      Effect.whileLoop({
        while: () => true,
        body: () =>
          Effect.flatMap(line.take, (callback) => {
            const missed = lost
            lost = 0
            const run = contained(Effect.interruptible(callback), terms.timeout)
            return missed === 0
              ? run
              : Effect.zipRight(Effect.logWarning(`${missed} callbacks of calls were dropped: they are too slow`), run)
          }),
        step: () => {}
      }).pipe(Effect.catchTag("NoSuchElementException", () => Effect.void)),
      yield* Effect.scope
    )
    // What is in the line when the scope closes is still run, for as long as one callback may take.
    yield* Effect.addFinalizer(() =>
      Effect.zipRight(line.end, Effect.timeoutOption(Effect.interruptible(Fiber.await(worker)), terms.timeout))
    )

    const tell = <A extends ReadonlyArray<unknown>>(
      callback: ((...about: A) => Effect.Effect<void>) | undefined,
      ...about: A
    ): void => {
      if (callback !== undefined && !line.unsafeOffer(Effect.suspend(() => callback(...about)))) lost += 1
    }

    return observed(next, (call) =>
      Effect.map(CallRecord.record(next.info, call), (recording) => {
        tell(hooks.onStart, recording.started)
        return {
          around: recording.identified,
          opened: recording.opened,
          end: (exit, answer) =>
            Effect.sync(() => {
              const ended = recording.ended(exit, answer)
              for (const attempt of ended.attempts) tell(hooks.onAttempt, attempt, recording.started)
              tell(hooks.onEnd, ended)
            })
        }
      })
    )
  })
