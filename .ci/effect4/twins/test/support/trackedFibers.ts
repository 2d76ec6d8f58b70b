/** The fibers that an effect starts. */
import { Effect, Metric } from "effect"

export interface TrackedFibers {
  /** Tracks the fibers that an effect starts. */
  readonly within: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  /** How many of them run. */
  readonly running: Effect.Effect<number>
}

export const track: Effect.Effect<TrackedFibers> = Effect.sync(() => {
  let running = 0
  const metrics: Metric.FiberRuntimeMetricsService = {
    recordFiberStart: () => void running++,
    recordFiberEnd: () => void running--
  }
  return {
    within: Effect.provideService(Metric.FiberRuntimeMetrics, metrics),
    running: Effect.sync(() => running)
  }
})
