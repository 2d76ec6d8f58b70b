/** Virtual time: the order of timers, cancelled ones, and the time before the start. */
import { expect, it } from "@effect/vitest"
import { Clock, Effect, Fiber } from "effect"
import * as fc from "fast-check"
import * as VirtualTime from "../../src/simulation/virtualTime.js"

it.effect.prop(
  "timers fire in the order of their times, and those of one time in the order in which they were set",
  [fc.array(fc.integer({ min: 0, max: 50 }), { maxLength: 60 })],
  ([delays]) =>
    Effect.gen(function* () {
      const time = VirtualTime.make(0)
      const fired: Array<readonly [at: number, index: number]> = []
      yield* time.run(
        Effect.gen(function* () {
          yield* time.start
          yield* Effect.forEach(
            delays,
            (delay, index) =>
              Effect.delay(
                Effect.sync(() => fired.push([time.now(), index])),
                delay
              ),
            { concurrency: "unbounded" }
          )
        })
      )
      const expected = delays.map((delay, index) => [delay, index] as const).sort((a, b) => a[0] - b[0] || a[1] - b[1])
      expect(fired).toEqual(expected)
    }),
  { fastCheck: { numRuns: 50 } }
)

it.effect("an interrupted sleep does not let time pass", () =>
  Effect.gen(function* () {
    const time = VirtualTime.make(1000)
    const [millis, nanos] = yield* time.run(
      Effect.gen(function* () {
        yield* time.start
        const long = yield* Effect.fork(Effect.sleep("1 day"))
        yield* Effect.sleep("5 seconds")
        yield* Fiber.interrupt(long)
        yield* Effect.sleep("1 second")
        return [yield* Clock.currentTimeMillis, yield* Clock.currentTimeNanos] as const
      })
    )
    expect([millis, nanos]).toEqual([7000, 6_000_000_000n])
  })
)

it.live("time does not pass before the start, while a promise of a layer is awaited", () =>
  Effect.gen(function* () {
    const time = VirtualTime.make(0)
    const at = yield* time.run(
      Effect.gen(function* () {
        const poll = yield* Effect.fork(Effect.forever(Effect.sleep("1 second")))
        yield* Effect.promise(() => new Promise((resolve) => setTimeout(resolve, 20)))
        const before = time.now()
        yield* time.start
        yield* Effect.sleep("10 seconds")
        yield* Fiber.interrupt(poll)
        return [before, time.now()]
      })
    )
    expect(at).toEqual([0, 10_000])
  })
)
