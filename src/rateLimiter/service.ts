/** A limiter as a service: reads the clock, applies one transition at a time to its state, and wakes the waiters concerned. */
import { Clock, Context, Duration, Effect, MutableRef, Option } from "effect"
import * as Permits from "./permits.js"
import * as Refill from "./refill.js"
import type { RateLimitError } from "../vocabulary/LLMError.js"
import type { RateLimits } from "../wire/headers/rateLimits.js"
import type {
  BucketStatus,
  Client,
  LimiterStatus,
  Priority,
  Service,
  Signal,
  TryReserveOptions,
  UnsafeReservation,
  WaitOptions
} from "./model.js"
import { CurrentClient, CurrentPriority } from "./model.js"
import type { Settings } from "./options.js"
import { isAmount, isUsed } from "./options.js"
import * as Refusals from "./errors.js"
import { clockOf, now as timeOf, synchronously, timerDelay } from "../internal/clock.js"
import * as Adaptive from "./adaptive.js"
import * as SlidingWindow from "../internal/slidingWindow.js"
import * as Bucket from "./tokenBucket.js"
import * as Queue from "./queue.js"
import * as Fibers from "../internal/fibers.js"

export type State = Queue.State

/** What a limiter in memory granted. */
export interface LocalReservation extends UnsafeReservation {
  /** Counts the requests in the windows from a time on, which can lie ahead, and no longer from that of the grant. */
  readonly unsafePostpone: (clock: Clock.Clock, at: number) => void
}

/** A limiter in memory, with the members from which a limiter with a shared store is made. */
export interface LocalLimiter extends Service {
  /** The place of a call that arrives now, or has arrived before. */
  readonly unsafePlace: (
    clock: Clock.Clock,
    request: Queue.AcquireRequest,
    caller: Caller,
    arrivedAgo: WaitOptions["arrivedAgo"]
  ) => Queue.Place
  /** Waits in the queue at this place and takes what is requested. Interruptible only while it waits. */
  readonly acquire: (
    request: Queue.AcquireRequest,
    wait: WaitOptions,
    place: Queue.Place
  ) => Effect.Effect<LocalReservation, RateLimitError>
  /** Takes what is requested if it does not have to wait; otherwise undefined. */
  readonly tryAcquire: (request: Queue.AcquireRequest) => Effect.Effect<LocalReservation | undefined>
  /** The state of now. */
  readonly unsafeState: (clock: Clock.Clock) => State
  /** Changes the state and wakes the waiters concerned. `isLoss`: whether a wait can become longer by this. */
  readonly unsafeUpdate: (clock: Clock.Clock, f: (current: State, now: number) => State, isLoss: boolean) => void
  /** Uses a share of each limit from now on, and of what is available. */
  readonly unsafeSetShare: (clock: Clock.Clock, share: number) => void
}

const minute = 60_000
const day = 24 * 60 * minute

const initialState = (settings: Settings, startedAt: number, wall: number): State => {
  const { deliveryAllowance = 0, emptySince, refill, requestsPerDay, requestsPerMinute, tokensPerMinute } = settings
  const isEmpty = emptySince !== undefined && refill === undefined
  const now = isEmpty ? emptySince : startedAt
  const bucket = (capacity: number, perSecond: number): Bucket.Bucket => {
    const full = Bucket.make(capacity, perSecond, now)
    return isEmpty && Number.isFinite(capacity) ? Bucket.take(full, capacity) : full
  }
  const ofMinute = (limit: number): SlidingWindow.SlidingWindow => {
    const unused = SlidingWindow.make(limit, minute + deliveryAllowance, now)
    return isEmpty ? SlidingWindow.take(unused, limit) : unused
  }
  const requests = bucket(settings.capacity, settings.refillRate)
  return {
    requests: refill === undefined ? requests : { ...requests, recurrences: { times: [], isComplete: false } },
    cursor: refill === undefined ? undefined : Refill.start(refill, wall),
    tokens: tokensPerMinute === undefined ? undefined : bucket(tokensPerMinute, tokensPerMinute / 60),
    windows: [
      ...(requestsPerMinute === undefined ? [] : [ofMinute(requestsPerMinute)]),
      ...(requestsPerDay === undefined ? [] : [SlidingWindow.make(requestsPerDay, day + deliveryAllowance, now)])
    ],
    notBefore: -Infinity,
    reserved: 0,
    maxInFlight: settings.maxConcurrency ?? Infinity,
    inFlight: 0,
    queue: Queue.noWaiters,
    arrivals: 0,
    projected: undefined,
    pace: Adaptive.fullPace,
    share: 1
  }
}

