/**
 * Observation of calls by telemetry, the access log and callbacks: each call starts, opens when it is a stream, and ends exactly
 * once, whole or streamed, answered, failed or interrupted.
 */
import type { Fiber } from "effect"
import { Cause, Chunk, Effect, Exit, FiberId, Option, Predicate } from "effect"
import type { Attempt } from "../vocabulary/attempt.js"
import type { ChatRequest } from "../vocabulary/Chat.js"
import type { ChatEvent, Start } from "../vocabulary/ChatEvent.js"
import type { Cost } from "../vocabulary/cost.js"
import type { EmbeddingRequest } from "../vocabulary/Embedding.js"
import type { Service } from "../call/model.js"
import type { LLMError } from "../vocabulary/LLMError.js"
import * as TextTokens from "../vocabulary/textTokens.js"
import * as Usage from "../vocabulary/Usage.js"
import type { Finalizers } from "../call/finalizers.js"
import type { Open, OpenStream } from "../call/openStream.js"
import { openChat, toListeningChatStream, watched } from "../call/openStream.js"
import { after, continueAfter } from "../call/plan.js"
import type { Send } from "../call/sending.js"
import { attempt, conclude, fromEffect, isExit, mapSent, run, sendChat, toChat, unsent } from "../call/sending.js"
import { asObject, estimateInput } from "../call/request.js"
import type { Listeners } from "../call/usageListeners.js"
import { deltaText } from "../call/deltaText.js"
import { wrap } from "../call/wrap.js"

export interface ObservedCall {
  /** Operation name of the OpenTelemetry conventions. */
  readonly operation: "chat" | "embeddings"
  /** The requested model. */
  readonly model: string
  /** Absent for embeddings. */
  readonly request?: ChatRequest.Input
  readonly streamed: boolean
}

/** Metadata of an answer, or of the part of it that arrived. */
export interface Answer {
  readonly provider: string
  /** The model that answered. */
  readonly model: string
  readonly usage: Usage.Usage
  readonly attempts: ReadonlyArray<Attempt>
  readonly id?: string
  readonly keyId?: string
  readonly finishReason?: string
  readonly cost?: Cost
}

export interface CallObserver {
  /** Runs the call in its context, such as its span; a stream, until its first events. Absent for a call that needs none. */
  readonly around?: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  /** Records that the first events of a stream have arrived. */
  readonly opened: () => void
  /**
   * Records the end of the call, and returns what is left to run, such as the writing of a log line. For a broken or interrupted stream,
   * `answer` is what had arrived, with estimated usage.
   */
  readonly end: (exit: Exit.Exit<unknown, LLMError>, answer: Answer | undefined) => Effect.Effect<void>
}

/** Observes a call from its start, in the fiber of its caller. */
export type StartObserving = (call: ObservedCall, fiber: Fiber.RuntimeFiber<unknown, unknown>) => CallObserver

/** The typed error of a failed call. */
export const errorOf = (exit: Exit.Exit<unknown, LLMError>): LLMError | undefined =>
  Exit.isFailure(exit) ? Option.getOrUndefined(Cause.failureOption(exit.cause)) : undefined

/** Replaces invalid counts, which a custom `LLM` service can return. */
const withCheckedUsage = <A extends Answer>(answer: A): A => {
  const usage = Usage.checked(answer.usage, () => Usage.empty)
  return usage === answer.usage ? answer : { ...answer, usage }
}

/** The rest of a call whose exit has been observed. */
const ended = <A extends Answer>(observer: CallObserver, exit: Exit.Exit<A, LLMError>): Effect.Effect<A, LLMError> =>
  after(observer.end(exit, Exit.isSuccess(exit) ? withCheckedUsage(exit.value) : undefined), exit)

/** Observes a call that is an effect. */
const observedEffect = <A extends Answer, R>(
  observer: CallObserver,
  call: Effect.Effect<A, LLMError, R>
): Effect.Effect<A, LLMError, R> =>
  isExit(call)
    ? ended(observer, call)
    : Effect.matchCauseEffect(call, {
        onFailure: (cause) => ended(observer, Exit.failCause(cause)),
        onSuccess: (answer) => ended(observer, Exit.succeed(answer))
      })

