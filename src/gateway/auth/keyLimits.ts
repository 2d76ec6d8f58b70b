/** The limits and the budget of a key, as middleware around every model that it calls. */
import type { Clock } from "effect"
import { Effect, Either, Exit } from "effect"
import * as Budget from "../../accounting/Budget.js"
import type { Added } from "../../call/added.js"
import { nothing } from "../../call/added.js"
import type { ChatRequest, ChatResponse } from "../../vocabulary/Chat.js"
import type { Finalizers } from "../../call/finalizers.js"
import type { Opening, OpenStream } from "../../call/openStream.js"
import { mapEvents, openChat, toListeningChatStream } from "../../call/openStream.js"
import { after, continueAfter } from "../../call/plan.js"
import { inputTokensOf, normalize, passedOn, rememberingEstimate } from "../../call/request.js"
import type { Send } from "../../call/sending.js"
import { attempt, conclude, isExit, mapSent, run, sendChat, toChat, unsent } from "../../call/sending.js"
import { wrap } from "../../call/wrap.js"
import type { Middleware } from "../../call/model.js"
import { clockOf } from "../../internal/clock.js"
import type { LLMError } from "../../vocabulary/LLMError.js"
import { RateLimiterFactory } from "../../rateLimiter/factory.js"
import { InvalidLimitError } from "../../rateLimiter/model.js"
import type * as RateLimiter from "../../rateLimiter/RateLimiter.js"
import type { Usage } from "../../vocabulary/Usage.js"
import type { VirtualKey } from "../VirtualKey.js"
import { CurrentShare } from "../workers/share.js"
import * as KeyShare from "./keyShare.js"
import * as KeyRefusals from "./keyRefusals.js"
import { fromEither } from "../../internal/asEffect.js"

/** For limiters of tokens or concurrency only. */
const unlimitedRequests = { capacity: 1e9, refillRate: 1e9 } as const

const defaultOutputTokens = 1000

/** A chat with its estimated tokens, which are 0 for an invalid one: it is passed on for its error. */
interface Estimated {
  readonly tokens: number
  readonly added: Added
}

/** A reservation that is settled once, with the tokens that the call has used. */
type Settle = (tokens: number) => Effect.Effect<void>

const settleAtOnce =
  (reservation: RateLimiter.UnsafeReservation, clock: Clock.Clock): Settle =>
  (used) => {
    reservation.unsafeSettle(clock, used)
    return Effect.void
  }

/** Reserves in plain code where the limiter has room for the call. Continues in the uninterruptible region of its caller. */
const reserving = <A, E, R>(
  limiter: RateLimiter.Service,
  clock: Clock.Clock,
  tokens: number,
  use: (settle: Settle) => Effect.Effect<A, E, R>
): Effect.Effect<A, E | RateLimiter.LimitError, R> => {
  const reservation = limiter.unsafeTryReserve?.(clock, tokens)
  return reservation === undefined
    ? Effect.flatMap(limiter.reserve(tokens), ({ settle }) => use(settle))
    : use(settleAtOnce(reservation, clock))
}

/** Settles with the usage of an answer, or with the estimate when the call fails. */
const settling = <A extends { readonly usage: Usage }, E, R>(
  call: Effect.Effect<A, E, R>,
  tokens: number,
  settle: Settle
): Effect.Effect<A, E, R> =>
  isExit(call)
    ? after(settle(Exit.isSuccess(call) ? call.value.usage.totalTokens : tokens), call)
    : Effect.matchCauseEffect(call, {
        onSuccess: (answer) => after(settle(answer.usage.totalTokens), Effect.succeed(answer)),
        onFailure: (cause) => after(settle(tokens), Effect.failCause(cause))
      })

const settlingStream = (opening: Opening, finalizers: Finalizers, tokens: number, settle: Settle): Opening => {
  let used = tokens
  const recordUsage = (events: OpenStream["first"]): OpenStream["first"] => {
    for (const event of events) if (event._tag === "Finish") used = event.usage.totalTokens
    return events
  }
  // Added before the stream's finalizers so that it runs after them.
  return finalizers.add(
    () => settle(used),
    () => Effect.map(opening, (opened) => mapEvents(opened, recordUsage))
  )
}

