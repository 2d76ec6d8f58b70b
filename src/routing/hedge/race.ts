/** Races two requests: starts the second when the first takes too long, returns the first answer, and cancels the other. */
import type { Clock } from "effect"
import { Cause, Effect, Exit, Option } from "effect"
import * as Attempt from "../../vocabulary/attempt.js"
import type { LLMError } from "../../vocabulary/LLMError.js"
import * as Errors from "../../vocabulary/LLMError.js"
import type { Limits } from "../../call/limits.js"
import type { ModelInfo } from "../../call/model.js"
import type { Restore } from "../../call/plan.js"
import type { Send, Sent } from "../../call/sending.js"
import { attempt, awaitAnswer, conclude, isExit, mapSent, run } from "../../call/sending.js"
import * as MonotonicClock from "../../internal/clock.js"
import { clockOf } from "../../internal/clock.js"
import * as HandledFiber from "../../call/handledFiber.js"
import { endedWithin } from "../../call/timeout.js"

export interface Request<A, R> {
  readonly info: ModelInfo
  readonly send: Send<A, R>
  readonly limits: Limits
}

export interface HedgedCall<A, R> {
  readonly first: Request<A, R>
  /** Chosen when the second request is sent. */
  readonly second: () => Request<A, R>
  /** The time before the second request is sent, in milliseconds. */
  readonly delay: number
  /** Takes a permit for the second request; run once at most. False: only the first request runs. */
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
  readonly fiber: HandledFiber.HandledFiber<A, LLMError>
  readonly startedAt: number
}

interface Ended<A> {
  readonly request: Running<A>
  readonly exit: Exit.Exit<A, LLMError>
}

/** Waits for the first of two requests to end. */
const firstToEnd = <A>(one: Running<A>, other: Running<A>): Effect.Effect<Ended<A>> =>
  Effect.async((resume) => {
    const observations = [one, other].map((request) =>
      HandledFiber.observe(request.fiber, (exit) => {
        stop()
        resume(Effect.succeed({ request, exit }))
      })
    )
    const stop = () => {
      for (const stopOne of observations) stopOne()
    }
    return Effect.sync(stop)
  })

/** The typed error of an exit; undefined for an answer, a defect and an interruption, which all end the call. */
const errorOf = <A>(exit: Exit.Exit<A, LLMError>): LLMError | undefined =>
  Exit.isSuccess(exit) ? undefined : Option.getOrUndefined(Cause.failureOption(exit.cause))

/** A hedged call whose first request was sent. */
interface Begun<A, R> extends HedgedCall<A, R> {
  readonly clock: Clock.Clock
  /** In milliseconds of the monotonic clock. */
  readonly startedAt: number
}

