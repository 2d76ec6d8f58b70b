/** Time limits of whole answers. One that is longer than any timer is none. */
import type { Exit } from "effect"
import { Clock, Context, DefaultServices, Effect, Fiber } from "effect"
import { longestTimer } from "./monotonic.js"

const realClock = Context.get(DefaultServices.liveServices, Clock.Clock)

/** How the fiber ended; undefined where the time ran out before. */
const ended = <A, E>(fiber: Fiber.RuntimeFiber<A, E>, millis: number): Effect.Effect<Exit.Exit<A, E> | undefined> =>
  Effect.async((resume) => {
    const timer = setTimeout(() => resume(Effect.succeed(undefined)), millis)
    const observer = (exit: Exit.Exit<A, E>) => {
      clearTimeout(timer)
      resume(Effect.succeed(exit))
    }
    fiber.addObserver(observer)
    return Effect.sync(() => {
      clearTimeout(timer)
      fiber.removeObserver(observer)
    })
  })

/** How a fiber ends in this time; undefined where it does not. The fiber runs on. */
export const endedWithin = <A, E>(
  fiber: Fiber.RuntimeFiber<A, E>,
  millis: number
): Effect.Effect<Exit.Exit<A, E> | undefined> =>
  Effect.clockWith((clock) =>
    millis > longestTimer
      ? Fiber.await(fiber)
      : clock === realClock
        ? ended(fiber, millis)
        : Effect.timeoutTo(Fiber.await(fiber), {
            duration: millis,
            onSuccess: (exit) => exit,
            onTimeout: () => undefined
          })
  )

/**
 * What `Effect.timeoutFail` does, for a third of its cost where the clock is the real one: a timer instead of a fiber that
 * sleeps. Every call pays it. `onTimeout` is asked for the error before the effect is interrupted.
 */
export const within = <A, E, R>(
  effect: Effect.Effect<A, E, R>,
  millis: number,
  onTimeout: () => E
): Effect.Effect<A, E, R> =>
  millis > longestTimer
    ? effect
    : Effect.uninterruptibleMask((restore) =>
        Effect.flatMap(Effect.forkDaemon(restore(effect)), (fiber) =>
          Effect.flatMap(
            Effect.onInterrupt(restore(endedWithin(fiber, millis)), () => Fiber.interrupt(fiber)),
            (exit) =>
              exit === undefined
                ? Effect.flatMap(Effect.sync(onTimeout), (error) =>
                    Effect.zipRight(Fiber.interrupt(fiber), Effect.fail(error))
                  )
                : Effect.zipRight(fiber.inheritAll, exit)
          )
        )
      )
