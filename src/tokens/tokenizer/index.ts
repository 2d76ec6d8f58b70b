/**
 * Exact token counts by the tokenizers of providers. Each needs its optional peer dependency.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { ContextWindow, LLM } from "effect-llm"
 * import { GptTokenizer } from "effect-llm/tokenizer"
 *
 * // Fails before it sends a request that does not fit the model's context window, by an exact count.
 * const Checked = LLM.layerConfig().pipe(LLM.withMiddleware(ContextWindow.middleware()))
 *
 * const program = LLM.chat("Hello").pipe(Effect.provide(Checked), Effect.provide(GptTokenizer.layer()))
 * ```
 *
 * @since 0.1.0
 */
export * as GptTokenizer from "./GptTokenizer.js"
