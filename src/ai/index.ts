/**
 * The services of `@effect/ai` over any `LLM`. Needs the optional peer dependency `@effect/ai`.
 *
 * @since 0.2.0
 */
export * as LanguageModelLLM from "./LanguageModelLLM.js"
export * as LLMEmbeddingModel from "./LLMEmbeddingModel.js"
export * as LLMLanguageModel from "./LLMLanguageModel.js"
export * as LLMTokenizer from "./LLMTokenizer.js"
export * as LLMToolkit from "./LLMToolkit.js"
