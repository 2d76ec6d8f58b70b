/**
 * A `LanguageModel` of `@effect/ai` over any `LLM`: programs with `generateText`, `streamText`, `generateObject`, `Toolkit` and `Chat`
 * run on key pools, limits, fallback and budgets when this layer replaces that of a provider.
 *
 * @example
 * ```ts
 * import { LanguageModel } from "@effect/ai"
 * import { Effect, Layer } from "effect"
 * import { LLM } from "effect-llm"
 * import { LLMLanguageModel } from "effect-llm/ai"
 *
 * const program = Effect.map(LanguageModel.generateText({ prompt: "Name a river." }), ({ text }) => text)
 *
 * const runnable = program.pipe(
 *   Effect.provide(LLMLanguageModel.layer({ temperature: 0 }).pipe(Layer.provide(LLM.layerConfig())))
 * )
 * ```
 *
 * @since 0.2.0
 */
import * as LanguageModel from "@effect/ai/LanguageModel"
import type * as Response from "@effect/ai/Response"
import { Chunk, Effect, Either, Layer, Stream } from "effect"
import { LLM } from "../call/model.js"
import { collector, addTo } from "../vocabulary/chatEvent/collected.js"
import * as Answers from "./answers.js"
import { toAiError } from "./errors.js"
import { ofResponse, streamDecoder } from "./parts.js"
import type { Defaults } from "./request.js"
import { requestOf } from "./request.js"
import { fromEither } from "../internal/asEffect.js"

export { llmError } from "./errors.js"
export type { Defaults } from "./request.js"

/** Tools run at the end of a chunk: their results come before the end of the answer, which has a chunk of its own. */
const beforeFinish = (
  parts: ReadonlyArray<Response.StreamPartEncoded>
): Chunk.Chunk<Chunk.Chunk<Response.StreamPartEncoded>> =>
  Chunk.map(
    Chunk.make(
      parts.filter(({ type }) => type !== "finish"),
      parts.filter(({ type }) => type === "finish")
    ),
    Chunk.fromIterable
  )

/**
 * Makes a language model over the `LLM` in context. `defaults` are the fields of every request that calls of `@effect/ai` do not
 * have, such as `temperature`, `maxTokens` and `reasoning`; the `LLM`'s own defaults hold for absent ones.
 *
 * `@effect/ai` passes no metadata from an answer of its `Chat` to the next prompt, so the model keeps the last 1,000 answers with
 * reasoning and tool calls, and restores their signatures in the round with the results.
 *
 * @since 0.2.0
 * @category constructors
 */
export const make = (defaults: Defaults = {}): Effect.Effect<LanguageModel.Service, never, LLM> =>
  Effect.flatMap(LLM, (llm) => {
    const answers = Answers.make()
    return LanguageModel.make({
      generateText: (options) =>
        llm.chat(requestOf(options, defaults, answers.find)).pipe(
          Effect.mapError((error) => toAiError(error, llm.info, "LLMLanguageModel", "generateText")),
          Effect.flatMap((response) => {
            answers.keep(response.content)
            return fromEither(ofResponse(response, options.tools))
          })
        ),
      streamText: (options) =>
        Stream.suspend(() => {
          const decode = streamDecoder(options.tools)
          const collected = collector()
          return llm.chatStream(requestOf(options, defaults, answers.find)).pipe(
            Stream.mapError((error) => toAiError(error, llm.info, "LLMLanguageModel", "streamText")),
            Stream.mapChunksEffect((events) =>
              fromEither(
                Either.map(
                  Either.all(
                    Chunk.toReadonlyArray(events).map((event) => {
                      addTo(collected, event)
                      if (event._tag === "Finish") answers.keep(collected.content)
                      return decode(event)
                    })
                  ),
                  (parts) => beforeFinish(parts.flat())
                )
              )
            ),
            Stream.flattenChunks
          )
        })
    })
  })

/**
 * A layer with {@link make}.
 *
 * @since 0.2.0
 * @category layers
 */
export const layer = (defaults?: Defaults): Layer.Layer<LanguageModel.LanguageModel, never, LLM> =>
  Layer.effect(LanguageModel.LanguageModel, make(defaults))
