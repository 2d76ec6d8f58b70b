/** A file of models in which every model must have a price. */
import { Clock, Effect, Option } from "effect"
import * as Pricing from "../../accounting/pricing/model.js"
import type { ModelEntry, ProviderFile } from "../../models/fileModel.js"
import { ProviderFileError } from "../../models/fileModel.js"
import { parseFile } from "../config/configuration.js"

const message =
  'is missing, and no price of this model is known: set it in dollars a million tokens, such as { "input": 2.5, "output": 10 }, ' +
  "or set EFFECT_LLM_REQUIRE_PRICES to false"

/** As `openai[0].price`. */
const pathsOf = (models: ReadonlyArray<ModelEntry>): ReadonlyArray<readonly [string, ModelEntry]> => {
  const counts = new Map<string, number>()
  return models.map((entry) => {
    const index = counts.get(entry.provider) ?? 0
    counts.set(entry.provider, index + 1)
    return [`${entry.provider}[${index}].price`, entry]
  })
}

/** As `parseFile`, by the prices in context. */
export const parsePriced = (text: string, path: string): Effect.Effect<ProviderFile, ProviderFileError> =>
  Effect.flatMap(
    Effect.all([parseFile(text, path), Pricing.Pricing, Clock.currentTimeMillis]),
    ([file, prices, at]) => {
      const isPriced = ({ model, price, provider }: ModelEntry): boolean =>
        price !== undefined || Option.isSome(prices.priceOf({ provider, model, at }))
      const faults = pathsOf(file.models).flatMap(([path, entry]) => (isPriced(entry) ? [] : [{ path, message }]))
      return faults.length === 0
        ? Effect.succeed(file)
        : Effect.fail(new ProviderFileError({ file: path, faults, warnings: file.warnings }))
    }
  )
