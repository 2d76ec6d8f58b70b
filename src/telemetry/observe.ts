/**
 * Observation of calls by telemetry, the access log and callbacks: each call starts, opens when it is a stream, and ends exactly
 * once, whole or streamed, answered, failed or interrupted.
 */
import type { Chunk } from "effect"
import { Cause, Effect, Exit, FiberId, Option, Predicate } from "effect"
import type { Attempt } from "../vocabulary/attempt.js"
import type { ChatRequest } from "../vocabulary/Chat.js"
import type { ChatEvent, Start } from "../vocabulary/ChatEvent.js"
import type { Cost } from "../vocabulary/cost.js"
import type { EmbeddingRequest } from "../vocabulary/Embedding.js"
import type { Service } from "../call/model.js"
import type { LLMError } from "../vocabulary/LLMError.js"
import * as TextTokens from "../vocabulary/textTokens.js"
import * as Usage from "../vocabulary/Usage.js"
import type { Open, OpenStream } from "../call/openStream.js"
import { fromStream, toStream } from "../call/openStream.js"
import { asObject, estimateInput } from "../call/request.js"
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
  /** Runs the call in its context, such as its span; a stream, until its first events. */
  readonly around: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  /** Runs when the first events of a stream have arrived. */
  readonly opened: Effect.Effect<void>
  /** Runs when the call has ended. For a broken or interrupted stream, `answer` is what had arrived, with estimated usage. */
  readonly end: (exit: Exit.Exit<unknown, LLMError>, answer: Answer | undefined) => Effect.Effect<void>
}

export type StartObserving = (call: ObservedCall) => Effect.Effect<CallObserver>

/** The typed error of a failed call. */
export const errorOf = (exit: Exit.Exit<unknown, LLMError>): LLMError | undefined =>
  Exit.isFailure(exit) ? Option.getOrUndefined(Cause.failureOption(exit.cause)) : undefined

/** Replaces invalid counts, which a custom `LLM` service can return. */
const withCheckedUsage = <A extends Answer>(answer: A): A => {
  const usage = Usage.checked(answer.usage, () => Usage.empty)
  return usage === answer.usage ? answer : { ...answer, usage }
}

const observeWhole = <A extends Answer>(
  start: Effect.Effect<CallObserver>,
  call: Effect.Effect<A, LLMError>
): Effect.Effect<A, LLMError> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.flatMap(start, ({ around, end }) =>
      Effect.onExit(restore(around(call)), (exit) =>
        end(exit, Exit.isSuccess(exit) ? withCheckedUsage(exit.value) : undefined)
      )
    )
  )

/** Collects the metadata of a stream from its events and ends its observation once. */
const trackStream = (request: ChatRequest.Input, end: CallObserver["end"]) => {
  let start: Start | undefined
  const output = TextTokens.growing()
  let hasEnded = false
  const endOnce = (exit: Exit.Exit<unknown, LLMError>, answer: Answer | undefined): Effect.Effect<void> => {
    if (hasEnded) return Effect.void
    hasEnded = true
    return end(exit, answer && withCheckedUsage(answer))
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
    onEvents: (events: Chunk.Chunk<ChatEvent>): Effect.Effect<void> => {
      for (const event of events) {
        if (event._tag === "Start") start = event
        else if (event._tag === "Finish") {
          const { cost, reason, usage } = event
          return endOnce(
            Exit.void,
            start && { ...start, usage, finishReason: reason, ...(cost === undefined ? {} : { cost }) }
          )
        } else output.add(deltaText(event))
      }
      return Effect.void
    },
    onEnd: (exit: Exit.Exit<unknown, LLMError>): Effect.Effect<void> =>
      Effect.suspend(() => endOnce(exit, partialAnswer()))
  }
}

const observeStream = (start: Effect.Effect<CallObserver>, next: Service, request: ChatRequest.Input): Open =>
  Effect.uninterruptibleMask((restore) =>
    Effect.flatMap(start, (observer) => {
      const { onEnd, onEvents } = trackStream(request, observer.end)
      return Effect.zipRight(
        Effect.addFinalizer(() => onEnd(Exit.interrupt(FiberId.none))),
        Effect.matchCauseEffect(restore(observer.around(fromStream(next.chatStream(request)))), {
          onFailure: (cause) => Effect.zipRight(onEnd(Exit.failCause(cause)), Effect.failCause(cause)),
          onSuccess: (opened) => {
            const instrumented: OpenStream = {
              first: opened.first,
              pull: Effect.matchEffect(opened.pull, {
                onSuccess: (events) => Effect.as(onEvents(events), events),
                onFailure: (end) =>
                  Effect.zipRight(
                    Option.match(end, { onNone: () => Effect.void, onSome: (error) => onEnd(Exit.fail(error)) }),
                    Effect.fail(end)
                  )
              })
            }
            return Effect.as(Effect.zipRight(observer.opened, onEvents(opened.first)), instrumented)
          }
        })
      )
    })
  )

/** Observes the calls of a service. */
export const instrument = (next: Service, startObserving: StartObserving): Service => {
  const modelOf = (request: ChatRequest.Input | EmbeddingRequest.Input): string =>
    Predicate.hasProperty(request, "model") && typeof request.model === "string" ? request.model : next.info.model
  const startChat = (request: ChatRequest.Input, streamed: boolean): Effect.Effect<CallObserver> =>
    startObserving({ operation: "chat", model: modelOf(request), request, streamed })
  return wrap(next, {
    chat: (request) => observeWhole(startChat(request, false), next.chat(request)),
    embed: (request) =>
      observeWhole(
        startObserving({ operation: "embeddings", model: modelOf(request), streamed: false }),
        next.embed(request)
      ),
    chatStream: (request) => toStream(observeStream(startChat(request, true), next, request))
  })
}
