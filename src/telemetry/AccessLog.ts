/**
 * Logs one line per call: provider, model, key, attempts, outcome, latency and usage. A line contains no prompt, answer or
 * secret, and no provider message, which could quote them.
 *
 * Lines go through Effect's loggers. Every call has a request id, from `withRequestId` or a new one, which is also the annotation
 * `request_id` of everything that is logged within the call.
 *
 * @example
 * ```ts
 * import { Effect, Layer, Logger } from "effect"
 * import { AccessLog, LLM } from "effect-llm"
 *
 * declare const OpenAI: Layer.Layer<LLM.LLM>
 *
 * const Logged = OpenAI.pipe(LLM.withMiddleware(AccessLog.middleware()), Layer.provideMerge(Logger.json))
 *
 * const program = LLM.chat("Hello").pipe(AccessLog.withRequestId("req-7"), Effect.provide(Logged))
 * ```
 *
 * @since 0.1.0
 */
import { Cause, Effect, LogLevel } from "effect"
import { dual } from "effect/Function"
import type { Middleware } from "../call/model.js"
import * as CallRecord from "./callRecord.js"
import type { Entry } from "./entry.js"
import * as LogLine from "./logLine.js"
import { instrument } from "./observe.js"

export * from "./entry.js"

/**
 * Options of the access log.
 *
 * @since 0.1.0
 * @category model
 */
export interface Options {
  /**
   * Format of an entry: annotations of a log message, which the logger formats (`Logger.json`, `Logger.logFmt`,
   * `Logger.pretty`), or the message itself, as JSON or as `name=value` text.
   *
   * @default "annotations"
   */
  readonly format?: "annotations" | "json" | "text"
  /** Log level of an entry. @default `Info` for answered and interrupted calls, else `Warning` */
  readonly level?: (entry: Entry) => LogLevel.LogLevel
  /** Selects the calls that are logged. @default all */
  readonly filter?: (entry: Entry) => boolean
}

// -------------------------------------------------------------------------------------
// request ids
// -------------------------------------------------------------------------------------

/**
 * The request id of the current call, or that of `withRequestId`; empty without either.
 *
 * @since 0.1.0
 * @category request ids
 */
export const requestId: Effect.Effect<string> = CallRecord.RequestId

/**
 * Sets the request id of the calls in an effect, such as that of the web request that they serve. It is not sent to the provider.
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

/** Rounds to microseconds. */
const millis = (duration: number): number => Math.round(duration * 1000) / 1000

/**
 * The log fields of an entry, without empty ones.
 *
 * @since 0.1.0
 * @category formats
 */
export const fields = (entry: Entry): Readonly<Record<string, string | number | boolean>> => {
  const { usage } = entry
  const written: Record<string, string | number | boolean> = {}
  const add = (name: string, value: string | number | boolean | undefined): void => {
    if (value !== undefined && value !== "") written[name] = value
  }
  add("request_id", entry.requestId)
  add("label", entry.label)
  add("operation", entry.operation)
  add("streamed", entry.streamed)
  add("provider", entry.provider)
  add("model", entry.model)
  add("answered_by", entry.answeredBy)
  add("key_id", entry.keyId)
  add("attempts", entry.attempts.length)
  add("outcome", entry.outcome)
  add("status", entry.status)
  add("finish_reason", entry.finishReason)
  if (usage !== undefined) {
    add("input_tokens", usage.inputTokens)
    add("output_tokens", usage.outputTokens)
    add("cached_input_tokens", usage.cachedInputTokens)
    add("cache_write_tokens", usage.cacheWriteTokens)
    add("reasoning_tokens", usage.reasoningTokens)
    add("input_audio_tokens", usage.inputAudioTokens)
    add("output_audio_tokens", usage.outputAudioTokens)
    add("estimated", usage.estimated)
  }
  add("cost_dollars", entry.cost?.total)
  add("latency_ms", millis(entry.latency))
  add("time_to_first_event_ms", entry.timeToFirstEvent === undefined ? undefined : millis(entry.timeToFirstEvent))
  add("waited_for_permit_ms", entry.waitedForPermit)
  add("waited_for_key_ms", entry.waitedForKey)
  add("trace_id", entry.traceId)
  return written
}

/**
 * An entry as one line of JSON, with its start time.
 *
 * @since 0.1.0
 * @category formats
 */
export const json = (entry: Entry): string =>
  JSON.stringify({ started_at: new Date(entry.startedAt).toISOString(), ...fields(entry) })

/** Matches a value that needs no quotes in a line of names and values. */
const unquoted = /^[\w.:/+@-]+$/

/**
 * An entry as one line of `name=value` pairs.
 *
 * @since 0.1.0
 * @category formats
 */
export const text = (entry: Entry): string =>
  Object.entries(fields(entry))
    .map(([name, value]) => {
      const string = String(value)
      return `${name}=${unquoted.test(string) ? string : JSON.stringify(string)}`
    })
    .join(" ")

// -------------------------------------------------------------------------------------
// middleware
// -------------------------------------------------------------------------------------

const levelOf = ({ outcome }: Entry): LogLevel.LogLevel =>
  outcome === "ok" || outcome === "interrupted" ? LogLevel.Info : LogLevel.Warning

const message = "llm call"

const unwritten = "the access log could not be written"

/** The log annotation with the request id of a call. */
const annotation = "request_id"

/** The line of an entry: its message and annotations. */
const lineOf = (format: Options["format"], entry: Entry): readonly [message: string, annotations: LogLine.Fields] => {
  switch (format) {
    case "json":
      return [json(entry), {}]
    case "text":
      return [text(entry), {}]
    default:
      return [message, fields(entry)]
  }
}

/**
 * The middleware that logs a line when a call ends. Apply it outside everything whose time and attempts it should include.
 *
 * A failing logger does not fail the call; the failure is logged as an error.
 *
 * @example
 * ```ts
 * import { AccessLog, LLM } from "effect-llm"
 *
 * // Failed calls only, each as a line of JSON.
 * const Logged = LLM.layerConfig().pipe(
 *   LLM.withMiddleware(AccessLog.middleware({ format: "json", filter: ({ outcome }) => outcome !== "ok" }))
 * )
 * ```
 *
 * @since 0.2.0
 * @category middlewares
 */
export const middleware =
  (options: Options = {}): Middleware =>
  (next) => {
    const { filter = () => true, format, level = levelOf } = options
    return Effect.succeed(
      instrument(next, (call, fiber) => {
        const { around, entryOf, opened, started } = CallRecord.makeRecorder(next.info, call, fiber)
        const { requestId } = started
        const isAnnotated = LogLine.annotationOf(fiber, annotation) === requestId
        return {
          ...(isAnnotated && around === undefined
            ? {}
            : { around: (effect) => Effect.annotateLogs(around?.(effect) ?? effect, annotation, requestId) }),
          opened,
          end: (exit, answer) => {
            try {
              const entry = entryOf(exit, answer)
              if (filter(entry)) LogLine.unsafeWrite(fiber, level(entry), ...lineOf(format, entry))
              return Effect.void
            } catch (defect) {
              // The logger itself can be what fails.
              return Effect.catchAllCause(Effect.logError(unwritten, Cause.die(defect)), () => Effect.void)
            }
          }
        }
      })
    )
  }
