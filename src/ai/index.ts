/**
 * The services of `@effect/ai` over any `LLM`, and an `LLM` over a model of `@effect/ai`. Needs the optional peer dependency `@effect/ai`.
 *
 * @example
 * ```ts
 * import { LanguageModel } from "@effect/ai"
 * import { Effect, Layer } from "effect"
 * import { LLM } from "effect-llm"
 * import { LLMLanguageModel } from "effect-llm/ai"
 * import { NodeTransport } from "effect-llm/node"
 *
 * const Model = LLMLanguageModel.layer().pipe(
 *   Layer.provide(LLM.layerKeys({ provider: "openai", model: "gpt-4o", keys: ["sk-one", "sk-two"] })),
 *   Layer.provide(NodeTransport.layerUndici)
 * )
 *
 * const program = LanguageModel.generateText({ prompt: "Name a river." }).pipe(Effect.provide(Model))
 * ```
 *
 * @example
 * ```ts
 * import { LanguageModel } from "@effect/ai"
 * import { Effect, Layer } from "effect"
 * import { LLM } from "effect-llm"
 * import { LLMLanguageModel } from "effect-llm/ai"
 *
 * declare const OpenAI: Layer.Layer<LLM.LLM>
 *
 * const program = LanguageModel.generateText({ prompt: "Name a river." }).pipe(
 *   Effect.provide(LLMLanguageModel.layer()),
 *   Effect.provide(OpenAI)
 * )
 * ```
 *
 * @since 0.2.0
 */
export * as LanguageModelLLM from "./LanguageModelLLM.js"
export * as LLMEmbeddingModel from "./LLMEmbeddingModel.js"
export * as LLMLanguageModel from "./LLMLanguageModel.js"
export * as LLMTokenizer from "./LLMTokenizer.js"
export * as LLMToolkit from "./LLMToolkit.js"
