/** The contract of a price list. */
import { Context, Option } from "effect"
import type { Price } from "../../vocabulary/price.js"

/**
 * The model, provider and time that a price is looked up for.
 *
 * @since 0.1.0
 * @category model
 */
export interface Subject {
  readonly provider: string
  readonly model: string
  /** When, in milliseconds since the epoch: prices change, and some differ by the hour. */
  readonly at: number
  /**
   * The price that applies where this service says nothing: that of the model's own configuration, or of the prices in context
   * where the model was made. A list of public prices, such as that of `effect-llm/prices`, gives it back instead of its own.
   *
   * @since 0.2.0
   */
  readonly configured?: Price
}

/**
 * What is known of prices. Where it is none, the price is unknown, and not nothing.
 *
 * @since 0.1.0
 * @category model
 */
export interface Service {
  /** The price of a model at a moment; none where it is not known. */
  readonly priceOf: (subject: Subject) => Option.Option<Price>
}

/**
 * No price of anything is known.
 *
 * @since 0.1.0
 * @category constructors
 */
export const unknown: Service = { priceOf: () => Option.none() }

/**
 * The prices in use: none, unless a layer says otherwise.
 *
 * Prices around a call win over those in context where its `LLM`, budget, ledger or dashboard was made, and over a price in
 * `provider.json`: `call.pipe(Effect.provide(Pricing.layer({ … })))`, and `Stream.provideLayer` for a stream.
 *
 * @since 0.1.0
 * @category tags
 */
export class Pricing extends Context.Reference<Pricing>()("effect-llm/Pricing", {
  defaultValue: (): Service => unknown
}) {}

/**
 * Prices by provider and model. A model's name that ends in `*` stands for all that begin so (the longest counts), and the
 * provider `*` for all that do not know the model.
 *
 * @since 0.1.0
 * @category model
 */
export type Table = Readonly<Record<string, Readonly<Record<string, Price>>>>
