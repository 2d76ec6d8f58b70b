/** `LLM` is an ordinary service: Effect's combinators for services apply to it. */
import { describe, expect, it } from "@effect/vitest"
import { Effect, ExecutionPlan, Fiber, Schedule, TestClock } from "effect"
import * as LLM from "../src/LLM.js"
import { TestLLM } from "../src/testing/index.js"
import { unavailable } from "./support/scripted.js"

describe("Effect combinators over an LLM", () => {
  const plan = ExecutionPlan.make(
    { provide: TestLLM.layer([TestLLM.failure(unavailable)], { loop: true }), attempts: 2 },
    { provide: TestLLM.layer(["from the second"]), attempts: 1 }
  )

  it.effect("Effect.withExecutionPlan goes from one LLM to the next", () =>
    Effect.gen(function* () {
      const answer = yield* Effect.withExecutionPlan(LLM.chat("?"), plan)
      expect(answer.text).toBe("from the second")
    })
  )

  it.effect("Effect.retry retries a call of an LLM on a schedule", () =>
    Effect.gen(function* () {
      const fiber = yield* Effect.fork(Effect.retry(LLM.chat("?"), Schedule.exponential("1 second")))
      yield* TestClock.adjust("1 minute")
      expect((yield* Fiber.join(fiber)).text).toBe("at last")
    }).pipe(Effect.provide(TestLLM.layer([TestLLM.failure(unavailable), TestLLM.failure(unavailable), "at last"])))
  )

  it.effect("Effect.timeout interrupts a call of an LLM", () =>
    Effect.gen(function* () {
      const fiber = yield* Effect.fork(Effect.flip(Effect.timeout(LLM.chat("?"), "1 second")))
      yield* TestClock.adjust("1 second")
      expect((yield* Fiber.join(fiber))._tag).toBe("TimeoutException")
    }).pipe(Effect.provide(TestLLM.layer([TestLLM.never])))
  )
})
