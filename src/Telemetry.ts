/**
 * What a call tells about itself: one span a call and one an attempt, named and attributed as the OpenTelemetry semantic
 * conventions for generative AI say, and Effect metrics.
 *
 * Labels are bounded: provider, model, key id, outcome, kind. Neither prompts nor answers nor secrets are told. An `LLM`
 * layer tells by default; `telemetry: false` makes it silent and free.
 *
 * | metric | labels |
 * | --- | --- |
 * | `llm_requests_total` | provider, model, outcome (`ok`, `interrupted`, or the error's `_tag`) |
 * | `llm_request_duration_seconds` | provider, model |
 * | `llm_time_to_first_event_seconds` (streams) | provider, model |
 * | `llm_tokens_total` | provider, model, kind (`input`, `output`, `cached_input`, `cache_write`, `reasoning`) |
 * | `llm_attempts_total` | provider, model, key_id, outcome |
 * | `llm_in_flight`, `llm_load_factor` | provider, model, key_id |
 * | `llm_cooldowns_total` | provider, model, key_id, reason (`RateLimited`, `OutOfQuota`, `Refused`) |
 * | `llm_wait_seconds` | provider, model, for (`limiter`, `pool`) |
 *
 * @since 0.1.0
 */
import { Effect, Exit, FiberId, Metric, MetricBoundaries, Option } from "effect"
import type { Chunk, Clock, Tracer } from "effect"
import type { ApiKey } from "./ApiKey.js"
import type { ChatRequest, ChatResponse } from "./Chat.js"
import type { ChatEvent, Finish, Start } from "./ChatEvent.js"
import type { AttemptProbe, Instruments, Outcome } from "./internal/instruments.js"
import type { Open, OpenStream } from "./internal/openStream.js"
import { fromStream, toStream } from "./internal/openStream.js"
import type { Middleware, ModelInfo } from "./LLM.js"
import type { LLMError } from "./LLMError.js"
import type { Usage } from "./Usage.js"

/**
 * @since 0.1.0
 * @category model
 */
export interface Options {
  /** @default true */
  readonly spans?: boolean
  /** @default true */
  readonly metrics?: boolean
}

// -------------------------------------------------------------------------------------
// metrics
// -------------------------------------------------------------------------------------

/** From 5 ms to about 11 minutes. */
const seconds = MetricBoundaries.exponential({ start: 0.005, factor: 2, count: 18 })

/**
 * The metrics by name, untagged, for those who read them in a test or export them by hand.
 *
 * @since 0.1.0
 * @category metrics
 */
export const metrics = {
  requests: Metric.counter("llm_requests_total", { description: "Calls, by how they ended", incremental: true }),
  duration: Metric.histogram("llm_request_duration_seconds", seconds, "From the call to its end, retries included"),
  timeToFirstEvent: Metric.histogram(
    "llm_time_to_first_event_seconds",
    seconds,
    "From the call to a stream's first event"
  ),
  tokens: Metric.counter("llm_tokens_total", { description: "Tokens consumed, by kind", incremental: true }),
  attempts: Metric.counter("llm_attempts_total", {
    description: "Requests sent, by key and outcome",
    incremental: true
  }),
  inFlight: Metric.gauge("llm_in_flight", { description: "Requests under way on a key" }),
  loadFactor: Metric.gauge("llm_load_factor", {
    description: "Requests under way on a key, as a share of its maxConcurrency, or for its weight where it has none"
  }),
  cooldowns: Metric.counter("llm_cooldowns_total", { description: "Times a key was put to rest", incremental: true }),
  wait: Metric.histogram("llm_wait_seconds", seconds, "Time that calls waited for a permit or a key")
} as const

interface KeyGauges {
  inFlight: number
  readonly update: (inFlight: number) => Effect.Effect<void>
  readonly ended: (outcome: Outcome) => Effect.Effect<void>
  readonly rested: (reason: string) => Effect.Effect<void>
}

