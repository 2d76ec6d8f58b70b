/** The rim around a limiter in Redis: who is let through by it, what they still have to tell, and what is done without it. */
import type { Scope } from "effect"
import { Duration, Effect, Option, Ref, Stream } from "effect"
import { inBackground } from "../../internal/background.js"
import type { Settings } from "../../rateLimiter/options.js"
import { isAmount, isUsed } from "../../rateLimiter/options.js"
import * as Refusals from "../../rateLimiter/errors.js"
import * as MonotonicClock from "../../internal/clock.js"
import { SharedStateError } from "../../vocabulary/LLMError.js"
import type { LimiterStatus, LimitError, Priority, Reservation, Service, WaitOptions } from "../../rateLimiter/model.js"
import type * as Redis from "../model.js"
import * as Waiters from "./waiters.js"
import * as Sync from "./sync.js"
import * as Observers from "./adaptive.js"
import * as LocalFallback from "./localFallback.js"
import type { Status, Wish } from "./scripts.js"
import * as Steps from "./scripts.js"

export interface Terms {
  readonly redis: Redis.Service
  readonly name: string
  readonly settings: Settings
  /** In milliseconds. */
  readonly leaseTime: number
  /** Which share of the limits this process may use while Redis is away, or `"even"`, or none. */
  readonly share: number | "even" | undefined
  readonly priority: Effect.Effect<Priority>
}

/** Where it is not known of how many processes this is one. */
const usualShare = 0.25

const outOfReach = (
  name: string,
  error: Redis.RedisError,
  consequence = "and by its policy no call passes without it."
): SharedStateError =>
  new SharedStateError({
    provider: "",
    model: "",
    attempts: [],
    reason: error.reason,
    message: `The rate limit "${name}" is shared through Redis, which is out of reach, ${consequence} ${error.message}`
  })

/** JavaScript's timers run no longer, in milliseconds. */
const longestSleep = 2 ** 31 - 1

const sleepFor = (millis: number): Effect.Effect<void> =>
  millis <= longestSleep
    ? Effect.sleep(millis)
    : Effect.zipRight(
        Effect.sleep(longestSleep),
        Effect.suspend(() => sleepFor(millis - longestSleep))
      )

