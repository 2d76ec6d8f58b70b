/** Chats on the straight way of the call plan whose answer is not streamed. */
import type { Fiber } from "effect"
import { Cause, Context, Effect, Exit, FiberRef, Option } from "effect"
import { longestTimer } from "../internal/clock.js"
import { Verdict, verdictOf } from "../keyPool/model.js"
import type { ChatRequest, ChatResponse } from "../vocabulary/Chat.js"
import * as Events from "../vocabulary/ChatEvent.js"
import type { LLMError } from "../vocabulary/LLMError.js"
import * as Usage from "../vocabulary/Usage.js"
import { consumedNothing, plausibleUsage, withUsage } from "./attempts.js"
import * as Watches from "./attemptWatch.js"
import { CallLimits } from "./limits.js"
import type { DirectClient } from "./directClient.js"
import type { Call, Plan, Restore } from "./plan.js"
import type { Added } from "./added.js"
import * as HandledFiber from "./handledFiber.js"
import { after, begin, continueAfter, continueSettled, continueWith, inAttempt, withAttempt } from "./plan.js"
import type { Send, Sending, Sent } from "./sending.js"
import { fromEffect, withinLimits } from "./sending.js"
import { expired, shorterLimit } from "./timeLimits.js"
import { notifying, withListeners } from "./usageListeners.js"
import * as Fibers from "../internal/fibers.js"

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
  inFlight.timer = undefined
  const { wake } = inFlight
  inFlight.wake = undefined
  wake?.()
}

/**
 * Finishes with the exit of a fiber. It captures the request in flight alone: V8 can put the observers of fibers into its old generation,
 * where they keep all that they reach until the next full garbage collection, which would make each call more expensive.
 */
const finishWith =
  (inFlight: InFlight) =>
  (exit: Answer): void =>
    finish(inFlight, exit)

/** Starts the timer of the limit that comes first. */
const startTimer = (plan: Plan, call: Call, inFlight: InFlight): void => {
  const { monotonicStart, clock, limits, watch } = call
  if (!plan.hasLimits) return
  const limit = shorterLimit(
    "response",
    plan.limits.response,
    Math.min(limits.deadline - monotonicStart, plan.limits.total)
  )
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
    plausibleUsage(deps, request, response.usage, () => Usage.estimateTokens(Events.generatedText(response)))
  )

/** Settles permit and key by the answer. Listeners of the usage run within the span of the call. */
const settle = (call: Call, answer: Answer): Effect.Effect<void> => {
  const settled = settleBy(call, answer)
  return settled === Effect.void || call.spans === undefined ? settled : Effect.withParentSpan(settled, call.spans.call)
}

const settleBy = (call: Call, answer: Answer): Effect.Effect<void> => {
  if (Exit.isSuccess(answer)) {
    const { latency, model, usage } = answer.value
    return call.settle(Verdict.Served({ latency }), "ok", usage, model)
  }
  const error = Option.getOrUndefined(Cause.failureOption(answer.cause))
  if (error === undefined || call.watch.isExpired) {
    return call.settle(...Watches.verdictOfInterruption(call.watch))
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
    const exit = Exit.succeed(response)
    call.recordSuccess()
    return continueSettled(call, settle(call, exit), () => after(call.record(exit, response.usage, response), exit))
  }
  const failure = Option.getOrUndefined(Cause.failureOption(answer.cause))
  if (failure === undefined) {
    return continueAfter(inFlight.abort(), () =>
      continueSettled(call, settle(call, answer), () => after(call.record(answer, undefined), answer))
    )
  }
  const error = withAttempt(plan, call, failure)
  return continueAfter(call.watch.isExpired ? inFlight.abort() : Effect.void, () =>
    continueSettled(call, settle(call, Exit.fail(error)), () =>
      continueWith(
        plan,
        call,
        error,
        (effect) => Effect.withFiberRuntime((fiber) => withinLimits(fiber, call.limits, restore(effect))),
        notifying(plan.effects.chat(call.request), call.listeners)
      )
    )
  )
}

