/** Calls take the fast way with the clock of the machine only. */
import { expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { clockOf, liveClock } from "../../src/internal/clock.js"

it("the clock of the machine is the clock of a fiber that has been given no other", () => {
  expect(Effect.runSync(Effect.withFiberRuntime((fiber) => Effect.succeed(clockOf(fiber))))).toBe(liveClock)
})
