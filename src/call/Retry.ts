/**
 * Retries failed calls with exponential backoff or a schedule: rate limits, unavailable providers, broken connections, time limits.
 *
 * The `LLM` itself has already tried the other ready keys after a failure that concerns the key; a failure that reaches this
 * middleware needs time, not another key. A stream is retried only before its first event.
 *
 * No retry starts before the error's Retry-After, and no wait goes past the deadline of the call or the `failoverAfter` of a fallback: a
 * call that would have to wait longer fails at once with the error.
 *
 * @example
 * ```ts
 * import { Schedule } from "effect"
 * import type { Layer } from "effect"
 * import { LLM, Retry } from "effect-llm"
 *
 * // An `LLM` layer retries by itself. Its option takes the same options.
 * const patient = LLM.layer({ model: "gpt-4o", retry: { maxAttempts: 8, backoff: { base: "2 seconds" } } })
 *
 * declare const robust: Layer.Layer<LLM.LLM>
 *
 * // Every 5 seconds, for at most a minute after the first failure.
 * const steady = robust.pipe(
 *   LLM.withMiddleware(Retry.middleware({ schedule: Schedule.spaced("5 seconds").pipe(Schedule.upTo("1 minute")) }))
 * )
 * ```
 *
 * @since 0.1.0
 */
import type { Context } from "effect"
import { Chunk, Duration, Effect, Option, Random, Schedule, ScheduleDecision, ScheduleIntervals } from "effect"
import * as Attempt from "../vocabulary/attempt.js"
import type { Backoff, Growth } from "../vocabulary/backoff.js"
import * as Backoffs from "../vocabulary/backoff.js"
import type { AssistantPart, ChatResponse } from "../vocabulary/Chat.js"
import type { ChatEvent, Start } from "../vocabulary/ChatEvent.js"
import { longestSleep } from "./limits.js"
import * as OptionChecks from "../internal/optionChecks.js"
import type { Open, OpenStream } from "./openStream.js"
import { fromStream, isolated, toStream, withEarlierAttempts } from "./openStream.js"
import type { Middleware, Service } from "./model.js"
import type { LLMError } from "../vocabulary/LLMError.js"
import * as Errors from "../vocabulary/LLMError.js"
import { MalformedResponseError } from "../vocabulary/LLMError.js"
import { wrap } from "./wrap.js"

export type { Backoff } from "../vocabulary/backoff.js"

/**
 * Which results are retried, whatever decides about the number of attempts and the delays.
 *
 * @since 0.2.0
 * @category model
 */
export interface Conditions {
  /** Whether an error is retried. @default `LLMError.isRetryable` */
  readonly when?: (error: LLMError) => boolean
  /** Whether an answer without text, refusal, tool calls and provider parts is a failure that is retried. @default false */
  readonly retryEmpty?: boolean
}

/**
 * Retries with exponential backoff. A malformed answer is retried once in a call.
 *
 * @since 0.2.0
 * @category model
 */
export interface BackoffOptions extends Conditions {
  /** The maximum number of attempts, including the first. @default 5 */
  readonly maxAttempts?: number
  /**
   * The delays between attempts. An error with a Retry-After is retried soon after it instead: at most a tenth of `base` later, so
   * that calls with the same Retry-After do not all retry at once. `max` does not shorten a Retry-After.
   * @default 1 second, doubling up to 60 seconds, with full jitter
   */
  readonly backoff?: Backoff
  readonly schedule?: never
}

/**
 * Retries with a schedule, which decides about the number of attempts and the delays between them.
 *
 * @since 0.2.0
 * @category model
 */
export interface ScheduleOptions<R = never> extends Conditions {
  /**
   * Receives each error of a call that `when` accepts, and starts anew with every call. When it is done, the call fails with the
   * last error. When the error has a Retry-After, the delay is that of the schedule or the Retry-After, whichever is longer.
   */
  readonly schedule: Schedule.Schedule<unknown, LLMError, R>
  readonly maxAttempts?: never
  readonly backoff?: never
}

/**
 * When failed calls are retried, and how often: with exponential backoff, or with a schedule.
 *
 * @since 0.1.0
 * @category model
 */
export type Options<R = never> = BackoffOptions | ScheduleOptions<R>

// -------------------------------------------------------------------------------------
// decisions
// -------------------------------------------------------------------------------------

/** Decides about a failure: the wait before the next attempt in milliseconds, or undefined when there is none. */
type Decide = (error: LLMError) => Effect.Effect<Decision | undefined>

interface Decision {
  readonly wait: number
  /** Decides about the next failure of the same call. */
  readonly next: Decide
}

