/**
 * One fiber asks Redis for keys, for all calls of a process that want one: those who come while it asks are asked for together
 * in the next round. Nothing of Redis's tells that another process gave a key back, so it looks again from time to time, once
 * for all who wait, and as soon as this process itself gave one back or a key is known to be ready.
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
import * as Line from "./queue.js"
import type { Shared } from "./shared.js"
import type { Answer, Grant, Unready } from "./scripts.js"

export type Interruptibly = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>

export interface Waiters {
  /** Waits for a key. Must not be interrupted but where `interruptibly` allows it. */
  readonly take: (
    options: LeaseOptions | undefined,
    interruptibly: Interruptibly
  ) => Effect.Effect<Grant, NoKeyError | RedisError>
  /** Something has changed, so that those who wait may get what they want. */
  readonly ring: Effect.Effect<void>
  readonly waiting: Effect.Effect<number>
}

interface Terms {
  readonly redis: Redis.Service
  readonly shared: Shared
  readonly ledger: Leases
  readonly providerId: string
  /** In milliseconds, as all durations here. */
  readonly maxWait: number
  readonly pollInterval: number
}

/** How many calls are asked for in one step, which holds Redis up for others. */
const together = 64

/** How long to wait where only time can make a key ready, which another process may yet do by hand. */
const calm = 1000

/** A timer that was set to more than this would never go off. */
const longestTimer = 2 ** 31 - 1

const isGrant = (answer: Answer): answer is Extract<Answer, { readonly key: string }> => "key" in answer

/** Those who wait must hear of a fault of this module too: nobody else will answer them. */
const unexpected = (cause: Cause.Cause<unknown>): RedisError =>
  new RedisError({ reason: "script", script: "key pool: acquire", detail: Cause.pretty(cause) })

