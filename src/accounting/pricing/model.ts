/** Contract of a price list. */
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
  /** Time of the call, in milliseconds since the epoch: prices change, and some differ by the hour. */
  readonly at: number
  /**
   * The price that applies when this service has none: that of the model's own configuration, or of the prices in context when
   * the model was made. A list of public prices, such as that of `effect-llm/prices`, returns it instead of its own.
   *
   * @since 0.2.0
   */
  readonly configured?: Price
}

/**
 * A price list. None means that the price is unknown, not that it is zero.
 *
 * @since 0.1.0
 * @category model
 */
export interface Service {
  /** The price of a model at a time; none when it is unknown. */
  readonly priceOf: (subject: Subject) => Option.Option<Price>
}

/**
 * A price list without any price.
 *
 * @since 0.1.0
 * @category constructors
 */
export const unknown: Service = { priceOf: () => Option.none() }

/**
 * The prices in use: none by default.
 *
 * Prices provided to a call take precedence over those in context when its `LLM`, budget, ledger or dashboard was made, and over
 * a price in `provider.json`: `call.pipe(Effect.provide(Pricing.layer({ … })))`, and `Stream.provideLayer` for a stream.
 *
 * @since 0.1.0
 * @category tags
 */
export class Pricing extends Context.Reference<Pricing>()("effect-llm/Pricing", {
  defaultValue: (): Service => unknown
}) {}

/**
 * Prices by provider and model. A model name that ends in `*` matches every name with that prefix (the longest prefix wins), and
 * the provider `*` matches every provider that does not list the model.
 *
 * @since 0.1.0
 * @category model
 */
export type Table = Readonly<Record<string, Readonly<Record<string, Price>>>>
