import { describe, expect, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Option, Ref } from "effect"
import { awaitSignalWithin, within } from "../../src/call/timeout.js"
import { interruptedAt } from "../support/steps.js"

const endless = (stopped: Ref.Ref<boolean>) => Effect.onInterrupt(Effect.never, () => Ref.set(stopped, true))

/** The number of active timers of this process. Timers of other tests can end at any time. */
const timers = Effect.sync(() => process.getActiveResourcesInfo().filter((kind) => kind === "Timeout").length)

describe("within, under the real clock", () => {
  it.live("within interrupts an effect that takes longer, then fails", () =>
    Effect.gen(function* () {
      const stopped = yield* Ref.make(false)
      const error = yield* Effect.flip(within(endless(stopped), 5, () => "too long"))
      expect([error, yield* Ref.get(stopped)]).toEqual(["too long", true])
    })
  )

  it.live("within returns the result and errors of an effect that ends in time, and leaves no timer", () =>
    Effect.gen(function* () {
      const before = yield* timers
      expect(yield* within(Effect.succeed(1), 60_000, () => "too long")).toBe(1)
      expect(yield* Effect.flip(within(Effect.fail("its own"), 60_000, () => "too long"))).toBe("its own")
      expect(yield* Effect.exit(within(Effect.die("a defect"), 60_000, () => "too long"))).toEqual(Exit.die("a defect"))
      expect(yield* timers).toBeLessThanOrEqual(before)
    })
  )

  it.live("within interrupts its effect when it is interrupted, and waits for the finalizer", () =>
    Effect.gen(function* () {
      const before = yield* timers
      const stopped = yield* Ref.make(false)
      const begun = yield* Deferred.make<void>()
      const slowlyStopped = Effect.onInterrupt(Effect.zipRight(Deferred.succeed(begun, undefined), Effect.never), () =>
        Effect.zipRight(Effect.repeatN(Effect.yieldNow(), 5), Ref.set(stopped, true))
      )
      const fiber = yield* Effect.fork(within(slowlyStopped, 60_000, () => "too long"))
      yield* Deferred.await(begun)
      yield* Fiber.interrupt(fiber)
      expect(yield* Ref.get(stopped)).toBe(true)
      expect(yield* timers).toBeLessThanOrEqual(before)
    })
  )

  it.live(
    "within that is interrupted before any of its steps never begins its effect, or waits for the finalizer",
    () =>
      Effect.gen(function* () {
        const outcomes = new Set<string>()
        for (let step = 1; step <= 40; step++) {
          let begun = false
          let finalized = false
          const effect = Effect.onExit(
            Effect.suspend(() => {
              begun = true
              return Effect.repeatN(Effect.yieldNow(), 5)
            }),
            () =>
              Effect.delay(
                Effect.sync(() => void (finalized = true)),
                1
              )
          )
          const exit = yield* interruptedAt(
            within(effect, 60_000, () => "too long"),
            step,
            "1 minute"
          )
          expect(Option.isSome(exit)).toBe(true)
          if (begun) expect(finalized).toBe(true)
          outcomes.add(begun ? "begun" : "never begun")
        }
        expect(outcomes).toEqual(new Set(["never begun", "begun"]))
      })
  )

  it.live("within sets no limit when it is longer than timers can run", () =>
    Effect.gen(function* () {
      expect(yield* within(Effect.delay(Effect.succeed(1), 5), 2 ** 40, () => "too long")).toBe(1)
    })
  )
})

describe("signals", () => {
  it.live("removes its listener from a signal after a timeout and after an interruption", () =>
    Effect.gen(function* () {
      const listeners = new Set<(value: string) => void>()
      const signal = (listener: (value: string) => void) => {
        listeners.add(listener)
        return () => void listeners.delete(listener)
      }
      expect(yield* awaitSignalWithin(signal, 1)).toBeUndefined()
      expect(listeners.size).toBe(0)
      const fiber = yield* Effect.fork(awaitSignalWithin(signal, 60_000))
      while (listeners.size === 0) yield* Effect.yieldNow()
      yield* Fiber.interrupt(fiber)
      expect(listeners.size).toBe(0)
    })
  )
})
