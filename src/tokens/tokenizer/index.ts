/**
 * Exact token counts by the tokenizers of providers. Each needs its optional peer dependency.
 *
 * @since 0.1.0
 */
export * as GptTokenizer from "./GptTokenizer.js"
