/**
 * One fiber sends the requests of the first waiting calls of a process to Redis, in their order. Redis does not notify a process
 * when another one frees a permit, so the fiber polls, once for all waiting calls, and immediately when a call of this process
 * ends.
 */
import type { Scope } from "effect"
import { Deferred, Effect, Exit, Random, Ref } from "effect"
import { inBackground } from "../../internal/background.js"
import type { Refusals } from "../../rateLimiter/errors.js"
import * as MonotonicClock from "../../internal/clock.js"
import type { RateLimitError } from "../../vocabulary/LLMError.js"
import { RedisError } from "../model.js"
import type { Sync } from "./sync.js"
import type { Waiter } from "./queue.js"
import * as Queue from "./queue.js"
import type { AcquireRequest, AcquireResult, Scripts, TimedRequest } from "./scripts.js"

export interface Waiters {
  /** Sends a request at once when no waiter is ahead, else waits in the queue. Interruptible only while it waits. */
  readonly take: (caller: Caller) => Effect.Effect<AcquireResult, RateLimitError | RedisError>
  /** Sends a request once, and does not wait. Without a grant nothing was taken. */
  readonly tryTake: (request: AcquireRequest) => Effect.Effect<AcquireResult, RedisError>
  /** Starts a round, because a call of this process has ended. */
  readonly notify: Effect.Effect<void>
  readonly waiting: Effect.Effect<number>
}

export interface Caller {
  readonly request: AcquireRequest
  readonly maxWait: number
  /** How long the call yields to interactive calls. */
  readonly aging: number
}

interface Dependencies {
  readonly scripts: Scripts
  readonly sync: Sync
  readonly refusals: Refusals
}

/** The greatest number of calls in one script, because Redis is blocked while a script runs. */
const batchSize = 32

/** Stands for an infinite wait, which JSON cannot represent. In milliseconds. */
const longestWait = 1e15

/** The range of the pause between two requests for a permit, in milliseconds. */
const minPause = 20
const maxPause = 40

/** A process that waits for a permit loses its turn after this time without a request, in milliseconds. */
export const turnTimeout = 250

/** The longest pause between two requests of a batch call that yields, in milliseconds. */
const longestPause = 1000

const notTaken: AcquireResult = { tag: "busy", wait: 0 }

