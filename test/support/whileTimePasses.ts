import type { Duration } from "effect"
import { Effect, Fiber, Option, TestClock } from "effect"

/** Runs an effect while the test clock goes on, until it ends. */
export const whileTimePasses = <A, E, R>(
  effect: Effect.Effect<A, E, R>,
  step: Duration.DurationInput = "10 seconds"
): Effect.Effect<A, E, R> =>
  Effect.gen(function* () {
    const fiber = yield* Effect.fork(Effect.exit(effect))
    while (Option.isNone(yield* Fiber.poll(fiber))) yield* TestClock.adjust(step)
    return yield* Effect.flatten(Fiber.join(fiber))
  })
