/** A clock and a scheduler that tests control, to try many interleavings of fibers. */
import { Clock, Duration, Effect, Scheduler } from "effect"
import * as RandomDraw from "../../src/internal/random.js"

/**
 * A clock that advances only with `pass`. TestClock is not usable here: a fiber that is interrupted in its `sleep` keeps the lock of
 * the TestClock. Timers fire after whole milliseconds, at least one, as Node's do. Fibers run for `turns` turns of the scheduler
 * before time goes on, and `idle` waits for what they do outside of this process.
 */
export const makeClock = (turns = 20, idle: Effect.Effect<void> = Effect.void) => {
  let now = 0
  const timers = new Map<() => void, number>()
  const clock: Clock.Clock = {
    [Clock.ClockTypeId]: Clock.ClockTypeId,
    unsafeCurrentTimeMillis: () => now,
    unsafeCurrentTimeNanos: () => BigInt(now) * 1_000_000n,
    currentTimeMillis: Effect.sync(() => now),
    currentTimeNanos: Effect.sync(() => BigInt(now) * 1_000_000n),
    sleep: (duration) =>
      Effect.async((resume) => {
        const wake = () => resume(Effect.void)
        timers.set(wake, now + Math.max(1, Math.trunc(Duration.toMillis(duration))))
        return Effect.sync(() => timers.delete(wake))
      })
  }
  const pass = (millis: number) =>
    Effect.gen(function* () {
      const end = now + millis
      for (;;) {
        yield* Effect.replicateEffect(Effect.yieldNow(), turns)
        yield* idle
        const [wake, at] = [...timers].reduce(
          (first, next) => (next[1] < first[1] ? next : first),
          [() => {}, Infinity]
        )
        if (at > end) break
        now = Math.max(now, at)
        timers.delete(wake)
        wake()
      }
      now = end
    })
  return { clock, pass }
}

/** A clock whose wall time is ahead of its monotonic time by `shift` milliseconds, which a test can change. */
export const withWallShift = (clock: Clock.Clock, shift: () => number): Clock.Clock => {
  const wall = () => clock.unsafeCurrentTimeMillis() + shift()
  return { ...clock, unsafeCurrentTimeMillis: wall, currentTimeMillis: Effect.sync(wall) }
}

/** A scheduler that yields at random steps, so that repeated runs try many interleavings. A yield takes a dozen steps itself. */
export const restless = (seed: number): Scheduler.Scheduler => {
  let draw = RandomDraw.next(seed)
  return Scheduler.make(
    (task) => Scheduler.defaultScheduler.scheduleTask(task, 0),
    () => {
      draw = RandomDraw.next(draw)
      return RandomDraw.uniform(draw) < 0.03 ? 0 : false
    }
  )
}
