/**
 * What tokens cost. A price that nobody knows is unknown, and never zero.
 *
 * Without more, no price is known. `Prices.layer` of `effect-llm/prices` knows those of most providers; `Pricing.layer` puts
 * prices of your own over them. `Pricing.make()` is the middleware that puts a `cost` on every answer.
 *
 * @example
 * ```ts
 * import { Layer } from "effect"
 * import { LLM, Pricing } from "effect-llm"
 * import { Prices } from "effect-llm/prices"
 *
 * declare const OpenAI: Layer.Layer<LLM.LLM>
 *
 * // Dollars a million tokens. A name that ends in * stands for all that begin so.
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
import { Chunk, Context, Effect, Layer, Option } from "effect"
import type { Middleware, ModelInfo } from "../call/model.js"
import type { Open } from "../call/openStream.js"
import { fromStream, toStream } from "../call/openStream.js"
import type { Ended } from "../telemetry/usageListeners.js"
import type { Attempt } from "../vocabulary/Attempt.js"
import type { ChatEvent } from "../vocabulary/ChatEvent.js"
import type { Cost } from "../vocabulary/Cost.js"
import * as Costs from "../vocabulary/Cost.js"
import type { Usage } from "../vocabulary/Usage.js"
import type { Price, Rates, Tier } from "../vocabulary/price.js"

export type { Price, Rates, Tier } from "../vocabulary/price.js"

/**
 * Whose price is asked for.
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

// -------------------------------------------------------------------------------------
// prices
// -------------------------------------------------------------------------------------

/**
 * The price of what costs nothing, such as a model on a machine of your own.
 *
 * @since 0.1.0
 * @category prices
 */
export const nothing: Price = { input: 0, output: 0 }

/**
 * Prices by provider and model. A model's name that ends in `*` stands for all that begin so (the longest counts), and the
 * provider `*` for all that do not know the model.
 *
 * @since 0.1.0
 * @category model
 */
export type Table = Readonly<Record<string, Readonly<Record<string, Price>>>>

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
// costs
// -------------------------------------------------------------------------------------

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

// -------------------------------------------------------------------------------------
// the middleware
// -------------------------------------------------------------------------------------

interface Answer {
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
