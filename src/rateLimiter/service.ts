/** A limiter as a service: reads the clock, applies one transition at a time to a `Ref`, and wakes the waiters concerned. */
import { Clock, Duration, Effect, Fiber, Option, Ref, SortedMap } from "effect"
import * as Permits from "./permits.js"
import * as Refill from "./refill.js"
import type { RateLimitError } from "../vocabulary/LLMError.js"
import type { BucketStatus, LimiterStatus, Priority, Reservation, Service, Signal, WaitOptions } from "./model.js"
import type { Settings } from "./options.js"
import { isAmount, isUsed } from "./options.js"
import * as Refusals from "./errors.js"
import { longestTimer, now as nowOf } from "../internal/clock.js"
import * as Adaptive from "./adaptive.js"
import * as SlidingWindow from "../internal/slidingWindow.js"
import * as Bucket from "./tokenBucket.js"
import * as Queue from "./queue.js"

interface State extends Queue.State {
  readonly pace: Adaptive.Pace
  /** The last known recurrence of the refill schedule. */
  readonly cursor: Refill.Cursor | undefined
}

/** A limiter in memory, with the members from which a shared limiter makes its own while its store is away. */
export interface LocalLimiter extends Service, Permits.PermitReservations {}

const minute = 60_000
const day = 24 * 60 * minute

const initialState = (settings: Settings, now: number): State => {
  const { refill, requestsPerDay, requestsPerMinute, tokensPerMinute } = settings
  const requests = Bucket.make(settings.capacity, settings.refillRate, now)
  return {
    requests: refill === undefined ? requests : { ...requests, recurrences: { times: [], isComplete: false } },
    cursor: refill === undefined ? undefined : Refill.start(refill, now),
    tokens: tokensPerMinute === undefined ? undefined : Bucket.make(tokensPerMinute, tokensPerMinute / 60, now),
    windows: [
      ...(requestsPerMinute === undefined ? [] : [SlidingWindow.make(requestsPerMinute, minute, now)]),
      ...(requestsPerDay === undefined ? [] : [SlidingWindow.make(requestsPerDay, day, now)])
    ],
    reserved: 0,
    maxInFlight: settings.maxConcurrency ?? Infinity,
    inFlight: 0,
    queue: SortedMap.empty((self, that) => (self === that ? 0 : Queue.before(self, that) ? -1 : 1)),
    arrivals: 0,
    projected: undefined,
    pace: Adaptive.fullPace
  }
}

