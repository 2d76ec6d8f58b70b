/**
 * Spans and Effect metrics of calls: one span per call and one per attempt, with names and attributes of the OpenTelemetry
 * semantic conventions for generative AI.
 *
 * Labels are bounded: provider, model, key id, outcome, kind. Spans and metrics contain no prompts, answers or secrets. They are
 * on by default in an `LLM` layer; `telemetry: false` removes them and their cost. Spans are made only when a tracer is
 * installed.
 *
 * | metric | labels |
 * | --- | --- |
 * | `llm_requests_total` | provider, model, outcome (`ok`, `interrupted`, `defect`, or the error's `_tag`) |
 * | `llm_request_duration_seconds` | provider, model |
 * | `llm_time_to_first_event_seconds` (streams) | provider, model |
 * | `llm_tokens_total` | provider, model, kind (`input`, `output`, `cached_input`, `cache_write`, `reasoning`) |
 * | `llm_attempts_total` | provider, model, key_id, outcome |
 * | `llm_in_flight`, `llm_load_factor` | provider, model, key_id |
 * | `llm_cooldowns_total` | provider, model, key_id, reason (`RateLimited`, `OutOfQuota`, `Refused`) |
 * | `llm_wait_seconds` | provider, model, for (`limiter`, `pool`) |
 *
 * Latency percentiles are in `calls` of an `LLM`'s `status`, and `percentiles` merges those of several. `Prometheus` renders the
 * metrics as text, `AccessLog` logs a line per call, and `onCall` runs callbacks.
 *
 * @example
 * ```ts
 * import { Effect, Layer } from "effect"
 * import { LLM, Telemetry } from "effect-llm"
 *
 * declare const OpenAI: Layer.Layer<LLM.LLM>
 *
 * const Counted = OpenAI.pipe(
 *   LLM.withMiddleware(Telemetry.onCall({ onEnd: (call) => Effect.logDebug(`${call.model}: ${call.outcome}`) }))
 * )
 *
 * const program = Effect.gen(function* () {
 *   const llm = yield* LLM.LLM
 *   yield* llm.chat("Hello")
 *   const { latency } = yield* Telemetry.percentiles([llm])
 *   return latency.p95
 * }).pipe(Effect.provide(Counted))
 * ```
 *
 * @since 0.1.0
 */
import type { Clock, Scope, Tracer } from "effect"
import { Duration, Effect, Exit, FiberId, Option } from "effect"
import type { CallTimes, Middleware, ModelInfo, Service } from "../call/model.js"
import type { AttemptProbe, Instruments, Outcome, Subject } from "../call/observer.js"
import * as Checks from "../internal/optionChecks.js"
import type { ApiKey } from "../vocabulary/ApiKey.js"
import type { ChatRequest } from "../vocabulary/Chat.js"
import * as Distribution from "../vocabulary/Distribution.js"
import type { Usage } from "../vocabulary/Usage.js"
import * as Aliases from "./aliases.js"
import * as CallHooks from "./hooks.js"
import * as Metrics from "./metrics.js"
import type { HookOptions, Hooks, Options } from "./model.js"
import type { Answer, StartObserving } from "./observe.js"
import { instrument, outcomeOf } from "./observe.js"
import * as Spans from "./spans.js"

export * from "./model.js"

export type { CallTimes } from "../call/model.js"

/**
 * The metrics by name, without labels, for tests and custom exports.
 *
 * @since 0.1.0
 * @category metrics
 */
export const metrics = Metrics.metrics

/**
 * The metrics that `Options.aliases` adds, without labels: those of llm-api-router, with the labels provider
 * and model (`llm_router_requests_total`, `_requests_success`, `_requests_failed`, `_success_rate`, `_latency_ms`, and
 * `_tokens_total` by `type`), and those of LLM-API-BalancedCall (`llm_requests_duration_seconds`; its `status` label is added
 * to `llm_requests_total`, and its `llm_load_factor` is always there). Percentiles cover the last ten minutes, and at most 1,000
 * calls.
 *
 * @since 0.1.0
 * @category metrics
 */
export const aliases = Aliases.metrics

// -------------------------------------------------------------------------------------
// spans
// -------------------------------------------------------------------------------------

