/** Time limits of effects, with timers instead of sleeping fibers. A limit longer than the longest timer has no effect. */
import type { Exit } from "effect"
import { Effect } from "effect"
import * as Fibers from "../internal/fibers.js"
import { liveClock, longestTimer, timerDelay } from "../internal/clock.js"
import * as HandledFiber from "./handledFiber.js"

/** A value that is set once. A listener is called when it is set, or at once when it is set already. The result removes the listener. */
export type Signal<A> = (listener: (value: A) => void) => () => void

const awaitSignal = <A>(signal: Signal<A>): Effect.Effect<A> =>
  Effect.async((resume) => Effect.sync(signal((value) => resume(Effect.succeed(value)))))

const awaitSignalOrTimer = <A>(signal: Signal<A>, millis: number): Effect.Effect<A | undefined> =>
  Effect.async((resume) => {
    const timer = setTimeout(() => {
      stop()
      resume(Effect.succeed(undefined))
    }, millis)
    const stop = signal((value) => {
      clearTimeout(timer)
      resume(Effect.succeed(value))
    })
    return Effect.sync(() => {
      clearTimeout(timer)
      stop()
    })
  })

/**
 * The same for any clock. The sleeping fiber is a daemon: the interruption of a fiber interrupts its children at once, also while the
 * fiber cannot be interrupted itself.
 */
const awaitSignalOrSleep = <A>(signal: Signal<A>, millis: number): Effect.Effect<A | undefined> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.flatMap(Effect.forkDaemon(Effect.interruptible(Effect.sleep(millis))), (sleeper) =>
      Effect.ensuring(
        restore(
          Effect.async<A | undefined>((resume) => {
            const stopSleep = Fibers.observe(sleeper, () => resume(Effect.succeed(undefined)))
            const stop = signal((value) => resume(Effect.succeed(value)))
            return Effect.sync(() => {
              stopSleep()
              stop()
            })
          })
        ),
        Fibers.interruptFork(sleeper)
      )
    )
  )

/**
 * Waits for a signal; undefined after `millis`. Uses a timer instead of a sleeping fiber with the real clock.
 */
export const awaitSignalWithin = <A>(signal: Signal<A>, millis: number): Effect.Effect<A | undefined> =>
  Effect.clockWith((clock) =>
    millis > longestTimer
      ? awaitSignal(signal)
      : clock === liveClock
        ? awaitSignalOrTimer(signal, millis)
        : awaitSignalOrSleep(signal, millis)
  )

/** Waits for the exit of a fiber; undefined after `millis`. The fiber continues. */
export const endedWithin = <A, E>(
  fiber: HandledFiber.HandledFiber<A, E>,
  millis: number
): Effect.Effect<Exit.Exit<A, E> | undefined> =>
  awaitSignalWithin((listener: (exit: Exit.Exit<A, E>) => void) => HandledFiber.observe(fiber, listener), millis)

/**
 * Runs a check, and again after the milliseconds that it returns, until it returns undefined. The resulting effect stops it. Uses
 * a timer instead of a sleeping fiber with the real clock.
 */
export const checkRepeatedly = (check: () => number | undefined): Effect.Effect<Effect.Effect<void>> =>
  Effect.clockWith((clock) => {
    if (clock !== liveClock) {
      const checking: Effect.Effect<void> = Effect.suspend(() => {
        const millis = check()
        return millis === undefined ? Effect.void : Effect.zipRight(Effect.sleep(millis), checking)
      })
      return Effect.map(Effect.forkDaemon(Effect.interruptible(checking)), (fiber) =>
        Effect.asVoid(Fibers.interrupt(fiber))
      )
    }
    return Effect.sync(() => {
      let timer: ReturnType<typeof setTimeout> | undefined
      const run = (): void => {
        const millis = check()
        timer = millis === undefined ? undefined : setTimeout(run, timerDelay(millis))
      }
      run()
      return Effect.sync(() => clearTimeout(timer))
    })
  })

/**
 * `Effect.timeoutTo` for a third of its cost with the real clock: it uses a timer instead of a sleeping fiber, since every call needs
 * it. `onTimeout` runs before the effect is interrupted and returns the effect to continue with.
 */
export const withinOr = <A, E, R, B, E2, R2>(
  effect: Effect.Effect<A, E, R>,
  millis: number,
  onTimeout: () => Effect.Effect<B, E2, R2>
): Effect.Effect<A | B, E | E2, R | R2> =>
  millis > longestTimer
    ? effect
    : Effect.uninterruptibleMask((restore) =>
        Effect.flatMap(HandledFiber.fork(Effect.interruptible(effect)), (fiber) =>
          Effect.flatMap(
            Effect.onInterrupt(restore(endedWithin(fiber, millis)), () => Fibers.interrupt(fiber)),
            (exit): Effect.Effect<A | B, E | E2, R | R2> =>
              exit === undefined
                ? Effect.flatMap(Effect.sync(onTimeout), (instead) =>
                    Effect.zipRight(Fibers.interrupt(fiber), restore(instead))
                  )
                : Effect.zipRight(fiber.inheritAll, exit)
          )
        )
      )

/** Fails an effect that takes longer than `millis`. `onTimeout` makes the error before the effect is interrupted. */
export const within = <A, E, R>(
  effect: Effect.Effect<A, E, R>,
  millis: number,
  onTimeout: () => E
): Effect.Effect<A, E, R> => withinOr(effect, millis, () => Effect.fail(onTimeout()))
