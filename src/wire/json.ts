/** Checked access to untrusted JSON. Nothing here throws. */
import { isTooDeep } from "../internal/depth.js"
import * as Usage from "../vocabulary/Usage.js"

export type Json = Readonly<Record<string, unknown>>

/** The value of a JSON text; undefined when it is not valid JSON or nested too deeply (`internal/depth.ts`). */
export const parseJson = (text: string): unknown => {
  try {
    const value: unknown = JSON.parse(text)
    return isTooDeep(text, value) ? undefined : value
  } catch {
    return undefined
  }
}

export const isRecord = (value: unknown): value is Json =>
  typeof value === "object" && value !== null && !Array.isArray(value)

/** The field when it is an object. */
export const record = (from: Json, field: string): Json | undefined => {
  const value = from[field]
  return isRecord(value) ? value : undefined
}

/** The field when it is a string. */
export const string = (from: Json, field: string): string | undefined => {
  const value = from[field]
  return typeof value === "string" ? value : undefined
}

/** The field when it is a finite number. */
export const number = (from: Json, field: string): number | undefined => {
  const value = from[field]
  return typeof value === "number" && Number.isFinite(value) ? value : undefined
}

/**
 * The field when it is a valid count of tokens, and NaN when it is anything else, such as a fraction or 1e308: a sum with NaN is
 * NaN, and `Wire.usageOf` replaces it by an estimate.
 */
export const tokens = (from: Json, field: string): number | undefined => {
  const value = from[field]
  if (value === undefined || value === null) return undefined
  return Usage.isTokens(value) ? value : Number.NaN
}

/** The field when it is an array. */
export const array = (from: Json, field: string): ReadonlyArray<unknown> | undefined => {
  const value = from[field]
  return Array.isArray(value) ? value : undefined
}

/** The objects in the field when it is an array; otherwise none. */
export const records = (from: Json, field: string): ReadonlyArray<Json> => (array(from, field) ?? []).filter(isRecord)

/** The fields of these names, without undefined and null. */
export const pick = (from: Json, fields: ReadonlyArray<string>): Record<string, unknown> => {
  const picked: Record<string, unknown> = {}
  for (const field of fields) if (from[field] !== undefined && from[field] !== null) picked[field] = from[field]
  return picked
}

/** The fields without those that are undefined. */
export const withoutUndefined = (fields: Json): Json =>
  Object.values(fields).includes(undefined)
    ? Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined))
    : fields

/** The fields without undefined and null: many clients send `null` for a default. */
export const withoutNulls = (fields: Json): Json => {
  const present: Record<string, unknown> = {}
  for (const name of Object.keys(fields)) {
    const value = fields[name]
    if (value === undefined || value === null) continue
    // An assignment of this name would set the prototype.
    if (name === "__proto__") Object.defineProperty(present, name, { value, enumerable: true, configurable: true })
    else present[name] = value
  }
  return present
}

/** The fields; undefined when there are none. */
export const nonEmpty = (fields: Json): Json | undefined => (Object.keys(fields).length === 0 ? undefined : fields)

/** The value when it is an object with fields other than these. */
export const ifUnknownFields = (value: unknown, known: ReadonlyArray<string>): unknown =>
  isRecord(value) && Object.keys(withoutNulls(value)).some((field) => !known.includes(field)) ? value : undefined