export const make = ({ refusals, scripts, sync }: Dependencies): Effect.Effect<Waiters, never, Scope.Scope> =>
  Effect.gen(function* () {
    const queue = yield* Ref.make(Queue.empty)
    const wakeup = yield* Effect.makeLatch(false)

    const timedRequest = (waiter: Waiter, now: number): TimedRequest => ({
      ...waiter.request,
      allowed: Math.min(Math.max(0, Queue.deadline(waiter) - now), longestWait),
      waited: now - waiter.position.at,
      books: Queue.mayBook(waiter, now)
    })

    const acquireBatch = (
      requests: ReadonlyArray<TimedRequest>,
      isComplete: boolean
    ): Effect.Effect<ReadonlyArray<AcquireResult>, RedisError> =>
      Effect.flatMap(sync.state, ({ epoch }) =>
        scripts.acquire(epoch, requests, isComplete).pipe(
          Effect.tapError((error) =>
            error.reason === "timeout" ? sync.enqueue((epoch) => scripts.withdraw(epoch, requests)) : Effect.void
          ),
          Effect.tap(sync.update),
          Effect.map(({ answers }) => answers),
          Effect.tap((results) =>
            Effect.forEach(
              results,
              ({ tag, wait }, index) =>
                tag === "granted" ? sync.recordGrant(requests[index]?.requests ?? 0, wait) : Effect.void,
              { discard: true }
            )
          )
        )
      )

    const complete = (
      waiter: Waiter,
      exit: Exit.Exit<AcquireResult, RateLimitError | RedisError>
    ): Effect.Effect<boolean> =>
      Effect.flatMap(
        Ref.modify(queue, (queue) => Queue.remove(queue, waiter)),
        (isQueued) => (isQueued ? Deferred.done(waiter.result, exit) : Effect.succeed(false))
      )

    const withdraw = (request: AcquireRequest): Effect.Effect<void> =>
      sync.send((epoch) => scripts.withdraw(epoch, [request]))

    const failExpired = (now: number): Effect.Effect<void> =>
      Effect.flatMap(
        Ref.modify(queue, (queue) => Queue.takeExpired(queue, now)),
        (waiters) =>
          Effect.forEach(waiters, ({ maxWait, result }) => Deferred.fail(result, refusals.waitedEnough(maxWait)), {
            discard: true
          })
      )

    /** The pause before the next request for a waiter, in milliseconds. */
    const pauseOf = (waiter: Waiter, { tag, wait }: AcquireResult, now: number): Effect.Effect<number> =>
      tag === "crowded"
        ? Random.nextRange(minPause, maxPause)
        : Effect.succeed(Math.min(Math.max(wait, 1), Math.max(1, waiter.position.at - now), longestPause))

    const settle = (waiter: Waiter, result: AcquireResult): Effect.Effect<boolean> => {
      switch (result.tag) {
        case "granted":
          return Effect.tap(complete(waiter, Exit.succeed(result)), (isQueued) =>
            isQueued ? Effect.void : withdraw(waiter.request)
          )
        case "late":
          return complete(waiter, Exit.fail(refusals.tooLong(result.wait, waiter.maxWait)))
        default:
          return Effect.succeed(false)
      }
    }

    /** Sends the requests of the first waiters. Returns the pause until the next round, in milliseconds. */
    const round: Effect.Effect<number, RedisError> = Effect.gen(function* () {
      const clock = yield* Effect.clock
      yield* failExpired(MonotonicClock.now(clock))
      const [waiters, isComplete] = Queue.first(yield* Ref.get(queue), batchSize)
      if (waiters.length === 0) return Infinity
      const now = MonotonicClock.now(clock)
      const results = yield* acquireBatch(
        waiters.map((waiter) => timedRequest(waiter, now)),
        isComplete
      )
      for (const [index, waiter] of waiters.entries()) {
        const result = results[index]
        if (result === undefined) break
        yield* settle(waiter, result)
        if (result.tag === "busy" || result.tag === "crowded") {
          const { earliest } = yield* Ref.get(queue)
          return Math.min(yield* pauseOf(waiter, result, now), Math.max(1, earliest - now))
        }
      }
      return 0
    })

    const failAll = (error: RedisError): Effect.Effect<number> =>
      Effect.flatMap(Ref.get(queue), (queue) =>
        Effect.as(
          Effect.forEach(Queue.first(queue, Infinity)[0], (waiter) => complete(waiter, Exit.fail(error)), {
            discard: true
          }),
          Infinity
        )
      )

    yield* Effect.addFinalizer(() =>
      failAll(
        new RedisError({ reason: "connection", script: "rate limiter: acquire", detail: "the limiter is closed" })
      )
    )
    yield* inBackground(
      Effect.forever(
        Effect.flatMap(
          Effect.uninterruptible(Effect.zipRight(wakeup.close, Effect.catchAll(round, failAll))),
          (pause) => (pause === Infinity ? wakeup.await : Effect.timeoutOption(wakeup.await, Math.ceil(pause)))
        )
      )
    )

    /** Removes an interrupted waiter, or gives back what it has just received. */
    const cancel = (waiter: Waiter): Effect.Effect<void> =>
      Effect.flatMap(
        Ref.modify(queue, (queue) => Queue.remove(queue, waiter)),
        (isQueued) =>
          isQueued
            ? Effect.void
            : Effect.matchEffect(Deferred.await(waiter.result), {
                onSuccess: () => withdraw(waiter.request),
                onFailure: () => Effect.void
              })
      )

    const waitInQueue = (waiter: Waiter): Effect.Effect<AcquireResult, RateLimitError | RedisError> =>
      Effect.zipRight(
        Ref.update(queue, (queue) => Queue.add(queue, waiter)),
        Effect.zipRight(
          wakeup.open,
          Effect.onInterrupt(Effect.interruptible(Deferred.await(waiter.result)), () => cancel(waiter))
        )
      )

    const take: Waiters["take"] = ({ aging, maxWait, request }) =>
      Effect.gen(function* () {
        const clock = yield* Effect.clock
        const arrivedAt = MonotonicClock.now(clock)
        const full = refusals.ofQueue(Queue.size(yield* Ref.get(queue)))
        if (full !== undefined) return yield* full
        const ticket = yield* Ref.modify(queue, Queue.nextArrival)
        const result = yield* Deferred.make<AcquireResult, RateLimitError | RedisError>()
        const waiter: Waiter = { request, position: { at: arrivedAt + aging, ticket }, arrivedAt, maxWait, result }
        if (Queue.hasWaiterBefore(yield* Ref.get(queue), arrivedAt + aging)) return yield* waitInQueue(waiter)
        const [first] = yield* acquireBatch([timedRequest(waiter, arrivedAt)], false)
        if (first?.tag === "granted") return first
        return first?.tag === "late" ? yield* refusals.tooLong(first.wait, maxWait) : yield* waitInQueue(waiter)
      })

    return {
      take,
      tryTake: (request) =>
        Effect.flatMap(Ref.get(queue), (queue) =>
          Queue.size(queue) > 0
            ? Effect.succeed(notTaken)
            : Effect.map(
                acquireBatch([{ ...request, allowed: 0, waited: 0, books: false }], false),
                ([first]) => first ?? notTaken
              )
        ),
      notify: Effect.flatMap(Ref.get(queue), (queue) => (Queue.size(queue) === 0 ? Effect.void : wakeup.open)),
      waiting: Effect.map(Ref.get(queue), Queue.size)
    }
  })