interface JitteredGrowth extends Growth {
  readonly jitter: number
}

const growthOf = (checks: OptionChecks.Checks, path: string, backoff: Backoff): JitteredGrowth => {
  const { jitter = 1 } = backoff
  return {
    ...Backoffs.growthOf(checks, path, backoff, { base: "1 second", max: "60 seconds" }, OptionChecks.anyLength),
    jitter: checks.number(`${path}.jitter`, jitter, OptionChecks.isShare(jitter), "a number from 0 to 1")
  }
}

/**
 * The delay before the next attempt, in milliseconds: the error's `retryAfter` if it has one, else the backoff after
 * `failures` failures (1 for the first) with a random draw from [0, 1). Defaults are those of `BackoffOptions.backoff`.
 *
 * @throws TypeError when an option is invalid
 * @since 0.1.0
 * @category decisions
 */
export const delay = (backoff: Backoff, error: LLMError, failures: number, draw: number): number =>
  delayOf(
    OptionChecks.valid("Retry.delay", (checks) => growthOf(checks, "backoff", backoff)),
    error,
    failures,
    draw
  )

const delayOf = (growth: JitteredGrowth, error: LLMError, failures: number, draw: number): number => {
  const jittered = Backoffs.delayAfter(growth, failures) * (1 - growth.jitter * draw)
  return Option.match(Errors.retryAfter(error), {
    onNone: () => jittered,
    // Calls with the same Retry-After would all retry at once: a tenth of the jittered delay spreads them.
    onSome: (wait) => Duration.toMillis(wait) + Math.min(jittered, growth.base) * 0.1
  })
}

/** A malformed answer is retried once; other errors until there were `maxAttempts` attempts. */
const decideByBackoff =
  (growth: JitteredGrowth, maxAttempts: number, failures: number, malformed: number): Decide =>
  (error) => {
    const malformedNow = malformed + (isMalformed(error) ? 1 : 0)
    return failures >= maxAttempts || (isMalformed(error) && malformedNow > 1)
      ? Effect.succeed(undefined)
      : Effect.map(Random.next, (draw) => ({
          wait: delayOf(growth, error, failures, draw),
          next: decideByBackoff(growth, maxAttempts, failures + 1, malformedNow)
        }))
  }

const decideBySchedule =
  <R>(schedule: Schedule.Schedule<unknown, LLMError, R>, context: Context.Context<R>, state: unknown): Decide =>
  (error) =>
    Effect.clockWith((clock) => {
      const now = clock.unsafeCurrentTimeMillis()
      return Effect.map(Effect.provide(schedule.step(now, error, state), context), ([nextState, , decision]) => {
        if (ScheduleDecision.isDone(decision)) return undefined
        const retryAfter = Option.match(Errors.retryAfter(error), { onNone: () => 0, onSome: Duration.toMillis })
        return {
          wait: Math.max(ScheduleIntervals.start(decision.intervals) - now, retryAfter),
          next: decideBySchedule(schedule, context, nextState)
        }
      })
    })

/** Checks the options and returns what decides about the first failure of a call. */
const decideBy = <R>(options: Options<R>): Effect.Effect<Decide, never, R> => {
  const { schedule } = options
  if (schedule === undefined) {
    const { backoff = {}, maxAttempts = 5 } = options
    const decide = OptionChecks.valid("Retry", (checks) =>
      decideByBackoff(
        growthOf(checks, "backoff", backoff),
        checks.number("maxAttempts", maxAttempts, OptionChecks.isWhole(maxAttempts, 1), "a whole number of at least 1"),
        1,
        0
      )
    )
    return Effect.succeed(decide)
  }
  OptionChecks.valid("Retry", ({ faults }) => {
    if (!Schedule.isSchedule(schedule)) faults.push("schedule: must be a Schedule")
    for (const name of ["maxAttempts", "backoff"] as const) {
      if (options[name] !== undefined) faults.push(`${name}: must be absent when there is a schedule`)
    }
  })
  return Effect.map(Effect.context<R>(), (context) => decideBySchedule(schedule, context, schedule.initial))
}

// -------------------------------------------------------------------------------------
// calls
// -------------------------------------------------------------------------------------

const emptyAnswer = "empty-answer"

const isMalformed = (error: LLMError): boolean => error._tag === "MalformedResponseError" && error.code !== emptyAnswer

interface Policy {
  /** Decides about the first failure of a call. */
  readonly decide: Decide
  readonly when: (error: LLMError) => boolean
}

