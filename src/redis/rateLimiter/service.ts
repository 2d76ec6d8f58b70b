/** The limiter in Redis as a service: grants, settlements, and the local fallback while Redis is away. */
import type { Scope } from "effect"
import { Duration, Effect, Option, Ref, Stream } from "effect"
import { inBackground } from "../../internal/background.js"
import * as Permits from "../../rateLimiter/permits.js"
import type { LocalLimiter } from "../../rateLimiter/service.js"
import type { Settings } from "../../rateLimiter/options.js"
import { isAmount, isUsed } from "../../rateLimiter/options.js"
import * as Refusals from "../../rateLimiter/errors.js"
import * as MonotonicClock from "../../internal/clock.js"
import { SharedStateError } from "../../vocabulary/LLMError.js"
import type { LimitError, LimiterStatus, Priority, Reservation, Service, WaitOptions } from "../../rateLimiter/model.js"
import type * as Redis from "../model.js"
import * as Waiters from "./waiters.js"
import * as Sync from "./sync.js"
import * as Adaptive from "./adaptive.js"
import * as LocalFallback from "./localFallback.js"
import type { AcquireRequest, AcquireResult, Status } from "./scripts.js"
import * as Scripts from "./scripts.js"

export interface Dependencies {
  readonly redis: Redis.Service
  readonly name: string
  readonly settings: Settings
  /** In milliseconds. */
  readonly leaseTime: number
  /** The share of this process while Redis is away; `"even"` divides by the number of processes, undefined fails. */
  readonly share: number | "even" | undefined
  readonly priority: Effect.Effect<Priority>
}

/** The share while the number of processes is unknown. */
const defaultShare = 0.25

const unavailable = (
  name: string,
  error: Redis.RedisError,
  advice = "Restore Redis, or set whenAway to a share so that calls continue without it."
): SharedStateError =>
  new SharedStateError({
    provider: "",
    model: "",
    attempts: [],
    reason: error.reason,
    message: `The rate limit "${name}" is shared through Redis, which is unavailable (${error.detail}). ${advice}`
  })

const sleepFor = (millis: number): Effect.Effect<void> =>
  millis <= MonotonicClock.longestTimer
    ? Effect.sleep(millis)
    : Effect.zipRight(
        Effect.sleep(MonotonicClock.longestTimer),
        Effect.suspend(() => sleepFor(millis - MonotonicClock.longestTimer))
      )