/** Continues a call with requests in fibers, whose waits are interruptible by `restore`. */
const inFibers = <A, R>(hedged: Begun<A, R>, restore: Restore) => {
  const elapsed = (since: number): number => MonotonicClock.now(hedged.clock) - since

  const start = (
    info: ModelInfo,
    startedAt: number,
    call: Effect.Effect<A, LLMError, R>
  ): Effect.Effect<Running<A>, never, R> => Effect.map(HandledFiber.fork(call), (fiber) => ({ info, fiber, startedAt }))

  const startSecond = Effect.suspend(() => {
    const { info, limits, send } = hedged.second()
    // The loser must be interruptible, even if the caller is not.
    return start(info, MonotonicClock.now(hedged.clock), Effect.interruptible(run(send, limits)))
  })

  /** Interrupts, waits for the finalizers, and discards a result that came too late. */
  const cancel = ({ fiber }: Running<A>): Effect.Effect<void> =>
    Effect.flatMap(HandledFiber.interrupt(fiber), (exit) =>
      Exit.isSuccess(exit) ? hedged.discard(exit.value) : Effect.void
    )

  const cancelledAttempt = (loser: Running<A>): Attempt.Attempt => ({
    provider: loser.info.provider,
    model: loser.info.model,
    keyId: "",
    error: "Interrupted",
    duration: elapsed(loser.startedAt)
  })

  const resultOf = ({ exit, request }: Ended<A>, earlier: ReadonlyArray<Attempt.Attempt>): Effect.Effect<A, LLMError> =>
    Effect.zipRight(
      request.fiber.inheritAll,
      Exit.isFailure(exit) || earlier.length === 0 ? exit : Effect.sync(() => hedged.withEarlier(exit.value, earlier))
    )

  const recordFirst = (): void => hedged.recordLatency(elapsed(hedged.startedAt))

  /** Fails with the error of the first request and the attempts of both. */
  const failBoth = (first: LLMError, second: LLMError): Effect.Effect<A, LLMError> =>
    Effect.fail(Errors.update(first, { attempts: Attempt.concat(first.attempts, second.attempts) }))

  /** Waits for the requests. An interruption cancels them. */
  const awaiting = <B, C, R2>(
    running: ReadonlyArray<Running<A>>,
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

  const race = (first: Running<A>, second: Running<A>): Effect.Effect<A, LLMError> =>
    awaiting([first, second], firstToEnd(first, second), (ended) => {
      const other = ended.request === first ? second : first
      const error = errorOf(ended.exit)
      if (error === undefined) {
        const loser = cancelledAttempt(other)
        recordFirst()
        return Effect.zipRight(cancel(other), resultOf(ended, Exit.isSuccess(ended.exit) ? [loser] : []))
      }
      return awaiting([other], HandledFiber.awaitExit(other.fiber), (exit) => {
        const otherError = errorOf(exit)
        if (otherError !== undefined) {
          return ended.request === first ? failBoth(error, otherError) : failBoth(otherError, error)
        }
        if (other === first) recordFirst()
        return resultOf({ request: other, exit }, error.attempts)
      })
    })

  /** Ends with the exit of the first request, or sends the second one after its failure. `end` is the effect of that exit. */
  const afterFirst = (exit: Exit.Exit<A, LLMError>, end: Effect.Effect<A, LLMError>): Effect.Effect<A, LLMError, R> => {
    if (Exit.isSuccess(exit)) {
      recordFirst()
      return end
    }
    const error = errorOf(exit)
    return error === undefined || !hedged.onFailure || !hedged.takePermit()
      ? end
      : Effect.flatMap(startSecond, (second) =>
          awaiting([second], HandledFiber.awaitExit(second.fiber), (secondExit) => {
            const secondError = errorOf(secondExit)
            return secondError === undefined
              ? resultOf({ request: second, exit: secondExit }, error.attempts)
              : failBoth(error, secondError)
          })
        )
  }

  const alone = (first: Running<A>, exit: Exit.Exit<A, LLMError>): Effect.Effect<A, LLMError> => {
    if (Exit.isSuccess(exit)) recordFirst()
    return resultOf({ request: first, exit }, [])
  }

  /** The first request as an effect, with the rest of the delay. */
  const continued = (call: Effect.Effect<A, LLMError, R>): Effect.Effect<A, LLMError, R> =>
    Effect.flatMap(start(hedged.first.info, hedged.startedAt, call), (first) =>
      awaiting(
        [first],
        endedWithin(first.fiber, Math.max(0, hedged.delay - elapsed(hedged.startedAt))),
        (exit): Effect.Effect<A, LLMError, R> => {
          if (exit !== undefined) return afterFirst(exit, resultOf({ request: first, exit }, []))
          return hedged.takePermit()
            ? Effect.flatMap(startSecond, (second) => race(first, second))
            : awaiting([first], HandledFiber.awaitExit(first.fiber), (late) => alone(first, late))
        }
      )
    )

  /** The first request when its delay is over. */
  const late = (sent: Sent<A, R>): Effect.Effect<A, LLMError, R> =>
    hedged.takePermit()
      ? Effect.flatMap(start(hedged.first.info, hedged.startedAt, awaitAnswer(sent, Effect.interruptible)), (first) =>
          Effect.flatMap(startSecond, (second) => race(first, second))
        )
      : Effect.map(awaitAnswer(sent, restore), (answer) => {
          recordFirst()
          return answer
        })

  return { afterFirst, continued, late }
}

/**
 * Makes a hedged call. `makeCall` runs each time that it is sent.
 *
 * The first request is sent in the fiber of the caller, and gets a fiber of its own when there is something to race with. That is
 * a second request, or the delay while it does more than to wait for its answer.
 */
export const hedge =
  <A, R>(makeCall: (limits: Limits) => HedgedCall<A, R>): Send<A, R> =>
  (caller, limits) => {
    const hedged = makeCall(limits)
    const clock = clockOf(caller)
    const startedAt = MonotonicClock.now(clock)
    const continuing = (restore: Restore) => inFibers({ ...hedged, clock, startedAt }, restore)

    return mapSent(attempt(hedged.first.send, caller, hedged.first.limits), (first) => {
      let isLate = false
      let wake: (() => void) | undefined
      let timer: ReturnType<typeof setTimeout> | undefined
      if (!first.isReady()) {
        first.listen(() => wake?.())
        // Only calls with the live clock wait for an answer here.
        if (hedged.delay <= MonotonicClock.longestTimer) {
          timer = setTimeout(() => {
            isLate = true
            wake?.()
          }, hedged.delay)
        }
      }
      const stop = (): void => {
        clearTimeout(timer)
        timer = undefined
        wake = undefined
      }
      return {
        isReady: () => isLate || first.isReady(),
        listen: (listener) => {
          wake = listener
        },
        cancel: (cause) => {
          stop()
          return first.cancel(cause)
        },
        conclude: (restore) => {
          stop()
          if (!first.isReady()) return continuing(restore).late(first)
          const answer = conclude(first, Effect.interruptible)
          if (!isExit(answer)) return continuing(restore).continued(answer)
          if (Exit.isFailure(answer)) return continuing(restore).afterFirst(answer, answer)
          hedged.recordLatency(MonotonicClock.now(clock) - startedAt)
          return answer
        }
      }
    })
  }
