/** Two of a kind: the second is begun when the first takes too long, the quicker one wins, and the other one is undone. */
import { Cause, Effect, Exit, Fiber, Option } from "effect"
import * as Attempt from "../../vocabulary/Attempt.js"
import type { LLMError } from "../../vocabulary/LLMError.js"
import * as Errors from "../../vocabulary/LLMError.js"
import type { ModelInfo } from "../../call/model.js"
import * as MonotonicClock from "../../internal/clock.js"
import { endedWithin } from "../../call/timeout.js"

export interface Runner<A, R> {
  readonly info: ModelInfo
  readonly call: Effect.Effect<A, LLMError, R>
}

export interface Plan<A, R> {
  readonly first: Runner<A, R>
  /** Who is asked beside the first, chosen when it comes to that. */
  readonly second: Effect.Effect<Runner<A, R>>
  /** How long the first is waited for alone, in milliseconds. */
  readonly after: number
  /** Asked once at the most; false: the first goes on alone. */
  readonly mayHedge: Effect.Effect<boolean>
  /** Whether a first that fails early is hedged as well. */
  readonly onFailure: boolean
  /** How long the first took, in milliseconds, or had taken when the second one won. */
  readonly measured: (millis: number) => Effect.Effect<void>
  readonly withEarlier: (result: A, earlier: ReadonlyArray<Attempt.Attempt>) => A
  /** Gives back what a result holds that came too late. */
  readonly discard: (result: A) => Effect.Effect<void>
}

interface Running<A> {
  readonly info: ModelInfo
  readonly fiber: Fiber.RuntimeFiber<A, LLMError>
  readonly startedAt: number
}

interface Ended<A> {
  readonly by: Running<A>
  readonly exit: Exit.Exit<A, LLMError>
}

/** Whichever ends first. */
const firstOf = <A>(one: Running<A>, other: Running<A>): Effect.Effect<Ended<A>> =>
  Effect.async((resume) => {
    const observers = [one, other].map((by) => {
      const observer = (exit: Exit.Exit<A, LLMError>) => {
        stop()
        resume(Effect.succeed({ by, exit }))
      }
      return { by, observer }
    })
    const stop = () => {
      for (const { by, observer } of observers) by.fiber.removeObserver(observer)
    }
    for (const { by, observer } of observers) by.fiber.addObserver(observer)
    return Effect.sync(stop)
  })

/** The typed error of an exit; undefined for an answer, a defect and an interruption, which nobody waits to see mended. */
const errorOf = <A>(exit: Exit.Exit<A, LLMError>): LLMError | undefined =>
  Exit.isSuccess(exit) ? undefined : Option.getOrUndefined(Cause.failureOption(exit.cause))

export const hedged = <A, R>(plan: Plan<A, R>): Effect.Effect<A, LLMError, R> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.clockWith((clock) => {
      const running: Array<Running<A>> = []

      const start = ({ call, info }: Runner<A, R>): Effect.Effect<Running<A>, never, R> =>
        // Whoever loses must end, also where the caller himself may not be interrupted.
        Effect.map(Effect.forkDaemon(Effect.interruptible(call)), (fiber) => {
          const started = { info, fiber, startedAt: MonotonicClock.now(clock) }
          running.push(started)
          return started
        })

      const elapsed = ({ startedAt }: Running<A>): number => MonotonicClock.now(clock) - startedAt

      /** Interrupts, waits until all is given back, and throws away what came too late. */
      const undo = ({ fiber }: Running<A>): Effect.Effect<void> =>
        Effect.flatMap(Fiber.interrupt(fiber), (exit) =>
          Exit.isSuccess(exit) ? plan.discard(exit.value) : Effect.void
        )

      const cancelled = (loser: Running<A>): Attempt.Attempt => ({
        provider: loser.info.provider,
        model: loser.info.model,
        keyId: "",
        error: "Interrupted",
        duration: elapsed(loser)
      })

      const settled = (ended: Ended<A>, earlier: ReadonlyArray<Attempt.Attempt>): Effect.Effect<A, LLMError> =>
        Effect.zipRight(
          ended.by.fiber.inheritAll,
          Exit.match(ended.exit, {
            onSuccess: (result) => Effect.succeed(earlier.length === 0 ? result : plan.withEarlier(result, earlier)),
            onFailure: Effect.failCause
          })
        )

      const alone = (only: Running<A>, exit: Exit.Exit<A, LLMError>): Effect.Effect<A, LLMError> =>
        Effect.zipRight(
          Exit.isSuccess(exit) ? plan.measured(elapsed(only)) : Effect.void,
          settled({ by: only, exit }, [])
        )

      /** Both fail: the first one's error says what the call failed of, with the receipt of both. */
      const bothFailed = (first: LLMError, second: LLMError): Effect.Effect<A, LLMError> =>
        Effect.fail(Errors.amend(first, { attempts: Attempt.concat(first.attempts, second.attempts) }))

      const raced = (first: Running<A>, second: Running<A>): Effect.Effect<A, LLMError> =>
        Effect.flatMap(restore(firstOf(first, second)), (ended) => {
          const other = ended.by === first ? second : first
          const error = errorOf(ended.exit)
          if (error === undefined) {
            return Effect.suspend(() => {
              const loser = cancelled(other)
              return Effect.zipRight(
                Effect.zipRight(plan.measured(elapsed(first)), undo(other)),
                settled(ended, Exit.isSuccess(ended.exit) ? [loser] : [])
              )
            })
          }
          return Effect.flatMap(restore(Fiber.await(other.fiber)), (exit) => {
            const otherError = errorOf(exit)
            if (otherError !== undefined) {
              return ended.by === first ? bothFailed(error, otherError) : bothFailed(otherError, error)
            }
            return Effect.zipRight(
              other === first ? plan.measured(elapsed(first)) : Effect.void,
              settled({ by: other, exit }, error.attempts)
            )
          })
        })

      const afterFailure = (first: Running<A>, exit: Exit.Exit<A, LLMError>): Effect.Effect<A, LLMError, R> => {
        const error = errorOf(exit)
        if (error === undefined || !plan.onFailure) return alone(first, exit)
        return Effect.flatMap(plan.mayHedge, (allowed) =>
          allowed
            ? Effect.flatMap(Effect.flatMap(plan.second, start), (second) =>
                Effect.flatMap(restore(Fiber.await(second.fiber)), (secondExit) => {
                  const secondError = errorOf(secondExit)
                  return secondError === undefined
                    ? settled({ by: second, exit: secondExit }, error.attempts)
                    : bothFailed(error, secondError)
                })
              )
            : alone(first, exit)
        )
      }

      const run = Effect.flatMap(start(plan.first), (first) =>
        Effect.flatMap(restore(endedWithin(first.fiber, plan.after)), (exit) => {
          if (exit !== undefined) return afterFailure(first, exit)
          return Effect.flatMap(plan.mayHedge, (allowed) =>
            allowed
              ? Effect.flatMap(Effect.flatMap(plan.second, start), (second) => raced(first, second))
              : Effect.flatMap(restore(Fiber.await(first.fiber)), (late) => alone(first, late))
          )
        })
      )

      return Effect.onInterrupt(run, () => Effect.forEach(running, undo, { discard: true, concurrency: "unbounded" }))
    })
  )