/** Source: OpenTelemetry semantic conventions for generative AI, client spans. */
const requestAttributes = (
  info: ModelInfo,
  operation: Subject["operation"],
  model: string,
  request: ChatRequest.Input | undefined
): Record<string, unknown> => {
  const attributes: Record<string, unknown> = {
    "gen_ai.operation.name": operation,
    "gen_ai.provider.name": info.provider,
    "gen_ai.request.model": model
  }
  if (request === undefined || typeof request === "string") return attributes
  if (request.temperature !== undefined) attributes["gen_ai.request.temperature"] = request.temperature
  if (request.topP !== undefined) attributes["gen_ai.request.top_p"] = request.topP
  if (request.topK !== undefined) attributes["gen_ai.request.top_k"] = request.topK
  if (request.frequencyPenalty !== undefined) {
    attributes["gen_ai.request.frequency_penalty"] = request.frequencyPenalty
  }
  if (request.presencePenalty !== undefined) attributes["gen_ai.request.presence_penalty"] = request.presencePenalty
  if (request.maxTokens !== undefined) attributes["gen_ai.request.max_tokens"] = request.maxTokens
  if (request.seed !== undefined) attributes["gen_ai.request.seed"] = request.seed
  if (request.stop !== undefined) attributes["gen_ai.request.stop_sequences"] = request.stop
  return attributes
}

const setUsageAttributes = (span: Tracer.Span, usage: Usage): void => {
  span.attribute("gen_ai.usage.input_tokens", usage.inputTokens)
  span.attribute("gen_ai.usage.output_tokens", usage.outputTokens)
}

const setAnswerAttributes = (span: Tracer.Span, answer: Answer): void => {
  if (answer.id) span.attribute("gen_ai.response.id", answer.id)
  span.attribute("gen_ai.response.model", answer.model)
  if (answer.finishReason !== undefined) span.attribute("gen_ai.response.finish_reasons", [answer.finishReason])
  setUsageAttributes(span, answer.usage)
  span.attribute("effect_llm.attempts", answer.attempts.length)
}

// -------------------------------------------------------------------------------------
// attempts
// -------------------------------------------------------------------------------------

/** The exit of an attempt's span; a failure contains only its outcome. */
const exitOf = (outcome: Outcome): Exit.Exit<void, Outcome> =>
  outcome === "ok" ? Exit.void : outcome === "interrupted" ? Exit.interrupt(FiberId.none) : Exit.fail(outcome)

/** @internal */
export const instruments = (info: ModelInfo, options: Options): Instruments => {
  const { metrics: hasMetrics = true, spans = true } = options
  const keyMetrics = new Map<string, Metrics.KeyMetrics>()
  const metricsOf = (key: ApiKey): Metrics.KeyMetrics => {
    const existing = keyMetrics.get(key.id)
    if (existing !== undefined) return existing
    const created = Metrics.ofKey(info, key)
    keyMetrics.set(key.id, created)
    return created
  }
  const waits = Metrics.ofWaits(info)

  const probeOf = (key: ApiKey, clock: Clock.Clock, span: Option.Option<Tracer.Span>): AttemptProbe => ({
    around: (effect) => (Option.isNone(span) ? effect : Effect.withParentSpan(effect, span.value)),
    end: (verdict, outcome, usage) => {
      const recordMetrics = hasMetrics ? metricsOf(key).ended(outcome, verdict) : Effect.void
      return Option.isNone(span)
        ? recordMetrics
        : Effect.zipRight(
            recordMetrics,
            Effect.sync(() => {
              if (outcome !== "ok") span.value.attribute("error.type", outcome)
              if (usage !== undefined) setUsageAttributes(span.value, usage)
              span.value.end(clock.unsafeCurrentTimeNanos(), exitOf(outcome))
            })
          )
    }
  })

  return {
    attempt: (key, { model, operation, request }) =>
      Effect.clockWith((clock) => {
        const span = spans
          ? Spans.make(`attempt ${model}`, () => ({
              kind: "client",
              attributes: { ...requestAttributes(info, operation, model, request), "effect_llm.key.id": key.id }
            }))
          : Effect.succeedNone
        const probe = Effect.map(span, (span) => probeOf(key, clock, span))
        return hasMetrics ? Effect.zipRight(metricsOf(key).started, probe) : probe
      }),
    waited: (what, duration) => (hasMetrics ? waits[what](duration / 1000) : Effect.void)
  }
}