export const make = ({
  ledger,
  maxWait,
  pollInterval,
  providerId,
  redis,
  shared
}: Terms): Effect.Effect<Waiters, never, Scope.Scope> =>
  Effect.gen(function* () {
    const line = yield* Ref.make(Line.empty)
    const bell = yield* Effect.makeLatch(false)
    /** Open but while a round is under way. */
    const idle = yield* Effect.makeLatch(true)
    const here = crypto.randomUUID()

    const answered = (waiter: Waiter, exit: Exit.Exit<Grant, NoKeyError | RedisError>): Effect.Effect<boolean> =>
      Effect.flatMap(
        Ref.modify(line, (line) => Line.leave(line, waiter)),
        (isThere) => (isThere ? Deferred.done(waiter.answer, exit) : Effect.succeed(false))
      )

    const granted = (waiter: Waiter, grant: Grant): Effect.Effect<void> =>
      Effect.flatMap(Effect.zipRight(ledger.hold(grant), answered(waiter, Exit.succeed(grant))), (isThere) =>
        isThere ? Effect.void : ledger.withdraw(grant)
      )

    const refused = (waiter: Waiter, seen: Unready): Effect.Effect<unknown> =>
      answered(waiter, Exit.fail(denial(providerId, Line.denied(seen))))

    /** Asks for some, and says what those saw who got nothing. */
    const ask = (
      waiters: ReadonlyArray<Waiter>
    ): Effect.Effect<ReadonlyArray<readonly [Waiter, Unready]>, RedisError> =>
      Effect.flatMap(redis.status, (status) =>
        Effect.flatMap(
          Effect.tapError(shared.acquire(waiters.map(({ exclude, lease }) => ({ exclude, lease }))), () =>
            status === "up" ? ledger.disown(waiters.map(({ lease }) => lease)) : Effect.void
          ),
          (answers) =>
            Effect.map(
              Effect.forEach(Array.zip(waiters, answers), ([waiter, answer]) =>
                isGrant(answer)
                  ? Effect.as(granted(waiter, { lease: waiter.lease, ...answer }), [])
                  : Effect.succeed([[waiter, answer] as const])
              ),
              Array.flatten
            )
        )
      )

    /** One round for all who wait. Says when the next is due, in milliseconds from now. */
    const round: Effect.Effect<number, RedisError> = Effect.gen(function* () {
      const clock = yield* Effect.clock
      const { asked } = yield* Ref.get(line)
      const waiters = Line.all(yield* Ref.getAndUpdate(line, Line.asked))
      const startedAt = MonotonicClock.now(clock)
      // Who is new must be told at once where it waits in vain, and who has waited its time that it has.
      const mustKnow = (waiter: Waiter) => waiter.ticket >= asked || waiter.deadline <= startedAt
      let plain: Unready | undefined
      let next = Infinity
      for (const chunk of Array.chunksOf(waiters, together)) {
        const isAsked = plain === undefined || chunk.some(mustKnow)
        const unready = isAsked
          ? yield* ask(chunk)
          : chunk.flatMap((waiter) =>
              waiter.exclude.length === 0 && plain !== undefined ? [[waiter, plain] as const] : []
            )
        const now = MonotonicClock.now(clock)
        for (const [waiter, seen] of unready) {
          if (waiter.exclude.length === 0) plain = seen
          if (Line.isHopeless(waiter, seen, now)) {
            yield* refused(waiter, seen)
          } else {
            const pause = seen.awaited > 0 ? pollInterval * (0.5 + 0.5 * (yield* Random.next)) : calm
            next = Math.min(next, pause, seen.readyIn ?? Infinity, waiter.deadline - now)
          }
        }
      }
      return next
    })

    const fail = (error: RedisError): Effect.Effect<void> =>
      Effect.flatMap(Ref.get(line), (now) =>
        Effect.forEach(Line.all(now), (waiter) => answered(waiter, Exit.fail(error)), { discard: true })
      )

    const isWarned = yield* Ref.make(false)

    /** That Redis is away is told elsewhere; what a script does wrong it does wrong for every call. */
    const failed = (error: RedisError): Effect.Effect<number> =>
      fail(error).pipe(
        Effect.zipRight(error.reason === "script" ? Ref.getAndSet(isWarned, true) : Effect.succeed(true)),
        Effect.flatMap((isTold) =>
          isTold ? Effect.void : Effect.logError(`No keys for ${providerId}: ${error.message}`)
        ),
        Effect.as(Infinity)
      )

    const attend = Effect.forever(
      Effect.flatMap(
        Effect.uninterruptible(
          Effect.zipRight(
            Effect.zipRight(bell.close, idle.close),
            Effect.zipLeft(
              Effect.catchAllCause(round, (cause) =>
                failed(Option.getOrElse(Cause.failureOption(cause), () => unexpected(cause)))
              ),
              idle.open
            )
          )
        ),
        (pause) =>
          pause === Infinity
            ? bell.await
            : Effect.timeoutOption(bell.await, Math.min(Math.ceil(Math.max(0, pause)), longestTimer))
      )
    )
    const closed = new RedisError({ reason: "connection", script: "key pool: acquire", detail: "the pool is closed" })
    yield* Effect.addFinalizer(() => Effect.zipRight(Ref.update(line, Line.closed), fail(closed)))
    yield* inBackground(attend)

    const ring = Effect.flatMap(Ref.get(line), (now) => (Line.size(now) === 0 ? Effect.void : bell.open))

    const join = (options: LeaseOptions | undefined): Effect.Effect<Waiter> =>
      Effect.flatMap(Effect.zip(Deferred.make<Grant, NoKeyError | RedisError>(), Effect.clock), ([answer, clock]) =>
        Ref.modify(line, (now) =>
          Line.join(now, (ticket) => ({
            ticket,
            lease: `${here}-${ticket}`,
            exclude: Array.fromIterable(options?.exclude ?? []),
            deadline:
              MonotonicClock.now(clock) +
              Math.min(maxWait, options?.maxWait === undefined ? Infinity : Duration.toMillis(options.maxWait)),
            patient: options?.cooling !== "fail",
            answer
          }))
        )
      )

    /**
     * Who goes leaves the line, or gives back what it got in the same moment. It goes when the round is over that may ask for it
     * just now, so that no key is in its hands any more.
     */
    const leave = (waiter: Waiter): Effect.Effect<void> =>
      Effect.flatMap(
        Ref.modify(line, (now) => Line.leave(now, waiter)),
        (isThere) =>
          isThere
            ? idle.await
            : Effect.matchEffect(Deferred.await(waiter.answer), {
                onSuccess: (grant) => Effect.zipRight(ledger.withdraw(grant), ring),
                onFailure: () => Effect.void
              })
      )

    return {
      ring,
      waiting: Effect.map(Ref.get(line), Line.size),
      take: (options, interruptibly) =>
        Effect.flatMap(join(options), (waiter) =>
          Effect.zipRight(
            Effect.flatMap(Ref.get(line), ({ isClosed }) => (isClosed ? fail(closed) : bell.open)),
            Effect.onInterrupt(interruptibly(Deferred.await(waiter.answer)), () => leave(waiter))
          )
        )
    }
  })
