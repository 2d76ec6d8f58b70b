/** What a key may consume: its limits and its budget, around every model that it asks. */
import { Effect, Either, Exit } from "effect"
import { acquireRelease } from "../../internal/scopedRelease.js"
import * as Budget from "../../accounting/Budget.js"
import type { ChatRequest } from "../../vocabulary/Chat.js"
import type { Open, OpenStream } from "../../call/openStream.js"
import { fromStream, toStream } from "../../call/openStream.js"
import { estimateInput, normalize } from "../../call/request.js"
import type { Middleware, Service as LLMService } from "../../call/model.js"
import type { LLMError } from "../../vocabulary/LLMError.js"
import * as RateLimiter from "../../rateLimiter/RateLimiter.js"
import type { Usage } from "../../vocabulary/Usage.js"
import type { VirtualKey } from "../VirtualKey.js"

/** Where only something else is limited, requests are not. */
const unlimited = { capacity: 1e9, refillRate: 1e9 } as const

const usualOutput = 1000

/** What a call will use, as far as one can tell. A request that is not valid will be refused further on. */
const expected = (input: ChatRequest.Input): number =>
  Either.match(normalize(input), {
    onLeft: () => 0,
    onRight: (request) => estimateInput(request) + (request.maxTokens ?? usualOutput)
  })

/** One call with a reservation, which is settled for what the call has used, or for the estimate where that is not known. */
const reserved = <A extends { readonly usage: Usage }, E>(
  limiter: RateLimiter.Service,
  tokens: number,
  call: Effect.Effect<A, E>
): Effect.Effect<A, E | RateLimiter.LimitError> =>
  Effect.acquireUseRelease(
    limiter.reserve(tokens),
    () => call,
    (reservation, exit) => reservation.settle(Exit.isSuccess(exit) ? exit.value.usage.totalTokens : tokens)
  )

const reservedStream = (limiter: RateLimiter.Service, tokens: number, open: Open): Open =>
  Effect.suspend(() => {
    let used = tokens
    const seen = (events: OpenStream["first"]): OpenStream["first"] => {
      for (const event of events) if (event._tag === "Finish") used = event.usage.totalTokens
      return events
    }
    return Effect.zipRight(
      acquireRelease(limiter.reserve(tokens), (reservation) => Effect.suspend(() => reservation.settle(used))),
      Effect.map(open, ({ first, pull }) => ({ first: seen(first), pull: Effect.map(pull, seen) }))
    )
  })

const limiting =
  (limiter: RateLimiter.Service): Middleware =>
  (next) =>
    Effect.succeed<LLMService>({
      ...next,
      chat: (request) => reserved(limiter, expected(request), next.chat(request)),
      embed: (request) => reserved(limiter, 0, next.embed(request)),
      chatStream: (request) =>
        toStream(reservedStream(limiter, expected(request), fromStream(next.chatStream(request))))
    })

/** Budgets of one key, over the prices and the books in context. */
const budgetOf = ({ budget, id }: VirtualKey): Effect.Effect<Budget.Service | undefined, Budget.InvalidBudgetError> => {
  if (budget === undefined) return Effect.succeed(undefined)
  const { period, ...limit } = budget
  return Budget.make({ name: id, limit, ...(period === undefined ? {} : { period }) })
}

const limitsOf = ({
  id,
  rateLimit
}: VirtualKey): Effect.Effect<Middleware | undefined, RateLimiter.InvalidLimitError> => {
  if (rateLimit === undefined || Object.keys(rateLimit).length === 0) return Effect.succeed(undefined)
  const limitsRequests = rateLimit.requestsPerMinute !== undefined || rateLimit.requestsPerDay !== undefined
  const limits = { ...(limitsRequests ? {} : unlimited), ...rateLimit, maxWait: 0 }
  return Effect.map(
    Effect.flatMap(RateLimiter.Maker, (make) => make(id, limits)),
    limiting
  )
}

/** Hands every error of a call on, before the call fails with it. */
const reporting =
  (report: (error: LLMError) => Effect.Effect<void>): Middleware =>
  (next) =>
    Effect.succeed<LLMService>({
      ...next,
      chat: (request) => Effect.tapError(next.chat(request), report),
      embed: (request) => Effect.tapError(next.embed(request), report),
      chatStream: (request) => toStream(Effect.tapError(fromStream(next.chatStream(request)), report))
    })

const unchanged: Middleware = Effect.succeed

export interface KeyLimits {
  /** The limits outside, so that a call which comes too early claims nothing of the budget. */
  readonly around: Middleware
  /** How the budget stands; empty where there is none. */
  readonly budgets: Effect.Effect<ReadonlyArray<Budget.Status>>
}

/** `report` is given the errors of calls that a budget in dollars applies to. */
export const make = (
  key: VirtualKey,
  report: (error: LLMError) => Effect.Effect<void>
): Effect.Effect<KeyLimits, Budget.InvalidBudgetError | RateLimiter.InvalidLimitError> =>
  Effect.map(Effect.all([budgetOf(key), limitsOf(key)]), ([budget, limits]): KeyLimits => {
    const reported = key.budget !== undefined && "dollars" in key.budget ? reporting(report) : unchanged
    return {
      around:
        budget === undefined && limits === undefined
          ? unchanged
          : (next) =>
              (budget?.middleware ?? unchanged)(next).pipe(
                Effect.flatMap(reported),
                Effect.flatMap(limits ?? unchanged)
              ),
      budgets: budget?.status ?? Effect.succeed([])
    }
  })
