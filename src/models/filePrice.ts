/** Reads the price of a model of a provider file: dollars a million tokens, as `Pricing.Price` has it. */
import type { Price, Rates, Tier } from "../vocabulary/price.js"
import type { Json } from "../wire/json.js"
import { isRecord } from "../wire/json.js"
import type { Expand, Fields, Note } from "./fileFields.js"
import { fieldsOf, optional } from "./fileFields.js"

/** What is noted of a price, and how its texts are expanded. */
export interface Context {
  readonly note: Note
  readonly warn: (warning: string) => void
  readonly expand: Expand
}

const rateFields = ["input", "output", "cached_input", "cache_write", "cache_write_1h", "reasoning"]

const priceFields: ReadonlySet<string> = new Set([...rateFields, "request", "tiers"])

const tierFields: ReadonlySet<string> = new Set([...rateFields, "above"])

const readRates = (from: Json, fields: Fields, { note }: Context): Rates => {
  const input = fields.notNegative("input")
  if (from["input"] === undefined || from["input"] === null) note(fields.at("input"), "is missing")
  return {
    input: input ?? 0,
    ...optional("output", fields.notNegative("output")),
    ...optional("cachedInput", fields.notNegative("cached_input")),
    ...optional("cacheWrite", fields.notNegative("cache_write")),
    ...optional("cacheWrite1h", fields.notNegative("cache_write_1h")),
    ...optional("reasoning", fields.notNegative("reasoning"))
  }
}

const warnOfUnknown = (from: Json, path: string, known: ReadonlySet<string>, { warn }: Context): void => {
  for (const field of Object.keys(from)) if (!known.has(field)) warn(`${path}.${field}: unknown field`)
}

const readTier = (tier: unknown, path: string, context: Context): ReadonlyArray<Tier> => {
  if (!isRecord(tier)) {
    context.note(path, 'expected an object such as { "above": 200000, "input": 5, "output": 15 }')
    return []
  }
  warnOfUnknown(tier, path, tierFields, context)
  const fields = fieldsOf(tier, path, context.note, context.expand)
  const above = fields.notNegative("above")
  if (tier["above"] === undefined || tier["above"] === null) context.note(fields.at("above"), "is missing")
  return [{ ...readRates(tier, fields, context), above: above ?? 0 }]
}

const readTiers = (tiers: unknown, path: string, context: Context): ReadonlyArray<Tier> | undefined => {
  if (tiers === undefined || tiers === null) return undefined
  if (!Array.isArray(tiers)) {
    context.note(path, "expected a list of tiers")
    return undefined
  }
  return tiers.flatMap((tier: unknown, index) => readTier(tier, `${path}[${index}]`, context))
}

export const readPrice = (given: unknown, path: string, context: Context): Price | undefined => {
  if (given === undefined || given === null) return undefined
  if (!isRecord(given)) {
    context.note(path, 'expected dollars a million tokens, such as { "input": 2.5, "output": 10 }')
    return undefined
  }
  warnOfUnknown(given, path, priceFields, context)
  const fields = fieldsOf(given, path, context.note, context.expand)
  return {
    ...readRates(given, fields, context),
    ...optional("request", fields.notNegative("request")),
    ...optional("tiers", readTiers(given["tiers"], fields.at("tiers"), context))
  }
}
