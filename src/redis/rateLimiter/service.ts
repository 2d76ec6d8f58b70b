/**
 * The limiter in Redis as a service. Each process has a limiter in memory, which orders its calls and knows their waits. What that
 * grants is confirmed by Redis, and while Redis is away by no other process: then it uses a share of each limit.
 */
import type { Scope } from "effect"
import { Clock, Context, Duration, Effect, Option, Stream } from "effect"
import { inBackground } from "../../internal/background.js"
import { now as timeOf, synchronously, timerDelay } from "../../internal/clock.js"
import * as Refusals from "../../rateLimiter/errors.js"
import type { LimitError, LimiterStatus, Reservation, Service, WaitOptions } from "../../rateLimiter/model.js"
import { CurrentClient, CurrentPriority } from "../../rateLimiter/model.js"
import type { Settings } from "../../rateLimiter/options.js"
import { isAmount, isUsed } from "../../rateLimiter/options.js"
import * as Permits from "../../rateLimiter/permits.js"
import type { AcquireRequest } from "../../rateLimiter/queue.js"
import * as Queue from "../../rateLimiter/queue.js"
import type { LocalReservation } from "../../rateLimiter/service.js"
import * as LimiterService from "../../rateLimiter/service.js"
import { SharedStateError } from "../../vocabulary/LLMError.js"
import type { UnsafeReservation } from "../../rateLimiter/model.js"
import type * as Redis from "../model.js"
import * as Mirror from "./mirror.js"
import * as Scripts from "./scripts.js"

export interface Dependencies {
  readonly redis: Redis.Service
  readonly name: string
  readonly settings: Settings
  /** In milliseconds. */
  readonly leaseTime: number
  /** The share of this process while Redis is away; `"even"` divides by the number of processes, undefined fails. */
  readonly share: number | "even" | undefined
}

/** The share while the number of processes is unknown. */
const defaultShare = 0.25

/** How far ahead an interactive call can be granted, in milliseconds; a call that has waited, as far as that. */
const lead = 100
const longestLead = 3_600_000

/** The interval between attempts to sync while Redis is away, in milliseconds, doubled by each that fails although Redis is up. */
const awayInterval = 100
const maxDoublings = 6

/** How much earlier than they start calls can be recalled, in milliseconds: a small part of the delivery allowance. */
const recallTolerance = 10

/** While calls wait, what other processes took and gave back is read at this interval, in milliseconds. */
const refreshInterval = 100

const unavailable = (name: string, error?: Redis.RedisError): SharedStateError =>
  new SharedStateError({
    provider: "",
    model: "",
    attempts: [],
    reason: error?.reason ?? "connection",
    message:
      `The rate limit "${name}" is shared through Redis, which is unavailable (${error?.detail ?? "Redis is away"}). ` +
      "Restore Redis, or set whenAway to a share so that calls continue without it."
  })

const millisOf = (duration: Duration.DurationInput | undefined, otherwise: number): number =>
  duration === undefined ? otherwise : Duration.toMillis(duration)

