/**
 * Prices and context windows of most providers' models. Needs the optional peer dependency `@pydantic/genai-prices`.
 *
 * @example
 * ```ts
 * import { Effect, Layer } from "effect"
 * import { Budget, LLM } from "effect-llm"
 * import { Prices } from "effect-llm/prices"
 *
 * // Calls fail when 5 dollars are spent in a day.
 * const Spending = Budget.layer({ limit: { dollars: 5 }, period: "day" }).pipe(Layer.provide(Prices.layer()))
 *
 * const Limited = LLM.layerConfig().pipe(LLM.withMiddleware(Budget.middleware()), Layer.provideMerge(Spending))
 *
 * const program = LLM.chat("Hello").pipe(Effect.provide(Limited))
 * ```
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