const keyGauges = (info: ModelInfo, key: ApiKey): KeyGauges => {
  const tagged = <Type, In, Out>(metric: Metric.Metric<Type, In, Out>) =>
    metric.pipe(
      Metric.tagged("provider", info.provider),
      Metric.tagged("model", info.model),
      Metric.tagged("key_id", key.id)
    )
  const inFlight = tagged(metrics.inFlight)
  const loadFactor = tagged(metrics.loadFactor)
  const attempts = tagged(metrics.attempts)
  const cooldowns = tagged(metrics.cooldowns)
  const limit = key.maxConcurrency ?? key.weight
  return {
    inFlight: 0,
    update: (count) => Effect.zipRight(Metric.set(inFlight, count), Metric.set(loadFactor, count / limit)),
    ended: (outcome) => Metric.update(Metric.tagged(attempts, "outcome", outcome), 1),
    rested: (reason) => Metric.update(Metric.tagged(cooldowns, "reason", reason), 1)
  }
}

// -------------------------------------------------------------------------------------
// spans
// -------------------------------------------------------------------------------------

/** OpenTelemetry semantic conventions for generative AI, client spans. */
const requestAttributes = (info: ModelInfo, model: string, request: ChatRequest.Input): Record<string, unknown> => {
  const attributes: Record<string, unknown> = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": info.provider,
    "gen_ai.request.model": model
  }
  if (typeof request === "string") return attributes
  if (request.temperature !== undefined) attributes["gen_ai.request.temperature"] = request.temperature
  if (request.topP !== undefined) attributes["gen_ai.request.top_p"] = request.topP
  if (request.maxTokens !== undefined) attributes["gen_ai.request.max_tokens"] = request.maxTokens
  if (request.seed !== undefined) attributes["gen_ai.request.seed"] = request.seed
  if (request.stop !== undefined) attributes["gen_ai.request.stop_sequences"] = request.stop
  return attributes
}

interface Answered {
  readonly id: string
  readonly model: string
  readonly finishReason: string
  readonly usage: Usage
  readonly attempts: number
}

const describeAnswer = (span: Tracer.Span, answer: Answered): void => {
  if (answer.id !== "") span.attribute("gen_ai.response.id", answer.id)
  span.attribute("gen_ai.response.model", answer.model)
  span.attribute("gen_ai.response.finish_reasons", [answer.finishReason])
  span.attribute("gen_ai.usage.input_tokens", answer.usage.inputTokens)
  span.attribute("gen_ai.usage.output_tokens", answer.usage.outputTokens)
  span.attribute("effect_llm.attempts", answer.attempts)
}

const describeUsage = (span: Tracer.Span, usage: Usage): void => {
  span.attribute("gen_ai.usage.input_tokens", usage.inputTokens)
  span.attribute("gen_ai.usage.output_tokens", usage.outputTokens)
}

const modelOf = (info: ModelInfo, request: ChatRequest.Input): string =>
  typeof request === "string" ? info.model : (request.model ?? info.model)

const outcomeOf = <A>(exit: Exit.Exit<A, LLMError>): Outcome =>
  Exit.match(exit, {
    onSuccess: () => "ok",
    onFailure: (cause) => (cause._tag === "Fail" ? cause.error._tag : "interrupted")
  })

// -------------------------------------------------------------------------------------
// attempts
// -------------------------------------------------------------------------------------

