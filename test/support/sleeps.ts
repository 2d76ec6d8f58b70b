/** The clock of a fiber with a list of the sleeps that were asked of it, in milliseconds. */
import type { Clock } from "effect"
import { Duration, Effect } from "effect"

export const recordingClock = Effect.map(Effect.clock, (clock) => {
  const sleeps: Array<number> = []
  const recording: Clock.Clock = Object.assign(Object.create(clock), {
    sleep: (duration: Duration.Duration) =>
      Effect.suspend(() => {
        sleeps.push(Duration.toMillis(duration))
        return clock.sleep(duration)
      })
  })
  return { clock: recording, sleeps }
})
