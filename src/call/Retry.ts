/**
 * Tries again what may succeed later: rate limits, providers that are down, connections that break, time limits.
 *
 * A key-scoped failure has already been tried on the other ready keys by the `LLM` itself; what reaches this layer needs
 * time, not another key. A stream is tried again only before its first event.
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
import * as Checks from "../internal/optionChecks.js"
import type { Open, OpenStream } from "./openStream.js"
import { fromStream, isolated, toStream, withEarlierAttempts } from "./openStream.js"
import type { Middleware } from "./model.js"
import type { LLMError } from "../vocabulary/LLMError.js"
import * as Errors from "../vocabulary/LLMError.js"
import { MalformedResponseError } from "../vocabulary/LLMError.js"

/**
 * How often a call is tried, and how long is waited between.
 *
 * @since 0.1.0
 * @category model
 */
export interface Options {
  /** How often a call is tried in all, the first time included. @default 5 */
  readonly attempts?: number
  /** The longest first delay. Each later one may be `factor` times as long. @default "1 second" */
  readonly base?: Duration.DurationInput
  /** @default 2 */
  readonly factor?: number
  /**
   * The longest delay that backing off reaches. A provider's Retry-After may be longer: it is waited for in full where the
   * call's deadline allows it and no fallback stands behind, else the call fails at once. @default "60 seconds"
   */
  readonly maxDelay?: Duration.DurationInput
  /** The share of each delay that is drawn at random, from 0 (none) to 1 (full jitter). @default 1 */
  readonly jitter?: number
  /** Which errors are worth another try. @default `LLMError.isRetryable` */
  readonly when?: (error: LLMError) => boolean
  /** Whether an answer without text, refusal or tool calls counts as a failure to be tried again. @default false */
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
  Checks.valid("Retry", ({ factor, millis, number }) => {
    const { attempts = 5, jitter = 1 } = options
    return {
      attempts: number("attempts", attempts, Checks.isWhole(attempts, 1), "a whole number of at least 1"),
      base: millis("base", options.base ?? "1 second", Checks.anyLength),
      factor: factor("factor", options.factor),
      maxDelay: millis("maxDelay", options.maxDelay ?? "60 seconds", Checks.anyLength),
      jitter: number("jitter", jitter, Checks.isShare(jitter), "a number from 0 to 1"),
      when: options.when ?? Errors.isRetryable
    }
  })

/**
 * How long to wait before the next try, in milliseconds: `retryAfter` where the error names one, else the backoff after
 * `failures` failures (1 for the first) with the given random draw from [0, 1).
 *
 * @throws TypeError where an option makes no sense
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
    // All who were told the same instant would come back at once: a little of the jitter spreads them out behind it.
    onSome: (wait) => Duration.toMillis(wait) + Math.min(jittered, policy.base) * 0.1
  })
}

const emptyAnswer = "empty-answer"

const isMalformed = (error: LLMError): boolean => error._tag === "MalformedResponseError" && error.code !== emptyAnswer

/** A malformed answer is tried again once; anything else as often as the policy says. */
const exhausted = (policy: Policy, error: LLMError, failures: number, malformed: number): boolean =>
  failures >= policy.attempts || !policy.when(error) || (isMalformed(error) && malformed > 1)

const retried = <A, R>(
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

const refuseEmpty = (response: ChatResponse): Effect.Effect<ChatResponse, LLMError> =>
  response.text === "" && response.refusal === "" && response.toolCalls.length === 0
    ? Effect.fail(empty(response))
    : Effect.succeed(response)

const saysSomething = (event: ChatEvent): boolean =>
  event._tag === "TextDelta" || event._tag === "RefusalDelta" || event._tag === "ToolCallDelta"

/** Holds a stream back until it says something, thoughts aside, so that one which never does can still be tried again. */
const refuseEmptyStream = (opened: OpenStream): Effect.Effect<OpenStream, LLMError> => {
  if (Chunk.some(opened.first, saysSomething)) return Effect.succeed(opened)
  return Effect.matchEffect(opened.pull, {
    onSuccess: (more) => refuseEmptyStream({ first: Chunk.appendAll(opened.first, more), pull: opened.pull }),
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
 * The middleware. Defaults: 5 attempts in all, 1 s base, factor 2, full jitter, 60 s cap; Retry-After wins.
 *
 * @throws TypeError where an option makes no sense, such as attempts that are no whole number of at least 1
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: Options = {}): Middleware => {
  const policy = policyOf(options)
  const answered = (call: Effect.Effect<ChatResponse, LLMError>) =>
    options.retryEmpty === true ? Effect.flatMap(call, refuseEmpty) : call
  const opened = (open: Open) => (options.retryEmpty === true ? Effect.flatMap(open, refuseEmptyStream) : open)
  return (next) =>
    Effect.succeed({
      ...next,
      chat: (request) => retried(policy, answered(next.chat(request)), Attempt.withEarlier),
      embed: (request) => retried(policy, next.embed(request), Attempt.withEarlier),
      chatStream: (request) =>
        toStream(retried(policy, isolated(opened(fromStream(next.chatStream(request)))), withEarlierAttempts))
    })
}