export const make = (settings: Settings, priority: Effect.Effect<Priority>): Effect.Effect<LocalLimiter> =>
  Effect.gen(function* () {
    const { adaptive, maxConcurrency, refill, tokensPerMinute } = settings
    const refusals = Refusals.make(settings)
    // A schedule such as cron follows the wall clock.
    const timeOf = refill === undefined ? nowOf : (clock: Clock.Clock): number => clock.unsafeCurrentTimeMillis()
    const start = yield* Effect.clockWith((clock) => Effect.sync(() => timeOf(clock)))
    const state = yield* Ref.make(initialState(settings, start))

    /** Computes further recurrences of the refill schedule: as many as are known already, so that repetition is linear. */
    const computeRecurrences: Effect.Effect<void> =
      refill === undefined
        ? Effect.void
        : Clock.clockWith((clock) =>
            Effect.flatMap(Ref.get(state), ({ cursor, requests: { recurrences } }) =>
              cursor === undefined || recurrences === undefined
                ? Effect.void
                : Effect.flatMap(
                    Refill.compute(refill, cursor, timeOf(clock), Math.max(1, recurrences.times.length)),
                    (computed) => Ref.update(state, (current) => withRecurrences(current, cursor, computed))
                  )
            )
          )

    yield* computeRecurrences

    /**
     * Applies a transition to the state of now. A transition that depends on a recurrence that is not known yet returns undefined or
     * an unknown state, and is applied again when that recurrence is known.
     */
    const transition = <A, E>(
      f: (current: State, now: number) => readonly [Effect.Effect<A, E>, State] | undefined
    ): Effect.Effect<A, E> =>
      Clock.clockWith((clock) =>
        Effect.flatten(
          Ref.modify(state, (before): readonly [Effect.Effect<A, E>, State] => {
            const now = timeOf(clock)
            const result = f(Queue.refill(before, now), now)
            return result !== undefined && (!isExtensible(before) || Queue.isKnown(result[1]))
              ? result
              : [Effect.zipRight(computeRecurrences, transition(f)), before]
          })
        )
      )

    const wakeFirst = (current: State): Effect.Effect<void> =>
      Option.match(SortedMap.headOption(current.queue), {
        onNone: () => Effect.void,
        onSome: ([, waiter]) => Effect.asVoid(waiter.wakeup.open)
      })

    const wakeAll = (waiters: ReadonlyArray<Queue.Waiter>): Effect.Effect<void> =>
      waiters.length === 0 ? Effect.void : Effect.forEach(waiters, (waiter) => waiter.wakeup.open, { discard: true })

    /** `isLoss`: whether a wait can become longer by this. The waits of all waiters are recalculated then. */
    const update = (f: (current: State, now: number) => State, isLoss: boolean): Effect.Effect<void> =>
      transition((current, now) => {
        const changed = f(current, now)
        const [after, evictedWaiters] = isLoss ? Queue.evict(changed) : [changed, []]
        return [Effect.zipRight(wakeAll(evictedWaiters), wakeFirst(after)), after]
      })

    const giveUp = (position: Queue.Position): Effect.Effect<void> =>
      Effect.flatMap(
        Ref.updateAndGet(state, (current) => Queue.dequeue(current, position)),
        wakeFirst
      )

    /** Waits for its turn and for what it needs, then takes it. Only the wait is interruptible. */
    const waitForTurn = (
      position: Queue.Position,
      waiter: Queue.Waiter,
      allowed: number
    ): Effect.Effect<void, RateLimitError> => {
      /**
       * Waits for a wakeup, which a timer opens after `wait`. A race would need two fibers for one, and a fiber that is
       * interrupted between forking them and starting them never ends.
       */
      const awaitWakeup = (wait: number): Effect.Effect<void> => {
        const woken = Effect.interruptible(waiter.wakeup.await)
        if (wait === Infinity) return woken
        // Timers have whole milliseconds: an early wakeup would only sleep again.
        const sleep = Effect.sleep(Math.min(Math.ceil(wait), longestTimer))
        return Effect.flatMap(Effect.fork(Effect.interruptible(Effect.zipRight(sleep, waiter.wakeup.open))), (timer) =>
          Effect.ensuring(woken, Fiber.interrupt(timer))
        )
      }

      const turn: Effect.Effect<void, RateLimitError> = transition((current, now) => {
        if (!SortedMap.has(current.queue, position)) {
          const wait = Queue.waitAt(current, position, waiter)
          return needsRecurrence(current, wait) ? undefined : [Effect.fail(refusals.tooLong(wait, allowed)), current]
        }
        const head = Option.getOrUndefined(SortedMap.headOption(current.queue))
        const isHead = head !== undefined && head[0] === position
        const wait = isHead ? Queue.waitFor(current, waiter) : Infinity
        if (needsRecurrence(current, wait)) return undefined
        if (wait === 0 && !Queue.exceedsConcurrency(current, waiter)) {
          const next = { ...Queue.dequeue(Queue.grant(current, waiter), position), projected: current.projected }
          return [wakeFirst(next), next]
        }
        if (maxConcurrency === undefined) return [again(awaitWakeup(wait)), current]
        // How long calls in flight take is not known, so a wait can exceed the calculated one.
        const remaining = waiter.deadline - now
        if (remaining <= 0) {
          const next: State = Queue.dequeue(current, position)
          return [Effect.zipRight(wakeFirst(next), Effect.fail(refusals.waitedEnough(allowed))), next]
        }
        return [again(awaitWakeup(wait === 0 ? remaining : Math.min(wait, remaining))), current]
      })
      const again = (wait: Effect.Effect<void>): Effect.Effect<void, RateLimitError> =>
        Effect.zipRight(
          Effect.onInterrupt(wait, () => giveUp(position)),
          Effect.zipRight(waiter.wakeup.close, turn)
        )
      return turn
    }

    const acquire = (request: Queue.AcquireRequest, wait: WaitOptions = {}): Effect.Effect<void, RateLimitError> =>
      Effect.uninterruptible(
        Effect.flatMap(priority, (rank) => {
          const wakeup = Effect.unsafeMakeLatch(false)
          const maxWait = rank === "batch" ? settings.batchMaxWait : settings.maxWait
          const allowed = Math.min(maxWait, wait.maxWait === undefined ? Infinity : Duration.toMillis(wait.maxWait))
          return transition<void, RateLimitError>((current, now) => {
            if (isFree(current, request)) return [Effect.void, Queue.grant(current, request)]
            const position = {
              at: rank === "batch" ? now + settings.aging : now,
              ticket: current.arrivals
            }
            const needed = Queue.waitAt(current, position, request)
            if (needsRecurrence(current, needed)) return undefined
            if (needed > allowed || needed === Infinity) {
              return [Effect.fail(refusals.tooLong(needed, allowed)), current]
            }
            const waiter: Queue.Waiter = { ...request, deadline: now + allowed, wakeup }
            const [after, evictedWaiters] = Queue.enqueue(
              { ...current, arrivals: current.arrivals + 1 },
              position,
              waiter
            )
            return [Effect.zipRight(wakeAll(evictedWaiters), waitForTurn(position, waiter, allowed)), after]
          })
        })
      )

    const permits = (n: number): Queue.AcquireRequest => ({ requests: n, tokens: 0, slots: 0 })

    const tryAcquire = (request: Queue.AcquireRequest): Effect.Effect<boolean> =>
      refusals.ofPermits(request.requests) === undefined
        ? transition((current) =>
            isFree(current, request)
              ? [Effect.succeed(true), Queue.grant(current, request)]
              : [Effect.succeed(false), current]
          )
        : Effect.succeed(false)

    const take: Service["take"] = (n = 1, wait) => {
      const refusal = refusals.ofPermits(n)
      return refusal === undefined ? acquire(permits(n), wait) : Effect.fail(refusal)
    }

    const release =
      (request: Queue.AcquireRequest, actual: number) =>
      (current: State): State => ({
        ...current,
        inFlight: current.inFlight - request.slots,
        ...(current.tokens === undefined
          ? {}
          : {
              tokens: Bucket.take(current.tokens, actual - request.tokens),
              reserved: current.reserved - request.tokens,
              projected: actual === request.tokens ? current.projected : undefined
            })
      })

    const reservation = (request: Queue.AcquireRequest): Reservation => {
      let isOpen = tokensPerMinute !== undefined || maxConcurrency !== undefined
      return {
        settle: (actual) =>
          Effect.uninterruptible(
            Effect.suspend(() => {
              if (!isOpen) return Effect.void
              isOpen = false
              const spent = isUsed(actual) ? actual : request.tokens
              return update(release(request, spent), tokensPerMinute !== undefined && spent > request.tokens)
            })
          )
      }
    }

    const slots = maxConcurrency === undefined ? 0 : 1

    const acquireReservation = (request: Queue.AcquireRequest, wait: WaitOptions | undefined) =>
      Effect.map(acquire(request, wait), () => reservation(request))

    const reserve: Service["reserve"] = (tokens, wait) => {
      const estimate = tokensPerMinute === undefined || !isAmount(tokens) ? 0 : tokens
      const refusal = refusals.ofTokens(estimate)
      return refusal === undefined
        ? acquireReservation({ requests: 1, tokens: estimate, slots }, wait)
        : Effect.fail(refusal)
    }

    const permitReservations: Permits.PermitReservations = {
      reservePermits: (n, wait) => {
        const refusal = refusals.ofPermits(n)
        return refusal === undefined
          ? acquireReservation({ requests: n, tokens: 0, slots }, wait)
          : Effect.fail(refusal)
      },
      tryReservePermits: (n) => {
        const request: Queue.AcquireRequest = { requests: n, tokens: 0, slots }
        return Effect.map(tryAcquire(request), (isGranted) =>
          isGranted ? Option.some(reservation(request)) : Option.none()
        )
      }
    }

    const withPace = (current: State, pace: Adaptive.Pace): State => {
      if (pace.share === current.pace.share) return { ...current, pace }
      // Requests and tokens saved up at the higher rate shrink with the rate.
      const keptShare = Math.min(1, pace.share / current.pace.share)
      const at = (bucket: Bucket.Bucket, perSecond: number): Bucket.Bucket => ({
        ...bucket,
        rate: (perSecond / 1000) * pace.share,
        available: bucket.available > 0 ? bucket.available * keptShare : bucket.available
      })
      return {
        ...current,
        pace,
        maxInFlight: maxConcurrency === undefined ? Infinity : Math.max(1, Math.floor(maxConcurrency * pace.share)),
        requests: at(current.requests, settings.refillRate),
        tokens: current.tokens === undefined ? undefined : at(current.tokens, current.tokens.capacity / 60)
      }
    }

    const applySignal =
      (signal: Signal, pacing: Adaptive.Settings) =>
      (current: State, now: number): State =>
        signal._tag === "Headers"
          ? {
              ...current,
              requests: Adaptive.limitRequests(current.requests, pacing, signal.limits),
              tokens:
                current.tokens === undefined ? undefined : Adaptive.limitTokens(current.tokens, pacing, signal.limits)
            }
          : withPace(current, Adaptive.applySignal(current.pace, pacing, now, signal))

    return {
      take,
      tryTake: (n = 1) => tryAcquire(permits(n)),
      reserve,
      ...permitReservations,
      ...Permits.make(permitReservations),
      available: transition((current) => [Effect.succeed(Queue.available(current)), current]),
      status: transition((current) => [Effect.succeed(statusOf(current, settings)), current]),
      reset: update(
        (current) => ({
          ...current,
          requests: { ...current.requests, available: current.requests.capacity },
          tokens: current.tokens === undefined ? undefined : { ...current.tokens, available: current.tokens.capacity },
          windows: current.windows.map(SlidingWindow.clear),
          projected: undefined
        }),
        false
      ),
      lower: ({ requests, tokens }) =>
        update(
          (current) => ({
            ...current,
            requests: Bucket.lower(current.requests, requests),
            tokens: current.tokens === undefined ? undefined : Bucket.lower(current.tokens, tokens)
          }),
          true
        ),
      ...(adaptive === undefined
        ? {}
        : {
            observe: (signal: Signal) =>
              Effect.flatMap(Ref.get(state), ({ pace }) =>
                (signal._tag === "Served" && pace.share === 1) || (signal._tag === "Headers" && signal.share < 1)
                  ? Effect.void
                  : Effect.uninterruptible(update(applySignal(signal, adaptive), true))
              )
          })
    }
  })

