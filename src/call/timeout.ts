/** Time limits of whole answers. One that is longer than any timer is none. */
import type { Exit } from "effect"
import { Clock, Context, DefaultServices, Effect, Fiber } from "effect"
import { longestTimer } from "../internal/clock.js"

const realClock = Context.get(DefaultServices.liveServices, Clock.Clock)

/** Something that happens once. Whoever listens is told, at once where it has happened; the answer is how to stop listening. */
export type Signal<A> = (listener: (told: A) => void) => () => void

const heard = <A>(signal: Signal<A>): Effect.Effect<A> =>
  Effect.async((resume) => Effect.sync(signal((told) => resume(Effect.succeed(told)))))

const heardBeforeTimer = <A>(signal: Signal<A>, millis: number): Effect.Effect<A | undefined> =>
  Effect.async((resume) => {
    const timer = setTimeout(() => {
      stop()
      resume(Effect.succeed(undefined))
    }, millis)
    const stop = signal((told) => {
      clearTimeout(timer)
      resume(Effect.succeed(told))
    })
    return Effect.sync(() => {
      clearTimeout(timer)
      stop()
    })
  })

/**
 * What is told in this time; undefined where nothing is. A timer where the clock is the real one, and no fiber that sleeps.
 */
export const heardWithin = <A>(signal: Signal<A>, millis: number): Effect.Effect<A | undefined> =>
  Effect.clockWith((clock) =>
    millis > longestTimer
      ? heard(signal)
      : clock === realClock
        ? heardBeforeTimer(signal, millis)
        : Effect.timeoutTo(heard(signal), { duration: millis, onSuccess: (told) => told, onTimeout: () => undefined })
  )

/** How a fiber ends in this time; undefined where it does not. The fiber runs on. */
export const endedWithin = <A, E>(
  fiber: Fiber.RuntimeFiber<A, E>,
  millis: number
): Effect.Effect<Exit.Exit<A, E> | undefined> =>
  heardWithin((listener: (exit: Exit.Exit<A, E>) => void) => {
    fiber.addObserver(listener)
    return () => fiber.removeObserver(listener)
  }, millis)

/**
 * Looks, and looks again after as many milliseconds as the look gives, until it gives none. The answer ends it. A timer where the
 * clock is the real one, and no fiber that sleeps.
 */
export const lookingAgain = (look: () => number | undefined): Effect.Effect<Effect.Effect<void>> =>
  Effect.clockWith((clock) => {
    if (clock !== realClock) {
      const looking: Effect.Effect<void> = Effect.suspend(() => {
        const millis = look()
        return millis === undefined ? Effect.void : Effect.zipRight(Effect.sleep(millis), looking)
      })
      return Effect.map(Effect.forkDaemon(Effect.interruptible(looking)), (fiber) =>
        Effect.asVoid(Fiber.interrupt(fiber))
      )
    }
    return Effect.sync(() => {
      let timer: ReturnType<typeof setTimeout> | undefined
      const again = (): void => {
        const millis = look()
        timer = millis === undefined ? undefined : setTimeout(again, Math.min(millis, longestTimer))
      }
      again()
      return Effect.sync(() => clearTimeout(timer))
    })
  })

/**
 * What `Effect.timeoutTo` does, for a third of its cost where the clock is the real one: a timer instead of a fiber that sleeps.
 * Every call pays it. `onTimeout` is asked what to do instead before the effect is interrupted.
 */
export const withinOr = <A, E, R, B, E2, R2>(
  effect: Effect.Effect<A, E, R>,
  millis: number,
  onTimeout: () => Effect.Effect<B, E2, R2>
): Effect.Effect<A | B, E | E2, R | R2> =>
  millis > longestTimer
    ? effect
    : Effect.uninterruptibleMask((restore) =>
        Effect.flatMap(Effect.forkDaemon(restore(effect)), (fiber) =>
          Effect.flatMap(
            Effect.onInterrupt(restore(endedWithin(fiber, millis)), () => Fiber.interrupt(fiber)),
            (exit): Effect.Effect<A | B, E | E2, R | R2> =>
              exit === undefined
                ? Effect.flatMap(Effect.sync(onTimeout), (instead) =>
                    Effect.zipRight(Fiber.interrupt(fiber), restore(instead))
                  )
                : Effect.zipRight(fiber.inheritAll, exit)
          )
        )
      )

/** The effect, or the failure that it takes longer. `onTimeout` is asked for the error before the effect is interrupted. */
export const within = <A, E, R>(
  effect: Effect.Effect<A, E, R>,
  millis: number,
  onTimeout: () => E
): Effect.Effect<A, E, R> => withinOr(effect, millis, () => Effect.fail(onTimeout()))
