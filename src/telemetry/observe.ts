/**
 * Calls as those see them who only look on: each begins, may say its first words, and ends exactly once, be it whole or
 * streamed, answered, failed or given up. Telemetry, the access log and callbacks are watches and nothing more.
 */
import type { Chunk } from "effect"
import { Cause, Effect, Exit, FiberId, Option, Predicate } from "effect"
import type { Attempt } from "../vocabulary/Attempt.js"
import type { ChatRequest } from "../vocabulary/Chat.js"
import type { ChatEvent, Start } from "../vocabulary/ChatEvent.js"
import type { Cost } from "../vocabulary/Cost.js"
import type { EmbeddingRequest } from "../vocabulary/Embedding.js"
import type { Service } from "../call/model.js"
import type { LLMError } from "../vocabulary/LLMError.js"
import * as Usage from "../vocabulary/Usage.js"
import type { Outcome } from "../call/observer.js"
import type { Open, OpenStream } from "../call/openStream.js"
import { fromStream, toStream } from "../call/openStream.js"
import { estimateInput } from "../call/request.js"
import { deltaText } from "../call/deltaText.js"

export interface Call {
  /** The word of the OpenTelemetry conventions for it. */
  readonly operation: "chat" | "embeddings"
  /** The model that is asked for. */
  readonly model: string
  /** Absent where it is no chat. */
  readonly request?: ChatRequest.Input
  readonly streamed: boolean
}

/** What is known of an answer, or of as much of it as arrived. */
export interface Answer {
  readonly provider: string
  /** The model that says it answered. */
  readonly model: string
  readonly usage: Usage.Usage
  readonly attempts: ReadonlyArray<Attempt>
  readonly id?: string
  readonly keyId?: string
  readonly finishReason?: string
  readonly cost?: Cost
}

export interface Watch {
  /** Runs the call within what is kept of it, such as its span. Of a stream, that is until its first events. */
  readonly around: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  /** The first events of a stream are there. */
  readonly opened: Effect.Effect<void>
  /** The call is over. Of a stream that broke or was given up, `answer` is what had arrived, its tokens estimated. */
  readonly end: (exit: Exit.Exit<unknown, LLMError>, answer: Answer | undefined) => Effect.Effect<void>
}

export type Begin = (call: Call) => Effect.Effect<Watch>

/** How a call ended, in a word: `ok`, `interrupted`, `defect`, or the `_tag` of its error. */
export const outcomeOf = (exit: Exit.Exit<unknown, LLMError>): Outcome =>
  Exit.match(exit, {
    onSuccess: () => "ok",
    onFailure: (cause) =>
      Option.match(Cause.failureOption(cause), {
        onSome: (error) => error._tag,
        onNone: () => (Cause.isInterrupted(cause) ? "interrupted" : "defect")
      })
  })

/** The error a call ended with, where it was one. */
export const errorOf = (exit: Exit.Exit<unknown, LLMError>): LLMError | undefined =>
  Exit.isFailure(exit) ? Option.getOrUndefined(Cause.failureOption(exit.cause)) : undefined

const inputTokens = (request: ChatRequest.Input): number =>
  typeof request === "string" ? Usage.estimateTokens(request) : estimateInput(request)

/** The counts of an `LLM` of another make may be anything: those that are no numbers of tokens are left out. */
const believed = <A extends Answer>(answer: A): A => {
  const usage = Usage.checked(answer.usage, () => Usage.empty)
  return usage === answer.usage ? answer : { ...answer, usage }
}

const whole = <A extends Answer>(
  began: Effect.Effect<Watch>,
  call: Effect.Effect<A, LLMError>
): Effect.Effect<A, LLMError> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.flatMap(began, ({ around, end }) =>
      Effect.onExit(restore(around(call)), (exit) => end(exit, Exit.isSuccess(exit) ? believed(exit.value) : undefined))
    )
  )

/** Remembers of a stream what its end has to tell. */
const follow = (request: ChatRequest.Input, end: Watch["end"]) => {
  let start: Start | undefined
  let said = ""
  let over = false
  const once = (exit: Exit.Exit<unknown, LLMError>, answer: Answer | undefined): Effect.Effect<void> => {
    if (over) return Effect.void
    over = true
    return end(exit, answer && believed(answer))
  }
  const soFar = (): Answer | undefined =>
    start && {
      ...start,
      usage: Usage.make({
        inputTokens: inputTokens(request),
        outputTokens: Usage.estimateTokens(said),
        estimated: true
      })
    }
  return {
    seen: (events: Chunk.Chunk<ChatEvent>): Effect.Effect<void> => {
      for (const event of events) {
        if (event._tag === "Start") start = event
        else if (event._tag === "Finish") {
          const { cost, reason, usage } = event
          return once(
            Exit.void,
            start && { ...start, usage, finishReason: reason, ...(cost === undefined ? {} : { cost }) }
          )
        } else said += deltaText(event)
      }
      return Effect.void
    },
    ended: (exit: Exit.Exit<unknown, LLMError>): Effect.Effect<void> => Effect.suspend(() => once(exit, soFar()))
  }
}

const opening = (began: Effect.Effect<Watch>, next: Service, request: ChatRequest.Input): Open =>
  Effect.uninterruptibleMask((restore) =>
    Effect.flatMap(began, (watch) => {
      const { ended, seen } = follow(request, watch.end)
      return Effect.zipRight(
        Effect.addFinalizer(() => ended(Exit.interrupt(FiberId.none))),
        Effect.matchCauseEffect(restore(watch.around(fromStream(next.chatStream(request)))), {
          onFailure: (cause) => Effect.zipRight(ended(Exit.failCause(cause)), Effect.failCause(cause)),
          onSuccess: (opened) => {
            const told: OpenStream = {
              first: opened.first,
              pull: Effect.matchEffect(opened.pull, {
                onSuccess: (events) => Effect.as(seen(events), events),
                onFailure: (end) =>
                  Effect.zipRight(
                    Option.match(end, { onNone: () => Effect.void, onSome: (error) => ended(Exit.fail(error)) }),
                    Effect.fail(end)
                  )
              })
            }
            return Effect.as(Effect.zipRight(watch.opened, seen(opened.first)), told)
          }
        })
      )
    })
  )

/** The same service, whose calls are watched. */
export const observed = (next: Service, begin: Begin): Service => {
  const modelOf = (request: ChatRequest.Input | EmbeddingRequest.Input): string =>
    Predicate.hasProperty(request, "model") && typeof request.model === "string" ? request.model : next.info.model
  const chatting = (request: ChatRequest.Input, streamed: boolean): Effect.Effect<Watch> =>
    begin({ operation: "chat", model: modelOf(request), request, streamed })
  return {
    ...next,
    chat: (request) => whole(chatting(request, false), next.chat(request)),
    embed: (request) =>
      whole(begin({ operation: "embeddings", model: modelOf(request), streamed: false }), next.embed(request)),
    chatStream: (request) => toStream(opening(chatting(request, true), next, request))
  }
}
