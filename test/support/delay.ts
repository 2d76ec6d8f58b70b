/** Measures how late a busy process is. */
import { Effect, Ref } from "effect"

/** The longest time, in milliseconds, by which this process wakes a fiber too late. A request can be sent so much later. */
export const measureDelay = Effect.gen(function* () {
  const longest = yield* Ref.make(0)
  const measure = Effect.gen(function* () {
    const before = performance.now()
    yield* Effect.sleep(5)
    const delay = performance.now() - before - 5
    yield* Ref.update(longest, (most) => Math.max(most, delay))
  })
  yield* Effect.forkScoped(Effect.forever(measure))
  return Ref.get(longest)
})
