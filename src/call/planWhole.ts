/** Chats on the straight way of the call plan whose answer is not streamed. */
import { Cause, Effect, Exit, Fiber, Option } from "effect"
import { longestTimer } from "../internal/clock.js"
import { Verdict, verdictOf } from "../keyPool/model.js"
import type { ChatRequest, ChatResponse } from "../vocabulary/Chat.js"
import * as Events from "../vocabulary/ChatEvent.js"
import type { LLMError } from "../vocabulary/LLMError.js"
import * as Usage from "../vocabulary/Usage.js"
import { consumedNothing, plausibleUsage, withUsage } from "./attempts.js"
import * as Watches from "./attemptWatch.js"
import type { DirectClient } from "./directClient.js"
import type { Call, Plan, Restore } from "./plan.js"
import { after, begin, continueWith, continueAfter, withAttempt } from "./plan.js"
import { expired, shorterLimit } from "./timeLimits.js"

type Answer = Exit.Exit<ChatResponse, LLMError>

/** A request in flight. */
interface InFlight {
  /** The answer, once it is there. */
  answer: Answer | undefined
  /** Continues the fiber of the call. */
  wake: (() => void) | undefined
  timer: ReturnType<typeof setTimeout> | undefined
  /** Aborts the request. The resulting effect waits until it has ended. */
  abort: () => Effect.Effect<void>
}

const finish = (inFlight: InFlight, answer: Answer): void => {
  if (inFlight.answer !== undefined) return
  inFlight.answer = answer
  clearTimeout(inFlight.timer)
  inFlight.wake?.()
}

/** Starts the timer of the limit that comes first. */
const startTimer = (plan: Plan, call: Call, inFlight: InFlight): void => {
  const { clock, limits, startedAt, watch } = call
  if (!plan.hasLimits) return
  const limit = shorterLimit("response", plan.limits.response, Math.min(limits.deadline - startedAt, plan.limits.total))
  if (limit.millis > longestTimer) return
  inFlight.timer = setTimeout(() => {
    // A timer runs outside of any fiber: an exception would end the process.
    try {
      finish(inFlight, Exit.fail(expired(plan.deps.info, limit, clock.unsafeCurrentTimeMillis(), watch)))
    } catch (defect) {
      finish(inFlight, Exit.die(defect))
    }
  }, limit.millis)
}

/** The answer, with an estimate in place of an implausible usage. */
const checked = ({ deps }: Plan, { request }: Call, response: ChatResponse): ChatResponse =>
  withUsage(
    response,
    plausibleUsage(deps, request, response.usage, () => Events.generatedText(response))
  )

/** Settles permit and key by the answer. */
const settle = (call: Call, answer: Answer): Effect.Effect<void> => {
  if (Exit.isSuccess(answer)) {
    const { latency, model, usage } = answer.value
    return call.settle(Verdict.Served({ latency }), "ok", usage, model)
  }
  const error = Option.getOrUndefined(Cause.failureOption(answer.cause))
  if (error === undefined || call.watch.isExpired) {
    return call.settle(Verdict.Neutral(), Watches.isExpired(call.watch) ? "TimeoutError" : "interrupted")
  }
  return call.settle(verdictOf(error), error._tag, consumedNothing(error) ? Usage.empty : undefined)
}

/** Ends the call with its answer, or continues it with effects. */
const conclude = (
  plan: Plan,
  call: Call,
  restore: Restore,
  inFlight: InFlight,
  answer: Answer
): Effect.Effect<ChatResponse, LLMError> => {
  if (Exit.isSuccess(answer)) {
    const response = checked(plan, call, answer.value)
    const settled = settle(call, Exit.succeed(response))
    call.recordSuccess()
    call.record("ok", response.usage)
    return after(settled, Effect.succeed(response))
  }
  const failure = Option.getOrUndefined(Cause.failureOption(answer.cause))
  if (failure === undefined) {
    return continueAfter(inFlight.abort(), () => {
      const settled = settle(call, answer)
      call.record(Cause.isInterrupted(answer.cause) ? "interrupted" : "defect", undefined)
      return after(settled, answer)
    })
  }
  const error = withAttempt(plan, call, failure)
  return continueAfter(call.watch.isExpired ? inFlight.abort() : Effect.void, () =>
    after(settle(call, Exit.fail(error)), restore(continueWith(plan, call, error, plan.effects.chat(call.request))))
  )
}

