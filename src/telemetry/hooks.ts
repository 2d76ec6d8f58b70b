/**
 * Callbacks that cannot fail or delay a call. A background fiber runs them one after the other from a bounded queue, to which
 * calls only add.
 */
import type { Duration, Scope } from "effect"
import { Cause, Effect } from "effect"
import type { Service } from "../call/model.js"
import type { Hooks } from "./model.js"
import * as CallRecord from "./callRecord.js"
import { instrument } from "./observe.js"
import * as Fibers from "../internal/fibers.js"
import * as Mailbox from "../internal/mailbox.js"
import * as TimeLimit from "../internal/timeLimit.js"

export interface Config {
  readonly capacity: number
  readonly timeout: Duration.Duration
}

/** Runs a callback until its timeout and logs its failure. */
const runContained = (callback: Effect.Effect<void>, timeout: Duration.Duration): Effect.Effect<void> =>
  // Disconnected, so that an uninterruptible callback does not block the next one.
  Effect.timeoutOption(TimeLimit.disconnect(callback), timeout).pipe(
    Effect.flatMap((done) =>
      done._tag === "None"
        ? Effect.logWarning("A Telemetry.onCall callback exceeded its timeout and was abandoned.")
        : Effect.void
    ),
    Effect.catchAllCause((cause) =>
      Cause.isInterruptedOnly(cause) ? Effect.void : Effect.logWarning("A Telemetry.onCall callback failed.", cause)
    )
  )

export const withHooks = (next: Service, hooks: Hooks, config: Config): Effect.Effect<Service, never, Scope.Scope> =>
  Effect.gen(function* () {
    const queue = yield* Mailbox.make<Effect.Effect<void>>({ capacity: config.capacity, strategy: "dropping" })
    let dropped = 0
    const worker = yield* Effect.forkIn(
      Effect.whileLoop({
        while: () => true,
        body: () =>
          Effect.flatMap(Mailbox.take(queue), (callback) => {
            const count = dropped
            dropped = 0
            const run = runContained(Effect.interruptible(callback), config.timeout)
            return count === 0
              ? run
              : Effect.zipRight(
                  Effect.logWarning(`Telemetry.onCall dropped ${count} callbacks because earlier ones are too slow.`),
                  run
                )
          }),
        step: () => {}
        // The end of the queue.
      }).pipe(Effect.catchAll(() => Effect.void)),
      yield* Effect.scope
    )
    // When the scope closes, the queued callbacks still run for at most the timeout of one.
    yield* Effect.addFinalizer(() =>
      Effect.zipRight(
        Mailbox.end(queue),
        Effect.timeoutOption(Effect.interruptible(Fibers.awaitExit(worker)), config.timeout)
      )
    )

    const enqueue = <A extends ReadonlyArray<unknown>>(
      callback: ((...about: A) => Effect.Effect<void>) | undefined,
      ...about: A
    ): void => {
      if (
        callback !== undefined &&
        !Mailbox.unsafeOffer(
          queue,
          Effect.suspend(() => callback(...about))
        )
      )
        dropped += 1
    }

    return instrument(next, (call, fiber) => {
      const { around, entryOf, opened, started } = CallRecord.makeRecorder(next.info, call, fiber)
      enqueue(hooks.onStart, started)
      return {
        ...(around === undefined ? {} : { around }),
        opened,
        end: (exit, answer) => {
          const ended = entryOf(exit, answer)
          for (const attempt of ended.attempts) enqueue(hooks.onAttempt, attempt, started)
          enqueue(hooks.onEnd, ended)
          return Effect.void
        }
      }
    })
  })