export const make = (dependencies: Dependencies): Effect.Effect<Service, never, Scope.Scope> =>
  Effect.gen(function* () {
    const { leaseTime, name, redis, settings, share } = dependencies
    const { maxConcurrency, tokensPerMinute } = settings
    const process = crypto.randomUUID()
    const refusals = Refusals.make(settings)
    const scripts = Scripts.make({ redis, name, process, settings, leaseTime })
    const local = yield* LimiterService.make({ ...settings, deliveryAllowance: Scripts.deliveryAllowance })
    const wakeup = yield* Effect.makeLatch(false)
    const waiting = yield* Effect.makeLatch(false)
    const syncing = yield* Effect.makeSemaphore(1)
    const held = new Map<string, Scripts.Lease>()
    const pending = new Map<string, AcquireRequest>()
    /** The state that Redis had last, and whether a new one must be sent what this process recalls. */
    let epoch = ""
    let isLost = false
    let processes: number | undefined
    let failure: Redis.RedisError | undefined
    let isAway = false
    let failedAttempts = 0
    /** When this process began to grant what Redis has not counted, and what of it time had not paid for at the end of an outage. */
    let uncountedSince = Infinity
    let debts: Partial<Scripts.Amount> | undefined
    /** Whether windows or slots are full, so that calls ask one after another. */
    let isClosed = false
    let correctedAt = -Infinity
    let calls = 0
    /** Calls that wait for the time of their grant, and those that waited and ask Redis again. */
    let booked = 0
    let asking = 0

    // -----------------------------------------------------------------------------------
    // with and without Redis
    // -----------------------------------------------------------------------------------

    const goAway = (clock: Clock.Clock, error?: Redis.RedisError): void => {
      failure = error
      if (isAway) return
      isAway = true
      isClosed = false
      debts = undefined
      uncountedSince = Math.min(uncountedSince, timeOf(clock))
      local.unsafeUpdate(clock, (state) => ({ ...state, notBefore: -Infinity, projected: undefined }), false)
      if (share === "even") local.unsafeSetShare(clock, processes === undefined ? defaultShare : 1 / processes)
      else if (share !== undefined) local.unsafeSetShare(clock, share)
      wakeup.unsafeOpen()
    }

    const comeBack = (clock: Clock.Clock): void => {
      if (!isAway) return
      isAway = false
      debts = share === undefined ? undefined : Mirror.debtsOf(local.unsafeState(clock))
      local.unsafeSetShare(clock, 1)
    }

    const pendingAmount = (): Scripts.Amount => {
      const amount = { requests: 0, tokens: 0 }
      for (const { requests, tokens } of pending.values()) {
        amount.requests += requests
        amount.tokens += tokens
      }
      return amount
    }

    /** Corrects the limiter of this process by a reply to a command that was sent at `sentAt`. */
    const correct = (clock: Clock.Clock, reply: Mirror.Remaining, sentAt: number, isLoss: boolean): void => {
      if (isAway) return
      correctedAt = timeOf(clock)
      if (reply.closed !== undefined) isClosed = reply.closed > 0
      local.unsafeUpdate(clock, Mirror.corrected(reply, timeOf(clock) - sentAt, pendingAmount()), isLoss)
    }

    /** Calls that follow this command are counted after it, so they use Redis from then on. */
    const exchange = (change: Partial<Scripts.SyncRequest> = {}): Effect.Effect<void> =>
      Effect.clockWith((clock) =>
        Effect.suspend(() => {
          comeBack(clock)
          const recalls = isLost
          const state = local.unsafeState(clock)
          const sentAt = timeOf(clock)
          const request: Scripts.SyncRequest = {
            held: [...held.values()],
            pending: [...pending.keys()],
            debts: debts ?? {},
            remaining: recalls && debts === undefined ? Mirror.remainingOf(state) : {},
            entries: Mirror.entriesSince(state, recalls ? -Infinity : uncountedSince, pendingAmount().requests),
            recalls,
            leaves: false,
            ...change
          }
          return Effect.matchEffect(scripts.sync(epoch, request), {
            onFailure: (error) => Effect.sync(() => goAway(clock, error)),
            onSuccess: (reply) => {
              isLost = reply.tag === "lost"
              epoch = reply.epoch
              if (reply.tag === "lost") return exchange(change)
              processes = reply.processes
              uncountedSince = Infinity
              debts = undefined
              correct(clock, reply, sentAt, true)
              return Effect.void
            }
          })
        })
      )

    /**
     * While Redis is away, it first gets the leases. Calls use it again after its reply, because a node of a cluster can be away alone, and
     * after the recovery of a lost state, in which it grants no slot.
     */
    const sync = (change?: Partial<Scripts.SyncRequest>): Effect.Effect<void> =>
      Effect.suspend(() => {
        if (!isAway) return exchange(change)
        const leases = { held: [...held.values()], pending: [...pending.keys()], debts: {}, remaining: {}, entries: {} }
        return Effect.matchEffect(scripts.sync(epoch, { ...leases, recalls: true, leaves: false, ...change }), {
          onFailure: () => Effect.sync(() => void failedAttempts++),
          onSuccess: (reply) => {
            failedAttempts = 0
            return reply.tag === "synced" && reply.recovery > 0 ? Effect.void : exchange(change)
          }
        })
      })

    const synchronise = (change?: Partial<Scripts.SyncRequest>) =>
      Effect.uninterruptible(syncing.withPermits(1)(sync(change)))

    /** Sends a new state what this process recalls, once. */
    const recall = (newEpoch: string): Effect.Effect<void> =>
      Effect.uninterruptible(
        syncing.withPermits(1)(
          Effect.suspend(() => {
            if (epoch === newEpoch) return Effect.void
            epoch = newEpoch
            isLost = true
            return sync()
          })
        )
      )

    /** The status in Redis; none while it is away. Corrects what this process knows of it. */
    const readStatus: Effect.Effect<Option.Option<Scripts.Status>> = Effect.uninterruptible(
      Effect.clockWith((clock) =>
        Effect.suspend(() => {
          if (isAway) return Effect.succeedNone
          const sentAt = timeOf(clock)
          return Effect.matchEffect(scripts.status(epoch), {
            onFailure: (error) => {
              if (error.reason !== "script") goAway(clock, error)
              return Effect.succeedNone
            },
            onSuccess: (reply) => {
              if (reply.epoch !== epoch) return Effect.as(recall(reply.epoch), Option.some(reply))
              correct(clock, reply, sentAt, false)
              return Effect.succeedSome(reply)
            }
          })
        })
      )
    )

    const send = (message: Effect.Effect<unknown, Redis.RedisError>): Effect.Effect<void> =>
      isAway
        ? Effect.void
        : Effect.catchAll(Effect.asVoid(message), (error) =>
            error.reason === "script"
              ? Effect.logWarning(`A rate limiter: Redis rejected a message. ${error.message}`)
              : synchronously((clock) => goAway(clock, error))
          )

    // -----------------------------------------------------------------------------------
    // reservations
    // -----------------------------------------------------------------------------------

    const slots = maxConcurrency === undefined ? 0 : 1

    /** A slot or tokens may be free: the first waiting call asks for them. */
    const ask = synchronously((clock) => {
      if (isClosed) local.unsafeUpdate(clock, Mirror.heldFor(0), false)
    })

    /** `at` is when Redis granted it; undefined if it did not. */
    const reservationOf = (
      own: UnsafeReservation,
      request: AcquireRequest,
      lease: Scripts.Lease,
      at: string | undefined
    ): Reservation => {
      const isLeased = request.slots > 0 || request.tokens > 0
      if (isLeased) held.set(lease.id, lease)
      let isOpen = true
      const end = (change: (clock: Clock.Clock) => void, message: () => Effect.Effect<void>): Effect.Effect<void> =>
        Effect.uninterruptible(
          Effect.clockWith((clock) => {
            if (!isOpen) return Effect.void
            isOpen = false
            held.delete(lease.id)
            change(clock)
            return Effect.zipRight(message(), ask)
          })
        )
      return {
        settle: (tokens) => {
          const actual = isUsed(tokens) ? tokens : request.tokens
          return end(
            (clock) => own.unsafeSettle(clock, tokens),
            () => (isLeased ? send(scripts.settle(epoch, { ...lease, actual })) : Effect.void)
          )
        },
        giveBack: end(own.unsafeGiveBack, () =>
          at === undefined ? Effect.void : send(scripts.giveBack(epoch, { ...request, ...lease, at }))
        )
      }
    }

    type Confirmation =
      | { readonly tag: "granted"; readonly reservation: Reservation; readonly wait: number }
      | { readonly tag: "busy" | "crowded"; readonly wait: number }
      | { readonly tag: "again" }
      | { readonly tag: "failed"; readonly error: SharedStateError }

    /** Asks Redis to grant what the limiter of this process has granted, which gets it back otherwise. */
    const confirm = (
      clock: Clock.Clock,
      own: LocalReservation,
      request: AcquireRequest,
      waits: { readonly lead: number; readonly waited: number }
    ): Effect.Effect<Confirmation> => {
      const lease = { id: `${process}-${calls++}`, tokens: request.tokens }
      if (isAway) {
        if (share !== undefined) {
          return Effect.succeed({ tag: "granted", reservation: reservationOf(own, request, lease, undefined), wait: 0 })
        }
        own.unsafeGiveBack(clock)
        return Effect.succeed({ tag: "failed", error: unavailable(name, failure) })
      }
      const sentAt = timeOf(clock)
      pending.set(lease.id, request)
      if (isClosed) local.unsafeUpdate(clock, Mirror.heldFor(2 * Scripts.poll), false)
      const holds = request.slots > 0 || request.tokens > 0
      return Effect.matchEffect(scripts.acquire(epoch, { ...request, ...lease, holds, ...waits }), {
        onFailure: (error): Effect.Effect<Confirmation> => {
          pending.delete(lease.id)
          own.unsafeGiveBack(clock)
          if (error.reason === "script") return Effect.succeed({ tag: "failed", error: unavailable(name, error) })
          goAway(clock, error)
          return Effect.succeed({ tag: "again" })
        },
        onSuccess: (answer): Effect.Effect<Confirmation> => {
          pending.delete(lease.id)
          if (answer.tag === "granted") {
            correct(clock, answer, sentAt, false)
            const startsAt = timeOf(clock) + answer.wait
            // This process recalls its windows should Redis lose them, so they hold when the call starts.
            if (startsAt - sentAt >= recallTolerance) own.unsafePostpone(clock, startsAt)
            const reservation = reservationOf(own, request, lease, answer.at)
            return Effect.succeed({ tag: "granted", reservation, wait: answer.wait })
          }
          own.unsafeGiveBack(clock)
          if (answer.tag === "lost") return Effect.as(recall(answer.epoch), { tag: "again" })
          correct(clock, answer, sentAt, true)
          return Effect.succeed({ tag: answer.tag, wait: answer.wait })
        }
      })
    }

    const acquire = (request: AcquireRequest, options: WaitOptions = {}): Effect.Effect<Reservation, LimitError> =>
      Effect.uninterruptible(
        Effect.withFiberRuntime((fiber) => {
          const clock = Context.get(fiber.currentDefaultServices, Clock.Clock)
          const priority = Context.get(fiber.currentContext, CurrentPriority)
          const caller = { client: Context.get(fiber.currentContext, CurrentClient), priority }
          const place = local.unsafePlace(clock, request, caller, options.arrivedAgo)
          /** A call that Redis refused has paid for its place. */
          const placeOf = (isAgain: boolean) => (isAgain ? { ...place, cost: 0 } : place)
          const startedAt = timeOf(clock)
          const waited = millisOf(options.waited, 0)
          const longest = priority === "batch" ? settings.batchMaxWait : settings.maxWait
          const patience = Math.min(longest - waited, millisOf(options.maxWait, Infinity))
          const elapsed = () => timeOf(clock) - startedAt
          const left = () => Math.max(0, patience - elapsed())
          /** A call that has waited keeps its place when the queue is full. */
          const wait = (hasPlace: boolean): WaitOptions => ({
            maxWait: left(),
            waited: waited + elapsed(),
            ...(hasPlace ? { arrivedAgo: elapsed() } : {})
          })
          let isFirst = true
          const attempt: Effect.Effect<Reservation, LimitError> = Effect.suspend(() => {
            const state = local.unsafeState(clock)
            if (Queue.size(state.queue) > 0 || Queue.waitFor(state, request) > 0) waiting.unsafeOpen()
            const isAgain = !isFirst
            const own = local.acquire(request, wait(isAgain || options.arrivedAgo !== undefined), placeOf(isAgain))
            isFirst = false
            // What other processes gave back meanwhile can make the wait short enough.
            const refreshed = Effect.catchTag(own, "RateLimitError", (error) =>
              isAway || timeOf(clock) - correctedAt < refreshInterval
                ? Effect.fail(error)
                : Effect.flatMap(readStatus, () => local.acquire(request, wait(isAgain), placeOf(isAgain)))
            )
            return Effect.flatMap(refreshed, (own) => {
              const late = timeOf(clock) - place.at
              const allowed = left()
              asking += isAgain ? 1 : 0
              const ahead = Math.min(Math.max(priority === "batch" ? 0 : lead, late), longestLead, allowed)
              return Effect.flatMap(
                confirm(clock, own, request, { lead: ahead, waited: late }),
                (confirmation): Effect.Effect<Reservation, LimitError> => {
                  asking -= isAgain ? 1 : 0
                  switch (confirmation.tag) {
                    case "granted":
                      return start(confirmation.reservation, confirmation.wait)
                    case "failed":
                      return Effect.fail(confirmation.error)
                    case "again":
                      return attempt
                    case "crowded":
                      return allowed <= 0 ? Effect.fail(refusals.waitedEnough(allowed)) : attempt
                    case "busy":
                      return confirmation.wait > allowed
                        ? Effect.fail(refusals.tooLong(confirmation.wait, allowed))
                        : attempt
                  }
                }
              )
            })
          })
          return attempt
        })
      )

    /** Waits for the time of a grant that is booked ahead. */
    const start = (reservation: Reservation, wait: number): Effect.Effect<Reservation> =>
      wait <= 0
        ? Effect.succeed(reservation)
        : Effect.suspend(() => {
            booked++
            return Effect.interruptible(Effect.sleep(timerDelay(wait))).pipe(
              Effect.ensuring(Effect.sync(() => void booked--)),
              Effect.onInterrupt(() => reservation.giveBack ?? Effect.void),
              Effect.as(reservation)
            )
          })

    const tryAcquire = (request: AcquireRequest): Effect.Effect<Option.Option<Reservation>> =>
      refusals.ofPermits(request.requests) !== undefined
        ? Effect.succeedNone
        : Effect.uninterruptible(
            Effect.clockWith((clock) =>
              Effect.flatMap(booked + asking > 0 ? Effect.succeed(undefined) : local.tryAcquire(request), (own) =>
                own === undefined
                  ? Effect.succeedNone
                  : Effect.flatMap(confirm(clock, own, request, { lead: 0, waited: 0 }), (confirmation) =>
                      confirmation.tag === "granted"
                        ? Effect.succeedSome(confirmation.reservation)
                        : confirmation.tag === "again"
                          ? tryAcquire(request)
                          : Effect.succeedNone
                    )
              )
            )
          )

    const checked = (
      request: AcquireRequest,
      options: WaitOptions | undefined
    ): Effect.Effect<Reservation, LimitError> => {
      const refusal = refusals.ofPermits(request.requests) ?? refusals.ofTokens(request.tokens)
      return refusal === undefined ? acquire(request, options) : Effect.fail(refusal)
    }

    // -----------------------------------------------------------------------------------
    // the service
    // -----------------------------------------------------------------------------------

    yield* synchronise()
    yield* Effect.addFinalizer(() => synchronise({ held: [], leaves: true }))
    yield* inBackground(
      Effect.forever(
        Effect.suspend(() => {
          const interval = isAway ? awayInterval * 2 ** Math.min(failedAttempts, maxDoublings) : Infinity
          const pause = Math.min(leaseTime / 3, interval)
          const woken = failedAttempts > 0 ? Effect.sleep(pause) : Effect.timeoutOption(wakeup.await, pause)
          const isUseful = Effect.map(redis.status, (status) => !isAway || status === "up")
          return Effect.zipRight(woken, Effect.zipRight(wakeup.close, Effect.whenEffect(synchronise(), isUseful)))
        })
      )
    )

    yield* inBackground(
      Stream.runForEach(redis.changes, (availability) =>
        availability === "up" ? wakeup.open : synchronously((clock) => goAway(clock))
      )
    )
    yield* inBackground(
      Effect.forever(
        Effect.zipRight(
          waiting.await,
          Effect.clockWith((clock) =>
            Effect.suspend((): Effect.Effect<unknown> => {
              const isIdle = isAway || Queue.size(local.unsafeState(clock).queue) === 0
              return isIdle ? waiting.close : Effect.zipRight(Effect.sleep(refreshInterval), readStatus)
            })
          )
        )
      )
    )

    const status = Effect.gen(function* () {
      const shared = yield* readStatus
      const current = yield* local.status
      const waiting = current.waiting + booked + asking
      return Option.isNone(shared)
        ? { ...current, waiting, degraded: true }
        : { ...withShared(current, shared.value), waiting, degraded: false }
    })

    return {
      take: (n = 1, options) => Effect.asVoid(checked({ requests: n, tokens: 0, slots: 0 }, options)),
      tryTake: (n = 1) => Effect.map(tryAcquire({ requests: n, tokens: 0, slots: 0 }), Option.isSome),
      reserve: (tokens, options) =>
        checked(
          { requests: 1, tokens: tokensPerMinute === undefined || !isAmount(tokens) ? 0 : tokens, slots },
          options
        ),
      ...Permits.make({
        reservePermits: (n, options) => checked({ requests: n, tokens: 0, slots }, options),
        tryReservePermits: (n) => tryAcquire({ requests: n, tokens: 0, slots })
      }),
      available: Effect.map(status, (current) =>
        current.waiting > 0 || (current.degraded && share === undefined) ? 0 : availableOf(current)
      ),
      status,
      reset: Effect.zipRight(
        Effect.zipRight(
          local.reset,
          Effect.suspend(() => send(scripts.reset(epoch)))
        ),
        Effect.zipRight(ask, Effect.asVoid(readStatus))
      ),
      lower: (remaining) =>
        Effect.zipRight(
          local.lower(remaining),
          synchronise({
            remaining: {
              ...(remaining.requests === undefined || Number.isNaN(remaining.requests)
                ? {}
                : { requests: Math.max(0, remaining.requests) }),
              ...(remaining.tokens === undefined || Number.isNaN(remaining.tokens)
                ? {}
                : { tokens: Math.max(0, remaining.tokens) })
            }
          })
        ),
      ...(local.observe === undefined ? {} : { observe: local.observe }),
      ...(local.unsafeObserve === undefined ? {} : { unsafeObserve: local.unsafeObserve })
    }
  })

const availableOf = ({ available, day, minute }: LimiterStatus): number =>
  // Sums of fractions are inexact.
  Math.max(0, Math.floor(Math.min(available, minute?.available ?? Infinity, day?.available ?? Infinity) + 1e-9))

const withShared = (local: LimiterStatus, shared: Scripts.Status): LimiterStatus => {
  const { concurrency, day, minute, tokens } = local
  return {
    ...local,
    available: shared.requests ?? local.available,
    ...(tokens === undefined
      ? {}
      : { tokens: { ...tokens, available: shared.tokens ?? tokens.available, reserved: shared.reserved } }),
    ...(minute === undefined ? {} : { minute: { ...minute, available: minute.limit - (shared.minute ?? 0) } }),
    ...(day === undefined ? {} : { day: { ...day, available: day.limit - (shared.day ?? 0) } }),
    ...(concurrency === undefined ? {} : { concurrency: { ...concurrency, inFlight: shared.inFlight } })
  }
}
