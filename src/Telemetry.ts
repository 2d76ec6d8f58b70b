/**
 * What a call tells about itself: one span a call and one an attempt, named and attributed as the OpenTelemetry semantic
 * conventions for generative AI say, and Effect metrics.
 *
 * Labels are bounded: provider, model, key id, outcome, kind. Neither prompts nor answers nor secrets are told. An `LLM`
 * layer tells by default; `telemetry: false` makes it silent and free. Spans are made only where a tracer is installed.
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
import { Effect, Exit, FiberId, Option } from "effect"
import type { Chunk, Clock, Tracer } from "effect"
import type { ApiKey } from "./ApiKey.js"
import type { ChatRequest, ChatResponse } from "./Chat.js"
import type { ChatEvent, Finish, Start } from "./ChatEvent.js"
import type { EmbeddingRequest } from "./Embedding.js"
import type { AttemptProbe, Instruments, Outcome, Subject } from "./internal/instruments.js"
import * as Meters from "./internal/meters.js"
import type { Open, OpenStream } from "./internal/openStream.js"
import { fromStream, toStream } from "./internal/openStream.js"
import * as Spans from "./internal/spans.js"
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

/**
 * The metrics by name, without labels, for those who read them in a test or export them by hand.
 *
 * @since 0.1.0
 * @category metrics
 */
export const metrics = Meters.metrics

// -------------------------------------------------------------------------------------
// spans
// -------------------------------------------------------------------------------------

/** OpenTelemetry semantic conventions for generative AI, client spans. */
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
  if (request.maxTokens !== undefined) attributes["gen_ai.request.max_tokens"] = request.maxTokens
  if (request.seed !== undefined) attributes["gen_ai.request.seed"] = request.seed
  if (request.stop !== undefined) attributes["gen_ai.request.stop_sequences"] = request.stop
  return attributes
}

interface Answered {
  readonly id?: string
  readonly model: string
  readonly finishReason?: string
  readonly usage: Usage
  readonly attempts: number
}

const describeAnswer = (span: Tracer.Span, answer: Answered): void => {
  if (answer.id) span.attribute("gen_ai.response.id", answer.id)
  span.attribute("gen_ai.response.model", answer.model)
  if (answer.finishReason !== undefined) span.attribute("gen_ai.response.finish_reasons", [answer.finishReason])
  span.attribute("gen_ai.usage.input_tokens", answer.usage.inputTokens)
  span.attribute("gen_ai.usage.output_tokens", answer.usage.outputTokens)
  span.attribute("effect_llm.attempts", answer.attempts)
}

const describeUsage = (span: Tracer.Span, usage: Usage): void => {
  span.attribute("gen_ai.usage.input_tokens", usage.inputTokens)
  span.attribute("gen_ai.usage.output_tokens", usage.outputTokens)
}

const modelOf = (info: ModelInfo, request: ChatRequest.Input | EmbeddingRequest.Input): string =>
  typeof request === "object" && "model" in request ? (request.model ?? info.model) : info.model

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
  const meters = new Map<string, Meters.KeyMeters>()
  const metersOf = (key: ApiKey): Meters.KeyMeters => {
    const known = meters.get(key.id)
    if (known !== undefined) return known
    const created = Meters.ofKey(info, key)
    meters.set(key.id, created)
    return created
  }
  const waits = Meters.ofWaits(info)

  const probeOf = (key: ApiKey, clock: Clock.Clock, span: Option.Option<Tracer.Span>): AttemptProbe => ({
    around: (effect) => (Option.isNone(span) ? effect : Effect.withParentSpan(effect, span.value)),
    end: (verdict, outcome, usage) => {
      const measure = measured ? metersOf(key).ended(outcome, verdict) : Effect.void
      return Option.isNone(span)
        ? measure
        : Effect.zipRight(
            measure,
            Effect.sync(() => {
              if (outcome !== "ok") span.value.attribute("error.type", outcome)
              if (usage !== undefined) describeUsage(span.value, usage)
              span.value.end(clock.unsafeCurrentTimeNanos(), Exit.void)
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
        return measured ? Effect.zipRight(metersOf(key).began, probe) : probe
      }),
    waited: (what, duration) => (measured ? waits[what](duration / 1000) : Effect.void)
  }
}

// -------------------------------------------------------------------------------------
// calls
// -------------------------------------------------------------------------------------

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
    const told = measured ? Meters.ofCalls(info) : Meters.silent

    /** What is told of one call from its beginning to its end; `end` counts once. */
    const begin = (operation: Subject["operation"], model: string, request?: ChatRequest.Input) =>
      Effect.clockWith((clock) => {
        const span = spans
          ? Spans.make(`${operation} ${model}`, () => ({
              attributes: requestAttributes(info, operation, model, request)
            }))
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

    /** Tells of a call that is answered whole. */
    const whole = <A extends Pick<ChatResponse, "model" | "usage" | "attempts">>(
      call: Effect.Effect<A, LLMError>,
      began: ReturnType<typeof begin>
    ): Effect.Effect<A, LLMError> =>
      Effect.uninterruptibleMask((restore) =>
        Effect.flatMap(began, ({ around, end }) =>
          Effect.onExit(restore(around(call)), (exit) =>
            end(exit, Exit.isSuccess(exit) ? { ...exit.value, attempts: exit.value.attempts.length } : undefined)
          )
        )
      )

    const openTold = (request: ChatRequest.Input): Open =>
      Effect.uninterruptibleMask((restore) =>
        Effect.flatMap(begin("chat", modelOf(info, request), request), (call) =>
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
      chat: (request) => whole(next.chat(request), begin("chat", modelOf(info, request), request)),
      embed: (request) => whole(next.embed(request), begin("embeddings", modelOf(info, request))),
      chatStream: (request) => toStream(openTold(request))
    })
  }
}
