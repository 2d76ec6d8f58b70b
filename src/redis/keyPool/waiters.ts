/**
 * One fiber requests keys from Redis for all waiting calls of a process: calls that arrive during a request are batched into the
 * next round. Redis does not notify a process when another one gives a key back, so the fiber polls, once for all waiting calls,
 * and immediately when this process gives a key back or a key becomes ready by time.
 */
import type { Scope } from "effect"
import { Array, Cause, Deferred, Duration, Effect, Exit, Option, Random, Ref } from "effect"
import { inBackground } from "../../internal/background.js"
import * as MonotonicClock from "../../internal/clock.js"
import { denial } from "../../keyPool/report.js"
import type { LeaseOptions, NoKeyError } from "../../keyPool/model.js"
import { RedisError } from "../model.js"
import type * as Redis from "../model.js"
import type { Leases } from "./leases.js"
import type { Waiter } from "./queue.js"
import * as Queue from "./queue.js"
import type { SharedPool } from "./shared.js"
import type { AcquireResult, Grant, NotReady } from "./scripts.js"

export type Interruptibly = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>

export interface Waiters {
  /** Waits for a key. Run it in an uninterruptible region: it is interruptible only where `interruptibly` is applied. */
  readonly take: (
    options: LeaseOptions | undefined,
    interruptibly: Interruptibly
  ) => Effect.Effect<Grant, NoKeyError | RedisError>
  /** Starts a round, because a change can make a key ready. */
  readonly notify: Effect.Effect<void>
  readonly waiting: Effect.Effect<number>
}

interface Dependencies {
  readonly redis: Redis.Service
  readonly pool: SharedPool
  readonly leases: Leases
  readonly provider: string
  /** In milliseconds, like all durations here. */
  readonly maxWait: number
  readonly pollInterval: number
}

/** The greatest number of calls in one script, because Redis is blocked while a script runs. */
const batchSize = 64

/** The longest pause when only time can make a key ready, because another process can enable a key by hand. */
const idlePause = 1000

const isGrant = (result: AcquireResult): result is Extract<AcquireResult, { readonly key: string }> => "key" in result

/** A defect of this module also fails the waiting calls, which would wait for ever otherwise. */
const defectError = (cause: Cause.Cause<unknown>): RedisError =>
  new RedisError({ reason: "script", script: "key pool: acquire", detail: Cause.pretty(cause) })

