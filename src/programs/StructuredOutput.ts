/**
 * Answers that fit a Schema: the request asks for them in the best mode of the provider, the answer is decoded, and when it does
 * not fit, its faults are sent to the model once. `LLM.generateObject` and `LLM.streamObject` ask
 * for them.
 *
 * @example
 * ```ts
 * import { Effect, Schema } from "effect"
 * import { LLM } from "effect-llm"
 *
 * const Invoice = Schema.Struct({
 *   number: Schema.String,
 *   items: Schema.Array(Schema.Struct({ name: Schema.String, price: Schema.Number }))
 * })
 *
 * const program = LLM.generateObject("Invoice 7: two pens at 1.50 each.", { schema: Invoice }).pipe(
 *   Effect.map(({ value }) => value.items.reduce((sum, item) => sum + item.price, 0))
 * )
 * ```
 *
 * @since 0.1.0
 */
export * from "./structuredOutput/model.js"
