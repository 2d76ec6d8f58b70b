/** The calls of an `LLM` over a `LanguageModel` of `@effect/ai`. */
import * as AiError from "@effect/ai/AiError"
import type * as EmbeddingModel from "@effect/ai/EmbeddingModel"
import type * as LanguageModel from "@effect/ai/LanguageModel"
import { Chunk, Effect, Either, identity, Predicate, Stream } from "effect"
import type { ModelInfo, Service } from "../call/model.js"
import { inputTokensOf, normalize, normalizeEmbedding } from "../call/request.js"
import * as MonotonicClock from "../internal/clock.js"
import type { Attempt } from "../vocabulary/attempt.js"
import type { ChatRequest, JsonSchemaFormat } from "../vocabulary/Chat.js"
import type { ChatEvent } from "../vocabulary/ChatEvent.js"
import { addTo, collector, generatedText, toPartial, toResponse } from "../vocabulary/chatEvent/collected.js"
import type { LLMError } from "../vocabulary/LLMError.js"
import * as Errors from "../vocabulary/LLMError.js"
import * as Usage from "../vocabulary/Usage.js"
import { classify } from "../wire/error/classify.js"
import { unsupportedPart } from "../wire/native.js"
import { ofAiError } from "./errors.js"
import { makeDecoder, wire } from "./modelParts.js"
import * as Requests from "./modelRequests.js"
import { promptOf, unsupportedContent } from "./promptMessages.js"
import type { Part } from "./responseParts.js"
import { fromEither } from "../internal/asEffect.js"

/** The fields of a request that every `LanguageModel` has an argument for. */
export type Covered = "messages" | "tools" | "toolChoice" | "responseFormat"

const covered: ReadonlySet<string> = new Set<Covered>(["messages", "tools", "toolChoice", "responseFormat"])

export interface Dependencies {
  readonly info: ModelInfo
  readonly languageModel: LanguageModel.Service
  readonly embeddingModel: EmbeddingModel.Service | undefined
  readonly settings:
    | {
        readonly fields: ReadonlyArray<string>
        readonly apply: (request: ChatRequest) => <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
      }
    | undefined
}

/** The format of a structured answer; `json` alone is any object. */
const formatOf = ({ responseFormat }: ChatRequest): Pick<JsonSchemaFormat, "name" | "schema"> | undefined => {
  if (responseFormat === undefined || responseFormat === "text") return undefined
  return responseFormat === "json" ? { name: "answer", schema: { type: "object" } } : responseFormat
}

