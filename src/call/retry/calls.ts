/** Calls that are retried, within the budget of their `LLM` and the limit of requests of a call. */
import { Chunk, Clock, Context, Effect, Option } from "effect"
import * as OptionChecks from "../../internal/optionChecks.js"
import * as Attempt from "../../vocabulary/attempt.js"
import type { ChatResponse } from "../../vocabulary/Chat.js"
import type { ChatEvent, Start } from "../../vocabulary/ChatEvent.js"
import type { LLMError } from "../../vocabulary/LLMError.js"
import * as Errors from "../../vocabulary/LLMError.js"
import { MalformedResponseError } from "../../vocabulary/LLMError.js"
import { isContentPart } from "../answerParts.js"
import { logWait } from "../callLog.js"
import { CallLimits, longestSleepOf, narrow } from "../limits.js"
import type { Middleware, ModelInfo, Service } from "../model.js"
import type { Instruments } from "../observer.js"
import type { Open, OpenStream } from "../openStream.js"
import { isolated } from "../ownedStream.js"
import { fromStream, toStream, withEarlierAttempts } from "../openStream.js"
import { limitFor, requestsLeft, requestsOf } from "../requestLimit.js"
import { wrap } from "../wrap.js"
import * as Budgets from "./budget.js"
import type { Decide } from "./decisions.js"
import { decideBy, emptyAnswer } from "./decisions.js"
import type { Options } from "./model.js"
import type { RetryBudget } from "./state.js"
import * as States from "./state.js"
import * as Fibers from "../../internal/fibers.js"

/** Checked options. */
export interface Settings<R> {
  /** Decides about the first failure of a call. */
  readonly decide: Effect.Effect<Decide, never, R>
  readonly when: (error: LLMError) => boolean
  readonly retryEmpty: boolean
  /** Absent when retries are unlimited. */
  readonly budget: Budgets.Settings | undefined
  /** Whether a failure can be followed by a try with another key, which counts as an attempt. */
  readonly failsOver: boolean
  /** Whether the options say how many attempts there are. */
  readonly countsAttempts: boolean
}

/** @throws TypeError when an option is invalid */
export const settingsOf = <R>(options: Options<R>): Settings<R> => {
  const { budget = {}, retryEmpty = false, when = Errors.isRetryable } = options
  return {
    decide: decideBy(options),
    when,
    retryEmpty,
    budget: budget === false ? undefined : OptionChecks.valid("Retry", (checks) => Budgets.settingsOf(checks, budget)),
    failsOver: options.schedule === undefined && options.maxAttempts !== 1,
    countsAttempts: options.schedule !== undefined || options.maxAttempts !== undefined
  }
}

/** What the retries of one `LLM` share. */
export interface Shared {
  readonly budget: RetryBudget | undefined
  /** Whether the retried calls go to the keys of the `LLM`: each is one request, and one more for each failover to another key. */
  readonly ownsKeys: boolean
  readonly retried: Instruments["retried"]
}

interface Policy extends Shared {
  readonly decide: Decide
  readonly when: (error: LLMError) => boolean
  readonly countsAttempts: boolean
  readonly info: () => ModelInfo
}

const countSuccess = (budget: RetryBudget): void => {
  const fiber = Option.getOrUndefined(Fibers.current())
  if (fiber !== undefined) budget.succeeded(Context.get(fiber.currentDefaultServices, Clock.Clock))
}

const notRetriedBecause = "The call is not retried, because"

/** The error with the reason, unless a policy below has added one. */
const notRetried = (error: LLMError, reason: string): LLMError =>
  error.message.includes(notRetriedBecause)
    ? error
    : Errors.update(error, { message: `${error.message} ${notRetriedBecause} ${reason}.` })

/** The failed rounds of a call so far. */
interface Progress {
  readonly attempts: ReadonlyArray<Attempt.Attempt>
  readonly rounds: number
  readonly requests: number
}

