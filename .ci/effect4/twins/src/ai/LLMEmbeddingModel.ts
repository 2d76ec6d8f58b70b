/**
 * An `EmbeddingModel` of Effect over any `LLM`.
 *
 * @example
 * ```ts
 * import { EmbeddingModel } from "effect/ai"
 * import { Effect, Layer } from "effect"
 * import { LLM } from "effect-llm"
 * import { LLMEmbeddingModel } from "effect-llm/ai"
 *
 * const program = Effect.flatMap(EmbeddingModel.EmbeddingModel, (model) => model.embedMany(["a cat", "a dog"]))
 *
 * const runnable = program.pipe(
 *   Effect.provide(
 *     LLMEmbeddingModel.layer({ dimensions: 256 }).pipe(
 *       Layer.provide(LLM.layerConfig({ model: "text-embedding-3-small" }))
 *     )
 *   )
 * )
 * ```
 *
 * @since 0.2.0
 */
import { Effect, Layer } from "effect"
import * as EmbeddingModel from "effect/ai/EmbeddingModel"
import { LLM } from "../call/model.js"
import type { EmbeddingRequest } from "../vocabulary/Embedding.js"
import { toAiError } from "./errors.js"

/**
 * @since 0.2.0
 * @category model
 */
export interface Options extends Omit<EmbeddingRequest, "input"> {}

/**
 * Makes an embedding model over the `LLM` in context, with `options` in each of its requests. The `LLM` splits the texts of a call
 * into as many requests as its provider's limits require. `EmbeddingCache` of this library keeps vectors.
 *
 * @since 0.2.0
 * @category constructors
 */
export const make = (options: Options = {}): Effect.Effect<EmbeddingModel.EmbeddingModel, never, LLM> =>
  Effect.flatMap(LLM, (llm) =>
    EmbeddingModel.make({
      embedMany: ({ inputs }) =>
        llm.embed({ ...options, input: inputs }).pipe(
          Effect.mapBoth({
            onFailure: (error) => toAiError(error, llm.info, "LLMEmbeddingModel", "embedMany"),
            onSuccess: ({ embeddings, usage }) => ({
              results: embeddings.map((vector) => [...vector]),
              usage: { inputTokens: usage.estimated ? undefined : usage.inputTokens }
            })
          })
        )
    })
  )

/**
 * A layer with {@link make}.
 *
 * @since 0.2.0
 * @category layers
 */
export const layer = (options?: Options): Layer.Layer<EmbeddingModel.EmbeddingModel, never, LLM> =>
  Layer.effect(EmbeddingModel.EmbeddingModel, make(options))