export const make = ({ embeddingModel, info, languageModel, settings }: Dependencies) => {
  const { defaults, model, provider } = info

  const unsupported = (feature: string): LLMError =>
    new Errors.UnsupportedError({
      provider,
      model,
      attempts: [],
      feature,
      message: `${provider} (${wire}) has no ${feature}.`
    })

  const unsupportedField = (request: ChatRequest): string | undefined =>
    Object.entries(request).find(
      ([field, value]) =>
        value !== undefined &&
        !covered.has(field) &&
        settings?.fields.some((supported) => supported === field) !== true &&
        !(field === "model" && value === model)
    )?.[0]

  const typedError = (error: unknown, now: number): LLMError => {
    if (Errors.isLLMError(error)) return error
    if (AiError.isAiError(error)) return ofAiError(error, info, now)
    return classify({ status: 200, headers: {}, body: error }, { provider, model, keyId: "", now, mask: identity })
  }

  /** A call on its way: its content so far, and the context that its settings make. */
  const begin = (input: ChatRequest.Input) =>
    Effect.gen(function* () {
      const request = yield* fromEither(
        Either.mapLeft(normalize(input, defaults), (error) => Errors.update(error, { provider, model }))
      )
      const feature =
        unsupportedPart(request, wire) ?? unsupportedContent(request.messages) ?? unsupportedField(request)
      if (feature !== undefined) return yield* unsupported(feature)
      const context = yield* (settings?.apply(request) ?? identity)(Effect.context<never>())
      const clock = yield* Effect.clock
      const startedAt = MonotonicClock.now(clock)
      const attempt = (): Attempt => ({ provider, model, keyId: "", duration: MonotonicClock.now(clock) - startedAt })
      const inputTokens = inputTokensOf(request)
      const collected = collector()
      const decode = makeDecoder({
        info,
        attempt,
        checkUsage: (usage) =>
          Usage.checked(usage, () => ({
            inputTokens: inputTokens(),
            outputTokens: Usage.estimateTokens(generatedText(collected))
          }))
      })
      const read = (part: Part): ReadonlyArray<ChatEvent> => {
        const events = decode(part)
        for (const event of events) addTo(collected, event)
        return events
      }
      const toError = (error: unknown): LLMError => {
        const failed = typedError(error, clock.unsafeCurrentTimeMillis())
        const { status } = failed
        const attempts =
          failed.attempts.length > 0
            ? failed.attempts
            : [{ ...attempt(), error: failed._tag, ...(status === undefined ? {} : { status }) }]
        if (collected.content.length === 0 || failed._tag === "StreamInterruptedError") {
          return Errors.update(failed, { attempts })
        }
        return new Errors.StreamInterruptedError({
          provider: failed.provider,
          model: failed.model,
          attempts,
          begun: true,
          reported: failed._tag,
          partial: toPartial(collected, Usage.make({ inputTokens: inputTokens(), estimated: true })),
          message: `${failed.message} The answer was not complete.`
        })
      }
      const withoutEnd = (): LLMError =>
        toError(
          new Errors.StreamInterruptedError({
            provider,
            model,
            attempts: [],
            begun: collected.content.length > 0,
            partial: toPartial(collected, Usage.make({ inputTokens: inputTokens(), estimated: true })),
            message: `${provider}: the answer has no end.`
          })
        )
      return { request, context, collected, read, toError, withoutEnd }
    })

  const chat: Service["chat"] = (input) =>
    Effect.flatMap(begin(input), ({ collected, context, read, request, toError, withoutEnd }) =>
      Requests.generate(languageModel, request, promptOf(request.messages, provider), formatOf(request)).pipe(
        Effect.provide(context),
        Effect.mapError(toError),
        Effect.flatMap((content) => {
          for (const part of content) read(part)
          return collected.finish === undefined
            ? Effect.fail(withoutEnd())
            : Effect.succeed(toResponse(collected, collected.finish))
        })
      )
    )

  const chatStream: Service["chatStream"] = (input) =>
    Stream.unwrap(
      Effect.map(begin(input), ({ collected, context, read, request, toError, withoutEnd }) => {
        if (formatOf(request) !== undefined) return Stream.fail(unsupported("structured output in streams"))
        return Requests.stream(languageModel, request, promptOf(request.messages, provider)).pipe(
          Stream.provideContext(context),
          Stream.mapChunksEffect((chunk) =>
            Effect.forEach(chunk, (part) =>
              part.type === "error" ? Effect.fail(part.error) : Effect.succeed(read(part))
            ).pipe(Effect.map((events) => Chunk.unsafeFromArray(events.flat())))
          ),
          Stream.mapError(toError),
          Stream.concat(
            Stream.suspend(() => (collected.finish === undefined ? Stream.fail(withoutEnd()) : Stream.empty))
          )
        )
      })
    )

  const embed: Service["embed"] = (input) =>
    Effect.gen(function* () {
      const request = yield* fromEither(
        Either.mapLeft(normalizeEmbedding(input), (error) => Errors.update(error, { provider, model }))
      )
      if (embeddingModel === undefined) return yield* Effect.fail(unsupported("embeddings"))
      const { input: texts, model: _, ...fields } = request
      const field = Object.keys(fields)[0]
      if (field !== undefined) return yield* Effect.fail(unsupported(`${field} of embeddings`))
      if (!texts.every(Predicate.isString)) return yield* Effect.fail(unsupported("embeddings of tokens"))
      const clock = yield* Effect.clock
      const startedAt = MonotonicClock.now(clock)
      const { embeddings, inputTokens } = yield* Effect.mapError(Requests.embed(embeddingModel, texts), (error) =>
        typedError(error, clock.unsafeCurrentTimeMillis())
      )
      const latency = MonotonicClock.now(clock) - startedAt
      return {
        provider,
        model,
        embeddings,
        usage: Usage.isTokens(inputTokens)
          ? Usage.make({ inputTokens })
          : Usage.make({ inputTokens: Usage.estimateAll(texts), estimated: true }),
        latency,
        attempts: [{ provider, model, keyId: "", duration: latency }]
      }
    })

  return { chat, chatStream, embed, unsupported }
}
