/**
 * Exact token counts by the tokenizers of providers. Each needs its optional peer dependency.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { TokenCounter } from "effect-llm"
 * import { GptTokenizer } from "effect-llm/tokenizer"
 *
 * const program = TokenCounter.count("Hello, world!", "gpt-4o").pipe(Effect.provide(GptTokenizer.layer()))
 * // { tokens: 4, estimated: false }
 * ```
 *
 * @since 0.1.0
 */
export * as GptTokenizer from "./GptTokenizer.js"
