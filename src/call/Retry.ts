/**
 * Retries failed calls with exponential backoff: rate limits, unavailable providers, broken connections, time limits.
 *
 * The `LLM` itself has already tried the other ready keys after a failure that concerns the key; a failure that reaches this
 * middleware needs time, not another key. A stream is retried only before its first event.
 *
 * @example
 * ```ts
 * import { Duration } from "effect"
 * import { LLM, Retry } from "effect-llm"
 *
 * const patient = LLM.layer({ model: "gpt-4o", retry: false }).pipe(
 *   LLM.withMiddleware(Retry.make({ attempts: 8, base: Duration.seconds(2) }))
 * )
 * ```
 *
 * @since 0.1.0
 */
import { Chunk, Duration, Effect, Option, Random } from "effect"
import * as Attempt from "../vocabulary/Attempt.js"
import type { ChatResponse } from "../vocabulary/Chat.js"
import type { ChatEvent, Start } from "../vocabulary/ChatEvent.js"
import { longestSleep } from "./limits.js"
import * as OptionChecks from "../internal/optionChecks.js"
import type { Open, OpenStream } from "./openStream.js"
import { fromStream, isolated, toStream, withEarlierAttempts } from "./openStream.js"
import type { Middleware } from "./model.js"
import type { LLMError } from "../vocabulary/LLMError.js"
import * as Errors from "../vocabulary/LLMError.js"
import { MalformedResponseError } from "../vocabulary/LLMError.js"
import { wrap } from "./wrap.js"

/**
 * The number of attempts and the delays between them.
 *
 * @since 0.1.0
 * @category model
 */
export interface Options {
  /** The maximum number of attempts, including the first. @default 5 */
  readonly attempts?: number
  /** The maximum first delay. Each later one can be `factor` times as long. @default "1 second" */
  readonly base?: Duration.DurationInput
  /** The growth of the delay after each failure. @default 2 */
  readonly factor?: number
  /**
   * The maximum delay of the backoff. A provider's Retry-After can be longer: the call waits for all of it when its deadline
   * and the patience of a fallback allow it, and fails at once otherwise. @default "60 seconds"
   */
  readonly maxDelay?: Duration.DurationInput
  /** The random share of each delay, from 0 (none) to 1 (full jitter). @default 1 */
  readonly jitter?: number
  /** Whether an error is retried. @default `LLMError.isRetryable` */
  readonly when?: (error: LLMError) => boolean
  /** Whether an answer without text, refusal or tool calls is a failure that is retried. @default false */
  readonly retryEmpty?: boolean
}

interface Policy {
  readonly attempts: number
  readonly base: number
  readonly factor: number
  readonly maxDelay: number
  readonly jitter: number
  readonly when: (error: LLMError) => boolean
}

const policyOf = (options: Options): Policy =>
  OptionChecks.valid("Retry", ({ factor, millis, number }) => {
    const { attempts = 5, jitter = 1 } = options
    return {
      attempts: number("attempts", attempts, OptionChecks.isWhole(attempts, 1), "a whole number of at least 1"),
      base: millis("base", options.base ?? "1 second", OptionChecks.anyLength),
      factor: factor("factor", options.factor),
      maxDelay: millis("maxDelay", options.maxDelay ?? "60 seconds", OptionChecks.anyLength),
      jitter: number("jitter", jitter, OptionChecks.isShare(jitter), "a number from 0 to 1"),
      when: options.when ?? Errors.isRetryable
    }
  })

/**
 * The delay before the next attempt, in milliseconds: the error's `retryAfter` if it has one, else the backoff after
 * `failures` failures (1 for the first) with a random draw from [0, 1).
 *
 * @throws TypeError when an option is invalid
 * @since 0.1.0
 * @category decisions
 */
export const delay = (options: Options, error: LLMError, failures: number, draw: number): number =>
  delayOf(policyOf(options), error, failures, draw)