/** `countsTokens`: whether one of the limits is on tokens. */
const limitedBy =
  (limiter: RateLimiter.Service, countsTokens: boolean): Middleware =>
  (next) => {
    const estimateText = rememberingEstimate()

    const estimated = (input: ChatRequest.Input, added: Added): Estimated => {
      if (!countsTokens) return { tokens: 0, added }
      const request = added.request ?? Either.getOrUndefined(normalize(input))
      if (request === undefined) return { tokens: 0, added }
      const inputTokens = added.inputTokens ?? inputTokensOf(request, estimateText)
      return {
        tokens: inputTokens() + (request.maxTokens ?? defaultOutputTokens),
        added: { listeners: added.listeners, request, inputTokens }
      }
    }

    return Effect.succeed(
      wrap(next, {
        chat: toChat((input, outer) => (fiber, limits) => {
          const { added, tokens } = estimated(input, outer)
          const clock = clockOf(fiber)
          const reservation = limiter.unsafeTryReserve?.(clock, tokens)
          if (reservation === undefined) {
            return unsent((restore) =>
              Effect.flatMap(limiter.reserve(tokens), ({ settle }) =>
                settling(restore(Effect.suspend(() => run(sendChat(next, input, added), limits))), tokens, settle)
              )
            )
          }
          const settle = settleAtOnce(reservation, clock)
          const send: Send<ChatResponse> = (fiber, limits) => sendChat(next, input, added)(fiber, limits)
          return mapSent(attempt(send, fiber, limits), (sent) => ({
            isReady: sent.isReady,
            listen: sent.listen,
            conclude: (restore) => settling(conclude(sent, restore), tokens, settle),
            cancel: (cause) => continueAfter(sent.cancel(cause), () => settle(tokens))
          }))
        }),
        embed: (request) =>
          Effect.uninterruptibleMask((restore) =>
            Effect.withFiberRuntime((fiber) =>
              reserving(limiter, clockOf(fiber), 0, (settle) =>
                settling(restore(Effect.suspend(() => next.embed(request))), 0, settle)
              )
            )
          ),
        chatStream: toListeningChatStream(
          (input, listeners) => (finalizers) =>
            Effect.uninterruptibleMask((restore) =>
              Effect.withFiberRuntime((fiber) => {
                const { added, tokens } = estimated(input, nothing)
                const request = added.request === undefined ? input : passedOn(input, added.request)
                const opening = restore(Effect.suspend(() => openChat(next, request, listeners)(finalizers)))
                return reserving(limiter, clockOf(fiber), tokens, (settle) =>
                  settlingStream(opening, finalizers, tokens, settle)
                )
              })
            )
        )
      })
    )
  }

/** The budget of a key, with the prices and the budget store in context. */
const budgetOf = ({
  budget,
  budgetAccount,
  id
}: VirtualKey): Effect.Effect<Budget.Service | undefined, Budget.InvalidBudgetError> => {
  if (budget === undefined) return Effect.succeed(undefined)
  const { period, ...limit } = budget
  return Budget.make({ name: budgetAccount ?? id, limit, ...(period === undefined ? {} : { period }) })
}

const limiterOf = ({
  id,
  rateLimit
}: VirtualKey): Effect.Effect<Middleware | undefined, RateLimiter.InvalidLimitError> => {
  if (rateLimit === undefined || Object.keys(rateLimit).length === 0) return Effect.succeed(undefined)
  const limitsRequests = rateLimit.requestsPerMinute !== undefined || rateLimit.requestsPerDay !== undefined
  const limits = { ...(limitsRequests ? {} : unlimitedRequests), ...rateLimit, maxWait: 0 }
  return Effect.map(
    Effect.flatMap(RateLimiterFactory, (make) => make(id, limits)),
    (limiter) => limitedBy(KeyRefusals.named(limiter, rateLimit), rateLimit.tokensPerMinute !== undefined)
  )
}

/** Reports every error of a call before the call fails with it. */
const reportingErrors =
  (report: (error: LLMError) => Effect.Effect<void>): Middleware =>
  (next) =>
    Effect.succeed(wrap(next, { around: (call) => Effect.tapError(call, report) }))

const passThrough: Middleware = Effect.succeed

export interface KeyLimits {
  /** Limits outside of the budget, so that a call beyond the limits claims nothing of the budget. */
  readonly around: Middleware
  /** The status of the budget; empty without one. */
  readonly budgets: Effect.Effect<ReadonlyArray<Budget.Status>>
}

/** The part of the key's limits that this process applies. */
const ownPart = (key: VirtualKey): Effect.Effect<VirtualKey, RateLimiter.InvalidLimitError> =>
  Effect.flatMap(CurrentShare, (share) =>
    fromEither(Either.mapLeft(KeyShare.divide(key, share), (faults) => new InvalidLimitError({ faults })))
  )

/** `report` receives the errors of calls with a budget in dollars. */
export const make = (
  key: VirtualKey,
  report: (error: LLMError) => Effect.Effect<void>
): Effect.Effect<KeyLimits, Budget.InvalidBudgetError | RateLimiter.InvalidLimitError> =>
  Effect.flatMap(ownPart(key), (part) => makeLimits(part, report))

const makeLimits = (
  key: VirtualKey,
  report: (error: LLMError) => Effect.Effect<void>
): Effect.Effect<KeyLimits, Budget.InvalidBudgetError | RateLimiter.InvalidLimitError> =>
  Effect.map(Effect.all([budgetOf(key), limiterOf(key)]), ([budget, limits]): KeyLimits => {
    const errorReporting = key.budget !== undefined && "dollars" in key.budget ? reportingErrors(report) : passThrough
    return {
      around:
        budget === undefined && limits === undefined
          ? passThrough
          : (next) =>
              (budget?.middleware ?? passThrough)(next).pipe(
                Effect.flatMap(errorReporting),
                Effect.flatMap(limits ?? passThrough)
              ),
      budgets: budget?.status ?? Effect.succeed([])
    }
  })
