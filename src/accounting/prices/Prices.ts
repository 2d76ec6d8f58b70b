/**
 * Prices and context windows of most providers' models, from the package `@pydantic/genai-prices` (an optional peer dependency).
 * Its data is checked against the providers' price lists and published again for new models: update the package as you would a
 * table of your own. Nothing is fetched at run time.
 *
 * The prices cover tokens (input, cached input, cache writes, output, reasoning, audio), their tiers, the dates and hours at which
 * they change, and request fees. Images and searches are not priced.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Pricing, Usage } from "effect-llm"
 * import { Prices } from "effect-llm/prices"
 *
 * const usage = Usage.make({ inputTokens: 12_000, cachedInputTokens: 10_000, outputTokens: 500 })
 * const program = Pricing.costOf(usage, { provider: "openai", model: "gpt-4o" }).pipe(Effect.provide(Prices.layer()))
 * ```
 *
 * @since 0.1.0
 */
import type { ModelInfo, ModelPrice, PriceCalculation } from "@pydantic/genai-prices"
import { calcPrice, findProvider } from "@pydantic/genai-prices"
import { Option } from "effect"
import type { Layer } from "effect"
import * as Pricing from "../Pricing.js"

/**
 * Options of `make` and `layer`.
 *
 * @since 0.1.0
 * @category model
 */
export interface Options {
  /** The package's provider for each provider name of your own, such as that of a proxy. @default {} */
  readonly providers?: Readonly<Record<string, string>>
}

// -------------------------------------------------------------------------------------
// names
// -------------------------------------------------------------------------------------

/** The package's provider ids for presets that have another name. */
const packageIds: ReadonlyMap<string, string> = new Map([
  ["gemini", "google"],
  ["vertex", "google"],
  ["vertex-express", "google"],
  ["xai", "x-ai"],
  ["moonshot", "moonshotai"],
  ["zhipu", "zhipuai"]
])

/** The package matches unknown names approximately, which can give another provider's price. */
const isKnown = (id: string): boolean => findProvider({ providerId: id })?.id === id

const calculate = (id: string, name: string, at: number): PriceCalculation | null =>
  isKnown(id) ? calcPrice({}, name, { providerId: id, timestamp: new Date(at) }) : null

// -------------------------------------------------------------------------------------
// prices
// -------------------------------------------------------------------------------------

const rateAt = (rate: ModelPrice[string], inputTokens: number): number | undefined =>
  typeof rate === "object"
    ? rate.tiers.reduce((price, tier) => (inputTokens > tier.start ? tier.price : price), rate.base)
    : rate

const ratesAt = (prices: ModelPrice, inputTokens: number): Pricing.Rates | undefined => {
  const input = rateAt(prices.input_mtok, inputTokens)
  if (input === undefined) return undefined
  const others = {
    output: rateAt(prices.output_mtok, inputTokens),
    cachedInput: rateAt(prices.cache_read_mtok, inputTokens),
    cacheWrite: rateAt(prices.cache_write_mtok, inputTokens),
    cacheWrite1h: rateAt(prices.cache_write_1h_mtok, inputTokens),
    reasoning: rateAt(prices.output_reasoning_mtok, inputTokens),
    inputAudio: rateAt(prices.input_audio_mtok, inputTokens),
    outputAudio: rateAt(prices.output_audio_mtok, inputTokens)
  }
  return { input, ...defined(others) }
}

type Defined<A> = { readonly [Field in keyof A]?: Exclude<A[Field], undefined> }

const defined = <A extends Readonly<Record<string, number | undefined>>>(fields: A): Defined<A> => {
  const result: { [Field in keyof A]?: Exclude<A[Field], undefined> } = {}
  for (const field in fields) {
    const value = fields[field]
    if (isDefined(value)) result[field] = value
  }
  return result
}

const isDefined = <A>(value: A): value is Exclude<A, undefined> => value !== undefined

const tierStarts = (prices: ModelPrice): ReadonlyArray<number> => [
  ...new Set(
    Object.values(prices).flatMap((rate) => (typeof rate === "object" ? rate.tiers.map((tier) => tier.start) : []))
  )
]

/** Converts a price of the package; none when it has no input rate. */
const toPrice = (prices: ModelPrice): Option.Option<Pricing.Price> => {
  const base = ratesAt(prices, 0)
  if (base === undefined) return Option.none()
  const tiers = tierStarts(prices).flatMap((above) => {
    const rates = ratesAt(prices, above + 1)
    return rates === undefined ? [] : [{ ...rates, above }]
  })
  const request = rateAt(prices.requests_kcount, 0)
  return Option.some({
    ...base,
    ...(request === undefined ? {} : { request: request / 1000 }),
    ...(tiers.length === 0 ? {} : { tiers })
  })
}

// -------------------------------------------------------------------------------------
// the service
// -------------------------------------------------------------------------------------

/** Size limit of the cache, because a lookup in the package takes some tens of microseconds. */
const maxCached = 1000

interface CachedPrice {
  readonly price: Option.Option<Pricing.Price>
  /** End of validity, in milliseconds since the epoch. */
  readonly until: number
}

/** Prices that differ by the hour change on the minute. */
const endOfMinute = (at: number): number => Math.floor(at / 60_000) * 60_000 + 60_000

/**
 * Prices of the package. A price is unknown when the package does not list the provider and model.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = ({ providers = {} }: Options = {}): Pricing.Service => {
  const idOf = packageIdOf(providers)
  const cache = new Map<string, CachedPrice>()
  return {
    priceOf: ({ at, configured, model: name, provider }) => {
      if (configured !== undefined) return Option.some(configured)
      const key = `${provider} ${name}`
      const cached = cache.get(key)
      if (cached !== undefined && at < cached.until && at >= cached.until - 60_000) return cached.price
      if (cached?.until === Infinity) return cached.price
      const calculation = calculate(idOf(provider), name, at)
      const price = calculation === null ? Option.none() : toPrice(calculation.model_price)
      if (cache.size >= maxCached) cache.clear()
      cache.set(key, { price, until: hasChanges(calculation?.model) ? endOfMinute(at) : Infinity })
      return price
    }
  }
}

const hasChanges = (info: ModelInfo | undefined): boolean => info !== undefined && Array.isArray(info.prices)

const packageIdOf = (providers: Readonly<Record<string, string>>): ((provider: string) => string) => {
  const ids = new Map([...packageIds, ...Object.entries(providers)])
  return (provider) => ids.get(provider) ?? provider
}

/**
 * Prices of the package as a layer, in front of those of outer layers. Put prices of your own in front of it with
 * `Pricing.layer`.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (options: Options = {}): Layer.Layer<Pricing.Pricing> => Pricing.layerOver(make(options))

/**
 * The context window of a model: the most tokens of request and answer together. None when the package does not list it.
 *
 * @since 0.1.0
 * @category accessors
 */
export const contextWindow = (
  provider: string,
  name: string,
  { providers = {} }: Options = {}
): Option.Option<number> =>
  Option.fromNullable(calculate(packageIdOf(providers)(provider), name, 0)?.model.context_window)