export const make = (dependencies: Dependencies): Effect.Effect<Service, never, Scope.Scope> =>
  Effect.gen(function* () {
    const { leaseTime, name, priority, redis, settings } = dependencies
    const { maxConcurrency, tokensPerMinute } = settings
    const process = crypto.randomUUID()
    const refusals = Refusals.make(settings)
    const limits = Scripts.limitsOf(settings)
    const pacing = settings.adaptive
    const scripts = Scripts.make({ redis, name, process, limits, pacing, leaseTime, turnTimeout: Waiters.turnTimeout })
    const sync = yield* Sync.make(redis, scripts, limits, leaseTime)
    const waiters = yield* Waiters.make({ scripts, sync, refusals })
    const localFallback = yield* Ref.make(Option.none<LocalFallback.LocalFallback>())
    const callCount = yield* Ref.make(0)
    const lastStatus = yield* Ref.make(Option.none<Status>())

    // -----------------------------------------------------------------------------------
    // without Redis
    // -----------------------------------------------------------------------------------

    const currentFallback: Effect.Effect<Option.Option<LocalFallback.LocalFallback>> = Effect.gen(function* () {
      const existing = yield* Ref.get(localFallback)
      if (dependencies.share === undefined || Option.isSome(existing)) return existing
      const { processes } = yield* sync.state
      const share =
        dependencies.share === "even" ? (processes === undefined ? defaultShare : 1 / processes) : dependencies.share
      const created = yield* LocalFallback.make(settings, share, yield* sync.leaseCount)
      // Another call can have made one in the meantime.
      return yield* Ref.modify(localFallback, (now) =>
        Option.isSome(now) ? [now, now] : [Option.some(created), Option.some(created)]
      )
    })

    /** Uses the local fallback, or fails when there is none. */
    const withLocalFallback = <A>(
      error: Redis.RedisError,
      use: (localFallback: LocalFallback.LocalFallback) => Effect.Effect<A, LimitError>
    ): Effect.Effect<A, LimitError> =>
      Effect.flatMap(
        currentFallback,
        Option.match({ onNone: () => Effect.fail(unavailable(name, error)), onSome: use })
      )

    const isLimitError = (error: LimitError | Redis.RedisError): error is LimitError => error._tag !== "RedisError"

    // -----------------------------------------------------------------------------------
    // with Redis
    // -----------------------------------------------------------------------------------

    const withdraw = (request: AcquireRequest): Effect.Effect<void> =>
      Effect.zipRight(
        sync.send((epoch) => scripts.withdraw(epoch, [request])),
        Effect.zipRight(sync.removeLease(request.id), waiters.notify)
      )

    const sleepUntilDue = (request: AcquireRequest, wait: number): Effect.Effect<void> =>
      wait <= 0
        ? Effect.void
        : Effect.onInterrupt(Effect.interruptible(sleepFor(Math.ceil(wait))), () => withdraw(request))

    const makeRequest = (request: Omit<AcquireRequest, "id">): Effect.Effect<AcquireRequest> =>
      Effect.map(
        Ref.getAndUpdate(callCount, (count) => count + 1),
        (call) => ({ ...request, id: `${process}-${call}` })
      )

    /** Acquires from Redis, or from the local fallback while Redis is away. */
    const acquire = <A>(
      request: AcquireRequest,
      options: WaitOptions | undefined,
      granted: (result: AcquireResult) => A,
      local: (fallback: LocalFallback.LocalFallback, options: WaitOptions) => Effect.Effect<A, LimitError>
    ): Effect.Effect<A, LimitError> =>
      Effect.uninterruptible(
        Effect.flatMap(Effect.zip(priority, Effect.clock), ([callPriority, clock]) => {
          const startedAt = MonotonicClock.now(clock)
          const defaultMaxWait = callPriority === "batch" ? settings.batchMaxWait : settings.maxWait
          const maxWait = Math.min(
            defaultMaxWait - (options?.waited === undefined ? 0 : Duration.toMillis(options.waited)),
            options?.maxWait === undefined ? Infinity : Duration.toMillis(options.maxWait)
          )
          const remainingWait = () => Math.max(0, maxWait - (MonotonicClock.now(clock) - startedAt))
          const caller = { request, aging: callPriority === "batch" ? settings.aging : 0 }

          const acquireLocally = (error: Redis.RedisError): Effect.Effect<A, LimitError> =>
            withLocalFallback(error, (localFallback) =>
              Effect.flatMap(
                localFallback.untilRetired(
                  Effect.zipLeft(local(localFallback, { maxWait: remainingWait() }), sync.recordMissed(request))
                ),
                Option.match({ onNone: () => acquireShared, onSome: Effect.succeed })
              )
            ).pipe(
              // A request above the share of this process can succeed when Redis is back.
              Effect.catchTag("InvalidRequestError", () =>
                Effect.fail(
                  unavailable(
                    name,
                    error,
                    "The share of this process is too small for this request: try again when Redis is back."
                  )
                )
              )
            )
          const acquireShared: Effect.Effect<A, LimitError> = Effect.suspend(() =>
            Effect.matchEffect(waiters.take({ ...caller, maxWait: remainingWait() }), {
              onFailure: (error) => (isLimitError(error) ? Effect.fail(error) : acquireLocally(error)),
              onSuccess: (result) =>
                Effect.as(
                  Effect.zipRight(
                    request.settles ? sync.addLease(request) : Effect.void,
                    sleepUntilDue(request, result.wait)
                  ),
                  granted(result)
                )
            })
          )
          return acquireShared
        })
      )

    const onCallEnd = Effect.zipRight(
      waiters.notify,
      Effect.flatMap(
        Ref.get(localFallback),
        Option.match({ onNone: () => Effect.void, onSome: ({ releaseOne }) => releaseOne })
      )
    )

    /** `onSettled` receives the tokens used; `undo` returns the request and its tokens. */
    const reservationOf = (
      request: AcquireRequest,
      onSettled: (tokens: number) => Effect.Effect<void>,
      undo: Effect.Effect<void>
    ): Reservation => {
      let isOpen = true
      const end = (effect: Effect.Effect<void>): Effect.Effect<void> =>
        Effect.uninterruptible(
          Effect.suspend(() => {
            if (!isOpen) return Effect.void
            isOpen = false
            return Effect.zipRight(sync.removeLease(request.id), effect)
          })
        )
      return {
        settle: (tokens) =>
          request.settles
            ? end(
                Effect.suspend(() => {
                  const actual = isUsed(tokens) ? tokens : request.tokens
                  const sent = sync.send((epoch) =>
                    scripts.settle(epoch, [{ id: request.id, tokens: request.tokens, actual }])
                  )
                  return Effect.zipRight(sent, onSettled(actual))
                })
              )
            : end(Effect.void),
        giveBack: end(undo)
      }
    }

    /** A reservation that Redis granted. */
    const sharedReservation = (request: AcquireRequest, { at = "0" }: AcquireResult): Reservation =>
      reservationOf(
        request,
        () => onCallEnd,
        Effect.zipRight(
          sync.send((epoch) => scripts.giveBack(epoch, { ...request, at })),
          onCallEnd
        )
      )

    /** A reservation of the local fallback. Its lease is sent when Redis is back. */
    const localReservation = (request: AcquireRequest, local: Reservation): Effect.Effect<Reservation> =>
      Effect.as(
        addLease(request),
        reservationOf(
          request,
          local.settle,
          Effect.zipRight(local.giveBack ?? local.settle(0), sync.removeMissed(request))
        )
      )

    const take: Service["take"] = (n = 1, options) =>
      Effect.suspend(() => {
        const refusal = refusals.ofPermits(n)
        return refusal === undefined
          ? Effect.flatMap(makeRequest({ requests: n, tokens: 0, places: 0, settles: false }), (request) =>
              acquire<void>(
                request,
                options,
                () => {},
                ({ limiter }, options) => limiter.take(n, options)
              )
            )
          : Effect.fail(refusal)
      })

    const places = maxConcurrency === undefined ? 0 : 1
    const limitsConcurrency = maxConcurrency !== undefined

    const addLease = (request: AcquireRequest): Effect.Effect<void> =>
      request.settles ? sync.addLease(request) : Effect.void

    const acquireReservation = (
      fields: Omit<AcquireRequest, "id">,
      options: WaitOptions | undefined,
      local: (limiter: LocalLimiter, options: WaitOptions) => Effect.Effect<Reservation, LimitError>
    ): Effect.Effect<Reservation, LimitError> =>
      Effect.flatMap(makeRequest(fields), (request) =>
        acquire(
          request,
          options,
          (result) => sharedReservation(request, result),
          ({ limiter }, options) =>
            Effect.flatMap(local(limiter, options), (reservation) => localReservation(request, reservation))
        )
      )

    const reserve: Service["reserve"] = (estimated, options) =>
      Effect.suspend(() => {
        const tokens = tokensPerMinute === undefined || !isAmount(estimated) ? 0 : estimated
        const refusal = refusals.ofTokens(tokens)
        const settles = tokensPerMinute !== undefined || limitsConcurrency
        return refusal === undefined
          ? acquireReservation({ requests: 1, tokens, places, settles }, options, (limiter, options) =>
              limiter.reserve(tokens, options)
            )
          : Effect.fail(refusal)
      })

    /** Acquires without waiting, and nothing while Redis is away and there is no local fallback. */
    const tryAcquire = (
      fields: Omit<AcquireRequest, "id" | "tokens">,
      local: (limiter: LocalLimiter) => Effect.Effect<Option.Option<Reservation>>
    ): Effect.Effect<Option.Option<Reservation>> =>
      refusals.ofPermits(fields.requests) !== undefined
        ? Effect.succeedNone
        : Effect.flatMap(makeRequest({ ...fields, tokens: 0 }), (request) =>
            Effect.uninterruptible(
              Effect.matchEffect(waiters.tryTake(request), {
                onSuccess: (result) =>
                  result.tag === "granted"
                    ? Effect.as(addLease(request), Option.some(sharedReservation(request, result)))
                    : Effect.succeedNone,
                onFailure: (error) =>
                  Effect.catchAll(
                    withLocalFallback(error, ({ limiter }) =>
                      Effect.flatMap(
                        local(limiter),
                        Option.match({
                          onNone: () => Effect.succeedNone,
                          onSome: (reservation) =>
                            Effect.zipRight(
                              sync.recordMissed(request),
                              Effect.asSome(localReservation(request, reservation))
                            )
                        })
                      )
                    ),
                    () => Effect.succeedNone
                  )
              })
            )
          )

    const permitReservations: Permits.PermitReservations = {
      reservePermits: (n, options) =>
        Effect.suspend(() => {
          const refusal = refusals.ofPermits(n)
          const fields = { requests: n, tokens: 0, places, settles: limitsConcurrency }
          return refusal === undefined
            ? acquireReservation(fields, options, (limiter, options) => limiter.reservePermits(n, options))
            : Effect.fail(refusal)
        }),
      tryReservePermits: (n) =>
        tryAcquire({ requests: n, places, settles: limitsConcurrency }, (limiter) => limiter.tryReservePermits(n))
    }

    const noReservation: Reservation = { settle: () => Effect.void }

    const tryTake: Service["tryTake"] = (n = 1) =>
      Effect.map(
        tryAcquire({ requests: n, places: 0, settles: false }, (limiter) =>
          Effect.map(limiter.tryTake(n), (isTaken) => (isTaken ? Option.some(noReservation) : Option.none()))
        ),
        Option.isSome
      )

    const available: Service["available"] = Effect.flatMap(waiters.waiting, (waiting) =>
      waiting > 0
        ? Effect.succeed(0)
        : Effect.matchEffect(
            Effect.flatMap(sync.state, ({ epoch }) => scripts.status(epoch)),
            {
              onSuccess: (status) => Effect.succeed(availableOf(settings, status)),
              onFailure: (error) =>
                Effect.catchAll(
                  withLocalFallback(error, ({ limiter }) => limiter.available),
                  () => Effect.succeed(0)
                )
            }
          )
    )

    const adjust = (adjustment: Scripts.Adjustment): Effect.Effect<void> =>
      sync.send((epoch) => Effect.flatMap(scripts.adjust(epoch, adjustment), sync.update))

    const status = Effect.gen(function* () {
      const { epoch } = yield* sync.state
      const current = yield* Effect.option(scripts.status(epoch))
      if (Option.isSome(current)) yield* Ref.set(lastStatus, current)
      const waiting = yield* waiters.waiting
      const { degraded, status } = Option.isSome(current)
        ? { status: current, degraded: false }
        : { status: yield* Ref.get(lastStatus), degraded: true }
      const fallback = yield* Ref.get(localFallback)
      const waitingLocally = Option.isSome(fallback) ? (yield* fallback.value.limiter.status).waiting : 0
      return statusOf(settings, status, waiting + waitingLocally, degraded)
    })

    yield* inBackground(
      Stream.runForEach(redis.changes, (availability) =>
        availability === "up"
          ? Effect.flatMap(
              Ref.getAndSet(localFallback, Option.none()),
              Option.match({ onNone: () => Effect.void, onSome: ({ retire }) => retire })
            )
          : Effect.void
      )
    )

    return {
      take,
      tryTake,
      reserve,
      ...Permits.make(permitReservations),
      available,
      status,
      reset: adjust({ change: "reset" }),
      lower: (remaining) => adjust({ change: "lower", ...remaining }),
      ...(pacing === undefined ? {} : { observe: yield* Adaptive.make({ sync, pacing, adjust }) })
    }
  })

