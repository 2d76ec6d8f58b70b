/** Checked access to JSON that nobody has vouched for. Nothing here throws, and nothing trusts. */

import { isTooDeep } from "../internal/depth.js"
import * as Usage from "../vocabulary/Usage.js"

export type Json = Readonly<Record<string, unknown>>

/** The value that a text stands for; undefined where it is no JSON, or is nested too deeply to be worked with. */
export const parsed = (text: string): unknown => {
  try {
    const value: unknown = JSON.parse(text)
    return isTooDeep(text, value) ? undefined : value
  } catch {
    return undefined
  }
}

export const isRecord = (value: unknown): value is Json =>
  typeof value === "object" && value !== null && !Array.isArray(value)

/** The field where it is an object. */
export const record = (from: Json, field: string): Json | undefined => {
  const value = from[field]
  return isRecord(value) ? value : undefined
}

/** The field where it is a text. */
export const string = (from: Json, field: string): string | undefined => {
  const value = from[field]
  return typeof value === "string" ? value : undefined
}

/** The field where it is a finite number. */
export const number = (from: Json, field: string): number | undefined => {
  const value = from[field]
  return typeof value === "number" && Number.isFinite(value) ? value : undefined
}

/**
 * The field where it is a number of tokens; NaN where it is something that no number of tokens can be, such as a fraction or
 * 1e308. `Wire.usageOf` puts an estimate in its place, as NaN makes every sum that it is a part of NaN too.
 */
export const tokens = (from: Json, field: string): number | undefined => {
  const value = from[field]
  if (value === undefined || value === null) return undefined
  return Usage.isTokens(value) ? value : Number.NaN
}

/** The field where it is an array. */
export const array = (from: Json, field: string): ReadonlyArray<unknown> | undefined => {
  const value = from[field]
  return Array.isArray(value) ? value : undefined
}

/** The objects of the field, where it is an array; none where it is not. */
export const records = (from: Json, field: string): ReadonlyArray<Json> => (array(from, field) ?? []).filter(isRecord)

/** The fields of these names that are there and not null. */
export const kept = (from: Json, fields: ReadonlyArray<string>): Record<string, unknown> => {
  const found: Record<string, unknown> = {}
  for (const field of fields) if (from[field] !== undefined && from[field] !== null) found[field] = from[field]
  return found
}

/** The fields that are there and not null: many clients send `null` for what they leave open. */
export const present = (fields: Json): Json =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined && value !== null))

/** The fields, where there are some. */
export const nonEmpty = (fields: Json): Json | undefined => (Object.keys(fields).length === 0 ? undefined : fields)

/** The value as it is, where it is an object with more than these fields. */
export const beyond = (value: unknown, said: ReadonlyArray<string>): unknown =>
  isRecord(value) && Object.keys(present(value)).some((field) => !said.includes(field)) ? value : undefined