/** Observes a call with one answer in its internal form. */
const observeWhole =
  <A extends Answer>(start: (fiber: Fiber.RuntimeFiber<unknown, unknown>) => CallObserver, send: Send<A>): Send<A> =>
  (fiber, limits) => {
    const observer = start(fiber)
    if (observer.around !== undefined) {
      const { around } = observer
      return unsent((restore) => observedEffect(observer, restore(around(run(send, limits)))))
    }
    return mapSent(attempt(send, fiber, limits), (sent) => ({
      isReady: sent.isReady,
      listen: sent.listen,
      conclude: (restore) => observedEffect(observer, conclude(sent, restore)),
      cancel: (cause) => continueAfter(sent.cancel(cause), () => observer.end(Exit.failCause(cause), undefined))
    }))
  }

/** Collects the metadata of a stream from its events and ends its observation once. */
const trackStream = (request: ChatRequest.Input, finalizers: Finalizers, end: CallObserver["end"]) => {
  let start: Start | undefined
  const output = TextTokens.growing()
  let hasEnded = false
  /** What is left to run of the end. The finalizer of the stream runs it when the consumer was interrupted before. */
  let left: Effect.Effect<void> = Effect.void
  const runLeft = Effect.uninterruptible(
    Effect.suspend(() => {
      const taken = left
      left = Effect.void
      return taken
    })
  )
  const endOnce = (exit: Exit.Exit<unknown, LLMError>, answer: Answer | undefined): Effect.Effect<void> => {
    if (!hasEnded) {
      hasEnded = true
      left = end(exit, answer && withCheckedUsage(answer))
    }
    return left === Effect.void ? Effect.void : runLeft
  }
  const partialAnswer = (): Answer | undefined =>
    start && {
      ...start,
      usage: Usage.make({
        inputTokens: estimateInput(asObject(request)),
        outputTokens: output.tokens(),
        estimated: true
      })
    }
  return {
    onEvents: (events: Chunk.Chunk<ChatEvent>): Effect.Effect<void> | undefined => {
      for (const event of Chunk.toReadonlyArray(events)) {
        if (event._tag === "Start") start = event
        else if (event._tag === "Finish") {
          const { cost, reason, usage } = event
          return endOnce(
            finalizers.isAbandoned() ? Exit.interrupt(FiberId.none) : Exit.void,
            start && { ...start, usage, finishReason: reason, ...(cost === undefined ? {} : { cost }) }
          )
        } else output.add(deltaText(event))
      }
      return undefined
    },
    onEnd: (exit: Exit.Exit<unknown, LLMError>): Effect.Effect<void> =>
      endOnce(exit, hasEnded ? undefined : partialAnswer())
  }
}

const observeStream =
  (
    start: (fiber: Fiber.RuntimeFiber<unknown, unknown>) => CallObserver,
    next: Service,
    request: ChatRequest.Input,
    listeners: Listeners
  ): Open =>
  (finalizers) =>
    Effect.uninterruptibleMask((restore) =>
      Effect.withFiberRuntime<OpenStream, LLMError>((fiber) => {
        const observer = start(fiber)
        const { onEnd, onEvents } = trackStream(request, finalizers, observer.end)
        // A stream of an `LLM` that throws ends its observation, too.
        const open = Effect.suspend(() => openChat(next, request, listeners)(finalizers))
        return finalizers.add(
          () => onEnd(Exit.interrupt(FiberId.none)),
          () =>
            Effect.matchCauseEffect(restore(observer.around === undefined ? open : observer.around(open)), {
              onFailure: (cause) => after(onEnd(Exit.failCause(cause)), Effect.failCause(cause)),
              onSuccess: (opened) => {
                observer.opened()
                return watched(opened, {
                  onEvents,
                  onEnd: (end) => (Option.isSome(end) ? onEnd(Exit.fail(end.value)) : undefined)
                })
              }
            })
        )
      })
    )

/** Observes the calls of a service. */
export const instrument = (next: Service, startObserving: StartObserving): Service => {
  const modelOf = (request: ChatRequest.Input | EmbeddingRequest.Input): string =>
    Predicate.hasProperty(request, "model") && typeof request.model === "string" ? request.model : next.info.model
  const startChat =
    (request: ChatRequest.Input, streamed: boolean) =>
    (fiber: Fiber.RuntimeFiber<unknown, unknown>): CallObserver =>
      startObserving({ operation: "chat", model: modelOf(request), request, streamed }, fiber)
  return wrap(next, {
    chat: toChat((input, added) => observeWhole(startChat(input, false), sendChat(next, input, added))),
    embed: (request) =>
      run(
        observeWhole(
          (fiber) => startObserving({ operation: "embeddings", model: modelOf(request), streamed: false }, fiber),
          fromEffect(next.embed(request))
        )
      ),
    chatStream: toListeningChatStream((request, listeners) =>
      observeStream(startChat(request, true), next, request, listeners)
    )
  })
}