// -------------------------------------------------------------------------------------
// calls
// -------------------------------------------------------------------------------------

/**
 * The middleware that records spans and metrics of calls. Apply it outside everything whose time and attempts it should include.
 * Attempts are recorded by the `LLM` itself.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: Options = {}): Middleware => {
  const { aliases = false, metrics: hasMetrics = true, spans = true } = options
  return (next) => {
    const { info } = next
    const callMetrics = hasMetrics ? Metrics.ofCalls(info, aliases) : Metrics.noMetrics
    const aliasMetrics = hasMetrics && aliases ? Aliases.ofCalls(info) : Metrics.noMetrics
    const latency = Distribution.unsafeMakeRecorder()
    const timeToFirstEvent = Distribution.unsafeMakeRecorder()

    const startObserving: StartObserving = ({ model, operation, request }) =>
      Effect.clockWith((clock) => {
        const span = spans
          ? Spans.make(`${operation} ${model}`, () => ({
              attributes: requestAttributes(info, operation, model, request)
            }))
          : Effect.succeedNone
        const startedAt = clock.unsafeCurrentTimeMillis()
        const elapsed = () => clock.unsafeCurrentTimeMillis() - startedAt
        return Effect.map(span, (span) => ({
          around: (effect) => (Option.isNone(span) ? effect : Effect.withParentSpan(effect, span.value)),
          opened: Effect.suspend(() => {
            const millis = elapsed()
            timeToFirstEvent.unsafeRecord(millis)
            return callMetrics.firstEvent(millis / 1000)
          }),
          end: (exit, answer) =>
            Effect.suspend(() => {
              const outcome = outcomeOf(exit)
              const millis = elapsed()
              latency.unsafeRecord(millis)
              if (Option.isSome(span)) {
                if (answer !== undefined) setAnswerAttributes(span.value, answer)
                if (outcome !== "ok") span.value.attribute("error.type", outcome)
                span.value.end(clock.unsafeCurrentTimeNanos(), exit)
              }
              const counted = callMetrics.ended(outcome, millis / 1000, answer?.usage)
              return aliases
                ? Effect.zipRight(counted, aliasMetrics.ended(outcome, millis / 1000, answer?.usage))
                : counted
            })
        }))
      })

    return Effect.succeed({
      ...instrument(next, startObserving),
      status: Effect.map(next.status, (status) => ({
        ...status,
        calls: { latency: latency.unsafeSnapshot(), timeToFirstEvent: timeToFirstEvent.unsafeSnapshot() }
      }))
    })
  }
}

/**
 * Percentiles of all calls of these `LLM`s together, in milliseconds, since each was built. An `LLM` without telemetry adds none.
 *
 * @since 0.1.0
 * @category percentiles
 */
export const percentiles = (
  llms: Iterable<Service>
): Effect.Effect<{ readonly latency: Distribution.Summary; readonly timeToFirstEvent: Distribution.Summary }> =>
  Effect.map(
    Effect.forEach(llms, ({ status }) => status),
    (all) => {
      const summary = (of: (calls: CallTimes) => Distribution.Distribution): Distribution.Summary =>
        Distribution.summary(
          Distribution.mergeAll(all.flatMap(({ calls }) => (calls === undefined ? [] : [of(calls)])))
        )
      return {
        latency: summary((calls) => calls.latency),
        timeToFirstEvent: summary((calls) => calls.timeToFirstEvent)
      }
    }
  )

// -------------------------------------------------------------------------------------
// callbacks
// -------------------------------------------------------------------------------------

/**
 * The middleware that runs callbacks. A background fiber runs them one after the other, in the order of events: no call waits for
 * a callback, and the failure of one is only logged as a warning. When the scope closes, queued callbacks still run for at most
 * `timeout`.
 *
 * @since 0.1.0
 * @category callbacks
 */
export const onCall = (hooks: Hooks, options: HookOptions = {}): Middleware<never, Scope.Scope> => {
  const settings = Checks.valid("Telemetry.onCall", ({ millis, number }) => {
    const { capacity = 1024 } = options
    return {
      capacity: number("capacity", capacity, Number.isInteger(capacity) && capacity > 0, "a positive whole number"),
      timeout: Duration.millis(millis("timeout", options.timeout ?? "5 seconds", Checks.positive))
    }
  })
  return (next) => CallHooks.withHooks(next, hooks, settings)
}
