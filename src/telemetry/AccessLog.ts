/**
 * One line a call: who asked whom, with which key, how often, how it ended, how long it took and what it consumed. Neither
 * prompts nor answers nor secrets are in it, and no words of a provider, which may quote them.
 *
 * Lines go through Effect's loggers. Every call has a request id: the one given by `withRequestId`, or else a new one; what is
 * logged within the call has it too, as `request_id`.
 *
 * @example
 * ```ts
 * import { Effect, Layer, Logger } from "effect"
 * import { AccessLog, LLM } from "effect-llm"
 *
 * declare const OpenAI: Layer.Layer<LLM.LLM>
 *
 * const Logged = OpenAI.pipe(LLM.withMiddleware(AccessLog.make()), Layer.provideMerge(Logger.json))
 *
 * const program = LLM.chat("Hello").pipe(AccessLog.withRequestId("req-7"), Effect.provide(Logged))
 * ```
 *
 * @since 0.1.0
 */
import { Effect, LogLevel } from "effect"
import { dual } from "effect/Function"
import type { Middleware } from "../call/model.js"
import * as CallRecord from "./callRecord.js"
import type { Entry } from "./entry.js"
import { observed } from "./observe.js"

export * from "./entry.js"

/**
 * @since 0.1.0
 * @category model
 */
export interface Options {
  /**
   * How an entry is written: as the annotations of a log message, so that the logger decides (`Logger.json`,
   * `Logger.logFmt`, `Logger.pretty`), or as the message itself, in JSON or as `name=value` text.
   *
   * @default "annotations"
   */
  readonly format?: "annotations" | "json" | "text"
  /** @default information where the call was answered or given up by its caller, else a warning */
  readonly level?: (entry: Entry) => LogLevel.LogLevel
  /** Which calls are written. @default all */
  readonly filter?: (entry: Entry) => boolean
}

// -------------------------------------------------------------------------------------
// request ids
// -------------------------------------------------------------------------------------

/**
 * The id of the call that this fiber is making; empty where it makes none, and none was given.
 *
 * @since 0.1.0
 * @category request ids
 */
export const requestId: Effect.Effect<string> = CallRecord.RequestId

/**
 * Gives the calls of an effect an id, such as that of the web request they are made for. It is not sent to the provider.
 *
 * @since 0.1.0
 * @category request ids
 */
export const withRequestId: {
  (id: string): <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  <A, E, R>(self: Effect.Effect<A, E, R>, id: string): Effect.Effect<A, E, R>
} = dual(2, <A, E, R>(self: Effect.Effect<A, E, R>, id: string): Effect.Effect<A, E, R> =>
  Effect.provideService(self, CallRecord.RequestId, id)
)

// -------------------------------------------------------------------------------------
// formats
// -------------------------------------------------------------------------------------

/** Three places after the point are enough for times. */
const millis = (duration: number): number => Math.round(duration * 1000) / 1000

/**
 * An entry as it is written: flat, without what is empty.
 *
 * @since 0.1.0
 * @category formats
 */
export const fields = (entry: Entry): Readonly<Record<string, string | number | boolean>> => {
  const { usage } = entry
  const all: Record<string, string | number | boolean | undefined> = {
    request_id: entry.requestId,
    label: entry.label,
    operation: entry.operation,
    streamed: entry.streamed,
    provider: entry.provider,
    model: entry.model,
    answered_by: entry.answeredBy,
    key_id: entry.keyId,
    attempts: entry.attempts.length,
    outcome: entry.outcome,
    status: entry.status,
    finish_reason: entry.finishReason,
    input_tokens: usage?.inputTokens,
    output_tokens: usage?.outputTokens,
    cached_input_tokens: usage?.cachedInputTokens,
    cache_write_tokens: usage?.cacheWriteTokens,
    reasoning_tokens: usage?.reasoningTokens,
    estimated: usage?.estimated,
    cost_dollars: entry.cost?.total,
    latency_ms: millis(entry.latency),
    time_to_first_event_ms: entry.timeToFirstEvent === undefined ? undefined : millis(entry.timeToFirstEvent),
    trace_id: entry.traceId
  }
  const written: Record<string, string | number | boolean> = {}
  for (const [name, value] of Object.entries(all)) if (value !== undefined && value !== "") written[name] = value
  return written
}

/**
 * An entry as one line of JSON, with the time of its beginning.
 *
 * @since 0.1.0
 * @category formats
 */
export const json = (entry: Entry): string =>
  JSON.stringify({ started_at: new Date(entry.startedAt).toISOString(), ...fields(entry) })

/** A word that needs no quotes in a line of names and values. */
const word = /^[\w.:/+@-]+$/

/**
 * An entry as one line of names and values.
 *
 * @since 0.1.0
 * @category formats
 */
export const text = (entry: Entry): string =>
  Object.entries(fields(entry))
    .map(([name, value]) => {
      const told = String(value)
      return `${name}=${word.test(told) ? told : JSON.stringify(told)}`
    })
    .join(" ")

// -------------------------------------------------------------------------------------
// middleware
// -------------------------------------------------------------------------------------

const levelOf = ({ outcome }: Entry): LogLevel.LogLevel =>
  outcome === "ok" || outcome === "interrupted" ? LogLevel.Info : LogLevel.Warning

const message = "llm call"

const write = (format: Options["format"], level: LogLevel.LogLevel, entry: Entry): Effect.Effect<void> => {
  switch (format) {
    case "json":
      return Effect.logWithLevel(level, json(entry))
    case "text":
      return Effect.logWithLevel(level, text(entry))
    default:
      return Effect.annotateLogs(Effect.logWithLevel(level, message), fields(entry))
  }
}

/**
 * The middleware that writes a line when a call is over. It belongs outside of everything whose time and tries it is to count in.
 *
 * A logger that fails does not fail the call; its fault is told to Effect's own log, at the level of an error.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make =
  (options: Options = {}): Middleware =>
  (next) => {
    const { filter = () => true, format, level = levelOf } = options
    return Effect.succeed(
      observed(next, (call) =>
        Effect.map(CallRecord.record(next.info, call), ({ ended, identified, opened, started: { requestId } }) => ({
          around: (effect) => Effect.annotateLogs(identified(effect), "request_id", requestId),
          opened,
          end: (exit, answer) =>
            Effect.suspend(() => {
              const entry = ended(exit, answer)
              return filter(entry) ? write(format, level(entry), entry) : Effect.void
            }).pipe(
              Effect.catchAllCause((cause) => Effect.logError("the access log could not be written", cause)),
              // Where the logger itself is at fault there is nobody left to tell.
              Effect.catchAllCause(() => Effect.void)
            )
        }))
      )
    )
  }
