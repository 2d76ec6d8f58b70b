/** Spans and metrics of calls: as the observer of an effect, and as the recorder of the call plan. */
import { Context, Effect, FiberRef } from "effect"
import type { CallTimes, ModelInfo, Service } from "../call/model.js"
import type { CallRecorder, Spans } from "../call/observer.js"
import { outcomeOf } from "../call/observer.js"
import { takeOver } from "../call/origin.js"
import { clockOf } from "../internal/clock.js"
import { Label } from "../internal/label.js"
import * as Sketch from "../vocabulary/quantileSketch.js"
import * as Aliases from "./aliases.js"
import * as Conventions from "./conventions.js"
import * as Metrics from "./metrics.js"
import type { Options } from "./model.js"
import type { StartObserving } from "./observe.js"
import { instrument } from "./observe.js"

export interface CallTelemetry {
  readonly startObserving: StartObserving
  readonly recorder: CallRecorder
  /** The durations of the calls so far. */
  readonly times: () => CallTimes
}

const recorderOf = (
  info: ModelInfo,
  { aliases = false, metrics = true }: Options,
  latency: Sketch.Recorder,
  timeToFirstEvent: Sketch.Recorder
): CallRecorder => {
  const callMetrics = metrics ? Metrics.ofCalls(info, aliases) : Metrics.noMetrics
  const conventions = metrics ? Conventions.ofCalls(info) : Metrics.noMetrics
  const aliasMetrics = metrics && aliases ? Aliases.ofCalls(info) : Metrics.noMetrics
  return {
    opened: (millis, labels) => {
      timeToFirstEvent.unsafeRecord(millis)
      callMetrics.firstEvent(millis / 1000, labels)
      conventions.firstEvent(millis / 1000, labels)
    },
    ended: (call) => {
      latency.unsafeRecord(call.millis)
      callMetrics.ended(call)
      conventions.ended(call)
      aliasMetrics.ended(call)
    }
  }
}

/** The telemetry of the calls of an `LLM`. */
export const make = (info: ModelInfo, options: Options, spans: Spans | undefined): CallTelemetry => {
  const latency = Sketch.unsafeMake()
  const timeToFirstEvent = Sketch.unsafeMake()
  const recorder = recorderOf(info, options, latency, timeToFirstEvent)

  const startObserving: StartObserving = (call, fiber) => {
    const clock = clockOf(fiber)
    const origin = takeOver(fiber.currentContext, info)
    const startedAt = origin?.startedAt ?? clock.unsafeCurrentTimeMillis()
    const elapsed = () => clock.unsafeCurrentTimeMillis() - startedAt
    const caller = Context.get(fiber.currentContext, Label)
    const span = origin === undefined ? spans?.startCall(fiber, call) : origin.span
    const labels = fiber.getFiberRef(FiberRef.currentMetricLabels)
    let firstChunk: number | undefined
    return {
      ...(span === undefined ? {} : { around: (effect) => Effect.withParentSpan(effect, span) }),
      opened: () => {
        firstChunk = elapsed()
        recorder.opened(firstChunk, labels)
      },
      end: (exit, answer) => {
        const now = clock.unsafeCurrentTimeMillis()
        const millis = now - startedAt
        recorder.ended({
          operation: call.operation,
          model: call.model,
          answeredBy: answer?.model,
          outcome: outcomeOf(exit),
          millis,
          usage: answer?.usage,
          caller,
          labels,
          now
        })
        if (span !== undefined) spans?.endCall(span, clock, exit, answer, firstChunk)
        return Effect.void
      }
    }
  }

  return {
    startObserving,
    recorder,
    times: () => ({ latency: latency.unsafeSnapshot(), timeToFirstEvent: timeToFirstEvent.unsafeSnapshot() })
  }
}

/** Observes the calls of a service, and adds their durations to its status. */
export const observe = (next: Service, { startObserving, times }: CallTelemetry): Service => ({
  ...instrument(next, startObserving),
  status: withTimes(next.status, times)
})

/** The status with the durations of calls. */
export const withTimes = (status: Service["status"], times: () => CallTimes): Service["status"] =>
  Effect.map(status, (current) => ({ ...current, calls: times() }))
