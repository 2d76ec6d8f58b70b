/**
 * Time limits: for the whole call, for a whole answer, to the first event of a stream, and between its events.
 *
 * Put `response`, `firstEvent` and `idle` inside a `Retry` to limit each attempt, and `total` outside of it to limit all
 * together. When a limit expires, the request is aborted and its key released before the call fails.
 *
 * @example
 * ```ts
 * import { LLM, Timeouts } from "effect-llm"
 *
 * const quick = LLM.layer({ model: "gpt-4o", timeouts: false }).pipe(
 *   LLM.withMiddleware(Timeouts.middleware({ total: "20 seconds", idle: "5 seconds" }))
 * )
 * ```
 *
 * @since 0.1.0
 */
import { Duration, Effect } from "effect"
import type { ChatRequest } from "../vocabulary/Chat.js"
import * as Events from "../vocabulary/ChatEvent.js"
import type { AttemptWatch } from "./attemptWatch.js"
import * as Watches from "./attemptWatch.js"
import type { Options } from "./deadline.js"
import { millisOf } from "./deadline.js"
import { CallLimits, narrow } from "./limits.js"
import type { Open } from "./openStream.js"
import { fromStream, toStream } from "./openStream.js"
import { within } from "./timeout.js"
import { withStreamLimits } from "./streamTimeout.js"
import type { Middleware } from "./model.js"
import type { LLMError } from "../vocabulary/LLMError.js"
import { TimeoutError } from "../vocabulary/LLMError.js"
import * as Usage from "../vocabulary/Usage.js"
import { wrap } from "./wrap.js"

export type { Options } from "./deadline.js"

/**
 * The limits that an `LLM` layer uses by default: wide enough for models that reason for minutes without an event. Set shorter
 * ones for other models.
 *
 * @since 0.1.0
 * @category model
 */
export const defaults: Required<Options> = {
  total: "15 minutes",
  response: "10 minutes",
  firstEvent: "5 minutes",
  idle: "2 minutes"
}

const phaseMessages: Record<TimeoutError["phase"], string> = {
  connect: "There was no connection",
  response: "The answer was not complete",
  "first-event": "The stream had not begun",
  idle: "The stream stalled: there was no event",
  total: "The call was not over"
}

/** The limit that expires first: that of this middleware, or the deadline of the call. */
interface EffectiveLimit<Phase> {
  readonly phase: Phase | "total"
  readonly millis: number
}

const shorterLimit = <const Phase>(phase: Phase, limit: number, left: number): EffectiveLimit<Phase> =>
  left <= limit ? { phase: "total", millis: left } : { phase, millis: limit }

/**
 * The middleware that ends calls at their limits. Without any limit it returns the `LLM` itself.
 *
 * @throws TypeError when a limit is not a positive duration
 * @since 0.2.0
 * @category middlewares
 */
export const middleware = (options: Options): Middleware => {
  const { firstEvent, idle, response, total } = millisOf(options)

  if (Math.min(total, response, firstEvent, idle) === Infinity) return Effect.succeed

  return (next) => {
    /** Makes the error. Called before the call is interrupted. */
    const expired = (
      phase: TimeoutError["phase"],
      limit: number,
      now: number,
      watch: AttemptWatch,
      collected?: Events.Collected
    ): LLMError => {
      const { model, provider } = next.info
      const { running } = watch
      const attempts = Watches.expire(watch, now)
      return new TimeoutError({
        provider: running?.provider ?? provider,
        model: running?.model ?? model,
        attempts,
        phase,
        message: `${phaseMessages[phase]} within ${Duration.format(Duration.millis(Math.ceil(limit)))}.`,
        ...(running === undefined ? {} : { keyId: running.keyId }),
        ...(collected?.start === undefined
          ? {}
          : {
              keyId: collected.start.keyId,
              partial: Events.toPartial(
                collected,
                Usage.make({ outputTokens: Usage.estimateTokens(Events.generatedText(collected)), estimated: true })
              )
            })
      })
    }

    /** Runs an effect until the limit of this middleware or the deadline of the call, with one timer for both. */
    const limitWhole = <A, R>(effect: Effect.Effect<A, LLMError, R>): Effect.Effect<A, LLMError, R> =>
      Watches.withWatch((watch) =>
        Effect.flatMap(Effect.zip(CallLimits, Effect.clock), ([outer, clock]) => {
          const now = clock.unsafeCurrentTimeMillis()
          const limit = shorterLimit("response", response, Math.min(outer.deadline - now, total))
          if (limit.millis === Infinity) return effect
          return within(total === Infinity ? effect : narrow(effect, { deadline: now + total }), limit.millis, () =>
            expired(limit.phase, limit.millis, clock.unsafeCurrentTimeMillis(), watch)
          )
        })
      )

    const limitStream = (request: ChatRequest.Input): Open =>
      Watches.withWatch((watch) =>
        Effect.flatMap(Effect.zip(CallLimits, Effect.clock), ([outer, clock]) => {
          const now = clock.unsafeCurrentTimeMillis()
          const deadline = Math.min(outer.deadline, now + total)
          const opening = shorterLimit("first-event", firstEvent, deadline - now)
          const stream = fromStream(next.chatStream(request))
          const open =
            total === Infinity && idle === Infinity ? stream : narrow(stream, { deadline: now + total, idle })
          const limits = {
            opening,
            idle: { phase: "idle", millis: idle },
            total: { phase: "total", millis: deadline - now }
          } as const
          return opening.millis === Infinity && idle === Infinity
            ? open
            : withStreamLimits(open, {
                opening: opening.millis,
                idle,
                deadline,
                expired: (limit, collected) =>
                  expired(limits[limit].phase, limits[limit].millis, clock.unsafeCurrentTimeMillis(), watch, collected)
              })
        })
      )

    return Effect.succeed(wrap(next, { around: limitWhole, chatStream: (request) => toStream(limitStream(request)) }))
  }
}
