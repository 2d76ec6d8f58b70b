/** JSON in the parts of `@effect/ai`. */
import { isRecord } from "../wire/json.js"

/** A value that JSON can hold. */
export type Json = null | boolean | number | string | ReadonlyArray<Json> | { readonly [key: string]: Json }

/** A copy that JSON can hold: as `JSON.stringify` writes it, without functions and undefined fields. */
export const jsonOf = (value: unknown): Json => {
  switch (typeof value) {
    case "boolean":
    case "string":
      return value
    case "number":
      return Number.isFinite(value) ? value : null
    default:
      if (Array.isArray(value)) return value.map(jsonOf)
      return isRecord(value) ? fieldsOf(value) : null
  }
}

/** The same of the fields of an object. */
export const fieldsOf = (fields: object): { readonly [key: string]: Json } =>
  Object.fromEntries(
    Object.entries(fields).flatMap(([key, value]: [string, unknown]) =>
      value === undefined ? [] : [[key, jsonOf(value)]]
    )
  )

/** The result of a tool as the text for a model: JSON. */
export const resultText = (result: unknown): string => JSON.stringify(result) ?? "null"
