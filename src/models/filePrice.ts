/** Reads the price of a model of a provider file: dollars per million tokens, as in `Pricing.Price`. */
import { unknownField } from "../internal/nearest.js"
import type { Price, Rates, Tier } from "../vocabulary/price.js"
import type { Json } from "../wire/json.js"
import { isRecord } from "../wire/json.js"
import type { Expand, Fields, AddFault } from "./fileFields.js"
import { fieldsOf, optional } from "./fileFields.js"

/** The reader's callbacks. */
export interface Context {
  readonly addFault: AddFault
  readonly addWarning: (warning: string) => void
  readonly expand: Expand
}

const rateFields = [
  "input",
  "output",
  "cached_input",
  "cache_write",
  "cache_write_1h",
  "reasoning",
  "input_audio",
  "output_audio"
]

const priceFields: ReadonlySet<string> = new Set([...rateFields, "request", "tiers"])

const tierFields: ReadonlySet<string> = new Set([...rateFields, "above"])

const readRates = (from: Json, fields: Fields, { addFault }: Context): Rates => {
  const input = fields.notNegative("input")
  if (from["input"] === undefined || from["input"] === null) addFault(fields.at("input"), "is missing")
  return {
    input: input ?? 0,
    ...optional("output", fields.notNegative("output")),
    ...optional("cachedInput", fields.notNegative("cached_input")),
    ...optional("cacheWrite", fields.notNegative("cache_write")),
    ...optional("cacheWrite1h", fields.notNegative("cache_write_1h")),
    ...optional("reasoning", fields.notNegative("reasoning")),
    ...optional("inputAudio", fields.notNegative("input_audio")),
    ...optional("outputAudio", fields.notNegative("output_audio"))
  }
}

export const warnOfUnknownFields = (
  from: Json,
  path: string,
  known: ReadonlySet<string>,
  { addWarning }: Context
): void => {
  for (const field of Object.keys(from))
    if (!known.has(field)) addWarning(`${path}.${field}: ${unknownField(field, known)}`)
}

const readTier = (tier: unknown, path: string, context: Context): ReadonlyArray<Tier> => {
  if (!isRecord(tier)) {
    context.addFault(path, 'expected an object such as { "above": 200000, "input": 5, "output": 15 }')
    return []
  }
  warnOfUnknownFields(tier, path, tierFields, context)
  const fields = fieldsOf(tier, path, context.addFault, context.expand)
  const above = fields.notNegative("above")
  if (tier["above"] === undefined || tier["above"] === null) context.addFault(fields.at("above"), "is missing")
  return [{ ...readRates(tier, fields, context), above: above ?? 0 }]
}

const readTiers = (tiers: unknown, path: string, context: Context): ReadonlyArray<Tier> | undefined => {
  if (tiers === undefined || tiers === null) return undefined
  if (!Array.isArray(tiers)) {
    context.addFault(path, "expected a list of tiers")
    return undefined
  }
  return tiers.flatMap((tier: unknown, index) => readTier(tier, `${path}[${index}]`, context))
}

export const readPrice = (json: unknown, path: string, context: Context): Price | undefined => {
  if (json === undefined || json === null) return undefined
  if (!isRecord(json)) {
    context.addFault(path, 'expected a price in dollars per million tokens, such as { "input": 2.5, "output": 10 }')
    return undefined
  }
  warnOfUnknownFields(json, path, priceFields, context)
  const fields = fieldsOf(json, path, context.addFault, context.expand)
  return {
    ...readRates(json, fields, context),
    ...optional("request", fields.notNegative("request")),
    ...optional("tiers", readTiers(json["tiers"], fields.at("tiers"), context))
  }
}
