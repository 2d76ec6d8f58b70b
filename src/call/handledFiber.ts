/** Fibers whose failures are handled. Effect logs the failure of any other fiber as an unhandled error. */
import type { Cause, Fiber } from "effect"
import { Effect, Exit } from "effect"
import * as Fibers from "../internal/fibers.js"

/** A failure as a value. Unlike an `Exit`, it costs a success no step. */
class Failed<E> {
  readonly cause: Cause.Cause<E>
  constructor(cause: Cause.Cause<E>) {
    this.cause = cause
  }
}

/** A fiber that succeeds also where its effect fails. */
export type HandledFiber<A, E> = Fiber.RuntimeFiber<A | Failed<E>>

/** Forks an effect, whose exit is handled where it is awaited, in the global scope. */
export const fork = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<HandledFiber<A, E>, never, R> =>
  Effect.forkDaemon(Effect.catchAllCause(effect, (cause) => Effect.succeed(new Failed(cause))))

/** The exit of the effect, from that of its fiber. */
export const exitOf = <A, E>(exit: Exit.Exit<A | Failed<E>>): Exit.Exit<A, E> => {
  if (Exit.isFailure(exit)) return Exit.failCause(exit.cause)
  return exit.value instanceof Failed ? Exit.failCause(exit.value.cause) : Exit.succeed(exit.value)
}

/** Observes the exit. The result stops it. */
export const observe = <A, E>(fiber: HandledFiber<A, E>, listener: (exit: Exit.Exit<A, E>) => void): (() => void) =>
  Fibers.observe(fiber, (exit) => listener(exitOf(exit)))

/** Waits for the exit. */
export const awaitExit = <A, E>(fiber: HandledFiber<A, E>): Effect.Effect<Exit.Exit<A, E>> =>
  Effect.map(Fibers.awaitExit(fiber), exitOf)

/** Interrupts, and waits for the exit. */
export const interrupt = <A, E>(fiber: HandledFiber<A, E>): Effect.Effect<Exit.Exit<A, E>> =>
  Effect.map(Fibers.interrupt(fiber), exitOf)