const retryCall = <A, R>(
  { decide, when }: Policy,
  call: Effect.Effect<A, LLMError, R>,
  withEarlier: (result: A, earlier: ReadonlyArray<Attempt.Attempt>) => A
): Effect.Effect<A, LLMError, R> => {
  const attempt = (decide: Decide, earlier: ReadonlyArray<Attempt.Attempt>): Effect.Effect<A, LLMError, R> =>
    Effect.matchEffect(call, {
      onSuccess: (result) => Effect.succeed(earlier.length === 0 ? result : withEarlier(result, earlier)),
      onFailure: (error) => {
        const attempts = Attempt.concat(earlier, error.attempts)
        const failed = earlier.length === 0 ? error : Errors.update(error, { attempts })
        if (!when(error)) return Effect.fail(failed)
        return Effect.flatMap(Effect.zip(decide(error), longestSleep), ([decision, longest]) =>
          decision === undefined || decision.wait > longest
            ? Effect.fail(failed)
            : Effect.zipRight(
                Effect.sleep(decision.wait),
                Effect.suspend(() => attempt(decision.next, attempts))
              )
        )
      }
    })
  return attempt(decide, [])
}

const empty = (context: Pick<ChatResponse, "provider" | "model" | "keyId" | "attempts">): LLMError =>
  new MalformedResponseError({
    provider: context.provider,
    model: context.model,
    keyId: context.keyId,
    attempts: context.attempts,
    code: emptyAnswer,
    path: "",
    excerpt: "",
    message: `${context.provider} answered with neither text nor tool calls.`
  })

/** Whether a part is an answer: reasoning alone is none, and a text without characters neither. */
const isAnswer = (part: AssistantPart): boolean =>
  part.type === "tool-call" || part.type === "provider" || (part.type !== "reasoning" && part.text !== "")

const rejectEmpty = (response: ChatResponse): Effect.Effect<ChatResponse, LLMError> =>
  response.content.some(isAnswer) ? Effect.succeed(response) : Effect.fail(empty(response))

const isContent = (event: ChatEvent): boolean => {
  switch (event._tag) {
    case "TextDelta":
    case "RefusalDelta":
      return event.text !== ""
    case "ToolCallDelta":
    case "ToolCallEnd":
    case "ProviderPart":
      return true
    default:
      return false
  }
}

/**
 * Holds a stream back until its first content other than reasoning, so that an empty one can still be retried. `latest` are the
 * events that were not checked yet.
 */
const rejectEmptyStream = (opened: OpenStream, latest = opened.first): Effect.Effect<OpenStream, LLMError> => {
  if (Chunk.some(latest, isContent)) return Effect.succeed(opened)
  return Effect.matchEffect(opened.pull, {
    onSuccess: (more) => rejectEmptyStream({ first: Chunk.appendAll(opened.first, more), pull: opened.pull }, more),
    onFailure: Option.match({
      onSome: (error) => Effect.fail(error),
      onNone: () =>
        Effect.fail(
          empty(Option.getOrElse(Chunk.findFirst(opened.first, isStart), () => ({ ...nowhere, attempts: [] })))
        )
    })
  })
}

const nowhere = { provider: "", model: "", keyId: "" }

const isStart = (event: ChatEvent): event is Start => event._tag === "Start"

/**
 * The middleware that retries failed calls. Defaults: 5 attempts, backoff from 1 second doubling up to 60 seconds, full jitter.
 * Requirements of a schedule become requirements of the middleware.
 *
 * @throws TypeError when an option is invalid, such as `maxAttempts` that is not a whole number of at least 1
 * @since 0.2.0
 * @category middlewares
 */
export const middleware = <R = never>(options: Options<R> = {}): Middleware<never, R> => {
  const { retryEmpty = false, when = Errors.isRetryable } = options
  const makeDecide = decideBy(options)
  const checkAnswer = (call: Effect.Effect<ChatResponse, LLMError>) =>
    retryEmpty ? Effect.flatMap(call, rejectEmpty) : call
  const checkStream = (open: Open) => (retryEmpty ? Effect.flatMap(open, (opened) => rejectEmptyStream(opened)) : open)
  return (next) =>
    Effect.map(makeDecide, (decide): Service => {
      const policy: Policy = { decide, when }
      return wrap(next, {
        chat: (request) => retryCall(policy, checkAnswer(next.chat(request)), Attempt.withEarlier),
        embed: (request) => retryCall(policy, next.embed(request), Attempt.withEarlier),
        chatStream: (request) =>
          toStream(retryCall(policy, isolated(checkStream(fromStream(next.chatStream(request)))), withEarlierAttempts))
      })
    })
}
