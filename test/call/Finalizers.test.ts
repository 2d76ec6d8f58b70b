/** The finalizers of a stream. */
import { describe, expect, it } from "@effect/vitest"
import { Cause, Effect, Exit, Fiber, Logger } from "effect"
import * as fc from "fast-check"
import * as Finalizers from "../../src/call/finalizers.js"
import { interruptedAt } from "../support/steps.js"

type Kind = "plain" | "effect" | "waiting" | "throwing" | "dying"

/** A finalizer that records its run first, whose number is in its fault: Effect 4 keeps one of equal defects. */
const finalizerOf =
  (kind: Kind, record: () => number): Finalizers.Finalizer =>
  () => {
    switch (kind) {
      case "plain":
        record()
        return Effect.void
      case "effect":
        return Effect.sync(record)
      case "waiting":
        record()
        return Effect.yieldNow()
      case "throwing":
        throw new Error(`thrown by ${record()}`)
      case "dying":
        return Effect.die(`died in ${record()}`)
    }
  }

const kinds = fc.array(fc.constantFrom<Kind>("plain", "effect", "waiting", "throwing", "dying"), { maxLength: 6 })

const addAll = (finalizers: Finalizers.Finalizers, all: ReadonlyArray<Kind>, order: Array<number>) =>
  Effect.forEach(
    all,
    (kind, index) =>
      finalizers.add(
        finalizerOf(kind, () => order.push(index)),
        () => Effect.void
      ),
    { discard: true }
  )

const reversed = (all: ReadonlyArray<unknown>): ReadonlyArray<number> => all.map((_, index) => index).reverse()

describe("the finalizers of a stream", () => {
  it.effect.prop("run once each, the last one first, also when others fail", [kinds], ([all]) =>
    Effect.gen(function* () {
      const order: Array<number> = []
      const exit = yield* Effect.exit(Finalizers.scoped((finalizers) => addAll(finalizers, all, order)))
      expect(order).toEqual(reversed(all))
      expect(Exit.isFailure(exit)).toBe(all.includes("throwing") || all.includes("dying"))
      const defects = Exit.isFailure(exit) ? Cause.defects(exit.cause).length : 0
      expect(defects).toBe(all.filter((kind) => kind === "throwing" || kind === "dying").length)
    })
  )

  it.effect.prop("leave a failure what it is when they die, and their defects are logged", [kinds], ([all]) =>
    Effect.gen(function* () {
      const logged: Array<unknown> = []
      const logger = Logger.make(({ cause }) => void logged.push(...Cause.defects(cause)))
      const order: Array<number> = []
      const use = Finalizers.scoped((finalizers) =>
        Effect.zipRight(addAll(finalizers, all, order), Effect.fail("a failure"))
      )
      const exit = yield* Effect.provide(Effect.exit(use), Logger.replace(Logger.defaultLogger, logger))
      expect(exit).toEqual(Exit.fail("a failure"))
      expect(order).toEqual(reversed(all))
      expect(logged).toHaveLength(all.filter((kind) => kind === "throwing" || kind === "dying").length)
    })
  )

  it.live.prop(
    "run once each when their effect is interrupted before any of its steps",
    [kinds, fc.integer({ min: 1, max: 60 })],
    ([all, step]) =>
      Effect.gen(function* () {
        const order: Array<number> = []
        let added = 0
        const use = Finalizers.scoped((finalizers) =>
          Effect.forEach(
            all,
            (kind, index) =>
              Effect.uninterruptible(
                Effect.suspend(() => {
                  added += 1
                  return finalizers.add(
                    finalizerOf(kind, () => order.push(index)),
                    () => Effect.yieldNow()
                  )
                })
              ),
            { discard: true }
          )
        )
        yield* interruptedAt(use, step, "5 seconds")
        expect(order).toEqual(reversed(all.slice(0, added)))
      })
  )

  it.effect("run at once when they are added after the end, and interrupt the opening", () =>
    Effect.gen(function* () {
      const finalizers = Finalizers.make()
      yield* finalizers.close(Exit.void)
      let runs = 0
      let isOpened = false
      const opening = finalizers.add(
        () => Effect.sync(() => void runs++),
        () => Effect.sync(() => (isOpened = true))
      )
      const exit = yield* Fiber.await(yield* Effect.fork(opening))
      expect(Exit.isInterrupted(exit)).toBe(true)
      yield* finalizers.close(Exit.void)
      expect({ runs, isOpened }).toEqual({ runs: 1, isOpened: false })
    })
  )
})
