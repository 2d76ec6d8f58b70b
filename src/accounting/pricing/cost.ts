/** Costs of answers and attempts at the prices in use. */
import { Effect, Option } from "effect"
import type { ModelInfo } from "../../call/model.js"
import type { EndedAttempt } from "../../call/usageListeners.js"
import type { Attempt } from "../../vocabulary/attempt.js"
import type { Cost } from "../../vocabulary/cost.js"
import * as Costs from "../../vocabulary/cost.js"
import type { Usage } from "../../vocabulary/Usage.js"
import type { Price, Rates, Tier } from "../../vocabulary/price.js"
import type { Service } from "./model.js"
import { Pricing, unknown } from "./model.js"

/**
 * The price of a model that costs nothing, such as one on your own machine.
 *
 * @since 0.1.0
 * @category prices
 */
export const nothing: Price = { input: 0, output: 0 }

const ratesFor = (price: Price, inputTokens: number): Rates => {
  let best: Tier | undefined
  for (const tier of price.tiers ?? []) {
    if (inputTokens > tier.above && (best === undefined || tier.above > best.above)) best = tier
  }
  return best ?? price
}

/**
 * The cost of a usage at a price. None when output tokens were consumed and the price has no output rate.
 *
 * @since 0.1.0
 * @category costs
 */
export const cost = (price: Price, usage: Usage): Option.Option<Cost> => {
  const rates = ratesFor(price, usage.inputTokens)
  // Providers can report parts that exceed their total.
  const cached = Math.min(usage.cachedInputTokens, usage.inputTokens)
  const cacheWritten = Math.min(usage.cacheWriteTokens, usage.inputTokens - cached)
  const cacheWritten1h = Math.min(usage.cacheWrite1hTokens ?? 0, cacheWritten)
  const reasoning = Math.min(usage.reasoningTokens, usage.outputTokens)
  const inputAudio = Math.min(usage.inputAudioTokens ?? 0, usage.inputTokens - cached - cacheWritten)
  const outputAudio = Math.min(usage.outputAudioTokens ?? 0, usage.outputTokens - reasoning)
  if (rates.output === undefined && usage.outputTokens > 0) return Option.none()
  const output = rates.output ?? 0
  const cacheWrite = rates.cacheWrite ?? rates.input
  return Option.some(
    Costs.make({
      input: Costs.addDollars(
        Costs.ofTokens(usage.inputTokens - cached - cacheWritten - inputAudio, rates.input),
        Costs.ofTokens(inputAudio, rates.inputAudio ?? rates.input)
      ),
      cachedInput: Costs.ofTokens(cached, rates.cachedInput ?? rates.input),
      cacheWrite: Costs.addDollars(
        Costs.ofTokens(cacheWritten - cacheWritten1h, cacheWrite),
        Costs.ofTokens(cacheWritten1h, rates.cacheWrite1h ?? cacheWrite)
      ),
      output: Costs.addDollars(
        Costs.ofTokens(usage.outputTokens - reasoning - outputAudio, output),
        Costs.ofTokens(outputAudio, rates.outputAudio ?? output)
      ),
      reasoning: Costs.ofTokens(reasoning, rates.reasoning ?? output),
      request: usage.totalTokens > 0 ? (price.request ?? 0) : 0
    })
  )
}

/**
 * The model that answered and the model that was requested. The first is more exact; the second can have a price of its own, such
 * as that of a deployment.
 *
 * @since 0.1.0
 * @category model
 */
export interface Answerer {
  readonly provider: string
  readonly model: string
  readonly asked?: string
  /**
   * The price in the configuration of the requested model (`ModelInfo.price`). It takes precedence over the prices of a service.
   *
   * @since 0.2.0
   */
  readonly price?: Price
}

/**
 * The cost of a usage with these prices at a time in milliseconds since the epoch.
 *
 * @since 0.1.0
 * @category costs
 */
export const costAt = (service: Service, usage: Usage, by: Answerer, at: number): Option.Option<Cost> =>
  costWithin(service, service, usage, by, at)

/**
 * The cost of a usage in a call: at the prices in context of the call, else at the price of the model's own configuration, else
 * at `defaultPrices`, those in context when the middleware was made.
 */
export const costWithin = (
  callPrices: Service,
  defaultPrices: Service,
  usage: Usage,
  by: Answerer,
  at: number
): Option.Option<Cost> => {
  const price = priceWithin(callPrices, defaultPrices, by, at)
  return Option.isSome(price) ? cost(price.value, usage) : Option.none()
}

const priceOfModel = (
  prices: Service,
  provider: string,
  model: string,
  at: number,
  configured: Price | undefined
): Option.Option<Price> =>
  prices.priceOf(configured === undefined ? { provider, model, at } : { provider, model, at, configured })

/** The price of the model that answered, else of the one that was requested; none when it is the `configured` one. */
const priceOf = (
  prices: Service,
  { asked, model, provider }: Answerer,
  at: number,
  configured?: Price
): Option.Option<Price> => {
  const price = priceOfModel(prices, provider, model, at, configured)
  if (Option.isSome(price) && price.value !== configured) return price
  if (asked === undefined || asked === model) return Option.none()
  const priceOfAsked = priceOfModel(prices, provider, asked, at, configured)
  return Option.isSome(priceOfAsked) && priceOfAsked.value !== configured ? priceOfAsked : Option.none()
}

const priceWithin = (callPrices: Service, defaultPrices: Service, by: Answerer, at: number): Option.Option<Price> => {
  const configured = by.price === undefined ? priceOf(defaultPrices, by, at) : Option.some(by.price)
  if (callPrices === defaultPrices || callPrices === unknown) return configured
  const overriding = priceOf(callPrices, by, at, Option.getOrUndefined(configured))
  return Option.isSome(overriding) ? overriding : configured
}

/**
 * The cost of a usage now, with the prices in context.
 *
 * @since 0.1.0
 * @category accessors
 */
export const costOf = (usage: Usage, by: Answerer): Effect.Effect<Option.Option<Cost>> =>
  Effect.flatMap(Pricing, (service) =>
    Effect.clockWith((clock) => Effect.sync(() => costAt(service, usage, by, clock.unsafeCurrentTimeMillis())))
  )

/**
 * Adds the price of the model's own configuration, which applies to requests for that model only.
 */
export const withOwnPrice = ({ model, price, provider }: ModelInfo, by: Answerer): Answerer =>
  price !== undefined && by.provider === provider && (by.asked ?? by.model) === model ? { ...by, price } : by

/**
 * The model that answered an ended attempt.
 */
export const answererOfAttempt = ({ answeredBy, model, price, provider }: EndedAttempt): Answerer => ({
  provider,
  model: answeredBy,
  asked: model,
  ...(price === undefined ? {} : { price })
})

export interface ResponseOrigin {
  readonly provider: string
  readonly model: string
  readonly attempts: ReadonlyArray<Attempt>
}

/**
 * The model that answered, with the model that the answered attempt requested.
 *
 * @since 0.1.0
 * @category accessors
 */
export const answererOf = ({ attempts, model, provider }: ResponseOrigin): Answerer => {
  const last = attempts[attempts.length - 1]
  return last?.provider === provider ? { provider, model, asked: last.model } : { provider, model }
}
