/** Races two requests: starts the second when the first takes too long, returns the first answer, and cancels the other. */
import { Cause, Effect, Exit, Fiber, Option } from "effect"
import * as Attempt from "../../vocabulary/attempt.js"
import type { LLMError } from "../../vocabulary/LLMError.js"
import * as Errors from "../../vocabulary/LLMError.js"
import type { ModelInfo } from "../../call/model.js"
import * as MonotonicClock from "../../internal/clock.js"
import { endedWithin } from "../../call/timeout.js"

export interface Request<A, R> {
  readonly info: ModelInfo
  readonly call: Effect.Effect<A, LLMError, R>
}

export interface HedgedCall<A, R> {
  readonly first: Request<A, R>
  /** Chosen when the second request is sent. */
  readonly second: Effect.Effect<Request<A, R>>
  /** The time before the second request is sent, in milliseconds. */
  readonly delay: number
  /** Takes a permit for the second request; run once at most. False: the first request goes on alone. */
  readonly takePermit: Effect.Effect<boolean>
  /** Whether the second request is also sent when the first fails before the delay. */
  readonly onFailure: boolean
  /** Records the latency of the first request, or the time until the second one won, in milliseconds. */
  readonly recordLatency: (millis: number) => Effect.Effect<void>
  readonly withEarlier: (result: A, earlier: ReadonlyArray<Attempt.Attempt>) => A
  /** Releases a result that came too late. */
  readonly discard: (result: A) => Effect.Effect<void>
}

interface Running<A> {
  readonly info: ModelInfo
  readonly fiber: Fiber.RuntimeFiber<A, LLMError>
  readonly startedAt: number
}

interface Ended<A> {
  readonly request: Running<A>
  readonly exit: Exit.Exit<A, LLMError>
}

/** Waits for the first of two requests to end. */
const firstToEnd = <A>(one: Running<A>, other: Running<A>): Effect.Effect<Ended<A>> =>
  Effect.async((resume) => {
    const observers = [one, other].map((request) => {
      const observer = (exit: Exit.Exit<A, LLMError>) => {
        stop()
        resume(Effect.succeed({ request, exit }))
      }
      return { request, observer }
    })
    const stop = () => {
      for (const { observer, request } of observers) request.fiber.removeObserver(observer)
    }
    for (const { observer, request } of observers) request.fiber.addObserver(observer)
    return Effect.sync(stop)
  })

/** The typed error of an exit; undefined for an answer, a defect and an interruption, which all end the call. */
const errorOf = <A>(exit: Exit.Exit<A, LLMError>): LLMError | undefined =>
  Exit.isSuccess(exit) ? undefined : Option.getOrUndefined(Cause.failureOption(exit.cause))

export const hedge = <A, R>(hedged: HedgedCall<A, R>): Effect.Effect<A, LLMError, R> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.clockWith((clock) => {
      const running: Array<Running<A>> = []

      const start = ({ call, info }: Request<A, R>): Effect.Effect<Running<A>, never, R> =>
        // The loser must be interruptible, even if the caller is not.
        Effect.map(Effect.forkDaemon(Effect.interruptible(call)), (fiber) => {
          const started = { info, fiber, startedAt: MonotonicClock.now(clock) }
          running.push(started)
          return started
        })

      const elapsed = ({ startedAt }: Running<A>): number => MonotonicClock.now(clock) - startedAt

      /** Interrupts, waits for the finalizers, and discards a result that came too late. */
      const cancel = ({ fiber }: Running<A>): Effect.Effect<void> =>
        Effect.flatMap(Fiber.interrupt(fiber), (exit) =>
          Exit.isSuccess(exit) ? hedged.discard(exit.value) : Effect.void
        )

      const cancelledAttempt = (loser: Running<A>): Attempt.Attempt => ({
        provider: loser.info.provider,
        model: loser.info.model,
        keyId: "",
        error: "Interrupted",
        duration: elapsed(loser)
      })

      const resultOf = (ended: Ended<A>, earlier: ReadonlyArray<Attempt.Attempt>): Effect.Effect<A, LLMError> =>
        Effect.zipRight(
          ended.request.fiber.inheritAll,
          Exit.match(ended.exit, {
            onSuccess: (result) => Effect.succeed(earlier.length === 0 ? result : hedged.withEarlier(result, earlier)),
            onFailure: Effect.failCause
          })
        )

      const finishAlone = (only: Running<A>, exit: Exit.Exit<A, LLMError>): Effect.Effect<A, LLMError> =>
        Effect.zipRight(
          Exit.isSuccess(exit) ? hedged.recordLatency(elapsed(only)) : Effect.void,
          resultOf({ request: only, exit }, [])
        )

      /** Fails with the error of the first request and the attempts of both. */
      const failBoth = (first: LLMError, second: LLMError): Effect.Effect<A, LLMError> =>
        Effect.fail(Errors.update(first, { attempts: Attempt.concat(first.attempts, second.attempts) }))

      const race = (first: Running<A>, second: Running<A>): Effect.Effect<A, LLMError> =>
        Effect.flatMap(restore(firstToEnd(first, second)), (ended) => {
          const other = ended.request === first ? second : first
          const error = errorOf(ended.exit)
          if (error === undefined) {
            return Effect.suspend(() => {
              const loser = cancelledAttempt(other)
              return Effect.zipRight(
                Effect.zipRight(hedged.recordLatency(elapsed(first)), cancel(other)),
                resultOf(ended, Exit.isSuccess(ended.exit) ? [loser] : [])
              )
            })
          }
          return Effect.flatMap(restore(Fiber.await(other.fiber)), (exit) => {
            const otherError = errorOf(exit)
            if (otherError !== undefined) {
              return ended.request === first ? failBoth(error, otherError) : failBoth(otherError, error)
            }
            return Effect.zipRight(
              other === first ? hedged.recordLatency(elapsed(first)) : Effect.void,
              resultOf({ request: other, exit }, error.attempts)
            )
          })
        })

      const afterFailure = (first: Running<A>, exit: Exit.Exit<A, LLMError>): Effect.Effect<A, LLMError, R> => {
        const error = errorOf(exit)
        if (error === undefined || !hedged.onFailure) return finishAlone(first, exit)
        return Effect.flatMap(hedged.takePermit, (isPermitted) =>
          isPermitted
            ? Effect.flatMap(Effect.flatMap(hedged.second, start), (second) =>
                Effect.flatMap(restore(Fiber.await(second.fiber)), (secondExit) => {
                  const secondError = errorOf(secondExit)
                  return secondError === undefined
                    ? resultOf({ request: second, exit: secondExit }, error.attempts)
                    : failBoth(error, secondError)
                })
              )
            : finishAlone(first, exit)
        )
      }

      const run = Effect.flatMap(start(hedged.first), (first) =>
        Effect.flatMap(restore(endedWithin(first.fiber, hedged.delay)), (exit) => {
          if (exit !== undefined) return afterFailure(first, exit)
          return Effect.flatMap(hedged.takePermit, (isPermitted) =>
            isPermitted
              ? Effect.flatMap(Effect.flatMap(hedged.second, start), (second) => race(first, second))
              : Effect.flatMap(restore(Fiber.await(first.fiber)), (late) => finishAlone(first, late))
          )
        })
      )

      return Effect.onInterrupt(run, () => Effect.forEach(running, cancel, { discard: true, concurrency: "unbounded" }))
    })
  )