/** @internal */
export const instruments = (info: ModelInfo, options: Options): Instruments => {
  const { metrics: measured = true, spans = true } = options
  const gauges = new Map<string, KeyGauges>()
  const gaugesOf = (key: ApiKey): KeyGauges => {
    const known = gauges.get(key.id)
    if (known !== undefined) return known
    const created = keyGauges(info, key)
    gauges.set(key.id, created)
    return created
  }
  const waits = metrics.wait.pipe(Metric.tagged("provider", info.provider), Metric.tagged("model", info.model))
  const waited = { limiter: Metric.tagged(waits, "for", "limiter"), pool: Metric.tagged(waits, "for", "pool") }

  const shift = (key: KeyGauges, by: number): Effect.Effect<void> =>
    Effect.suspend(() => {
      key.inFlight += by
      return key.update(key.inFlight)
    })

  const probeOf = (key: ApiKey, clock: Clock.Clock, span: Tracer.Span | undefined): AttemptProbe => ({
    around: (effect) => (span === undefined ? effect : Effect.withParentSpan(effect, span)),
    end: (verdict, outcome, usage) => {
      const gauge = gaugesOf(key)
      const measure = measured
        ? Effect.zipRight(
            Effect.zipRight(shift(gauge, -1), gauge.ended(outcome)),
            verdict._tag === "Served" || verdict._tag === "Neutral" ? Effect.void : gauge.rested(verdict._tag)
          )
        : Effect.void
      return span === undefined
        ? measure
        : Effect.zipRight(
            measure,
            Effect.sync(() => {
              if (outcome !== "ok") span.attribute("error.type", outcome)
              if (usage !== undefined) describeUsage(span, usage)
              span.end(clock.unsafeCurrentTimeNanos(), Exit.void)
            })
          )
    }
  })

  return {
    attempt: (key, model, request) =>
      Effect.clockWith((clock) => {
        const probe = spans
          ? Effect.map(
              Effect.makeSpan(`attempt ${model}`, {
                kind: "client",
                captureStackTrace: false,
                attributes: { ...requestAttributes(info, model, request), "effect_llm.key.id": key.id }
              }),
              (span) => probeOf(key, clock, span)
            )
          : Effect.sync(() => probeOf(key, clock, undefined))
        return measured ? Effect.zipRight(shift(gaugesOf(key), 1), probe) : probe
      }),
    waited: (what, duration) => (measured ? Metric.update(waited[what], duration / 1000) : Effect.void)
  }
}

// -------------------------------------------------------------------------------------
// calls
// -------------------------------------------------------------------------------------

interface CallMetrics {
  readonly ended: (outcome: Outcome, seconds: number, usage: Usage | undefined) => Effect.Effect<void>
  readonly began: (seconds: number) => Effect.Effect<void>
}

const callMetrics = (info: ModelInfo): CallMetrics => {
  const tagged = <Type, In, Out>(metric: Metric.Metric<Type, In, Out>) =>
    metric.pipe(Metric.tagged("provider", info.provider), Metric.tagged("model", info.model))
  const requests = tagged(metrics.requests)
  const ok = Metric.tagged(requests, "outcome", "ok")
  const duration = tagged(metrics.duration)
  const timeToFirstEvent = tagged(metrics.timeToFirstEvent)
  const tokens = tagged(metrics.tokens)
  const kinds = [
    ["inputTokens", Metric.tagged(tokens, "kind", "input")],
    ["outputTokens", Metric.tagged(tokens, "kind", "output")],
    ["cachedInputTokens", Metric.tagged(tokens, "kind", "cached_input")],
    ["cacheWriteTokens", Metric.tagged(tokens, "kind", "cache_write")],
    ["reasoningTokens", Metric.tagged(tokens, "kind", "reasoning")]
  ] as const
  return {
    began: (elapsed) => Metric.update(timeToFirstEvent, elapsed),
    ended: (outcome, elapsed, usage) => {
      const counted = Effect.zipRight(
        Metric.update(outcome === "ok" ? ok : Metric.tagged(requests, "outcome", outcome), 1),
        Metric.update(duration, elapsed)
      )
      if (usage === undefined) return counted
      return kinds.reduce(
        (effect, [field, metric]) =>
          usage[field] === 0 ? effect : Effect.zipRight(effect, Metric.update(metric, usage[field])),
        counted
      )
    }
  }
}

const unmeasured: CallMetrics = { began: () => Effect.void, ended: () => Effect.void }

