/** How long a worker that leaves alone may go on serving. */
import { describe, expect, it } from "@effect/vitest"
import { Duration, Effect } from "effect"
import * as Departure from "../../src/cli/gateway/cluster/departure.js"
import { makeClock, withWallShift } from "../support/interleaving.js"

const hour = 3_600_000

const grace = Duration.seconds(30)

describe("the grace period of a worker that leaves", () => {
  it.effect("begins with its departure", () => {
    const { clock, pass } = makeClock()
    const program = Effect.gen(function* () {
      const departure = yield* Departure.make
      yield* pass(20_000)
      expect(yield* departure.graceLeft(grace)).toEqual(grace)
      yield* departure.begin
      yield* departure.leaving.await
      yield* pass(20_000)
      expect(yield* departure.graceLeft(grace)).toEqual(Duration.seconds(10))
      yield* pass(20_000)
      expect(yield* departure.graceLeft(grace)).toEqual(Duration.zero)
    })
    return Effect.withClock(program, clock)
  })

  it.effect.each([hour, -hour])("is the same when the wall clock jumps by %d ms", (jump) => {
    const { clock, pass } = makeClock()
    let shift = 0
    const program = Effect.gen(function* () {
      const departure = yield* Departure.make
      yield* departure.begin
      shift = jump
      yield* pass(10_000)
      expect(yield* departure.graceLeft(grace)).toEqual(Duration.seconds(20))
    })
    const shifted = withWallShift(clock, () => shift)
    return Effect.withClock(program, shifted)
  })
})
