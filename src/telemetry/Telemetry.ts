/**
 * Spans and Effect metrics of calls: one span per call and one per attempt, with names and attributes of the OpenTelemetry
 * semantic conventions for generative AI.
 *
 * Labels are bounded: provider, model, key id, outcome, kind, and the label of the call (`UsageLedger.label`), of which 1,000 are
 * distinguished and all others are `other`. Spans and metrics contain no prompts, answers or secrets. They are
 * on by default in an `LLM` layer; `telemetry: false` removes them and their cost. Spans are made only when a tracer is
 * installed.
 *
 * | metric | labels |
 * | --- | --- |
 * | `llm_requests_total` | provider, model, outcome (`ok`, `interrupted`, `defect`, or the error's `_tag`), label |
 * | `llm_request_duration_seconds` | provider, model |
 * | `llm_time_to_first_event_seconds` (streams) | provider, model |
 * | `llm_tokens_total` | provider, model, kind (`input`, `output`, `cached_input`, `cache_write`, `reasoning`, `input_audio`, `output_audio`), label |
 * | `llm_attempts_total` | provider, model, key_id, outcome |
 * | `llm_retries_total` | provider, model, outcome (`granted`, `denied` when the retry budget is spent) |
 * | `llm_in_flight`, `llm_load_factor` | provider, model, key_id |
 * | `llm_cooldowns_total` | provider, model, key_id, reason (`RateLimited`, `OutOfQuota`, `Refused`) |
 * | `llm_wait_seconds` | provider, model, for (`limiter`, `pool`) |
 *
 * The same calls are in `conventions`, the client metrics of the semantic conventions.
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
import type { Scope } from "effect"
import { Duration, Effect } from "effect"
import type { CallTimes, Middleware, Service } from "../call/model.js"
import * as Checks from "../internal/optionChecks.js"
import * as Sketch from "../vocabulary/quantileSketch.js"
import * as Aliases from "./aliases.js"
import * as Calls from "./calls.js"
import * as Conventions from "./conventions.js"
import * as CallHooks from "./hooks.js"
import * as Levels from "./levels.js"
import * as Metrics from "./metrics.js"
import type { HookOptions, Hooks, Options } from "./model.js"
import * as Spans from "./spans.js"

export * from "./model.js"

export type { CallTimes } from "../call/model.js"

export {
  QuantileSketch,
  type Summary,
  merge as mergeSketches,
  quantile,
  summary
} from "../vocabulary/quantileSketch.js"

/**
 * The metrics by name, without labels, for tests and custom exports.
 *
 * @since 0.1.0
 * @category metrics
 */
export const metrics = Metrics.metrics

/**
 * The client metrics of the OpenTelemetry conventions, without labels: `gen_ai.client.operation.duration` and
 * `gen_ai.client.operation.time_to_first_chunk` in seconds, and `gen_ai.client.token.usage` by `gen_ai.token.type`.
 *
 * @since 0.2.0
 * @category metrics
 */
export const conventions = Conventions.metrics

/**
 * The metrics that `Options.aliases` adds, without labels: those of llm-api-router, with the labels provider
 * and model (`llm_router_requests_total`, `_requests_success`, `_requests_failed`, `_success_rate`, `_latency_ms`, and
 * `_tokens_total` by `type`). Those of LLM-API-BalancedCall follow (`llm_requests_duration_seconds`; its `status` label is added
 * to `llm_requests_total`, and its `llm_load_factor` is always there). Percentiles cover the last ten minutes, and at most 1,000
 * calls.
 *
 * @since 0.1.0
 * @category metrics
 */
export const aliases = Aliases.metrics

// -------------------------------------------------------------------------------------
// calls
// -------------------------------------------------------------------------------------

/**
 * The middleware that records spans and metrics of calls. Apply it outside everything whose time and attempts it should include.
 * Attempts are recorded by the `LLM` itself.
 *
 * @example
 * ```ts
 * import { LLM, Telemetry } from "effect-llm"
 *
 * const Traced = LLM.layerConfig({ telemetry: false }).pipe(LLM.withMiddleware(Telemetry.middleware()))
 * ```
 *
 * @since 0.2.0
 * @category middlewares
 */
export const middleware =
  (options: Options = {}): Middleware =>
  (next) =>
    Effect.succeed(Calls.observe(next, Calls.make(next.info, options, Spans.of(next.info, options))))

/**
 * Percentiles of all calls of these `LLM`s together, in milliseconds, since each was built. An `LLM` without telemetry adds none.
 *
 * @since 0.1.0
 * @category percentiles
 */
export const percentiles = (
  llms: Iterable<Service>
): Effect.Effect<{ readonly latency: Sketch.Summary; readonly timeToFirstEvent: Sketch.Summary }> =>
  Effect.map(
    Effect.forEach(llms, ({ status }) => status),
    (all) => {
      const summary = (of: (calls: CallTimes) => Sketch.QuantileSketch): Sketch.Summary =>
        Sketch.summary(Sketch.mergeAll(all.flatMap(({ calls }) => (calls === undefined ? [] : [of(calls)]))))
      return {
        latency: summary((calls) => calls.latency),
        timeToFirstEvent: summary((calls) => calls.timeToFirstEvent)
      }
    }
  )

// -------------------------------------------------------------------------------------
// levels
// -------------------------------------------------------------------------------------

/**
 * The gauges that `recordLevels` sets, without labels.
 *
 * @since 0.2.0
 * @category metrics
 */
export const levels = Levels.levels

/**
 * Sets the gauges of keys, waiting calls and limits from the status of these `LLM`s. Run it before metrics are collected, as the
 * gateway does for `/metrics`: calls do not pay for it.
 *
 * @since 0.2.0
 * @category metrics
 */
export const recordLevels: (llms: Iterable<Pick<Service, "info" | "status">>) => Effect.Effect<void> = Levels.record

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
