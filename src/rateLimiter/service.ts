/** A limiter as a service: reads the clock, applies one transition at a time to a `Ref`, and wakes the waiters concerned. */
import { Clock, Duration, Effect, Fiber, Option, Ref, SortedMap } from "effect"
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
}

const minute = 60_000
const day = 24 * 60 * minute

const initialState = (settings: Settings, now: number): State => {
  const { requestsPerDay, requestsPerMinute, tokensPerMinute } = settings
  return {
    requests: Bucket.make(settings.capacity, settings.refillRate, now),
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

export const make = (settings: Settings, priority: Effect.Effect<Priority>): Effect.Effect<Service> =>
  Effect.gen(function* () {
    const { adaptive, maxConcurrency, tokensPerMinute } = settings
    const refusals = Refusals.make(settings)
    const start = yield* Effect.clockWith((clock) => Effect.sync(() => nowOf(clock)))
    const state = yield* Ref.make(initialState(settings, start))

    const wakeFirst = (current: State): Effect.Effect<void> =>
      Option.match(SortedMap.headOption(current.queue), {
        onNone: () => Effect.void,
        onSome: ([, waiter]) => Effect.asVoid(waiter.wakeup.open)
      })

    const wakeAll = (waiters: ReadonlyArray<Queue.Waiter>): Effect.Effect<void> =>
      waiters.length === 0 ? Effect.void : Effect.forEach(waiters, (waiter) => waiter.wakeup.open, { discard: true })

    /** `isLoss`: whether a wait can become longer by this. The waits of all waiters are recalculated then. */
    const update = (f: (current: State, now: number) => State, isLoss: boolean): Effect.Effect<void> =>
      Clock.clockWith((clock) =>
        Effect.flatten(
          Ref.modify(state, (before) => {
            const now = nowOf(clock)
            const changed = f(Queue.refill(before, now), now)
            const [after, evictedWaiters] = isLoss ? Queue.evict(changed) : [changed, []]
            return [Effect.zipRight(wakeAll(evictedWaiters), wakeFirst(after)), after]
          })
        )
      )

    const giveUp = (position: Queue.Position): Effect.Effect<void> =>
      Effect.flatMap(
        Ref.updateAndGet(state, (current) => Queue.dequeue(current, position)),
        wakeFirst
      )

    /** Waits for its turn and for what it needs, then takes it. Only the wait is interruptible. */
    const waitForTurn = (
      clock: Clock.Clock,
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

      const turn: Effect.Effect<void, RateLimitError> = Effect.flatten(
        Ref.modify(state, (before): readonly [Effect.Effect<void, RateLimitError>, State] => {
          const now = nowOf(clock)
          const current = Queue.refill(before, now)
          if (!SortedMap.has(current.queue, position)) {
            return [Effect.fail(refusals.tooLong(Queue.waitAt(current, position, waiter), allowed)), current]
          }
          const head = Option.getOrUndefined(SortedMap.headOption(current.queue))
          const isHead = head !== undefined && head[0] === position
          const wait = isHead ? Queue.waitFor(current, waiter) : Infinity
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
      )
      const again = (wait: Effect.Effect<void>): Effect.Effect<void, RateLimitError> =>
        Effect.zipRight(
          Effect.onInterrupt(wait, () => giveUp(position)),
          Effect.zipRight(waiter.wakeup.close, turn)
        )
      return turn
    }

    const acquire = (request: Queue.AcquireRequest, wait: WaitOptions = {}): Effect.Effect<void, RateLimitError> =>
      Effect.uninterruptible(
        Effect.flatMap(priority, (rank) =>
          Clock.clockWith((clock) => {
            const wakeup = Effect.unsafeMakeLatch(false)
            const maxWait = rank === "batch" ? settings.batchMaxWait : settings.maxWait
            const allowed = Math.min(maxWait, wait.maxWait === undefined ? Infinity : Duration.toMillis(wait.maxWait))
            return Effect.flatten(
              Ref.modify(state, (before): readonly [Effect.Effect<void, RateLimitError>, State] => {
                const now = nowOf(clock)
                const current = Queue.refill(before, now)
                if (isFree(current, request)) return [Effect.void, Queue.grant(current, request)]
                const position = {
                  at: rank === "batch" ? now + settings.aging : now,
                  ticket: current.arrivals
                }
                const needed = Queue.waitAt(current, position, request)
                if (needed > allowed) return [Effect.fail(refusals.tooLong(needed, allowed)), current]
                const waiter: Queue.Waiter = { ...request, deadline: now + allowed, wakeup }
                const [after, evictedWaiters] = Queue.enqueue(
                  { ...current, arrivals: current.arrivals + 1 },
                  position,
                  waiter
                )
                return [Effect.zipRight(wakeAll(evictedWaiters), waitForTurn(clock, position, waiter, allowed)), after]
              })
            )
          })
        )
      )

    const permits = (n: number): Queue.AcquireRequest => ({ requests: n, tokens: 0, slots: 0 })

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

    const reserve: Service["reserve"] = (tokens, wait) => {
      const estimate = tokensPerMinute === undefined || !isAmount(tokens) ? 0 : tokens
      const request: Queue.AcquireRequest = {
        requests: 1,
        tokens: estimate,
        slots: maxConcurrency === undefined ? 0 : 1
      }
      const refusal = refusals.ofTokens(estimate)
      return refusal !== undefined
        ? Effect.fail(refusal)
        : Effect.map(acquire(request, wait), () => reservation(request))
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
      tryTake: (n = 1) =>
        refusals.ofPermits(n) !== undefined
          ? Effect.succeed(false)
          : Clock.clockWith((clock) =>
              Ref.modify(state, (before): readonly [boolean, State] => {
                const current = Queue.refill(before, nowOf(clock))
                return isFree(current, permits(n)) ? [true, Queue.grant(current, permits(n))] : [false, current]
              })
            ),
      limit: (effect) =>
        maxConcurrency === undefined
          ? Effect.zipRight(take(), effect)
          : Effect.acquireUseRelease(
              reserve(0),
              () => effect,
              (reservation) => reservation.settle(0)
            ),
      reserve,
      status: Clock.clockWith((clock) =>
        Effect.map(
          Ref.updateAndGet(state, (current) => Queue.refill(current, nowOf(clock))),
          (current) => statusOf(current, settings)
        )
      ),
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