const retryCall = <A, R>(
  { budget, countsAttempts, decide, info, ownsKeys, retried, when }: Policy,
  call: Effect.Effect<A, LLMError, R>,
  withEarlier: (result: A, earlier: ReadonlyArray<Attempt.Attempt>) => A
): Effect.Effect<A, LLMError, R> => {
  const round = (
    decide: Decide,
    before: Progress,
    limited: Effect.Effect<A, LLMError, R>
  ): Effect.Effect<A, LLMError, R> =>
    Effect.matchEffect(limited, {
      onSuccess: (result) => {
        if (budget !== undefined) countSuccess(budget)
        return Effect.succeed(before.rounds === 0 ? result : withEarlier(result, before.attempts))
      },
      onFailure: (error) => {
        const attempts = Attempt.concat(before.attempts, error.attempts)
        const failed = before.rounds === 0 ? error : Errors.update(error, { attempts })
        if (!when(error)) return Effect.fail(failed)
        const requests = requestsOf(error.attempts)
        const made: Progress = { attempts, rounds: before.rounds + 1, requests: before.requests + requests }
        return Effect.flatMap(decide(error, ownsKeys ? requests : 1), (decision) =>
          decision === undefined ? Effect.fail(failed) : retry(decision.wait, decision.next, made, failed)
        )
      }
    })

  const retry = (wait: number, decide: Decide, made: Progress, failed: LLMError): Effect.Effect<A, LLMError, R> =>
    Effect.withFiberRuntime((fiber) => {
      const clock = Context.get(fiber.currentDefaultServices, Clock.Clock)
      const limits = Context.get(fiber.currentContext, CallLimits)
      const isBackoff = Option.isNone(Errors.retryAfter(failed))
      if (wait > longestSleepOf(limits, clock) || (isBackoff && wait > limits.maxBackoff)) return Effect.fail(failed)
      const own = limitFor(limits.requests, info())
      const left = requestsLeft(fiber.currentContext, own) - made.requests
      // Rounds of one request each do not multiply requests.
      const isAlone = own === undefined && (ownsKeys || (countsAttempts && made.requests <= made.rounds))
      if (!isAlone && left < 1) {
        return Effect.fail(notRetried(failed, "it has sent all requests that `Retry.MaxRequests` allows"))
      }
      if (budget !== undefined && !(ownsKeys && isRateLimit(failed)) && !budget.take(clock)) {
        return Effect.zipRight(retried("denied"), Effect.fail(notRetried(failed, "the retry budget is spent")))
      }
      const requests = {
        info: info(),
        left: Math.max(1, left),
        earlier: Attempt.concat(own?.earlier ?? [], made.attempts)
      }
      return Effect.zipRight(
        Effect.zipRight(Effect.zipRight(retried("granted"), logWait(failed, wait)), Effect.sleep(wait)),
        Effect.suspend(() => round(decide, made, narrow(call, { requests })))
      )
    })

  return round(decide, { attempts: [], rounds: 0, requests: 0 }, call)
}

/** A rate limit of the provider takes nothing from the budget: the pool sends one call to a limited key, and more as they succeed. */
const isRateLimit = (error: LLMError): boolean => error._tag === "RateLimitError" && error.source === "provider"

const empty = (context: Pick<ChatResponse, "provider" | "model" | "keyId" | "attempts">): LLMError =>
  new MalformedResponseError({
    provider: context.provider,
    model: context.model,
    keyId: context.keyId,
    attempts: context.attempts,
    code: emptyAnswer,
    path: "",
    excerpt: "",
    message: `${context.provider} sent an empty answer: no text, refusal, tool call or provider part.`
  })

const rejectEmpty = (response: ChatResponse): Effect.Effect<ChatResponse, LLMError> =>
  response.content.some(isContentPart) ? Effect.succeed(response) : Effect.fail(empty(response))

const isContent = (event: ChatEvent): boolean => {
  switch (event._tag) {
    case "TextDelta":
    case "RefusalDelta":
      return event.text !== ""
    case "ToolCallDelta":
    case "ToolCallEnd":
      return true
    case "ProviderPart":
      return isContentPart(event.part)
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

/** Retries the calls of an `LLM`. */
export const apply =
  <R>({ countsAttempts, decide, retryEmpty, when }: Settings<R>, shared: Shared): Middleware<never, R> =>
  (next) => {
    const checkAnswer = (call: Effect.Effect<ChatResponse, LLMError>) =>
      retryEmpty ? Effect.flatMap(call, rejectEmpty) : call
    const checkStream =
      (open: Open): Open =>
      (finalizers) =>
        retryEmpty ? Effect.flatMap(open(finalizers), (opened) => rejectEmptyStream(opened)) : open(finalizers)
    return Effect.map(decide, (decide): Service => {
      const policy: Policy = { ...shared, countsAttempts, decide, when, info: () => next.info }
      return wrap(next, {
        chat: (request) => retryCall(policy, checkAnswer(next.chat(request)), Attempt.withEarlier),
        embed: (request) => retryCall(policy, next.embed(request), Attempt.withEarlier),
        chatStream: (request) =>
          toStream((finalizers) =>
            retryCall(
              policy,
              isolated(checkStream(fromStream(next.chatStream(request))))(finalizers),
              withEarlierAttempts
            )
          ),
        status: States.withStatus(next.status, shared.budget)
      })
    })
  }
