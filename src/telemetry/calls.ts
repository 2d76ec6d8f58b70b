/** Spans and metrics of calls: as the observer of an effect, and as the recorder of the call plan. */
import type { Tracer } from "effect"
import { Effect, Option } from "effect"
import type { CallTimes, ModelInfo, Service } from "../call/model.js"
import type { CallRecorder } from "../call/observer.js"
import { startOf } from "../call/origin.js"
import { clockOf } from "../internal/clock.js"
import * as Sketch from "../vocabulary/quantileSketch.js"
import * as Aliases from "./aliases.js"
import { requestAttributes, setUsageAttributes } from "./instruments.js"
import * as Metrics from "./metrics.js"
import type { Options } from "./model.js"
import type { Answer, StartObserving } from "./observe.js"
import { instrument, outcomeOf } from "./observe.js"
import * as Spans from "./spans.js"

export interface CallTelemetry {
  readonly startObserving: StartObserving
  readonly recorder: CallRecorder
  /** The durations of the calls so far. */
  readonly times: () => CallTimes
}

const setAnswerAttributes = (span: Tracer.Span, answer: Answer): void => {
  if (answer.id) span.attribute("gen_ai.response.id", answer.id)
  span.attribute("gen_ai.response.model", answer.model)
  if (answer.finishReason !== undefined) span.attribute("gen_ai.response.finish_reasons", [answer.finishReason])
  setUsageAttributes(span, answer.usage)
  span.attribute("effect_llm.attempts", answer.attempts.length)
}

const recorderOf = (
  info: ModelInfo,
  { aliases = false, metrics = true }: Options,
  latency: Sketch.Recorder,
  timeToFirstEvent: Sketch.Recorder
): CallRecorder => {
  const callMetrics = metrics ? Metrics.ofCalls(info, aliases) : Metrics.noMetrics
  const aliasMetrics = metrics && aliases ? Aliases.ofCalls(info) : Metrics.noMetrics
  return {
    opened: (millis, labels) => {
      timeToFirstEvent.unsafeRecord(millis)
      callMetrics.firstEvent(millis / 1000, labels)
    },
    ended: (outcome, millis, usage, labels, now) => {
      latency.unsafeRecord(millis)
      callMetrics.ended(outcome, millis / 1000, usage, labels, now)
      aliasMetrics.ended(outcome, millis / 1000, usage, labels, now)
    }
  }
}

/** The telemetry of the calls of an `LLM`. */
export const make = (info: ModelInfo, options: Options): CallTelemetry => {
  const latency = Sketch.unsafeMake()
  const timeToFirstEvent = Sketch.unsafeMake()
  const recorder = recorderOf(info, options, latency, timeToFirstEvent)

  const startObserving: StartObserving = ({ model, operation, request }) =>
    Effect.withFiberRuntime((fiber) => {
      const clock = clockOf(fiber)
      const startedAt = startOf(fiber.currentContext, info, clock.unsafeCurrentTimeMillis())
      const elapsed = () => clock.unsafeCurrentTimeMillis() - startedAt
      const span =
        options.spans === false
          ? Effect.succeedNone
          : Spans.make(`${operation} ${model}`, () => ({
              attributes: requestAttributes(info, operation, model, request)
            }))
      return Effect.map(span, (span) => ({
        around: (effect) => (Option.isNone(span) ? effect : Effect.withParentSpan(effect, span.value)),
        opened: Metrics.updateMetrics((labels) => recorder.opened(elapsed(), labels)),
        end: (exit, answer) =>
          Metrics.updateMetrics((labels) => {
            const outcome = outcomeOf(exit)
            if (Option.isSome(span)) {
              if (answer !== undefined) setAnswerAttributes(span.value, answer)
              if (outcome !== "ok") span.value.attribute("error.type", outcome)
              span.value.end(clock.unsafeCurrentTimeNanos(), exit)
            }
            recorder.ended(outcome, elapsed(), answer?.usage, labels, clock.unsafeCurrentTimeMillis())
          })
      }))
    })

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