export const make = ({
  leases,
  maxWait,
  pollInterval,
  pool,
  provider,
  redis
}: Dependencies): Effect.Effect<Waiters, never, Scope.Scope> =>
  Effect.gen(function* () {
    const queue = yield* Ref.make(Queue.empty)
    const wakeup = yield* Effect.makeLatch(false)
    /** Closed during a round. */
    const roundDone = yield* Effect.makeLatch(true)
    const instanceId = crypto.randomUUID()

    const complete = (waiter: Waiter, exit: Exit.Exit<Grant, NoKeyError | RedisError>): Effect.Effect<boolean> =>
      Effect.flatMap(
        Ref.modify(queue, (queue) => Queue.leave(queue, waiter)),
        (isQueued) => (isQueued ? Deferred.done(waiter.result, exit) : Effect.succeed(false))
      )

    const deliver = (waiter: Waiter, grant: Grant): Effect.Effect<void> =>
      Effect.flatMap(Effect.zipRight(leases.add(grant), complete(waiter, Exit.succeed(grant))), (isQueued) =>
        isQueued ? Effect.void : leases.withdraw(grant)
      )

    const refuse = (waiter: Waiter, notReadyKeys: NotReady): Effect.Effect<unknown> =>
      complete(waiter, Exit.fail(denial(provider, Queue.toDenied(notReadyKeys))))

    /** Requests keys for some waiters, and returns those without a key and why. */
    const acquireBatch = (
      waiters: ReadonlyArray<Waiter>
    ): Effect.Effect<ReadonlyArray<readonly [Waiter, NotReady]>, RedisError> =>
      Effect.flatMap(redis.status, (status) =>
        Effect.flatMap(
          Effect.tapError(pool.acquire(waiters.map(({ exclude, lease }) => ({ exclude, lease }))), () =>
            status === "up" ? leases.withdrawUnconfirmed(waiters.map(({ lease }) => lease)) : Effect.void
          ),
          (results) =>
            Effect.map(
              Effect.forEach(Array.zip(waiters, results), ([waiter, result]) =>
                isGrant(result)
                  ? Effect.as(deliver(waiter, { lease: waiter.lease, ...result }), [])
                  : Effect.succeed([[waiter, result] as const])
              ),
              Array.flatten
            )
        )
      )

    /** One round for all waiters. Returns the pause until the next one, in milliseconds. */
    const round: Effect.Effect<number, RedisError> = Effect.gen(function* () {
      const clock = yield* Effect.clock
      const { requested } = yield* Ref.get(queue)
      const waiters = Queue.all(yield* Ref.getAndUpdate(queue, Queue.markRequested))
      const startedAt = MonotonicClock.now(clock)
      // A new waiter that cannot get a key, and one after its deadline, must be refused in this round.
      const needsAnswer = (waiter: Waiter) => waiter.ticket >= requested || waiter.deadline <= startedAt
      let unrestricted: NotReady | undefined
      let next = Infinity
      for (const chunk of Array.chunksOf(waiters, batchSize)) {
        const isRequested = unrestricted === undefined || chunk.some(needsAnswer)
        const notReady = isRequested
          ? yield* acquireBatch(chunk)
          : chunk.flatMap((waiter) =>
              waiter.exclude.length === 0 && unrestricted !== undefined ? [[waiter, unrestricted] as const] : []
            )
        const now = MonotonicClock.now(clock)
        for (const [waiter, notReadyKeys] of notReady) {
          if (waiter.exclude.length === 0) unrestricted = notReadyKeys
          if (Queue.mustRefuse(waiter, notReadyKeys, now)) {
            yield* refuse(waiter, notReadyKeys)
          } else {
            const pause = notReadyKeys.awaited > 0 ? pollInterval * (0.5 + 0.5 * (yield* Random.next)) : idlePause
            next = Math.min(next, pause, notReadyKeys.readyIn ?? Infinity, waiter.deadline - now)
          }
        }
      }
      return next
    })

    const failAll = (error: RedisError): Effect.Effect<void> =>
      Effect.flatMap(Ref.get(queue), (queue) =>
        Effect.forEach(Queue.all(queue), (waiter) => complete(waiter, Exit.fail(error)), { discard: true })
      )

    const isWarned = yield* Ref.make(false)

    /** The connection logs that Redis is away; a failing script fails for every call, so it is logged once. */
    const onFailure = (error: RedisError): Effect.Effect<number> =>
      failAll(error).pipe(
        Effect.zipRight(error.reason === "script" ? Ref.getAndSet(isWarned, true) : Effect.succeed(true)),
        Effect.flatMap((wasWarned) =>
          wasWarned ? Effect.void : Effect.logError(`The key pool of ${provider} cannot give keys: ${error.message}`)
        ),
        Effect.as(Infinity)
      )

    const serve = Effect.forever(
      Effect.flatMap(
        Effect.uninterruptible(
          Effect.zipRight(
            Effect.zipRight(wakeup.close, roundDone.close),
            Effect.zipLeft(
              Effect.catchAllCause(round, (cause) =>
                onFailure(Option.getOrElse(Cause.failureOption(cause), () => defectError(cause)))
              ),
              roundDone.open
            )
          )
        ),
        (pause) =>
          pause === Infinity
            ? wakeup.await
            : Effect.timeoutOption(wakeup.await, Math.min(Math.ceil(Math.max(0, pause)), MonotonicClock.longestTimer))
      )
    )
    const closed = new RedisError({ reason: "connection", script: "key pool: acquire", detail: "the pool is closed" })
    yield* Effect.addFinalizer(() => Effect.zipRight(Ref.update(queue, Queue.close), failAll(closed)))
    yield* inBackground(serve)

    const notify = Effect.flatMap(Ref.get(queue), (queue) => (Queue.size(queue) === 0 ? Effect.void : wakeup.open))

    const join = (options: LeaseOptions | undefined): Effect.Effect<Waiter> =>
      Effect.flatMap(Effect.zip(Deferred.make<Grant, NoKeyError | RedisError>(), Effect.clock), ([result, clock]) =>
        Ref.modify(queue, (queue) =>
          Queue.join(queue, (ticket) => ({
            ticket,
            lease: `${instanceId}-${ticket}`,
            exclude: Array.fromIterable(options?.exclude ?? []),
            deadline:
              MonotonicClock.now(clock) +
              Math.min(
                maxWait - (options?.waited === undefined ? 0 : Duration.toMillis(options.waited)),
                options?.maxWait === undefined ? Infinity : Duration.toMillis(options.maxWait)
              ),
            waitsForCooldown: options?.onCooldown !== "fail",
            result
          }))
        )
      )

    /**
     * Removes an interrupted waiter, or gives back the key that it has just received. Waits for the end of a round that can still
     * give it a key.
     */
    const leave = (waiter: Waiter): Effect.Effect<void> =>
      Effect.flatMap(
        Ref.modify(queue, (queue) => Queue.leave(queue, waiter)),
        (isQueued) =>
          isQueued
            ? roundDone.await
            : Effect.matchEffect(Deferred.await(waiter.result), {
                onSuccess: (grant) => Effect.zipRight(leases.withdraw(grant), notify),
                onFailure: () => Effect.void
              })
      )

    return {
      notify,
      waiting: Effect.map(Ref.get(queue), Queue.size),
      take: (options, interruptibly) =>
        Effect.flatMap(join(options), (waiter) =>
          Effect.zipRight(
            Effect.flatMap(Ref.get(queue), ({ isClosed }) => (isClosed ? failAll(closed) : wakeup.open)),
            Effect.onInterrupt(interruptibly(Deferred.await(waiter.result)), () => leave(waiter))
          )
        )
    }
  })
