/**
 * Prices of models, in dollars per million tokens. An unknown price stays unknown and is never treated as zero.
 *
 * By default no price is known. `Prices.layer` of `effect-llm/prices` provides the prices of most providers, and `Pricing.layer`
 * takes precedence over them. `Pricing.middleware()` is the middleware that adds a `cost` to every answer.
 *
 * @example
 * ```ts
 * import { Layer } from "effect"
 * import { LLM, Pricing } from "effect-llm"
 * import { Prices } from "effect-llm/prices"
 *
 * declare const OpenAI: Layer.Layer<LLM.LLM>
 *
 * // Dollars per million tokens. A name that ends in * matches every model with that prefix.
 * const Agreed = Pricing.layer({
 *   openai: { "gpt-4o*": { input: 2, cachedInput: 1, output: 8 } },
 *   ollama: { "*": Pricing.nothing }
 * }).pipe(Layer.provide(Prices.layer()))
 *
 * const Priced = OpenAI.pipe(LLM.withMiddleware(Pricing.middleware()), Layer.provide(Agreed))
 * ```
 *
 * @since 0.1.0
 */
import { Chunk, Context, Effect, Layer, Option } from "effect"
import type { Middleware } from "../call/model.js"
import type { Opening } from "../call/openStream.js"
import { mapEvents, openChat, toListeningChatStream } from "../call/openStream.js"
import { mapAnswer, sendChat, toChat } from "../call/sending.js"
import { wrap } from "../call/wrap.js"
import type { ChatEvent } from "../vocabulary/ChatEvent.js"
import type { Cost } from "../vocabulary/cost.js"
import type { Usage } from "../vocabulary/Usage.js"
import type { Price } from "../vocabulary/price.js"
import type { ResponseOrigin } from "./pricing/cost.js"
import { answererOf, costWithin, withOwnPrice } from "./pricing/cost.js"
import type { Service, Table } from "./pricing/model.js"
import { Pricing } from "./pricing/model.js"

export type { Price, Rates, Tier } from "../vocabulary/price.js"
export type { Service, Subject, Table } from "./pricing/model.js"
export { Pricing, unknown } from "./pricing/model.js"
export type { Answerer } from "./pricing/cost.js"
export { answererOf, cost, costAt, costOf, nothing } from "./pricing/cost.js"
export {
  Cost,
  combine as combineCosts,
  combineAll as combineAllCosts,
  free as zeroCost,
  make as makeCost
} from "../vocabulary/cost.js"

// -------------------------------------------------------------------------------------
// prices
// -------------------------------------------------------------------------------------

interface ModelPrices {
  readonly exact: ReadonlyMap<string, Price>
  /** Longest first. */
  readonly prefixes: ReadonlyArray<readonly [string, Price]>
}

const indexModels = (models: Readonly<Record<string, Price>>): ModelPrices => {
  const entries = Object.entries(models)
  return {
    exact: new Map(entries),
    prefixes: entries
      .filter(([name]) => name.endsWith("*"))
      .map(([name, price]) => [name.slice(0, -1), price] as const)
      .sort(([one], [other]) => other.length - one.length)
  }
}

const lookUp = (models: ModelPrices | undefined, model: string): Price | undefined =>
  models?.exact.get(model) ?? models?.prefixes.find(([prefix]) => model.startsWith(prefix))?.[1]

/**
 * Makes a price list from a table: looks under the provider first, then under `*`; an exact name before the longest prefix.
 *
 * @since 0.1.0
 * @category constructors
 */
export const fromTable = (table: Table): Service => {
  const providers = new Map(Object.entries(table).map(([provider, models]) => [provider, indexModels(models)]))
  return {
    priceOf: ({ model, provider }) =>
      Option.fromNullable(lookUp(providers.get(provider), model) ?? lookUp(providers.get("*"), model))
  }
}

/**
 * Combines two price lists: the second is used when the first has no price.
 *
 * @since 0.1.0
 * @category combinators
 */
export const orElse = (self: Service, that: Service): Service => ({
  priceOf: (subject) => Option.orElse(self.priceOf(subject), () => that.priceOf(subject))
})

/**
 * Provides a price list in front of those of outer layers.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerOver = (service: Service): Layer.Layer<Pricing> =>
  Layer.effect(
    Pricing,
    Effect.map(Pricing, (outer) => orElse(service, outer))
  )

/**
 * Provides prices of your own in front of those of outer layers.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { LLM, Pricing } from "effect-llm"
 *
 * // Dollars per million tokens.
 * const Prices = Pricing.layer({ acme: { "acme-large": { input: 2, output: 8 } } })
 *
 * const Priced = LLM.layerConfig().pipe(LLM.withMiddleware(Pricing.middleware()))
 *
 * const program = LLM.chat("Hello").pipe(Effect.provide(Priced), Effect.provide(Prices))
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (table: Table): Layer.Layer<Pricing> => layerOver(fromTable(table))

// -------------------------------------------------------------------------------------
// the middleware
// -------------------------------------------------------------------------------------

/**
 * The middleware that adds `cost`, at the prices in context, to every answer and to every stream's `Finish`. `cost` is absent
 * when the price is unknown. A cost that an answer already has stays: that of a model with a price of its own in `provider.json`.
 *
 * Like `usage`, it covers the answer only: the `UsageLedger` also counts the failed attempts before it.
 *
 * @since 0.2.0
 * @category middlewares
 */
export const middleware = (): Middleware => (next) =>
  Effect.zipWith(Pricing, Effect.clock, (defaultPrices, clock) => {
    const withCost = <A extends { readonly usage: Usage; readonly cost?: Cost }>(
      callPrices: Service,
      answer: A,
      by: ResponseOrigin
    ): A =>
      answer.cost !== undefined
        ? answer
        : Option.match(
            costWithin(
              callPrices,
              defaultPrices,
              answer.usage,
              withOwnPrice(next.info, answererOf(by)),
              clock.unsafeCurrentTimeMillis()
            ),
            { onNone: () => answer, onSome: (cost) => ({ ...answer, cost }) }
          )

    const withStreamCosts = (callPrices: Service, opening: Opening): Opening =>
      Effect.map(opening, (opened) => {
        let start: ResponseOrigin = { ...next.info, attempts: [] }
        const withCosts = (events: Chunk.Chunk<ChatEvent>): Chunk.Chunk<ChatEvent> => {
          let finished = false
          for (const event of Chunk.toReadonlyArray(events)) {
            if (event._tag === "Start") start = event
            else if (event._tag === "Finish") finished = true
          }
          return finished
            ? Chunk.map(events, (event) => (event._tag === "Finish" ? withCost(callPrices, event, start) : event))
            : events
        }
        return mapEvents(opened, withCosts)
      })

    return wrap(next, {
      chat: toChat((input, added) => (fiber, limits) => {
        const callPrices = Context.get(fiber.currentContext, Pricing)
        const priced = mapAnswer(sendChat(next, input, added), (response) => withCost(callPrices, response, response))
        return priced(fiber, limits)
      }),
      embed: (request) =>
        Effect.flatMap(Pricing, (callPrices) =>
          Effect.map(next.embed(request), (response) => withCost(callPrices, response, response))
        ),
      chatStream: toListeningChatStream(
        (request, listeners) => (finalizers) =>
          Effect.withFiberRuntime((fiber) =>
            withStreamCosts(Context.get(fiber.currentContext, Pricing), openChat(next, request, listeners)(finalizers))
          )
      )
    })
  })