export const make = (terms: Terms): Effect.Effect<Service, never, Scope.Scope> =>
  Effect.gen(function* () {
    const { leaseTime, name, priority, redis, settings } = terms
    const { maxConcurrent, tokensPerMinute } = settings
    const process = crypto.randomUUID()
    const refusals = Refusals.make(settings)
    const limits = Steps.limitsOf(settings)
    const pacing = settings.adaptive
    const steps = Steps.make({ redis, name, process, limits, pacing, leaseTime, fresh: Waiters.fresh })
    const contact = yield* Sync.make(redis, steps, limits, leaseTime)
    const attendant = yield* Waiters.make({ steps, contact, refusals })
    const spare = yield* Ref.make(Option.none<LocalFallback.LocalFallback>())
    const calls = yield* Ref.make(0)
    const lastSeen = yield* Ref.make(Option.none<Status>())

    // -----------------------------------------------------------------------------------
    // without Redis
    // -----------------------------------------------------------------------------------

    const spareNow: Effect.Effect<Option.Option<LocalFallback.LocalFallback>> = Effect.gen(function* () {
      const there = yield* Ref.get(spare)
      if (terms.share === undefined || Option.isSome(there)) return there
      const { processes } = yield* contact.known
      const share = terms.share === "even" ? (processes === undefined ? usualShare : 1 / processes) : terms.share
      const made = yield* LocalFallback.make(settings, share, priority, yield* contact.inFlight)
      // Another call may have made one in the meantime.
      return yield* Ref.modify(spare, (now) =>
        Option.isSome(now) ? [now, now] : [Option.some(made), Option.some(made)]
      )
    })

    /** What is done by the limiter of this process alone, or the error of there being none. */
    const without = <A>(
      error: Redis.RedisError,
      use: (spare: LocalFallback.LocalFallback) => Effect.Effect<A, LimitError>
    ): Effect.Effect<A, LimitError> =>
      Effect.flatMap(spareNow, Option.match({ onNone: () => Effect.fail(outOfReach(name, error)), onSome: use }))

    const isLimitError = (error: LimitError | Redis.RedisError): error is LimitError => error._tag !== "RedisError"

    // -----------------------------------------------------------------------------------
    // with Redis
    // -----------------------------------------------------------------------------------

    const withdraw = (wish: Wish): Effect.Effect<void> =>
      Effect.zipRight(
        contact.tell((epoch) => steps.withdraw(epoch, [wish])),
        Effect.zipRight(contact.release(wish.id), attendant.ring)
      )

    const slept = (wish: Wish, wait: number): Effect.Effect<void> =>
      wait <= 0
        ? Effect.void
        : Effect.onInterrupt(Effect.interruptible(sleepFor(Math.ceil(wait))), () => withdraw(wish))

    const wishFor = (wish: Omit<Wish, "id">): Effect.Effect<Wish> =>
      Effect.map(
        Ref.getAndUpdate(calls, (count) => count + 1),
        (call) => ({ ...wish, id: `${process}-${call}` })
      )

    /** Takes what is wished, or lets the limiter of this process alone do so where there is no Redis. */
    const acquire = <A>(
      wish: Wish,
      options: WaitOptions | undefined,
      granted: A,
      otherwise: (spare: LocalFallback.LocalFallback, rest: WaitOptions) => Effect.Effect<A, LimitError>
    ): Effect.Effect<A, LimitError> =>
      Effect.uninterruptible(
        Effect.flatMap(Effect.zip(priority, Effect.clock), ([rank, clock]) => {
          const startedAt = MonotonicClock.now(clock)
          const most = rank === "batch" ? settings.batchMaxWait : settings.maxWait
          const allowed = Math.min(most, options?.maxWait === undefined ? Infinity : Duration.toMillis(options.maxWait))
          const rest = () => Math.max(0, allowed - (MonotonicClock.now(clock) - startedAt))
          const caller = { wish, aging: rank === "batch" ? settings.aging : 0 }

          const alone = (error: Redis.RedisError): Effect.Effect<A, LimitError> =>
            without(error, (spare) =>
              Effect.flatMap(
                spare.until(Effect.zipLeft(otherwise(spare, { maxWait: rest() }), contact.missed(wish))),
                Option.match({ onNone: () => ask, onSome: Effect.succeed })
              )
            ).pipe(
              // What is more than this process's share may pass when Redis is back.
              Effect.catchTag("InvalidRequestError", () =>
                Effect.fail(
                  outOfReach(
                    name,
                    error,
                    "and the share of this process is too small for this request. Try again when it is back."
                  )
                )
              )
            )
          const ask: Effect.Effect<A, LimitError> = Effect.suspend(() =>
            Effect.matchEffect(attendant.take({ ...caller, allowed: rest() }), {
              onFailure: (error) => (isLimitError(error) ? Effect.fail(error) : alone(error)),
              onSuccess: ({ wait }) =>
                Effect.as(Effect.zipRight(wish.settles ? contact.hold(wish) : Effect.void, slept(wish, wait)), granted)
            })
          )
          return ask
        })
      )

    const ended = Effect.zipRight(
      attendant.ring,
      Effect.flatMap(Ref.get(spare), Option.match({ onNone: () => Effect.void, onSome: ({ ended }) => ended }))
    )

    /** `also` is done with what was used. */
    const shared = (wish: Wish, also: (tokens: number) => Effect.Effect<void>): Reservation => {
      let open = wish.settles
      return {
        settle: (tokens) =>
          Effect.uninterruptible(
            Effect.suspend(() => {
              if (!open) return Effect.void
              open = false
              const actual = isUsed(tokens) ? tokens : wish.tokens
              const told = contact.tell((epoch) => steps.settle(epoch, [{ id: wish.id, tokens: wish.tokens, actual }]))
              return Effect.zipRight(contact.release(wish.id), Effect.zipRight(told, also(actual)))
            })
          )
      }
    }

    const take: Service["take"] = (n = 1, options) =>
      Effect.suspend(() => {
        const refusal = refusals.ofPermits(n)
        return refusal === undefined
          ? Effect.flatMap(wishFor({ requests: n, tokens: 0, places: 0, settles: false }), (wish) =>
              acquire<void>(wish, options, undefined, ({ limiter }, rest) => limiter.take(n, rest))
            )
          : Effect.fail(refusal)
      })

    const settles = tokensPerMinute !== undefined || maxConcurrent !== undefined

    const reserve: Service["reserve"] = (estimated, options) =>
      Effect.suspend(() => {
        const tokens = tokensPerMinute === undefined || !isAmount(estimated) ? 0 : estimated
        const refusal = refusals.ofTokens(tokens)
        return refusal === undefined
          ? Effect.flatMap(
              wishFor({ requests: 1, tokens, places: maxConcurrent === undefined ? 0 : 1, settles }),
              (wish) =>
                acquire(
                  wish,
                  options,
                  shared(wish, () => ended),
                  ({ limiter }, rest) =>
                    Effect.flatMap(limiter.reserve(tokens, rest), ({ settle }) =>
                      // Redis hears of it when it is back.
                      Effect.as(wish.settles ? contact.hold(wish) : Effect.void, shared(wish, settle))
                    )
                )
            )
          : Effect.fail(refusal)
      })

    const tryTake: Service["tryTake"] = (n = 1) =>
      refusals.ofPermits(n) !== undefined
        ? Effect.succeed(false)
        : Effect.flatMap(wishFor({ requests: n, tokens: 0, places: 0, settles: false }), (wish) =>
            Effect.catchAll(Effect.uninterruptible(attendant.tryTake(wish)), (error) =>
              Effect.orElseSucceed(
                without(error, ({ limiter }) =>
                  Effect.tap(limiter.tryTake(n), (isTaken) => (isTaken ? contact.missed(wish) : Effect.void))
                ),
                () => false
              )
            )
          )

    const adjusted = (adjustment: Steps.Adjustment): Effect.Effect<void> =>
      contact.tell((epoch) => Effect.flatMap(steps.adjust(epoch, adjustment), contact.learn))

    const status = Effect.gen(function* () {
      const { epoch } = yield* contact.known
      const seen = yield* Effect.option(steps.status(epoch))
      if (Option.isSome(seen)) yield* Ref.set(lastSeen, seen)
      const waiting = yield* attendant.waiting
      const { degraded, status } = Option.isSome(seen)
        ? { status: seen, degraded: false }
        : { status: yield* Ref.get(lastSeen), degraded: true }
      const alone = yield* Ref.get(spare)
      const waitingAlone = Option.isSome(alone) ? (yield* alone.value.limiter.status).waiting : 0
      return statusOf(settings, status, waiting + waitingAlone, degraded)
    })

    yield* inBackground(
      Stream.runForEach(redis.changes, (availability) =>
        availability === "up"
          ? Effect.flatMap(
              Ref.getAndSet(spare, Option.none()),
              Option.match({ onNone: () => Effect.void, onSome: ({ retire }) => retire })
            )
          : Effect.void
      )
    )

    return {
      take,
      tryTake,
      reserve,
      limit: (effect) =>
        maxConcurrent === undefined
          ? Effect.zipRight(take(), effect)
          : Effect.acquireUseRelease(
              reserve(0),
              () => effect,
              (held) => held.settle(0)
            ),
      status,
      reset: adjusted({ change: "reset" }),
      lower: (remaining) => adjusted({ change: "lower", ...remaining }),
      ...(pacing === undefined ? {} : { observe: yield* Observers.make({ contact, pacing, adjusted }) })
    }
  })

