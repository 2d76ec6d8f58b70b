/**
 * Prices of most providers' models. Needs the optional peer dependency `@pydantic/genai-prices`.
 *
 * @example
 * ```ts
 * import { Layer } from "effect"
 * import { LLM, Pricing } from "effect-llm"
 * import { Prices } from "effect-llm/prices"
 *
 * declare const OpenAI: Layer.Layer<LLM.LLM>
 *
 * // Each answer has its cost in dollars: `answer.cost?.total`.
 * const Priced = OpenAI.pipe(LLM.withMiddleware(Pricing.middleware()), Layer.provide(Prices.layer()))
 * ```
 *
 * @since 0.1.0
 */
export * as Prices from "./Prices.js"
