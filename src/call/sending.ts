/**
 * The internal form of a call with one answer: plain code sends it and returns what is left to do when its answer is there.
 *
 * A policy over several `LLM`s calls them in this form and adds to what is left to do. The outermost policy waits for the answer in the
 * fiber of the caller. A call through nested policies has one uninterruptible region and one wait, and its limits are handed down as a
 * value instead of a change of the context. A call of an `LLM` without this form, or one that plain code cannot send, is an effect.
 * Nothing of it is sent, and its conclusion is the whole call.
 */
import type { Cause, Fiber } from "effect"
import { Context, Effect, Exit, Predicate } from "effect"
import { whileChanged } from "../internal/context.js"
import type { ChatRequest, ChatResponse } from "../vocabulary/Chat.js"
import type { LLMError } from "../vocabulary/LLMError.js"
import type { Added } from "./added.js"
import { nothing } from "./added.js"
import type { Limits } from "./limits.js"
import { CallLimits } from "./limits.js"
import type { Service } from "./model.js"
import type { Restore } from "./plan.js"
import { continueAfter } from "./plan.js"
import { passedOn } from "./request.js"
import { notifying } from "./usageListeners.js"

/** A call that was sent. It ends with one `conclude` or one `cancel`, in an uninterruptible region. */
export interface Sent<A, R = never> {
  /** Whether `conclude` can be run. */
  readonly isReady: () => boolean
  /** Runs the listener when `conclude` can be run. A later listener replaces it. */
  readonly listen: (listener: () => void) => void
  /** Ends the call with its answer, or continues it, interruptible by `restore`. An `Exit` when nothing is left to run. */
  readonly conclude: (restore: Restore) => Effect.Effect<A, LLMError, R>
  /** Ends the call without its answer. */
  readonly cancel: (cause: Cause.Cause<never>) => Effect.Effect<void>
}

/** A call that an effect sends. */
interface Pending<A, R> {
  readonly onceSent: <B, E, R2>(use: (sent: Sent<A, R>) => Effect.Effect<B, E, R2>) => Effect.Effect<B, E, R2>
}

export type Sending<A, R = never> = Sent<A, R> | Pending<A, R>

/**
 * Sends a call, in an uninterruptible region. The limits take the place of those in context. The fiber is that of the caller or one
 * with the same context.
 */
export type Send<A, R = never> = (fiber: Fiber.RuntimeFiber<unknown, unknown>, limits: Limits) => Sending<A, R>

export const isExit = <A, E, R>(effect: Effect.Effect<A, E, R>): effect is Exit.Exit<A, E> => Exit.isExit(effect)

/** Continues with a call once it is sent. */
export const onceSent = <A, R, B, E, R2>(
  sending: Sending<A, R>,
  use: (sent: Sent<A, R>) => Effect.Effect<B, E, R2>
): Effect.Effect<B, E, R2> => ("onceSent" in sending ? sending.onceSent(use) : use(sending))

/** Changes a call that was sent, or will be. */
export const mapSent = <A, R, B, R2>(
  sending: Sending<A, R>,
  change: (sent: Sent<A, R>) => Sent<B, R2>
): Sending<B, R2> =>
  "onceSent" in sending ? { onceSent: (use) => sending.onceSent((sent) => use(change(sent))) } : change(sending)

const always = (): boolean => true

const ignore = (): void => {}

const cancelNothing = (): Effect.Effect<void> => Effect.void

/** A call of which nothing was sent yet: its conclusion is the whole call. */
export const unsent = <A, R>(conclude: Sent<A, R>["conclude"]): Sent<A, R> => ({
  isReady: always,
  listen: ignore,
  conclude,
  cancel: cancelNothing
})

/** Sends a call. What its code throws is a defect of the call. */
export const attempt = <A, R>(
  send: Send<A, R>,
  fiber: Fiber.RuntimeFiber<unknown, unknown>,
  limits: Limits
): Sending<A, R> => {
  try {
    return send(fiber, limits)
  } catch (defect) {
    return unsent(() => Exit.die(defect))
  }
}

/** Concludes a call. What its code throws is a defect of the call. */
export const conclude = <A, R>(sent: Sent<A, R>, restore: Restore): Effect.Effect<A, LLMError, R> => {
  try {
    return sent.conclude(restore)
  } catch (defect) {
    return Exit.die(defect)
  }
}

/** Runs an effect with limits, in an uninterruptible region of the fiber or of one with the same context. */
export const withinLimits = <A, E, R>(
  fiber: Fiber.RuntimeFiber<unknown, unknown>,
  limits: Limits,
  effect: Effect.Effect<A, E, R>
): Effect.Effect<A, E, R> =>
  Context.get(fiber.currentContext, CallLimits) === limits
    ? effect
    : whileChanged(effect, Context.add(CallLimits, limits))