const statusOf = (
  settings: Settings,
  seen: Option.Option<Status>,
  waiting: number,
  degraded: boolean
): LimiterStatus => {
  const { capacity, maxConcurrent, requestsPerDay, requestsPerMinute, tokensPerMinute } = settings
  const known = Option.getOrUndefined(seen)
  const pace = known?.pace ?? 1
  const inWindow = (limit: number, used: number | undefined) => ({ available: limit - (used ?? 0), limit })
  return {
    available: capacity === Infinity ? Infinity : (known?.requests ?? capacity),
    capacity,
    refillRate: capacity === Infinity ? Infinity : known === undefined ? settings.refillRate : known.requestRate * 1000,
    waiting: waiting + (known?.booked ?? 0),
    ...(tokensPerMinute === undefined
      ? {}
      : {
          tokens: {
            available: known?.tokens ?? tokensPerMinute,
            capacity: tokensPerMinute,
            refillRate: known === undefined ? tokensPerMinute / 60 : known.tokenRate * 1000,
            reserved: known?.reserved ?? 0
          }
        }),
    ...(requestsPerMinute === undefined ? {} : { minute: inWindow(requestsPerMinute, known?.minute) }),
    ...(requestsPerDay === undefined ? {} : { day: inWindow(requestsPerDay, known?.day) }),
    ...(maxConcurrent === undefined
      ? {}
      : { concurrency: { inFlight: known?.inFlight ?? 0, limit: known?.places ?? maxConcurrent } }),
    ...(settings.adaptive === undefined ? {} : { pace }),
    degraded
  }
}