const delayOf = (policy: Policy, error: LLMError, failures: number, draw: number): number => {
  const backoff = Math.min(policy.base * policy.factor ** (failures - 1), policy.maxDelay)
  const jittered = backoff * (1 - policy.jitter * draw)
  return Option.match(Errors.retryAfter(error), {
    onNone: () => jittered,
    // Calls with the same Retry-After would all retry at once: a tenth of the jittered delay spreads them.
    onSome: (wait) => Duration.toMillis(wait) + Math.min(jittered, policy.base) * 0.1
  })
}

const emptyAnswer = "empty-answer"

const isMalformed = (error: LLMError): boolean => error._tag === "MalformedResponseError" && error.code !== emptyAnswer

/** A malformed answer is retried once; other errors as often as the policy allows. */
const exhausted = (policy: Policy, error: LLMError, failures: number, malformed: number): boolean =>
  failures >= policy.attempts || !policy.when(error) || (isMalformed(error) && malformed > 1)

const retryCall = <A, R>(
  policy: Policy,
  call: Effect.Effect<A, LLMError, R>,
  withEarlier: (result: A, earlier: ReadonlyArray<Attempt.Attempt>) => A
): Effect.Effect<A, LLMError, R> => {
  const attempt = (
    failures: number,
    malformed: number,
    earlier: ReadonlyArray<Attempt.Attempt>
  ): Effect.Effect<A, LLMError, R> =>
    Effect.matchEffect(call, {
      onSuccess: (result) => Effect.succeed(earlier.length === 0 ? result : withEarlier(result, earlier)),
      onFailure: (error) => {
        const attempts = Attempt.concat(earlier, error.attempts)
        const failed = earlier.length === 0 ? error : Errors.amend(error, { attempts })
        const malformedNow = malformed + (isMalformed(error) ? 1 : 0)
        if (exhausted(policy, error, failures, malformedNow)) return Effect.fail(failed)
        return Effect.flatMap(Effect.zip(Random.next, longestSleep), ([draw, longest]) => {
          const wait = delayOf(policy, error, failures, draw)
          return wait > longest
            ? Effect.fail(failed)
            : Effect.zipRight(
                Effect.sleep(wait),
                Effect.suspend(() => attempt(failures + 1, malformedNow, attempts))
              )
        })
      }
    })
  return attempt(1, 0, [])
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

const rejectEmpty = (response: ChatResponse): Effect.Effect<ChatResponse, LLMError> =>
  response.text === "" && response.refusal === "" && response.toolCalls.length === 0
    ? Effect.fail(empty(response))
    : Effect.succeed(response)

const isContent = (event: ChatEvent): boolean =>
  event._tag === "TextDelta" || event._tag === "RefusalDelta" || event._tag === "ToolCallDelta"

/** Holds a stream back until its first content other than reasoning, so that an empty one can still be retried. */
const rejectEmptyStream = (opened: OpenStream): Effect.Effect<OpenStream, LLMError> => {
  if (Chunk.some(opened.first, isContent)) return Effect.succeed(opened)
  return Effect.matchEffect(opened.pull, {
    onSuccess: (more) => rejectEmptyStream({ first: Chunk.appendAll(opened.first, more), pull: opened.pull }),
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
 * Makes the middleware. Defaults: 5 attempts, 1 s base, factor 2, full jitter, 60 s cap; Retry-After overrides the backoff.
 *
 * @throws TypeError when an option is invalid, such as `attempts` that is not a whole number of at least 1
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: Options = {}): Middleware => {
  const policy = policyOf(options)
  const checkAnswer = (call: Effect.Effect<ChatResponse, LLMError>) =>
    options.retryEmpty === true ? Effect.flatMap(call, rejectEmpty) : call
  const checkStream = (open: Open) => (options.retryEmpty === true ? Effect.flatMap(open, rejectEmptyStream) : open)
  return (next) =>
    Effect.succeed(
      wrap(next, {
        chat: (request) => retryCall(policy, checkAnswer(next.chat(request)), Attempt.withEarlier),
        embed: (request) => retryCall(policy, next.embed(request), Attempt.withEarlier),
        chatStream: (request) =>
          toStream(retryCall(policy, isolated(checkStream(fromStream(next.chatStream(request)))), withEarlierAttempts))
      })
    )
}
