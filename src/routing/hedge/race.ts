/** Races two requests: starts the second when the first takes too long, returns the first answer, and cancels the other. */
import { Cause, Effect, Exit, Fiber, Option } from "effect"
import * as Attempt from "../../vocabulary/attempt.js"
import type { LLMError } from "../../vocabulary/LLMError.js"
import * as Errors from "../../vocabulary/LLMError.js"
import type { ModelInfo } from "../../call/model.js"
import * as MonotonicClock from "../../internal/clock.js"
import { clockOf } from "../../internal/clock.js"
import { endedWithin } from "../../call/timeout.js"

export interface Request<A, R> {
  readonly info: ModelInfo
  readonly call: Effect.Effect<A, LLMError, R>
}

export interface HedgedCall<A, R> {
  readonly first: Request<A, R>
  /** Chosen when the second request is sent. */
  readonly second: () => Request<A, R>
  /** The time before the second request is sent, in milliseconds. */
  readonly delay: number
  /** Takes a permit for the second request; run once at most. False: the first request goes on alone. */
  readonly takePermit: () => boolean
  /** Whether the second request is also sent when the first fails before the delay. */
  readonly onFailure: boolean
  /** Records the latency of the first request, or the time until the second one won, in milliseconds. */
  readonly recordLatency: (millis: number) => void
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

/** Makes a hedged call. `makeCall` runs at each run of the effect. */
export const hedge = <A, R>(makeCall: () => HedgedCall<A, R>): Effect.Effect<A, LLMError, R> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.withFiberRuntime<A, LLMError, R>((caller) => {
      const hedged = makeCall()
      const clock = clockOf(caller)
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

      /** Waits for the requests. An interruption cancels them. */
      const awaiting = <B, C, R2>(
        wait: Effect.Effect<B>,
        next: (result: B) => Effect.Effect<C, LLMError, R2>
      ): Effect.Effect<C, LLMError, R2> =>
        Effect.matchCauseEffect(restore(wait), {
          onSuccess: next,
          onFailure: (cause) =>
            Effect.zipRight(
              Effect.forEach(running, cancel, { discard: true, concurrency: "unbounded" }),
              Effect.failCause(cause)
            )
        })

      const cancelledAttempt = (loser: Running<A>): Attempt.Attempt => ({
        provider: loser.info.provider,
        model: loser.info.model,
        keyId: "",
        error: "Interrupted",
        duration: elapsed(loser)
      })

      const resultOf = (
        { exit, request }: Ended<A>,
        earlier: ReadonlyArray<Attempt.Attempt>
      ): Effect.Effect<A, LLMError> =>
        Effect.zipRight(
          request.fiber.inheritAll,
          Exit.isFailure(exit) || earlier.length === 0
            ? exit
            : Effect.sync(() => hedged.withEarlier(exit.value, earlier))
        )

      const finishAlone = (only: Running<A>, exit: Exit.Exit<A, LLMError>): Effect.Effect<A, LLMError> => {
        if (Exit.isSuccess(exit)) hedged.recordLatency(elapsed(only))
        return resultOf({ request: only, exit }, [])
      }

      /** Fails with the error of the first request and the attempts of both. */
      const failBoth = (first: LLMError, second: LLMError): Effect.Effect<A, LLMError> =>
        Effect.fail(Errors.update(first, { attempts: Attempt.concat(first.attempts, second.attempts) }))

      const race = (first: Running<A>, second: Running<A>): Effect.Effect<A, LLMError> =>
        awaiting(firstToEnd(first, second), (ended) => {
          const other = ended.request === first ? second : first
          const error = errorOf(ended.exit)
          if (error === undefined) {
            const loser = cancelledAttempt(other)
            hedged.recordLatency(elapsed(first))
            return Effect.zipRight(cancel(other), resultOf(ended, Exit.isSuccess(ended.exit) ? [loser] : []))
          }
          return awaiting(Fiber.await(other.fiber), (exit) => {
            const otherError = errorOf(exit)
            if (otherError !== undefined) {
              return ended.request === first ? failBoth(error, otherError) : failBoth(otherError, error)
            }
            if (other === first) hedged.recordLatency(elapsed(first))
            return resultOf({ request: other, exit }, error.attempts)
          })
        })

      const startSecond = Effect.suspend(() => start(hedged.second()))

      const afterFailure = (first: Running<A>, exit: Exit.Exit<A, LLMError>): Effect.Effect<A, LLMError, R> => {
        const error = errorOf(exit)
        return error === undefined || !hedged.onFailure || !hedged.takePermit()
          ? finishAlone(first, exit)
          : Effect.flatMap(startSecond, (second) =>
              awaiting(Fiber.await(second.fiber), (secondExit) => {
                const secondError = errorOf(secondExit)
                return secondError === undefined
                  ? resultOf({ request: second, exit: secondExit }, error.attempts)
                  : failBoth(error, secondError)
              })
            )
      }

      return Effect.flatMap(start(hedged.first), (first) =>
        awaiting(endedWithin(first.fiber, hedged.delay), (exit): Effect.Effect<A, LLMError, R> => {
          if (exit !== undefined) return afterFailure(first, exit)
          return hedged.takePermit()
            ? Effect.flatMap(startSecond, (second) => race(first, second))
            : awaiting(Fiber.await(first.fiber), (late) => finishAlone(first, late))
        })
      )
    })
  )
