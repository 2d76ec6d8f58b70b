/** What becomes of the FiberRefs that a call sets in a fiber of its own. Effect 4 has none. */
import { describe, expect, it } from "@effect/vitest"
import type { Duration } from "effect"
import { Effect, Fiber, FiberRef, TestClock } from "effect"
import { within } from "../../src/call/timeout.js"
import * as Hedge from "../../src/routing/Hedge.js"
import { answer, scripted } from "../support/scripted.js"

const soon = { delay: "1 second", maxExtraLoad: 1 } as const

const later = <A, E>(effect: Effect.Effect<A, E>) =>
  Effect.gen(function* () {
    const fiber = yield* Effect.fork(effect)
    yield* TestClock.adjust("1 minute")
    return yield* Fiber.join(fiber)
  })

describe("FiberRefs", () => {
  it.scoped("are those of an effect that ends within its time limit", () =>
    Effect.gen(function* () {
      const ref = yield* FiberRef.make("unset")
      yield* within(FiberRef.set(ref, "set"), 60_000, () => "too long")
      expect(yield* FiberRef.get(ref)).toBe("set")
    })
  )

  it.scoped("are those of the winner of a hedge, whether the first or the second request wins", () =>
    Effect.gen(function* () {
      const state = yield* FiberRef.make("none")
      const setting = (name: string, delay: Duration.DurationInput) =>
        Effect.zipRight(Effect.zipRight(Effect.sleep(delay), FiberRef.set(state, name)), Effect.succeed(answer(name)))
      const stateAfter = (first: Duration.DurationInput, second: Duration.DurationInput) =>
        Effect.gen(function* () {
          const llm = yield* Hedge.make(
            [yield* scripted(setting("second", second))],
            soon
          )(yield* scripted(setting("first", first)))
          return yield* later(Effect.zipRight(llm.chat("?"), FiberRef.get(state)))
        })
      expect(yield* stateAfter("10 millis", "1 hour")).toBe("first")
      expect(yield* stateAfter("2 seconds", "1 hour")).toBe("first")
      expect(yield* stateAfter("1 hour", "1 second")).toBe("second")
    })
  )
})
