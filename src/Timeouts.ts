/**
 * Time limits: of the call as a whole, of a whole answer, to the first event of a stream, and between its events.
 *
 * Put `response`, `firstEvent` and `idle` inside a `Retry` to limit each try, and `total` outside of it to limit them all
 * together. A limit that runs out aborts the request and gives back its key before the call fails.
 *
 * @example
 * ```ts
 * import { LLM, Timeouts } from "effect-llm"
 *
 * const quick = LLM.layer({ model: "gpt-4o", timeouts: false }).pipe(
 *   LLM.withMiddleware(Timeouts.make({ total: "20 seconds", idle: "5 seconds" }))
 * )
 * ```
 *
 * @since 0.1.0
 */
import { Duration, Effect } from "effect"
import type { ChatRequest } from "./Chat.js"
import * as Events from "./ChatEvent.js"
import { narrow } from "./internal/CallLimits.js"
import type { Open } from "./internal/openStream.js"
import { fromStream, isolated, toStream } from "./internal/openStream.js"
import { watched } from "./internal/watchdog.js"
import type { Middleware, Service } from "./LLM.js"
import type { LLMError } from "./LLMError.js"
import { TimeoutError } from "./LLMError.js"
import * as Usage from "./Usage.js"

/**
 * Each limit is off where it is absent.
 *
 * @since 0.1.0
 * @category model
 */
export interface Options {
  /**
   * The call from beginning to end, everything below this layer included. Nothing below sleeps past it: a call that would
   * have to wait longer fails at once, with the error that it would have waited for.
   */
  readonly total?: Duration.DurationInput
  /** An answer that is not streamed, until it is complete. */
  readonly response?: Duration.DurationInput
  /** A stream, until its first event. */
  readonly firstEvent?: Duration.DurationInput
  /** A stream, from one event to the next. Keep-alive comments are not events. The consumer's own time does not count. */
  readonly idle?: Duration.DurationInput
}

/**
 * What an `LLM` layer uses unless told otherwise.
 *
 * @since 0.1.0
 * @category model
 */
export const defaults: Required<Options> = {
  total: "15 minutes",
  response: "10 minutes",
  firstEvent: "2 minutes",
  idle: "1 minute"
}

const millis = (duration: Duration.DurationInput | undefined): number =>
  duration === undefined ? Infinity : Duration.toMillis(duration)

const sentence: Record<TimeoutError["phase"], string> = {
  connect: "No connection in",
  response: "The answer was not complete within",
  "first-event": "The stream had not begun after",
  idle: "The stream stalled: no event for",
  total: "The call was not over within"
}

/** The middleware. */
export const make = (options: Options): Middleware => {
  const total = millis(options.total)
  const response = millis(options.response)
  const firstEvent = millis(options.firstEvent)
  const idle = millis(options.idle)

  return (next) => {
    const expired = (phase: TimeoutError["phase"], limit: number, said?: Events.Collected): LLMError =>
      new TimeoutError({
        provider: next.info.provider,
        model: next.info.model,
        attempts:
          said?.start?.attempts ??
          (phase === "total"
            ? []
            : [
                {
                  provider: next.info.provider,
                  model: next.info.model,
                  keyId: "",
                  error: "TimeoutError",
                  duration: limit
                }
              ]),
        phase,
        message: `${sentence[phase]} ${Duration.format(Duration.millis(limit))}.`,
        ...(said?.start === undefined
          ? {}
          : {
              keyId: said.start.keyId,
              partial: Events.toPartial(
                said,
                Usage.make({ outputTokens: Usage.estimateTokens(said.text), estimated: true })
              )
            })
      })

    /** One timer for the tighter of two limits, and the deadline made known to all below. */
    const limited = <A, R>(
      effect: Effect.Effect<A, LLMError, R>,
      phase: "response" | "first-event",
      limit: number
    ): Effect.Effect<A, LLMError, R> => {
      const tighter = Math.min(limit, total)
      if (tighter === Infinity) return effect
      const timed = (inner: Effect.Effect<A, LLMError, R>) =>
        Effect.timeoutFail(inner, {
          duration: tighter,
          onTimeout: () => expired(total <= limit ? "total" : phase, tighter)
        })
      return total === Infinity
        ? timed(effect)
        : Effect.clockWith((clock) => timed(narrow(effect, { deadline: clock.unsafeCurrentTimeMillis() + total })))
    }

    const watchedStream = (request: ChatRequest.Input): Open => {
      const open = isolated(fromStream(next.chatStream(request)))
      if (idle === Infinity && total === Infinity) return limited(open, "first-event", firstEvent)
      return Effect.clockWith((clock) => {
        const deadline = clock.unsafeCurrentTimeMillis() + total
        return Effect.flatMap(limited(open, "first-event", firstEvent), (opened) =>
          watched(opened, {
            idle,
            deadline,
            expired: (phase, said) => expired(phase, phase === "idle" ? idle : total, said)
          })
        )
      })
    }

    return Effect.succeed<Service>({
      ...next,
      chat: (request) => limited(next.chat(request), "response", response),
      chatStream: (request) => toStream(watchedStream(request))
    })
  }
}
