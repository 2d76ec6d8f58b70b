/** How long calls wait for the limits of the model file, and not for the provider. */
import { Clock, Effect } from "effect"
import { CurrentWaitObserver } from "../../call/waits.js"

export interface LimitWaits {
  /** Measures the waits of the calls of an effect. */
  readonly measure: <A, E, R>(calls: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  /** The calls that wait now. */
  readonly waiting: Effect.Effect<number>
  /** The waits of all calls together, in milliseconds. */
  readonly total: Effect.Effect<number>
}

export const make: Effect.Effect<LimitWaits> = Effect.sync(() => {
  let waiting = 0
  let total = 0
  const timed = <A, E>(wait: Effect.Effect<A, E>): Effect.Effect<A, E> =>
    Effect.flatMap(Clock.currentTimeMillis, (startedAt) => {
      waiting += 1
      return Effect.ensuring(
        wait,
        Effect.map(Clock.currentTimeMillis, (endedAt) => {
          waiting -= 1
          total += endedAt - startedAt
        })
      )
    })
  return {
    measure: (calls) =>
      Effect.provideService(calls, CurrentWaitObserver, ({ source }, wait) =>
        source === "limiter" ? timed(wait) : wait
      ),
    waiting: Effect.sync(() => waiting),
    total: Effect.sync(() => total)
  }
})

/** The least share of the time of all calls that is worth a sentence. */
const leastShare = 0.1

/** Says that the limits set the pace; undefined when they did not. Both times in milliseconds, of all calls together. */
export const sentence = (waited: number, ofAll: number): string | undefined =>
  ofAll > 0 && waited / ofAll >= leastShare
    ? `The calls spent ${Math.round((100 * waited) / ofAll)} % of their time waiting for the rate limit of the model file, not for the provider.`
    : undefined
