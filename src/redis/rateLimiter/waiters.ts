/**
 * One fiber asks Redis on behalf of those of this process who wait for a place, or let others pass: the first of them, in their
 * order. Nothing of Redis's tells that another process has gone out of a place, so it looks again from time to time, once for
 * all who wait, and as soon as a call of this process is over.
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
import * as Line from "./queue.js"
import type { Answer, Asking, Steps, Wish } from "./scripts.js"

export interface Waiters {
  /** Asks at once where nobody is before it, else waits in line. It must not be interrupted but where it waits. */
  readonly take: (caller: Caller) => Effect.Effect<Answer, RateLimitError | RedisError>
  /** Asks once, and does not wait. */
  readonly tryTake: (wish: Wish) => Effect.Effect<boolean, RedisError>
  /** A call of this process is over. */
  readonly ring: Effect.Effect<void>
  readonly waiting: Effect.Effect<number>
}

export interface Caller {
  readonly wish: Wish
  readonly allowed: number
  /** For how long it lets others pass. */
  readonly aging: number
}

interface Terms {
  readonly steps: Steps
  readonly contact: Sync
  readonly refusals: Refusals
}

/** How many calls are asked for in one step, which holds Redis up for others. */
const together = 32

/** JSON has no infinity. In milliseconds. */
const forever = 1e15

/** How long until those who wait for a place ask again, in milliseconds. */
const shortest = 20
const longest = 40

/** A process that waits for a place and has not asked for so long has lost its turn, in milliseconds. */
export const fresh = 250

/** Those who let others pass look again at least so often, in milliseconds: nobody tells them who has gone. */
const calm = 1000

