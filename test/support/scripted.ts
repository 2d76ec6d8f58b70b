/** An `LLM` with one scripted step for each call, which records its requests. */
import { Duration, Effect, Ref, Stream } from "effect"
import type { ChatRequest, ChatResponse } from "../../src/vocabulary/Chat.js"
import * as Chat from "../../src/vocabulary/Chat.js"
import type { ChatEvent } from "../../src/vocabulary/ChatEvent.js"
import * as Events from "../../src/vocabulary/ChatEvent.js"
import type { Service } from "../../src/LLM.js"
import type { LLMError } from "../../src/vocabulary/LLMError.js"
import * as LLMErrors from "../../src/vocabulary/LLMError.js"
import * as Usage from "../../src/vocabulary/Usage.js"

export const context = { provider: "test", model: "model", attempts: [] }

export const answer = (text: string): ChatResponse =>
  Chat.withContent(
    {
      id: "answer",
      provider: "test",
      model: "model",
      finishReason: "stop",
      rawFinishReason: "stop",
      usage: Usage.make({ inputTokens: 3, outputTokens: 4 }),
      latency: 5,
      keyId: "key",
      attempts: [{ provider: "test", model: "model", keyId: "key", duration: 5 }],
      providerMetadata: {}
    },
    text === "" ? [] : [Chat.text(text)]
  )

/** Adds one failed attempt to an error, as the innermost `LLM` does. */
const failed = (error: LLMError): LLMError =>
  LLMErrors.update(error, {
    attempts: [{ provider: "test", model: "model", keyId: "key", error: error._tag, duration: 1 }]
  })

export const unavailable = failed(
  new LLMErrors.ProviderUnavailableError({ ...context, status: 503, message: "overloaded" })
)
export const invalid = failed(new LLMErrors.InvalidRequestError({ ...context, message: "bad" }))
export const malformed = failed(
  new LLMErrors.MalformedResponseError({ ...context, message: "html", path: "", excerpt: "<html>" })
)
export const rateLimited = (retryAfter?: number): LLMError =>
  failed(
    new LLMErrors.RateLimitError({
      ...context,
      source: "provider",
      message: "slow down",
      ...(retryAfter === undefined ? {} : { retryAfter: Duration.millis(retryAfter) })
    })
  )

/** The step of one call: an answer, a failure, or an effect or stream to run. */
export type Step =
  | string
  | LLMError
  | Effect.Effect<ChatResponse, LLMError>
  | { readonly stream: Stream.Stream<ChatEvent, LLMError> }

export interface Scripted extends Service {
  /** The requests made so far. */
  readonly asked: Effect.Effect<ReadonlyArray<ChatRequest.Input>>
}

const isStep = (step: Step): step is { readonly stream: Stream.Stream<ChatEvent, LLMError> } =>
  typeof step === "object" && "stream" in step

/** Makes the `LLM`. The last step repeats. */
export const scripted = (...steps: readonly [Step, ...Array<Step>]): Effect.Effect<Scripted> =>
  Effect.map(Ref.make<ReadonlyArray<ChatRequest.Input>>([]), (asked) => {
    const next = (request: ChatRequest.Input) =>
      Ref.modify(asked, (before): readonly [Step, ReadonlyArray<ChatRequest.Input>] => [
        steps[Math.min(before.length, steps.length - 1)] ?? steps[0],
        [...before, request]
      ])
    const chat: Service["chat"] = (request) =>
      Effect.flatMap(next(request), (step) =>
        typeof step === "string"
          ? Effect.succeed(answer(step))
          : LLMErrors.isLLMError(step)
            ? Effect.fail(step)
            : isStep(step)
              ? Effect.catchTag(Events.collect(step.stream), "StreamInterruptedError", (error) => Effect.fail(error))
              : step
      )
    return {
      chat,
      chatStream: (request) =>
        Stream.unwrap(
          Effect.map(next(request), (step): Stream.Stream<ChatEvent, LLMError> =>
            typeof step === "string"
              ? Stream.fromIterable(Events.fromResponse(answer(step)))
              : LLMErrors.isLLMError(step)
                ? Stream.fail(step)
                : isStep(step)
                  ? step.stream
                  : Stream.unwrap(Effect.map(step, (response) => Stream.fromIterable(Events.fromResponse(response))))
          )
        ),
      embed: () =>
        Effect.map(chat("embed"), ({ attempts, latency, model, provider, text, usage }) => ({
          provider,
          model,
          embeddings: [[text.length]],
          usage,
          latency,
          attempts
        })),
      listModels: Effect.succeed([]),
      info: { provider: "test", model: "model", wire: "test", contextWindow: 1000 },
      status: Effect.succeed({
        keys: { provider: "test", keys: [], waiting: 0 },
        limiter: { available: 1, capacity: 1, refillRate: 1, waiting: 0 }
      }),
      resetRateLimit: Effect.void,
      asked: Ref.get(asked)
    }
  })
