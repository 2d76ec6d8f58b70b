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
import type { ChatRequest } from "../vocabulary/Chat.js"
import * as Events from "../vocabulary/ChatEvent.js"
import type { AttemptWatch } from "./attemptWatch.js"
import * as Watches from "./attemptWatch.js"
import * as Checks from "../internal/optionChecks.js"
import { CallLimits, narrow } from "./limits.js"
import type { Open } from "./openStream.js"
import { fromStream, toStream } from "./openStream.js"
import { within } from "./timeout.js"
import { watched } from "./streamTimeout.js"
import type { Middleware, Service } from "./model.js"
import type { LLMError } from "../vocabulary/LLMError.js"
import { TimeoutError } from "../vocabulary/LLMError.js"
import * as Usage from "../vocabulary/Usage.js"

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
 * What an `LLM` layer uses unless told otherwise: wide enough for models that think long and say nothing meanwhile. Narrow
 * them for models that do not.
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

const limits = ["total", "response", "firstEvent", "idle"] as const

/** In milliseconds; infinite where there is no limit. */
const millisOf = (options: Options): Readonly<Record<(typeof limits)[number], number>> =>
  Checks.valid("Timeouts", ({ millis }) => {
    const read = { total: Infinity, response: Infinity, firstEvent: Infinity, idle: Infinity }
    for (const limit of limits) {
      const given = options[limit]
      if (given !== undefined) read[limit] = millis(limit, given, Checks.positive)
    }
    return read
  })

const sentences: Record<TimeoutError["phase"], string> = {
  connect: "There was no connection",
  response: "The answer was not complete",
  "first-event": "The stream had not begun",
  idle: "The stream stalled: there was no event",
  total: "The call was not over"
}

/** What runs out first: the limit of this layer, or the deadline of the call. */
interface Allowance<Phase> {
  readonly phase: Phase | "total"
  readonly millis: number
}

const tighter = <const Phase>(phase: Phase, limit: number, left: number): Allowance<Phase> =>
  left <= limit ? { phase: "total", millis: left } : { phase, millis: limit }

/**
 * The middleware. Without any limit it is the `LLM` itself, at no cost.
 *
 * @throws TypeError where a limit is no positive length of time
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: Options): Middleware => {
  const { firstEvent, idle, response, total } = millisOf(options)

  // Without a limit there is nothing to do, and nothing to pay for.
  if (Math.min(total, response, firstEvent, idle) === Infinity) return Effect.succeed

  return (next) => {
    /** Called before what takes too long is interrupted. */
    const expired = (
      phase: TimeoutError["phase"],
      limit: number,
      now: number,
      watch: AttemptWatch,
      said?: Events.Collected
    ): LLMError => {
      const { model, provider } = next.info
      const { held } = watch
      const attempts = Watches.cut(watch, now)
      return new TimeoutError({
        provider: held?.provider ?? provider,
        model: held?.model ?? model,
        attempts,
        phase,
        message: `${sentences[phase]} within ${Duration.format(Duration.millis(Math.ceil(limit)))}.`,
        ...(held === undefined ? {} : { keyId: held.keyId }),
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
    }

    /** Runs an effect until the limit of this layer or the deadline of the call, with one timer for both. */
    const whole = <A>(effect: Effect.Effect<A, LLMError>): Effect.Effect<A, LLMError> =>
      Watches.watching((watch) =>
        Effect.flatMap(Effect.zip(CallLimits, Effect.clock), ([outer, clock]) => {
          const now = clock.unsafeCurrentTimeMillis()
          const allowed = tighter("response", response, Math.min(outer.deadline - now, total))
          if (allowed.millis === Infinity) return effect
          return within(total === Infinity ? effect : narrow(effect, { deadline: now + total }), allowed.millis, () =>
            expired(allowed.phase, allowed.millis, clock.unsafeCurrentTimeMillis(), watch)
          )
        })
      )

    const watchedStream = (request: ChatRequest.Input): Open =>
      Watches.watching((watch) =>
        Effect.flatMap(Effect.zip(CallLimits, Effect.clock), ([outer, clock]) => {
          const now = clock.unsafeCurrentTimeMillis()
          const deadline = Math.min(outer.deadline, now + total)
          const opening = tighter("first-event", firstEvent, deadline - now)
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
            : watched(open, {
                opening: opening.millis,
                idle,
                deadline,
                expired: (limit, said) =>
                  expired(limits[limit].phase, limits[limit].millis, clock.unsafeCurrentTimeMillis(), watch, said)
              })
        })
      )

    return Effect.succeed<Service>({
      ...next,
      chat: (request) => whole(next.chat(request)),
      embed: (request) => whole(next.embed(request)),
      listModels: whole(next.listModels),
      chatStream: (request) => toStream(watchedStream(request))
    })
  }
}

/**
 * The limit of a whole call above layers that keep its deadline themselves, as every layer of {@link make} does. It costs no
 * timer of its own.
 *
 * @internal
 */
export const underDeadline = (total: Duration.DurationInput): Middleware => {
  const { total: allowed } = millisOf({ total })
  return (next) => {
    const bounded = <A, R>(effect: Effect.Effect<A, LLMError, R>): Effect.Effect<A, LLMError, R> =>
      Effect.clockWith((clock) => narrow(effect, { deadline: clock.unsafeCurrentTimeMillis() + allowed }))
    return Effect.succeed<Service>({
      ...next,
      chat: (request) => bounded(next.chat(request)),
      embed: (request) => bounded(next.embed(request)),
      listModels: bounded(next.listModels),
      chatStream: (request) => toStream(bounded(fromStream(next.chatStream(request))))
    })
  }
}
