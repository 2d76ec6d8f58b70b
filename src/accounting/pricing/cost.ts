/** What answers and attempts cost, by the prices in force. */
import { Effect, Option } from "effect"
import type { ModelInfo } from "../../call/model.js"
import type { Ended } from "../../telemetry/usageListeners.js"
import type { Attempt } from "../../vocabulary/Attempt.js"
import type { Cost } from "../../vocabulary/Cost.js"
import * as Costs from "../../vocabulary/Cost.js"
import type { Usage } from "../../vocabulary/Usage.js"
import type { Price, Rates, Tier } from "../../vocabulary/price.js"
import type { Service } from "./model.js"
import { Pricing, unknown } from "./model.js"

/**
 * The price of what costs nothing, such as a model on a machine of your own.
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
 * What a usage costs at a price. Unknown where tokens were consumed for which the price says nothing.
 *
 * @since 0.1.0
 * @category costs
 */
export const cost = (price: Price, usage: Usage): Option.Option<Cost> => {
  const rates = ratesFor(price, usage.inputTokens)
  // A provider's parts may be more than its whole.
  const cached = Math.min(usage.cachedInputTokens, usage.inputTokens)
  const written = Math.min(usage.cacheWriteTokens, usage.inputTokens - cached)
  const writtenLong = Math.min(usage.cacheWrite1hTokens ?? 0, written)
  const thoughts = Math.min(usage.reasoningTokens, usage.outputTokens)
  if (rates.output === undefined && usage.outputTokens > 0) return Option.none()
  const output = rates.output ?? 0
  const cacheWrite = rates.cacheWrite ?? rates.input
  return Option.some(
    Costs.make({
      input: Costs.ofTokens(usage.inputTokens - cached - written, rates.input),
      cachedInput: Costs.ofTokens(cached, rates.cachedInput ?? rates.input),
      cacheWrite: Costs.addDollars(
        Costs.ofTokens(written - writtenLong, cacheWrite),
        Costs.ofTokens(writtenLong, rates.cacheWrite1h ?? cacheWrite)
      ),
      output: Costs.ofTokens(usage.outputTokens - thoughts, output),
      reasoning: Costs.ofTokens(thoughts, rates.reasoning ?? output),
      request: usage.totalTokens > 0 ? (price.request ?? 0) : 0
    })
  )
}

/**
 * Who answered: the model that says that it did, and the one that was asked. The first is the more exact, the second the one
 * that may have a price of its own, such as a deployment's.
 *
 * @since 0.1.0
 * @category model
 */
export interface Answerer {
  readonly provider: string
  readonly model: string
  readonly asked?: string
  /**
   * The price in the configuration of the model that was asked (`ModelInfo.price`). It wins over the prices of a service.
   *
   * @since 0.2.0
   */
  readonly price?: Price
}

/**
 * What a usage costs with these prices at this time, in milliseconds since the epoch.
 *
 * @since 0.1.0
 * @category costs
 */
export const costAt = (service: Service, usage: Usage, by: Answerer, at: number): Option.Option<Cost> =>
  costWithin(service, service, usage, by, at)

/**
 * What a usage costs in a call: by the prices in context of the call, else by the price of the model's own configuration, else by
 * the prices in context where it was made.
 *
 * @internal
 */
export const costWithin = (
  called: Service,
  made: Service,
  usage: Usage,
  by: Answerer,
  at: number
): Option.Option<Cost> => Option.flatMap(priceWithin(called, made, by, at), (price) => cost(price, usage))

const priceWithin = (called: Service, made: Service, by: Answerer, at: number): Option.Option<Price> => {
  const { asked, model, provider } = by
  const names = asked === undefined || asked === model ? [model] : [model, asked]
  const configured =
    by.price === undefined ? firstSome(names, (model) => made.priceOf({ provider, model, at })) : Option.some(by.price)
  if (called === made || called === unknown) return configured
  const standing = Option.getOrUndefined(configured)
  const overriding = firstSome(names, (model) =>
    Option.filter(
      called.priceOf({ provider, model, at, ...(standing === undefined ? {} : { configured: standing }) }),
      (price) => price !== standing
    )
  )
  return Option.orElse(overriding, () => configured)
}

const firstSome = <A>(names: ReadonlyArray<string>, find: (name: string) => Option.Option<A>): Option.Option<A> => {
  for (const name of names) {
    const found = find(name)
    if (Option.isSome(found)) return found
  }
  return Option.none()
}

/**
 * What a usage costs now, with the prices in context.
 *
 * @since 0.1.0
 * @category accessors
 */
export const costOf = (usage: Usage, by: Answerer): Effect.Effect<Option.Option<Cost>> =>
  Effect.flatMap(Pricing, (service) =>
    Effect.clockWith((clock) => Effect.sync(() => costAt(service, usage, by, clock.unsafeCurrentTimeMillis())))
  )

/**
 * The same with the price of the model's own configuration, which holds for what it was asked itself, and for no other model of its
 * provider.
 *
 * @internal
 */
export const withOwnPrice = ({ model, price, provider }: ModelInfo, by: Answerer): Answerer =>
  price !== undefined && by.provider === provider && (by.asked ?? by.model) === model ? { ...by, price } : by

/**
 * Who answered an attempt that is over.
 *
 * @internal
 */
export const answererOfAttempt = ({ answeredBy, model, price, provider }: Ended): Answerer => ({
  provider,
  model: answeredBy,
  asked: model,
  ...(price === undefined ? {} : { price })
})

export interface Answer {
  readonly provider: string
  readonly model: string
  readonly attempts: ReadonlyArray<Attempt>
}

/**
 * The model that was asked by the attempt that was answered.
 *
 * @since 0.1.0
 * @category accessors
 */
export const answererOf = ({ attempts, model, provider }: Answer): Answerer => {
  const last = attempts[attempts.length - 1]
  return last?.provider === provider ? { provider, model, asked: last.model } : { provider, model }
}