/** The request in flight as a call that was sent. */
const sentOf = (plan: Plan, call: Call, inFlight: InFlight): Sent<ChatResponse> => {
  if (inFlight.answer === undefined) startTimer(plan, call, inFlight)
  return {
    isReady: () => inFlight.answer !== undefined,
    listen: (listener) => {
      inFlight.wake = listener
    },
    conclude: (restore) =>
      inFlight.answer === undefined
        ? Effect.dieMessage("A chat is concluded before its answer is there.")
        : conclude(plan, call, restore, inFlight, inFlight.answer),
    cancel: (cause) => {
      const { answer } = inFlight
      const interrupted = Exit.failCause(cause)
      finish(inFlight, interrupted)
      // The answer can be that of a time limit, whose request is still open.
      return continueAfter(inFlight.abort(), () => {
        const settled = settle(
          call,
          answer === undefined ? interrupted : Exit.map(answer, (response) => checked(plan, call, response))
        )
        return continueSettled(call, settled, () => call.record(interrupted, undefined))
      })
    }
  }
}

const newInFlight = (): InFlight => ({ answer: undefined, wake: undefined, timer: undefined, abort: () => Effect.void })

/** Sends the request by the client's plain functions. */
const sendDirectly = (plan: Plan, call: Call, direct: DirectClient): Sending<ChatResponse> => {
  const inFlight = newInFlight()
  const send = (): void => {
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
  }
  if (call.spans !== undefined) {
    return {
      onceSent: (use) => Effect.flatMap(inAttempt(call, Effect.sync(send)), () => use(sentOf(plan, call, inFlight)))
    }
  }
  send()
  return sentOf(plan, call, inFlight)
}

const interrupting = (fiber: Fiber.RuntimeFiber<unknown, unknown>) => (): Effect.Effect<void> =>
  Effect.asVoid(Fibers.interrupt(fiber))

/** Whether the context of the caller has what was handed down to the call. */
const isInContext = ({ limits, listeners }: Call, { currentContext }: Fiber.RuntimeFiber<unknown, unknown>): boolean =>
  listeners.length === 0 && Context.get(currentContext, CallLimits) === limits

/** The context with what was handed down to the call, for another `LLM` that a client calls. */
const handedDownTo =
  ({ limits, listeners }: Call) =>
  (context: Context.Context<never>): Context.Context<never> =>
    withListeners(listeners)(Context.add(context, CallLimits, limits))

/** Sends the request by the client's effect, in a fiber of its own so that a time limit can end it. */
const sendInFiber = (plan: Plan, call: Call, caller: Fiber.RuntimeFiber<unknown, unknown>): Sending<ChatResponse> => {
  const { client } = plan.deps
  const { affinity, key, kin, model, onRateLimits, request } = call
  const sent = () =>
    client.chat(request, {
      model,
      key,
      ...(affinity === undefined ? {} : { affinity }),
      ...(kin === undefined ? {} : { kin }),
      resends: true,
      onRateLimits: (limits) => Effect.sync(() => onRateLimits(limits))
    })
  const attempt = isInContext(call, caller)
    ? Effect.suspend(sent)
    : Effect.flatMap(FiberRef.update(FiberRef.currentContext, handedDownTo(call)), sent)
  return {
    onceSent: (use) =>
      Effect.flatMap(inAttempt(call, HandledFiber.fork(Effect.interruptible(attempt))), (fiber) => {
        const inFlight = newInFlight()
        inFlight.abort = interrupting(fiber)
        HandledFiber.observe(fiber, finishWith(inFlight))
        return use(sentOf(plan, call, inFlight))
      })
  }
}

/** Sends a chat whose answer comes whole. */
export const send =
  (
    plan: Plan,
    direct: DirectClient | undefined,
    request: ChatRequest,
    model: string,
    added: Added
  ): Send<ChatResponse> =>
  (fiber, limits) => {
    const call = begin(plan, fiber, request, model, false, limits, added)
    if (call === undefined) return fromEffect(notifying(plan.effects.chat(request), added.listeners))(fiber, limits)
    return direct === undefined ? sendInFiber(plan, call, fiber) : sendDirectly(plan, call, direct)
  }
