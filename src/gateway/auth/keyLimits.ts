/** The limits and the budget of a key, as middleware around every model that it calls. */
import { Effect, Either, Exit } from "effect"
import { acquireRelease } from "../../internal/scopedRelease.js"
import * as Budget from "../../accounting/Budget.js"
import type { ChatRequest } from "../../vocabulary/Chat.js"
import type { Open, OpenStream } from "../../call/openStream.js"
import { fromStream, toStream } from "../../call/openStream.js"
import { estimateInput, normalize } from "../../call/request.js"
import { wrap } from "../../call/wrap.js"
import type { Middleware } from "../../call/model.js"
import type { LLMError } from "../../vocabulary/LLMError.js"
import { RateLimiterFactory } from "../../rateLimiter/factory.js"
import type * as RateLimiter from "../../rateLimiter/RateLimiter.js"
import type { Usage } from "../../vocabulary/Usage.js"
import type { VirtualKey } from "../VirtualKey.js"
import * as KeyRefusals from "./keyRefusals.js"

/** For limiters of tokens or concurrency only. */
const unlimitedRequests = { capacity: 1e9, refillRate: 1e9 } as const

const defaultOutputTokens = 1000

/** The estimated tokens of a call; 0 for an invalid request, which fails later. */
const estimateTokens = (input: ChatRequest.Input): number =>
  Either.match(normalize(input), {
    onLeft: () => 0,
    onRight: (request) => estimateInput(request) + (request.maxTokens ?? defaultOutputTokens)
  })

/** Makes a call with a reservation, which is settled with the usage of the call, or with the estimate when the call fails. */
const withReservation = <A extends { readonly usage: Usage }, E>(
  limiter: RateLimiter.Service,
  tokens: number,
  call: Effect.Effect<A, E>
): Effect.Effect<A, E | RateLimiter.LimitError> =>
  Effect.acquireUseRelease(
    limiter.reserve(tokens),
    () => call,
    (reservation, exit) => reservation.settle(Exit.isSuccess(exit) ? exit.value.usage.totalTokens : tokens)
  )

const withStreamReservation = (limiter: RateLimiter.Service, tokens: number, open: Open): Open =>
  Effect.suspend(() => {
    let used = tokens
    const recordUsage = (events: OpenStream["first"]): OpenStream["first"] => {
      for (const event of events) if (event._tag === "Finish") used = event.usage.totalTokens
      return events
    }
    return Effect.zipRight(
      acquireRelease(limiter.reserve(tokens), (reservation) => Effect.suspend(() => reservation.settle(used))),
      Effect.map(open, ({ first, pull }) => ({ first: recordUsage(first), pull: Effect.map(pull, recordUsage) }))
    )
  })

const limitedBy =
  (limiter: RateLimiter.Service): Middleware =>
  (next) =>
    Effect.succeed(
      wrap(next, {
        chat: (request) => withReservation(limiter, estimateTokens(request), next.chat(request)),
        embed: (request) => withReservation(limiter, 0, next.embed(request)),
        chatStream: (request) =>
          toStream(withStreamReservation(limiter, estimateTokens(request), fromStream(next.chatStream(request))))
      })
    )

/** The budget of a key, with the prices and the budget store in context. */
const budgetOf = ({ budget, id }: VirtualKey): Effect.Effect<Budget.Service | undefined, Budget.InvalidBudgetError> => {
  if (budget === undefined) return Effect.succeed(undefined)
  const { period, ...limit } = budget
  return Budget.make({ name: id, limit, ...(period === undefined ? {} : { period }) })
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
    (limiter) => limitedBy(KeyRefusals.named(limiter, rateLimit))
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

/** `report` receives the errors of calls with a budget in dollars. */
export const make = (
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
