/** The fibers that an effect starts: one module, since Effect 4 tracks fibers in another way. */
import { Effect, Fiber, Option, Supervisor } from "effect"

export interface TrackedFibers {
  /** Tracks the fibers that an effect starts. */
  readonly within: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  /** How many of them run. */
  readonly running: Effect.Effect<number>
}

const isRunning = (fiber: Fiber.RuntimeFiber<unknown, unknown>): Effect.Effect<boolean> =>
  Effect.map(Fiber.poll(fiber), Option.isNone)

export const track: Effect.Effect<TrackedFibers> = Effect.map(Supervisor.track, (supervisor) => ({
  within: (effect) => Effect.supervised(effect, supervisor),
  running: Effect.map(Effect.flatMap(supervisor.value, Effect.filter(isRunning)), (fibers) => fibers.length)
}))
