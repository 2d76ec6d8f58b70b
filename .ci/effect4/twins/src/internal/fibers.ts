/** Observes, awaits, joins and interrupts fibers. */
import type { Exit } from "effect"
import { Fiber } from "effect"
import * as Facade from "../facade.js"

/** Observes the exit of a fiber. The result stops it. */
export const observe = <A, E>(fiber: Fiber.Fiber<A, E>, listener: (exit: Exit.Exit<A, E>) => void): (() => void) =>
  fiber.addObserver(listener)

export const awaitExit = Fiber.await

export const join = Fiber.join

export const interrupt = Facade.interruptFiber

export const interruptAll = Fiber.interruptAll

export const interruptFork = Facade.interruptFork

export const unsafeInterrupt = <A, E>(fiber: Fiber.Fiber<A, E>): void => fiber.interruptUnsafe()

export const current = Facade.currentFiber