export const make = (settings: Settings): Effect.Effect<LocalLimiter> =>
  Effect.gen(function* () {
    const { adaptive, followsHeaders, maxConcurrency, refill, tokensPerMinute } = settings
    const refusals = Refusals.make(settings)
    const [start, wallStart] = yield* Effect.clockWith((clock) =>
      Effect.sync(() => [timeOf(clock), clock.unsafeCurrentTimeMillis()] as const)
    )
    const state = MutableRef.make(initialState(settings, start, wallStart))

    /**
     * Computes further recurrences of the refill schedule: as many as are known already, so that repetition is linear. A schedule
     * such as cron follows the wall clock: each recurrence comes after the time that the wall clock now lacks until it.
     */
    const computeRecurrences: Effect.Effect<void> =
      refill === undefined
        ? Effect.void
        : Clock.clockWith((clock) => {
            const { cursor, requests } = state.current
            const { recurrences } = requests
            return cursor === undefined || recurrences === undefined
              ? Effect.void
              : Effect.suspend(() => {
                  const now = timeOf(clock)
                  const wall = clock.unsafeCurrentTimeMillis()
                  const isPast = recurrences.times.every((time) => time <= now)
                  const from = isPast ? Refill.resume(cursor, wall) : cursor
                  const count = Math.max(1, recurrences.times.length)
                  return Effect.map(Refill.compute(from, wall, count), (computed) => {
                    const times = computed.times.map((time) => time - wall + now)
                    state.current = withRecurrences(state.current, cursor, { ...computed, times })
                  })
                })
          })

    yield* computeRecurrences

    /**
     * Applies a transition to the state of now. Returns undefined and changes nothing where the transition depends on a recurrence
     * that is not known yet: it returns undefined or an unknown state then.
     */
    const unsafeApply = <A>(clock: Clock.Clock, f: Transition<A>): Step<A> | undefined => {
      const before = state.current
      const now = timeOf(clock)
      const step = f(Queue.refill(before, now), now)
      if (step === undefined || (isExtensible(before) && !Queue.isKnown(step[1]))) return undefined
      state.current = step[1]
      return step
    }

    /** Applies a transition, again when a recurrence on which it depends is known, and continues with its value. */
    const transition = <A, E>(f: Transition<Effect.Effect<A, E>>): Effect.Effect<A, E> =>
      Clock.clockWith((clock) => unsafeApply(clock, f)?.[0] ?? Effect.zipRight(computeRecurrences, transition(f)))

    // A waiter runs later, when the state can have changed: one that still finds too little waits again.
    const wakeFirst = ({ queue }: State): void => {
      Queue.head(queue)?.wakeup.unsafeOpen()
    }

    /** Waiters that were removed from the queue find out so, and the one that is first without them. */
    const wakeEvicted = (waiters: ReadonlyArray<Queue.Waiter>, after: State): void => {
      for (const { wakeup } of waiters) wakeup.unsafeOpen()
      if (waiters.length > 0) wakeFirst(after)
    }

    /**
     * Changes the state and wakes the waiters concerned. `isLoss`: whether a wait can become longer by this. The waits of all waiters
     * are recalculated then. Before a recurrence that is not known yet it changes the state as it was: the first waiter computes it.
     */
    const unsafeUpdate = (clock: Clock.Clock, f: (current: State, now: number) => State, isLoss: boolean): void => {
      const change: Transition<ReadonlyArray<Queue.Waiter>> = (current, now) => {
        const changed = f(current, now)
        if (!isLoss || Queue.size(changed.queue) === 0) return [noWaiters, changed]
        const [after, evictedWaiters] = Queue.evict(changed)
        return [evictedWaiters, after]
      }
      const step = unsafeApply(clock, change)
      if (step === undefined) state.current = f(state.current, timeOf(clock))
      else wakeEvicted(step[0], step[1])
      wakeFirst(state.current)
    }

    const update = (f: (current: State, now: number) => State, isLoss: boolean): Effect.Effect<void> =>
      synchronously((clock) => unsafeUpdate(clock, f, isLoss))

    const giveUp = (waiter: Queue.Waiter): Effect.Effect<void> =>
      Effect.sync(() => {
        state.current = Queue.dequeue(state.current, waiter)
        wakeFirst(state.current)
      })

    /** Grants a request that does not wait. Waiters that it passes and whose waits become too long leave the queue. */
    const grantNow = (current: State, request: Queue.AcquireRequest): State => {
      const granted = Queue.grant(current, request)
      if (Queue.size(granted.queue) === 0) return granted
      const [after, evictedWaiters] = Queue.evict(granted)
      wakeEvicted(evictedWaiters, after)
      return after
    }

    /** Sums of fractions make a wait without calls in flight inexact. */
    const tolerance = maxConcurrency === undefined ? Queue.roundingTolerance : 0

    /** Waits for its turn and for what it needs, then takes it and returns when. Only the wait is interruptible. */
    const waitForTurn = (waiter: Queue.Waiter, allowed: number): Effect.Effect<number, RateLimitError> => {
      /**
       * Waits for a wakeup, which a timer opens after `wait`. A race would need two fibers for one, and a fiber that is
       * interrupted between forking them and starting them never ends.
       */
      const awaitWakeup = (wait: number): Effect.Effect<void> => {
        const woken = Effect.interruptible(waiter.wakeup.await)
        if (wait === Infinity) return woken
        const sleep = Effect.sleep(timerDelay(wait))
        return Effect.flatMap(Effect.fork(Effect.interruptible(Effect.zipRight(sleep, waiter.wakeup.open))), (timer) =>
          Effect.ensuring(woken, Fibers.interrupt(timer))
        )
      }

      const turn: Effect.Effect<number, RateLimitError> = transition((current, now) => {
        if (!Queue.has(current.queue, waiter)) {
          const wait = Queue.waitAt(current, waiter)
          return needsRecurrence(current, wait) ? undefined : [Effect.fail(refusals.tooLong(wait, allowed)), current]
        }
        const wait = Queue.head(current.queue) === waiter ? Queue.waitFor(current, waiter) : Infinity
        if (needsRecurrence(current, wait)) return undefined
        if (wait === 0 && !Queue.exceedsConcurrency(current, waiter)) {
          const next = { ...Queue.serve(current, waiter), projected: current.projected }
          wakeFirst(next)
          return [Effect.succeed(current.requests.updatedAt), next]
        }
        // A wait can exceed the calculated one: calls in flight end at any time, and calls that leave can change the order.
        const remaining = waiter.deadline + tolerance - now
        if (remaining <= 0) {
          const next: State = Queue.dequeue(current, waiter)
          wakeFirst(next)
          return [Effect.fail(refusals.waitedEnough(allowed)), next]
        }
        return [again(awaitWakeup(wait === 0 ? remaining : Math.min(wait, remaining))), current]
      })
      const again = (wait: Effect.Effect<void>): Effect.Effect<number, RateLimitError> =>
        Effect.zipRight(
          Effect.onInterrupt(wait, () => giveUp(waiter)),
          Effect.zipRight(waiter.wakeup.close, turn)
        )
      return turn
    }

    /**
     * A caller that waits again is before those that arrived at the same time: it could not get ahead of them otherwise. It has
     * paid for its place.
     */
    const placeOf = (
      current: State,
      now: number,
      { requests, tokens }: Queue.AcquireRequest,
      { client, priority }: Caller,
      arrivedAgo: Duration.DurationInput | undefined
    ): Queue.Place => ({
      at: (priority === "batch" ? now + settings.aging : now) - millisOf(arrivedAgo, 0),
      ticket: arrivedAgo === undefined ? current.arrivals : -1 - current.arrivals,
      priority,
      client: client.id,
      cost: arrivedAgo === undefined ? Math.max(requests, tokens) / weightOf(client) : 0
    })

    const unsafePlace: LocalLimiter["unsafePlace"] = (clock, request, caller, arrivedAgo) => {
      const place = placeOf(state.current, timeOf(clock), request, caller, arrivedAgo)
      state.current = { ...state.current, arrivals: state.current.arrivals + 1 }
      return place
    }

    /** Takes what is requested if it does not have to wait, and returns when; otherwise undefined. */
    const takeIfFree = (
      current: State,
      now: number,
      request: Queue.AcquireRequest,
      caller: Caller,
      arrivedAgo: Duration.DurationInput | undefined,
      place?: Queue.Place
    ): Step<number | undefined> =>
      (Queue.size(current.queue) === 0 ||
        Queue.isNext(current, place ?? placeOf(current, now, request, caller, arrivedAgo))) &&
      !Queue.exceedsConcurrency(current, request) &&
      Queue.waitFor(current, request) === 0
        ? [current.requests.updatedAt, grantNow(current, request)]
        : [undefined, current]

    const unsafeTake = (
      clock: Clock.Clock,
      request: Queue.AcquireRequest,
      caller: Caller,
      arrivedAgo: Duration.DurationInput | undefined,
      place?: Queue.Place
    ): number | undefined =>
      unsafeApply(clock, (current, now) => takeIfFree(current, now, request, caller, arrivedAgo, place))?.[0]

    /** Waits in the queue and takes what is requested. Returns when it was taken. */
    const waitAndTake = (
      request: Queue.AcquireRequest,
      wait: WaitOptions,
      caller: Caller,
      place?: Queue.Place
    ): Effect.Effect<number, RateLimitError> => {
      const maxWait =
        (caller.priority === "batch" ? settings.batchMaxWait : settings.maxWait) - millisOf(wait.waited, 0)
      const allowed = Math.max(0, Math.min(maxWait, millisOf(wait.maxWait, Infinity)))
      return transition<number, RateLimitError>((current, now) => {
        const [grantedAt, granted] = takeIfFree(current, now, request, caller, wait.arrivedAgo, place)
        if (grantedAt !== undefined) return [Effect.succeed(grantedAt), granted]
        const waiter: Queue.Waiter = {
          ...request,
          place: place ?? placeOf(current, now, request, caller, wait.arrivedAgo),
          deadline: now + allowed,
          wakeup: Effect.unsafeMakeLatch(false)
        }
        const needed = Queue.waitAt(current, waiter)
        if (needsRecurrence(current, needed)) return undefined
        if (needed > allowed || needed === Infinity) {
          return [Effect.fail(refusals.tooLong(needed, allowed)), current]
        }
        if (allowed === 0 && Queue.exceedsConcurrency(current, request)) {
          return [Effect.fail(refusals.waitedEnough(allowed)), current]
        }
        // A call that waits again has a place.
        const full = wait.arrivedAgo === undefined ? refusals.ofQueue(Queue.size(current.queue), needed) : undefined
        if (full !== undefined) return [Effect.fail(full), current]
        const [after, evictedWaiters] = Queue.enqueue({ ...current, arrivals: current.arrivals + 1 }, waiter)
        wakeEvicted(evictedWaiters, after)
        return [waitForTurn(waiter, allowed), after]
      })
    }

    /** Takes what is requested, in one step where it does not have to wait, and continues with the time at which it was taken. */
    const acquire = <A>(
      request: Queue.AcquireRequest,
      wait: WaitOptions | undefined,
      next: (grantedAt: number) => A,
      place?: Queue.Place
    ): Effect.Effect<A, RateLimitError> =>
      Effect.withFiberRuntime((fiber) => {
        const caller: Caller = {
          client: Context.get(fiber.currentContext, CurrentClient),
          priority: Context.get(fiber.currentContext, CurrentPriority)
        }
        const grantedAt = unsafeTake(clockOf(fiber), request, caller, wait?.arrivedAgo, place)
        return grantedAt === undefined
          ? Effect.uninterruptible(Effect.map(waitAndTake(request, wait ?? {}, caller, place), next))
          : Effect.succeed(next(grantedAt))
      })

    const permits = (n: number): Queue.AcquireRequest => ({ requests: n, tokens: 0, slots: 0 })

    const tryAcquire = (request: Queue.AcquireRequest): Effect.Effect<number | undefined> =>
      refusals.ofPermits(request.requests) === undefined
        ? transition((current, now) => {
            if (Queue.size(current.queue) > 0) return [Effect.succeed(undefined), current]
            const [grantedAt, after] = takeIfFree(current, now, request, interactive, undefined)
            return [Effect.succeed(grantedAt), after]
          })
        : Effect.succeed(undefined)

    const take: Service["take"] = (n = 1, wait) => {
      const refusal = refusals.ofPermits(n)
      return refusal === undefined ? acquire(permits(n), wait, () => undefined) : Effect.fail(refusal)
    }

    /** Whether the end of a call changes anything. */
    const isHeld = tokensPerMinute !== undefined || maxConcurrency !== undefined

    const hasWindows = settings.requestsPerMinute !== undefined || settings.requestsPerDay !== undefined

    const reservation = (request: Queue.AcquireRequest, grantedAt: number): LocalReservation => {
      let isOpen = true
      let countsFrom = grantedAt
      const unsafeSettle: UnsafeReservation["unsafeSettle"] = (clock, actual) => {
        if (!isOpen) return
        isOpen = false
        if (!isHeld) return
        const spent = isUsed(actual) ? actual : request.tokens
        const isLoss = tokensPerMinute !== undefined && spent > request.tokens
        unsafeUpdate(clock, (current) => Queue.release(current, request, spent), isLoss)
      }
      const unsafeGiveBack: UnsafeReservation["unsafeGiveBack"] = (clock) => {
        if (!isOpen) return
        isOpen = false
        unsafeUpdate(clock, (current) => Queue.giveBack(current, request, countsFrom), false)
      }
      const unsafePostpone: LocalReservation["unsafePostpone"] = (clock, at) => {
        if (!isOpen || !hasWindows) return
        unsafeUpdate(clock, (current) => Queue.postpone(current, request, countsFrom, at), false)
        countsFrom = at
      }
      return {
        settle: (actual) => synchronously((clock) => unsafeSettle(clock, actual)),
        giveBack: synchronously(unsafeGiveBack),
        unsafeSettle,
        unsafeGiveBack,
        unsafePostpone
      }
    }

    const slots = maxConcurrency === undefined ? 0 : 1

    const acquireReservation = (request: Queue.AcquireRequest, wait: WaitOptions | undefined, place?: Queue.Place) =>
      acquire(request, wait, (grantedAt) => reservation(request, grantedAt), place)

    /** One call with an estimate of its tokens. */
    const callOf = (tokens: number): Queue.AcquireRequest => ({
      requests: 1,
      tokens: tokensPerMinute === undefined || !isAmount(tokens) ? 0 : tokens,
      slots
    })

    const reserve: Service["reserve"] = (tokens, wait) => {
      const request = callOf(tokens)
      const refusal = refusals.ofTokens(request.tokens)
      return refusal === undefined ? acquireReservation(request, wait) : Effect.fail(refusal)
    }

    const unsafeTryReserve: NonNullable<Service["unsafeTryReserve"]> = (clock, tokens, options) => {
      const request = callOf(tokens)
      if (refusals.ofTokens(request.tokens) !== undefined) return undefined
      const grantedAt = unsafeTake(clock, request, callerOf(options), options?.arrivedAgo)
      return grantedAt === undefined ? undefined : reservation(request, grantedAt)
    }

    const tryAcquireReservation: LocalLimiter["tryAcquire"] = (request) =>
      Effect.map(tryAcquire(request), (grantedAt) =>
        grantedAt === undefined ? undefined : reservation(request, grantedAt)
      )

    const permitReservations: Permits.PermitReservations = {
      reservePermits: (n, wait) => {
        const refusal = refusals.ofPermits(n)
        return refusal === undefined
          ? acquireReservation({ requests: n, tokens: 0, slots }, wait)
          : Effect.fail(refusal)
      },
      tryReservePermits: (n) =>
        Effect.map(tryAcquireReservation({ requests: n, tokens: 0, slots }), Option.fromNullable)
    }

    /** The limits at a pace and a share; requests and tokens saved up at a higher one shrink with it. */
    const withLimits = (current: State, pace: Adaptive.Pace, share: number): State => {
      if (pace.share === current.pace.share && share === current.share) return { ...current, pace }
      const kept = Math.min(1, pace.share / current.pace.share) * (share / current.share)
      const at = (bucket: Bucket.Bucket, capacity: number, perSecond: number): Bucket.Bucket => ({
        ...bucket,
        capacity: share === 1 ? capacity : Math.max(Math.min(1, capacity), capacity * share),
        rate: (perSecond / 1000) * pace.share * share,
        available: bucket.available > 0 ? bucket.available * kept : bucket.available
      })
      const part = (limit: number, of: number): number => Math.max(Math.min(1, limit), Math.floor(limit * of))
      return {
        ...current,
        pace,
        share,
        maxInFlight: maxConcurrency === undefined ? Infinity : part(maxConcurrency, pace.share * share),
        requests: at(current.requests, settings.capacity, settings.refillRate),
        tokens:
          tokensPerMinute === undefined || current.tokens === undefined
            ? undefined
            : at(current.tokens, tokensPerMinute, tokensPerMinute / 60),
        windows: current.windows.map((window) => {
          const limit = (isMinute(window) ? settings.requestsPerMinute : settings.requestsPerDay) ?? Infinity
          return { ...window, limit: share === 1 ? limit : part(limit, share) }
        }),
        projected: undefined
      }
    }

    const limitsOf = (current: State, limits: RateLimits) => {
      const minimum = adaptive?.minimum ?? Adaptive.minimumByHeaders
      const tokens = current.tokens && Adaptive.limitTokens(current.tokens, minimum, limits)
      return { requests: Adaptive.limitRequests(current.requests, minimum, limits), tokens }
    }

    /** Headers change the state seldom, and a change recalculates the waits of all waiters. */
    const followHeaders = (clock: Clock.Clock, limits: RateLimits): void => {
      const current = Queue.refill(state.current, timeOf(clock))
      const { requests, tokens } = limitsOf(current, limits)
      if (requests === current.requests && tokens === current.tokens) return
      unsafeUpdate(clock, (current) => ({ ...current, ...limitsOf(current, limits) }), true)
    }

    /** A provider limits each model by itself: the headers of one say nothing about a limiter that several share. */
    let model: string | undefined
    let isShared = false

    const unsafeObserve: Service["unsafeObserve"] = !followsHeaders
      ? undefined
      : (clock, signal, calledModel) => {
          isShared ||= model !== undefined && calledModel !== undefined && calledModel !== model
          model ??= calledModel
          if (signal._tag === "Headers") {
            if (signal.share === 1 && (adaptive !== undefined || !isShared)) followHeaders(clock, signal.limits)
            return
          }
          if (adaptive === undefined || (signal._tag === "Served" && state.current.pace.share === 1)) return
          unsafeUpdate(
            clock,
            (current, now) =>
              withLimits(current, Adaptive.applySignal(current.pace, adaptive, now, signal), current.share),
            true
          )
        }

    return {
      take,
      tryTake: (n = 1) => Effect.map(tryAcquire(permits(n)), (grantedAt) => grantedAt !== undefined),
      reserve,
      unsafeTryReserve,
      unsafePlace,
      acquire: acquireReservation,
      tryAcquire: tryAcquireReservation,
      unsafeState: (clock) => Queue.refill(state.current, timeOf(clock)),
      unsafeUpdate,
      unsafeSetShare: (clock, share) =>
        unsafeUpdate(clock, (current) => withLimits(current, current.pace, share), share < state.current.share),
      ...Permits.make(permitReservations),
      available: transition((current) => [Effect.succeed(Queue.available(current)), current]),
      status: transition((current) => [Effect.succeed(statusOf(current, settings)), current]),
      reset: update(
        (current) => ({
          ...current,
          requests: Bucket.fill(current.requests),
          tokens: current.tokens && Bucket.fill(current.tokens),
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
      ...(unsafeObserve === undefined
        ? {}
        : {
            unsafeObserve,
            observe: (signal: Signal, model?: string) => synchronously((clock) => unsafeObserve(clock, signal, model))
          })
    }
  })

/** The result of a transition and the state after it. */
type Step<A> = readonly [A, State]

type Transition<A> = (current: State, now: number) => Step<A> | undefined

const noWaiters: ReadonlyArray<Queue.Waiter> = []

export interface Caller {
  readonly client: Client
  readonly priority: Priority
}

/** A caller that does not say who it is. */
const interactive: Caller = { client: { id: "" }, priority: "interactive" }

const callerOf = (options: TryReserveOptions | undefined): Caller =>
  options === undefined
    ? interactive
    : { client: options.client ?? interactive.client, priority: options.priority ?? interactive.priority }

/** An invalid weight counts as 1: it must not end a call. */
const weightOf = ({ weight = 1 }: Client): number => (isAmount(weight) ? weight : 1)

const millisOf = (duration: Duration.DurationInput | undefined, otherwise: number): number =>
  duration === undefined ? otherwise : Duration.toMillis(duration)

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

const isMinute = ({ duration }: SlidingWindow.SlidingWindow): boolean => duration < day

export const windowsOf = ({ windows }: State) => ({
  minute: windows.find(isMinute),
  day: windows.find((window) => !isMinute(window))
})

const bucketStatus = (bucket: Bucket.Bucket): BucketStatus => ({
  available: bucket.available,
  capacity: bucket.capacity,
  refillRate: Bucket.rateNow(bucket) * 1000
})

const statusOf = (state: State, settings: Settings): LimiterStatus => {
  const windowStatus = ({ limit, used }: SlidingWindow.SlidingWindow) => ({ available: limit - used, limit })
  const { day: dayWindow, minute: minuteWindow } = windowsOf(state)
  return {
    ...bucketStatus(state.requests),
    waiting: Queue.size(state.queue),
    ...(state.tokens === undefined ? {} : { tokens: { ...bucketStatus(state.tokens), reserved: state.reserved } }),
    ...(minuteWindow === undefined ? {} : { minute: windowStatus(minuteWindow) }),
    ...(dayWindow === undefined ? {} : { day: windowStatus(dayWindow) }),
    ...(settings.maxConcurrency === undefined
      ? {}
      : { concurrency: { inFlight: state.inFlight, limit: state.maxInFlight } }),
    ...(settings.adaptive === undefined ? {} : { pace: state.pace.share })
  }
}
