/** The signals of this process. */
import type { Scope } from "effect"
import { Effect, Queue } from "effect"
import * as MonotonicClock from "../../internal/clock.js"
import { exitCodes } from "../failure.js"

export type Signal = "SIGTERM" | "SIGINT" | "SIGHUP"

/** A queue of the process's signals with these names. The listeners are added before it succeeds and removed with the scope. */
export const queue = (...names: ReadonlyArray<Signal>): Effect.Effect<Queue.Dequeue<Signal>, never, Scope.Scope> =>
  Effect.flatMap(Queue.unbounded<Signal>(), (queue) => {
    const onSignal = (name: Signal): void => {
      queue.unsafeOffer(name)
    }
    return Effect.as(
      Effect.acquireRelease(
        Effect.sync(() => names.forEach((name) => process.on(name, onSignal))),
        () => Effect.sync(() => names.forEach((name) => process.off(name, onSignal)))
      ),
      queue
    )
  })

/** Signals within this time of the first are copies of it, in milliseconds: wrappers such as npx send a signal twice. */
const copyTime = 1000

/** Exits at once, without closing anything. */
const exit = (name: Signal): Effect.Effect<void> =>
  Effect.sync(() => process.exit(name === "SIGINT" ? exitCodes.interrupted : exitCodes.terminated))

/** Runs an effect at the first of the signals. A later one, which is not a copy of the first, ends the process at once after `beforeExit`. */
export const onStop = (
  names: ReadonlyArray<Signal>,
  first: (name: Signal) => Effect.Effect<void>,
  beforeExit: Effect.Effect<void> = Effect.void
): Effect.Effect<void, never, Scope.Scope> =>
  Effect.gen(function* () {
    const received = yield* queue(...names)
    yield* Effect.forkScoped(
      Effect.gen(function* () {
        const name = yield* Queue.take(received)
        const clock = yield* Effect.clock
        const at = MonotonicClock.now(clock)
        yield* Effect.forkScoped(first(name))
        const later = Effect.map(Queue.take(received), (name) =>
          MonotonicClock.now(clock) - at > copyTime ? name : undefined
        )
        const again = yield* Effect.repeat(later, { until: (name) => name !== undefined })
        yield* Effect.logWarning(`${again}: a second signal, so the process ends at once`)
        yield* Effect.zipRight(beforeExit, exit(again ?? "SIGTERM"))
      })
    )
  })
