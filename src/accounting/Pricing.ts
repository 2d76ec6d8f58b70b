/**
 * Prices of models, in dollars per million tokens. An unknown price stays unknown and is never treated as zero.
 *
 * By default no price is known. `Prices.layer` of `effect-llm/prices` provides the prices of most providers, and `Pricing.layer` puts
 * your own over them. `Pricing.make()` is the middleware that adds a `cost` to every answer.
 *
 * @example
 * ```ts
 * import { Layer } from "effect"
 * import { LLM, Pricing } from "effect-llm"
 * import { Prices } from "effect-llm/prices"
 *
 * declare const OpenAI: Layer.Layer<LLM.LLM>
 *
 * // Dollars per million tokens. A name that ends in * matches every model whose name begins so.
 * const Agreed = Pricing.layer({
 *   openai: { "gpt-4o*": { input: 2, cachedInput: 1, output: 8 } },
 *   ollama: { "*": Pricing.nothing }
 * }).pipe(Layer.provide(Prices.layer()))
 *
 * const Priced = OpenAI.pipe(LLM.withMiddleware(Pricing.make()), Layer.provide(Agreed))
 * ```
 *
 * @since 0.1.0
 */
import { Chunk, Effect, Layer, Option } from "effect"
import type { Middleware } from "../call/model.js"
import type { Open } from "../call/openStream.js"
import { fromStream, toStream } from "../call/openStream.js"
import type { ChatEvent } from "../vocabulary/ChatEvent.js"
import type { Cost } from "../vocabulary/Cost.js"
import type { Usage } from "../vocabulary/Usage.js"
import type { Price } from "../vocabulary/price.js"
import type { Answer } from "./pricing/cost.js"
import { answererOf, costWithin, withOwnPrice } from "./pricing/cost.js"
import type { Service, Table } from "./pricing/model.js"
import { Pricing } from "./pricing/model.js"

export type { Price, Rates, Tier } from "../vocabulary/price.js"
export type { Service, Subject, Table } from "./pricing/model.js"
export { Pricing, unknown } from "./pricing/model.js"
export type { Answerer } from "./pricing/cost.js"
export {
  answererOf,
  answererOfAttempt,
  cost,
  costAt,
  costOf,
  costWithin,
  nothing,
  withOwnPrice
} from "./pricing/cost.js"

// -------------------------------------------------------------------------------------
// prices
// -------------------------------------------------------------------------------------

interface Models {
  readonly exact: ReadonlyMap<string, Price>
  /** The longest first. */
  readonly prefixes: ReadonlyArray<readonly [string, Price]>
}

const readModels = (models: Readonly<Record<string, Price>>): Models => {
  const entries = Object.entries(models)
  return {
    exact: new Map(entries),
    prefixes: entries
      .filter(([name]) => name.endsWith("*"))
      .map(([name, price]) => [name.slice(0, -1), price] as const)
      .sort(([one], [other]) => other.length - one.length)
  }
}

const among = (models: Models | undefined, model: string): Price | undefined =>
  models?.exact.get(model) ?? models?.prefixes.find(([prefix]) => model.startsWith(prefix))?.[1]

/**
 * Prices from a table: those of the provider first, then those under `*`; an exact name before the longest prefix.
 *
 * @since 0.1.0
 * @category constructors
 */
export const fromTable = (table: Table): Service => {
  const providers = new Map(Object.entries(table).map(([provider, models]) => [provider, readModels(models)]))
  return {
    priceOf: ({ model, provider }) =>
      Option.fromNullable(among(providers.get(provider), model) ?? among(providers.get("*"), model))
  }
}

/**
 * The prices of the first, and of the second where the first knows none.
 *
 * @since 0.1.0
 * @category combinators
 */
export const orElse = (self: Service, that: Service): Service => ({
  priceOf: (subject) => Option.orElse(self.priceOf(subject), () => that.priceOf(subject))
})

/**
 * Puts prices over those of the layers further out.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerOver = (service: Service): Layer.Layer<Pricing> =>
  Layer.effect(
    Pricing,
    Effect.map(Pricing, (below) => orElse(service, below))
  )

/**
 * Prices of your own, over those of the layers further out.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (table: Table): Layer.Layer<Pricing> => layerOver(fromTable(table))

// -------------------------------------------------------------------------------------
// the middleware
// -------------------------------------------------------------------------------------

/**
 * The middleware: every answer, and every stream's `Finish`, says what it cost by the prices in context. `cost` is absent
 * where the price is not known. A cost that an answer has already stays: that of a model with a price of its own in
 * `provider.json`.
 *
 * It is the cost of the answer, as its `usage` is: what failed attempts before it have cost, the `UsageLedger` knows.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (): Middleware => (next) =>
  Effect.zipWith(Pricing, Effect.clock, (made, clock) => {
    const priced = <A extends { readonly usage: Usage; readonly cost?: Cost }>(
      called: Service,
      answer: A,
      by: Answer
    ): A =>
      answer.cost !== undefined
        ? answer
        : Option.match(
            costWithin(
              called,
              made,
              answer.usage,
              withOwnPrice(next.info, answererOf(by)),
              clock.unsafeCurrentTimeMillis()
            ),
            { onNone: () => answer, onSome: (cost) => ({ ...answer, cost }) }
          )

    const opened = (called: Service, open: Open): Open =>
      Effect.map(open, ({ first, pull }) => {
        let start: Answer = { ...next.info, attempts: [] }
        const told = (events: Chunk.Chunk<ChatEvent>): Chunk.Chunk<ChatEvent> => {
          let finished = false
          for (const event of events) {
            if (event._tag === "Start") start = event
            else if (event._tag === "Finish") finished = true
          }
          return finished
            ? Chunk.map(events, (event) => (event._tag === "Finish" ? priced(called, event, start) : event))
            : events
        }
        return { first: told(first), pull: Effect.map(pull, told) }
      })

    return {
      ...next,
      chat: (request) =>
        Effect.flatMap(Pricing, (called) =>
          Effect.map(next.chat(request), (response) => priced(called, response, response))
        ),
      embed: (request) =>
        Effect.flatMap(Pricing, (called) =>
          Effect.map(next.embed(request), (response) => priced(called, response, response))
        ),
      chatStream: (request) =>
        toStream(Effect.flatMap(Pricing, (called) => opened(called, fromStream(next.chatStream(request)))))
    }
  })