export const make = ({ contact, refusals, steps }: Terms): Effect.Effect<Waiters, never, Scope.Scope> =>
  Effect.gen(function* () {
    const line = yield* Ref.make(Line.empty)
    const bell = yield* Effect.makeLatch(false)

    const asking = (waiter: Waiter, now: number): Asking => ({
      ...waiter.wish,
      allowed: Math.min(Math.max(0, Line.deadline(waiter) - now), forever),
      waited: now - waiter.position.at,
      books: Line.books(waiter, now)
    })

    const ask = (asking: ReadonlyArray<Asking>, isWhole: boolean): Effect.Effect<ReadonlyArray<Answer>, RedisError> =>
      Effect.flatMap(contact.known, ({ epoch }) =>
        steps.acquire(epoch, asking, isWhole).pipe(
          Effect.tapError((error) =>
            error.reason === "timeout" ? contact.later((epoch) => steps.withdraw(epoch, asking)) : Effect.void
          ),
          Effect.tap(contact.learn),
          Effect.map(({ answers }) => answers),
          Effect.tap((answers) =>
            Effect.forEach(
              answers,
              ({ tag, wait }, index) =>
                tag === "granted" ? contact.granted(asking[index]?.requests ?? 0, wait) : Effect.void,
              { discard: true }
            )
          )
        )
      )

    const answered = (waiter: Waiter, exit: Exit.Exit<Answer, RateLimitError | RedisError>): Effect.Effect<boolean> =>
      Effect.flatMap(
        Ref.modify(line, (line) => Line.leave(line, waiter)),
        (isThere) => (isThere ? Deferred.done(waiter.answer, exit) : Effect.succeed(false))
      )

    const withdraw = (wish: Wish): Effect.Effect<void> => contact.tell((epoch) => steps.withdraw(epoch, [wish]))

    const expire = (now: number): Effect.Effect<void> =>
      Effect.flatMap(
        Ref.modify(line, (line) => Line.expired(line, now)),
        (waiters) =>
          Effect.forEach(waiters, ({ allowed, answer }) => Deferred.fail(answer, refusals.waitedEnough(allowed)), {
            discard: true
          })
      )

    /** When to ask again for one that got nothing, in milliseconds. */
    const pauseOf = (waiter: Waiter, { tag, wait }: Answer, now: number): Effect.Effect<number> =>
      tag === "crowded"
        ? Random.nextRange(shortest, longest)
        : Effect.succeed(Math.min(Math.max(wait, 1), Math.max(1, waiter.position.at - now), calm))

    const settled = (waiter: Waiter, answer: Answer): Effect.Effect<boolean> => {
      switch (answer.tag) {
        case "granted":
          return Effect.tap(answered(waiter, Exit.succeed(answer)), (isThere) =>
            isThere ? Effect.void : withdraw(waiter.wish)
          )
        case "late":
          return answered(waiter, Exit.fail(refusals.tooLong(answer.wait, waiter.allowed)))
        default:
          return Effect.succeed(false)
      }
    }

    /** Asks for the first of those who wait, and says when to ask again, in milliseconds. */
    const round: Effect.Effect<number, RedisError> = Effect.gen(function* () {
      const clock = yield* Effect.clock
      yield* expire(MonotonicClock.now(clock))
      const [waiters, isWhole] = Line.first(yield* Ref.get(line), together)
      if (waiters.length === 0) return Infinity
      const now = MonotonicClock.now(clock)
      const answers = yield* ask(
        waiters.map((waiter) => asking(waiter, now)),
        isWhole
      )
      for (const [index, waiter] of waiters.entries()) {
        const answer = answers[index]
        if (answer === undefined) break
        yield* settled(waiter, answer)
        if (answer.tag === "busy" || answer.tag === "crowded") {
          const { earliest } = yield* Ref.get(line)
          return Math.min(yield* pauseOf(waiter, answer, now), Math.max(1, earliest - now))
        }
      }
      return 0
    })

    const failed = (error: RedisError): Effect.Effect<number> =>
      Effect.flatMap(Ref.get(line), (now) =>
        Effect.as(
          Effect.forEach(Line.first(now, Infinity)[0], (waiter) => answered(waiter, Exit.fail(error)), {
            discard: true
          }),
          Infinity
        )
      )

    yield* Effect.addFinalizer(() =>
      failed(new RedisError({ reason: "connection", script: "rate limiter: acquire", detail: "the limiter is closed" }))
    )
    yield* inBackground(
      Effect.forever(
        Effect.flatMap(Effect.uninterruptible(Effect.zipRight(bell.close, Effect.catchAll(round, failed))), (pause) =>
          pause === Infinity ? bell.await : Effect.timeoutOption(bell.await, Math.ceil(pause))
        )
      )
    )

    /** Who goes leaves the line, or gives back what it got in the same moment. */
    const leave = (waiter: Waiter): Effect.Effect<void> =>
      Effect.flatMap(
        Ref.modify(line, (now) => Line.leave(now, waiter)),
        (isThere) =>
          isThere
            ? Effect.void
            : Effect.matchEffect(Deferred.await(waiter.answer), {
                onSuccess: () => withdraw(waiter.wish),
                onFailure: () => Effect.void
              })
      )

    const stand = (waiter: Waiter): Effect.Effect<Answer, RateLimitError | RedisError> =>
      Effect.zipRight(
        Ref.update(line, (now) => Line.join(now, waiter)),
        Effect.zipRight(
          bell.open,
          Effect.onInterrupt(Effect.interruptible(Deferred.await(waiter.answer)), () => leave(waiter))
        )
      )

    const take: Waiters["take"] = ({ aging, allowed, wish }) =>
      Effect.gen(function* () {
        const clock = yield* Effect.clock
        const arrivedAt = MonotonicClock.now(clock)
        const ticket = yield* Ref.modify(line, Line.arrive)
        const answer = yield* Deferred.make<Answer, RateLimitError | RedisError>()
        const waiter: Waiter = { wish, position: { at: arrivedAt + aging, ticket }, arrivedAt, allowed, answer }
        if (Line.isAhead(yield* Ref.get(line), arrivedAt + aging)) return yield* stand(waiter)
        const [first] = yield* ask([asking(waiter, arrivedAt)], false)
        if (first?.tag === "granted") return first
        return first?.tag === "late" ? yield* refusals.tooLong(first.wait, allowed) : yield* stand(waiter)
      })

    return {
      take,
      tryTake: (wish) =>
        Effect.flatMap(Ref.get(line), (now) =>
          Line.size(now) > 0
            ? Effect.succeed(false)
            : Effect.map(
                ask([{ ...wish, allowed: 0, waited: 0, books: false }], false),
                ([first]) => first?.tag === "granted"
              )
        ),
      ring: Effect.flatMap(Ref.get(line), (now) => (Line.size(now) === 0 ? Effect.void : bell.open)),
      waiting: Effect.map(Ref.get(line), Line.size)
    }
  })