/** Sends a call that is an effect. */
export const fromEffect =
  <A, R>(effect: Effect.Effect<A, LLMError, R>): Send<A, R> =>
  (fiber, limits) =>
    unsent((restore) => withinLimits(fiber, limits, restore(effect)))

/** Waits for the answer of a call that was sent, in an uninterruptible region. */
export const awaitAnswer = <A, R>(sent: Sent<A, R>, restore: Restore): Effect.Effect<A, LLMError, R> =>
  sent.isReady()
    ? sent.conclude(restore)
    : Effect.matchCauseEffect(
        restore(
          Effect.async<void>((resume) => {
            const wake = (): void => resume(Effect.void)
            if (sent.isReady()) wake()
            else sent.listen(wake)
          })
        ),
        {
          onSuccess: () => sent.conclude(restore),
          onFailure: (cause) => continueAfter(sent.cancel(cause), () => Effect.failCause(cause))
        }
      )

/** Sends a call and waits for its answer, with the limits in context unless others are given. */
export const run = <A, R>(send: Send<A, R>, limits?: Limits): Effect.Effect<A, LLMError, R> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.withFiberRuntime((fiber) =>
      onceSent(send(fiber, limits ?? Context.get(fiber.currentContext, CallLimits)), (sent) =>
        awaitAnswer(sent, restore)
      )
    )
  )

/** Changes how a call that was sent is concluded. */
export const mapConclusion = <A, R, B, R2>(
  sending: Sending<A, R>,
  change: (answer: Effect.Effect<A, LLMError, R>, restore: Restore) => Effect.Effect<B, LLMError, R2>
): Sending<B, R2> =>
  mapSent(sending, (sent) => ({
    isReady: sent.isReady,
    listen: sent.listen,
    conclude: (restore) => change(conclude(sent, restore), restore),
    cancel: sent.cancel
  }))

/** Changes the answer of a call. */
export const mapAnswer =
  <A, R, B>(send: Send<A, R>, change: (answer: A) => B): Send<B, R> =>
  (fiber, limits) =>
    mapConclusion(send(fiber, limits), (answer) =>
      isExit(answer) ? Exit.map(answer, change) : Effect.map(answer, change)
    )

// -------------------------------------------------------------------------------------
// chats
// -------------------------------------------------------------------------------------

/** Sends a chat, with what the middlewares around it have added to it. */
export type SendChat = (input: ChatRequest.Input, added: Added) => Send<ChatResponse>

/** The same as an effect. */
export type RunChat = (input: ChatRequest.Input, added: Added) => Effect.Effect<ChatResponse, LLMError>

interface InnerChat {
  readonly send: SendChat
  readonly run: RunChat
}

const InnerId: unique symbol = Symbol("effect-llm/InnerChat")

interface WithInner {
  readonly [InnerId]: InnerChat
}

const withInner = (inner: InnerChat): Service["chat"] => {
  const annotation: WithInner = { [InnerId]: inner }
  return Object.assign((input: ChatRequest.Input) => inner.run(input, nothing), annotation)
}

/** The `chat` of an `LLM` that carries its internal form. */
export const toChat = (send: SendChat): Service["chat"] =>
  withInner({ send, run: (input, added) => run(send(input, added)) })

/** The same for a middleware whose chat is an effect. */
export const toChatOf = (run: RunChat): Service["chat"] =>
  withInner({ send: (input, added) => fromEffect(Effect.suspend(() => run(input, added))), run })

const hasInner = (chat: Service["chat"]): chat is Service["chat"] & WithInner => Predicate.hasProperty(chat, InnerId)

const chatWith = (service: Service, input: ChatRequest.Input, { listeners, request }: Added): ReturnType<RunChat> =>
  notifying(service.chat(request === undefined ? input : passedOn(input, request)), listeners)

/** Sends a chat to an `LLM`, in its internal form if its `chat` carries one. Any other gets what was added in its context. */
export const sendChat = (service: Service, input: ChatRequest.Input, added: Added): Send<ChatResponse> => {
  const { chat } = service
  return hasInner(chat)
    ? chat[InnerId].send(input, added)
    : fromEffect(Effect.suspend(() => chatWith(service, input, added)))
}

/** The same as an effect. */
export const runChat = (service: Service, input: ChatRequest.Input, added: Added): ReturnType<RunChat> => {
  const { chat } = service
  return hasInner(chat) ? chat[InnerId].run(input, added) : chatWith(service, input, added)
}
