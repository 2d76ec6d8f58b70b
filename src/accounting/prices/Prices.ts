/**
 * The prices and context windows of most providers' models, by the package `@pydantic/genai-prices` (an optional peer
 * dependency), whose data is checked against the providers' price lists and published anew for new models: update it as you
 * would a table of your own. Nothing is fetched at run time.
 *
 * Of what the package knows, the prices of text tokens are used (new, cached, written to a cache, thoughts), their tiers, the
 * dates and hours at which they change, and fees a request. Sounds, pictures and searches are not priced by them.
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
 * How names of your own are found in the package of prices.
 *
 * @since 0.1.0
 * @category model
 */
export interface Options {
  /** Which of the package's providers stand behind names of your own, such as that of a proxy. @default {} */
  readonly providers?: Readonly<Record<string, string>>
}

// -------------------------------------------------------------------------------------
// names
// -------------------------------------------------------------------------------------

/** Where a preset's name and the package's differ. */
const names: ReadonlyMap<string, string> = new Map([
  ["gemini", "google"],
  ["vertex", "google"],
  ["vertex-express", "google"],
  ["xai", "x-ai"],
  ["moonshot", "moonshotai"],
  ["zhipu", "zhipuai"]
])

/** The package guesses at names it does not know; a guess may be another provider's price. */
const isKnown = (id: string): boolean => findProvider({ providerId: id })?.id === id

const model = (id: string, name: string, at: number): PriceCalculation | null =>
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
    reasoning: rateAt(prices.output_reasoning_mtok, inputTokens)
  }
  return { input, ...defined(others) }
}

type Defined<A> = { readonly [Field in keyof A]?: Exclude<A[Field], undefined> }

const defined = <A extends Readonly<Record<string, number | undefined>>>(fields: A): Defined<A> => {
  const known: { [Field in keyof A]?: Exclude<A[Field], undefined> } = {}
  for (const field in fields) {
    const value = fields[field]
    if (isDefined(value)) known[field] = value
  }
  return known
}

const isDefined = <A>(value: A): value is Exclude<A, undefined> => value !== undefined

const startsOf = (prices: ModelPrice): ReadonlyArray<number> => [
  ...new Set(
    Object.values(prices).flatMap((rate) => (typeof rate === "object" ? rate.tiers.map((tier) => tier.start) : []))
  )
]

/** A price in the package's words as one in ours; nothing where input has none. */
const read = (prices: ModelPrice): Option.Option<Pricing.Price> => {
  const base = ratesAt(prices, 0)
  if (base === undefined) return Option.none()
  const tiers = startsOf(prices).flatMap((above) => {
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

/** How many models are kept at hand. To look one up again takes some tens of microseconds. */
const mostKept = 1000

interface Kept {
  readonly price: Option.Option<Pricing.Price>
  /** Until when it stands, in milliseconds since the epoch. */
  readonly until: number
}

/** Prices by the hour change on the minute. */
const endOfMinute = (at: number): number => Math.floor(at / 60_000) * 60_000 + 60_000

/**
 * The prices themselves. What the package does not know is unknown.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = ({ providers = {} }: Options = {}): Pricing.Service => {
  const idOf = named(providers)
  const kept = new Map<string, Kept>()
  return {
    priceOf: ({ at, configured, model: name, provider }) => {
      if (configured !== undefined) return Option.some(configured)
      const key = `${provider} ${name}`
      const known = kept.get(key)
      if (known !== undefined && at < known.until && at >= known.until - 60_000) return known.price
      if (known?.until === Infinity) return known.price
      const found = model(idOf(provider), name, at)
      const price = found === null ? Option.none() : read(found.model_price)
      if (kept.size >= mostKept) kept.clear()
      kept.set(key, { price, until: changes(found?.model) ? endOfMinute(at) : Infinity })
      return price
    }
  }
}

const changes = (info: ModelInfo | undefined): boolean => info !== undefined && Array.isArray(info.prices)

const named = (providers: Readonly<Record<string, string>>): ((provider: string) => string) => {
  const own = new Map([...names, ...Object.entries(providers)])
  return (provider) => own.get(provider) ?? provider
}

/**
 * The prices as a layer, over those of the layers further out. Prices of your own go over these with `Pricing.layer`.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (options: Options = {}): Layer.Layer<Pricing.Pricing> => Pricing.layerOver(make(options))

/**
 * The most tokens that a request and its answer may have together, as far as the package knows the model.
 *
 * @since 0.1.0
 * @category accessors
 */
export const contextWindow = (
  provider: string,
  name: string,
  { providers = {} }: Options = {}
): Option.Option<number> => Option.fromNullable(model(named(providers)(provider), name, 0)?.model.context_window)