/** Whether further recurrences of the refill schedule can be computed. */
const isExtensible = ({ requests: { recurrences } }: State): boolean =>
  recurrences !== undefined && !recurrences.isComplete

/** Whether a wait depends on a recurrence that is not known yet. */
const needsRecurrence = (state: State, wait: number): boolean => Number.isNaN(wait) && isExtensible(state)

/** Adds what was computed from `cursor`, unless another fiber has already done so. */
const withRecurrences = (state: State, cursor: Refill.Cursor, computed: Refill.Computed): State =>
  state.cursor !== cursor
    ? state
    : {
        ...state,
        cursor: computed.cursor,
        projected: undefined,
        requests: {
          ...state.requests,
          recurrences: {
            times: [...(state.requests.recurrences?.times ?? []), ...computed.times],
            isComplete: computed.isComplete
          }
        }
      }

const isFree = (state: State, request: Queue.AcquireRequest): boolean =>
  SortedMap.size(state.queue) === 0 && !Queue.exceedsConcurrency(state, request) && Queue.waitFor(state, request) === 0

const bucketStatus = (bucket: Bucket.Bucket): BucketStatus => ({
  available: bucket.available,
  capacity: bucket.capacity,
  refillRate: Bucket.rateNow(bucket) * 1000
})

const statusOf = (state: State, settings: Settings): LimiterStatus => {
  const windowStatus = ({ limit, used }: SlidingWindow.SlidingWindow) => ({ available: limit - used, limit })
  const minuteWindow = state.windows.find(({ duration }) => duration === minute)
  const dayWindow = state.windows.find(({ duration }) => duration === day)
  return {
    ...bucketStatus(state.requests),
    waiting: SortedMap.size(state.queue),
    ...(state.tokens === undefined ? {} : { tokens: { ...bucketStatus(state.tokens), reserved: state.reserved } }),
    ...(minuteWindow === undefined ? {} : { minute: windowStatus(minuteWindow) }),
    ...(dayWindow === undefined ? {} : { day: windowStatus(dayWindow) }),
    ...(settings.maxConcurrency === undefined
      ? {}
      : { concurrency: { inFlight: state.inFlight, limit: state.maxInFlight } }),
    ...(settings.adaptive === undefined ? {} : { pace: state.pace.share })
  }
}
