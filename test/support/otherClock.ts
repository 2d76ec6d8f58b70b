/** A clock with the time of the machine under which calls are made of effects. */
import { Clock } from "effect"
import { liveClock } from "../../src/internal/clock.js"

/** The live clock as another object, with which calls are made of effects. */
export const otherClock: Clock.Clock = {
  [Clock.ClockTypeId]: Clock.ClockTypeId,
  unsafeCurrentTimeMillis: () => liveClock.unsafeCurrentTimeMillis(),
  unsafeCurrentTimeNanos: () => liveClock.unsafeCurrentTimeNanos(),
  currentTimeMillis: liveClock.currentTimeMillis,
  currentTimeNanos: liveClock.currentTimeNanos,
  sleep: (duration) => liveClock.sleep(duration)
}