/** Waits for the answer. */
const wait = (plan: Plan, call: Call, restore: Restore, inFlight: InFlight): Effect.Effect<ChatResponse, LLMError> => {
  if (inFlight.answer !== undefined) return conclude(plan, call, restore, inFlight, inFlight.answer)
  startTimer(plan, call, inFlight)
  return Effect.matchCauseEffect(
    restore(
      Effect.async<Answer>((resume) => {
        if (inFlight.answer !== undefined) return resume(Effect.succeed(inFlight.answer))
        inFlight.wake = () => {
          if (inFlight.answer !== undefined) resume(Effect.succeed(inFlight.answer))
        }
      })
    ),
    {
      onSuccess: (answer) => conclude(plan, call, restore, inFlight, answer),
      onFailure: (cause) => {
        const { answer } = inFlight
        finish(inFlight, Exit.failCause(cause))
        // The answer can be that of a time limit, whose request is still open.
        return continueAfter(inFlight.abort(), () => {
          const settled = settle(
            call,
            answer === undefined ? Exit.failCause(cause) : Exit.map(answer, (response) => checked(plan, call, response))
          )
          call.record("interrupted", undefined)
          return after(settled, Effect.failCause(cause))
        })
      }
    }
  )
}

const newInFlight = (): InFlight => ({ answer: undefined, wake: undefined, timer: undefined, abort: () => Effect.void })

/** Sends the request by the client's plain functions. */
const sendDirectly = (
  plan: Plan,
  call: Call,
  direct: DirectClient,
  restore: Restore
): Effect.Effect<ChatResponse, LLMError> => {
  const inFlight = newInFlight()
  try {
    const { abort } = direct.chat(call.request, call, (result) =>
      finish(inFlight, result._tag === "Right" ? Exit.succeed(result.right) : Exit.fail(result.left))
    )
    inFlight.abort = () => {
      abort()
      return Effect.void
    }
  } catch (defect) {
    finish(inFlight, Exit.die(defect))
  }
  return wait(plan, call, restore, inFlight)
}

/** Sends the request by the client's effect, in a fiber of its own so that a time limit can end it. */
const sendInFiber = (plan: Plan, call: Call, restore: Restore): Effect.Effect<ChatResponse, LLMError> => {
  const { client } = plan.deps
  const { key, model, onRateLimits, request } = call
  const attempt = Effect.suspend(() =>
    client.chat(request, { model, key, onRateLimits: (limits) => Effect.sync(() => onRateLimits(limits)) })
  )
  return Effect.flatMap(Effect.forkDaemon(Effect.interruptible(attempt)), (fiber) => {
    const inFlight = newInFlight()
    inFlight.abort = () => Effect.asVoid(Fiber.interrupt(fiber))
    fiber.addObserver((exit) => finish(inFlight, exit))
    return wait(plan, call, restore, inFlight)
  })
}

/** Sends a chat and waits for the whole answer. */
export const chat = (
  plan: Plan,
  direct: DirectClient | undefined,
  request: ChatRequest,
  model: string
): Effect.Effect<ChatResponse, LLMError> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.withFiberRuntime((fiber) => {
      const call = begin(plan, fiber, request, model)
      if (call === undefined) return restore(plan.effects.chat(request))
      return direct === undefined ? sendInFiber(plan, call, restore) : sendDirectly(plan, call, direct, restore)
    })
  )
