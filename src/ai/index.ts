/**
 * The services of `@effect/ai` over any `LLM`. Needs the optional peer dependency `@effect/ai`.
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