const availableOf = (
  { capacity, requestsPerDay, requestsPerMinute }: Settings,
  { booked, day, minute, requests }: Status
): number => {
  if (booked > 0) return 0
  const least = Math.min(
    capacity === Infinity ? Infinity : requests,
    (requestsPerMinute ?? Infinity) - minute,
    (requestsPerDay ?? Infinity) - day
  )
  // Sums of fractions are inexact.
  return Math.max(0, Math.floor(least + 1e-9))
}

const statusOf = (
  settings: Settings,
  current: Option.Option<Status>,
  waiting: number,
  degraded: boolean
): LimiterStatus => {
  const { capacity, maxConcurrency, requestsPerDay, requestsPerMinute, tokensPerMinute } = settings
  const state = Option.getOrUndefined(current)
  const pace = state?.pace ?? 1
  const inWindow = (limit: number, used: number | undefined) => ({ available: limit - (used ?? 0), limit })
  return {
    available: capacity === Infinity ? Infinity : (state?.requests ?? capacity),
    capacity,
    refillRate: capacity === Infinity ? Infinity : state === undefined ? settings.refillRate : state.requestRate * 1000,
    waiting: waiting + (state?.booked ?? 0),
    ...(tokensPerMinute === undefined
      ? {}
      : {
          tokens: {
            available: state?.tokens ?? tokensPerMinute,
            capacity: tokensPerMinute,
            refillRate: state === undefined ? tokensPerMinute / 60 : state.tokenRate * 1000,
            reserved: state?.reserved ?? 0
          }
        }),
    ...(requestsPerMinute === undefined ? {} : { minute: inWindow(requestsPerMinute, state?.minute) }),
    ...(requestsPerDay === undefined ? {} : { day: inWindow(requestsPerDay, state?.day) }),
    ...(maxConcurrency === undefined
      ? {}
      : { concurrency: { inFlight: state?.inFlight ?? 0, limit: state?.places ?? maxConcurrency } }),
    ...(settings.adaptive === undefined ? {} : { pace }),
    degraded
  }
}