/**
 * The middleware that tells of calls. It belongs outside of everything whose time and tries it is to count in. Attempts are
 * told of by the `LLM` below it.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: Options = {}): Middleware => {
  const { metrics: measured = true, spans = true } = options
  return (next) => {
    const { info } = next
    const told = measured ? callMetrics(info) : unmeasured

    /** What is told of one call from its beginning to its end; `end` counts once. */
    const begin = (request: ChatRequest.Input) =>
      Effect.clockWith((clock) => {
        const model = modelOf(info, request)
        const span = spans
          ? Effect.map(
              Effect.makeSpan(`chat ${model}`, {
                captureStackTrace: false,
                attributes: requestAttributes(info, model, request)
              }),
              Option.some
            )
          : Effect.succeedNone
        const startedAt = clock.unsafeCurrentTimeMillis()
        return Effect.map(span, (span) => {
          let over = false
          const elapsed = () => (clock.unsafeCurrentTimeMillis() - startedAt) / 1000
          return {
            elapsed,
            around: <A, E, R>(effect: Effect.Effect<A, E, R>) =>
              Option.isNone(span) ? effect : Effect.withParentSpan(effect, span.value),
            end: (exit: Exit.Exit<unknown, LLMError>, answer?: Answered) =>
              Effect.suspend(() => {
                if (over) return Effect.void
                over = true
                const outcome = outcomeOf(exit)
                if (Option.isSome(span)) {
                  if (answer !== undefined) describeAnswer(span.value, answer)
                  if (outcome !== "ok") span.value.attribute("error.type", outcome)
                  span.value.end(clock.unsafeCurrentTimeNanos(), exit)
                }
                return told.ended(outcome, elapsed(), answer?.usage)
              })
          }
        })
      })

    const answered = (response: ChatResponse): Answered => ({ ...response, attempts: response.attempts.length })

    const openTold = (request: ChatRequest.Input): Open =>
      Effect.uninterruptibleMask((restore) =>
        Effect.flatMap(begin(request), (call) =>
          Effect.zipRight(
            Effect.addFinalizer(() => call.end(Exit.interrupt(FiberId.none))),
            Effect.matchCauseEffect(restore(call.around(fromStream(next.chatStream(request)))), {
              onFailure: (cause) => Effect.zipRight(call.end(Exit.failCause(cause)), Effect.failCause(cause)),
              onSuccess: (opened) => {
                let start: Start | undefined
                const finished = (finish: Finish) =>
                  call.end(Exit.void, {
                    id: start?.id ?? "",
                    model: start?.model ?? info.model,
                    finishReason: finish.reason,
                    usage: finish.usage,
                    attempts: start?.attempts.length ?? 1
                  })
                const seen = (events: Chunk.Chunk<ChatEvent>): Effect.Effect<void> => {
                  for (const event of events) {
                    if (event._tag === "Start") start = event
                    else if (event._tag === "Finish") return finished(event)
                  }
                  return Effect.void
                }
                const told: OpenStream = {
                  first: opened.first,
                  pull: Effect.matchEffect(opened.pull, {
                    onSuccess: (events) => Effect.as(seen(events), events),
                    onFailure: (end) =>
                      Effect.zipRight(
                        Option.match(end, { onNone: () => Effect.void, onSome: (error) => call.end(Exit.fail(error)) }),
                        Effect.fail(end)
                      )
                  })
                }
                return Effect.as(Effect.zipRight(toldBegan(call.elapsed()), seen(opened.first)), told)
              }
            })
          )
        )
      )
    const toldBegan = told.began

    return Effect.succeed({
      ...next,
      chat: (request) =>
        Effect.uninterruptibleMask((restore) =>
          Effect.flatMap(begin(request), (call) =>
            Effect.onExit(restore(call.around(next.chat(request))), (exit) =>
              call.end(exit, Exit.isSuccess(exit) ? answered(exit.value) : undefined)
            )
          )
        ),
      chatStream: (request) => toStream(openTold(request))
    })
  }
}
