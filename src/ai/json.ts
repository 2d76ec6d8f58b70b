/** JSON in the parts of `@effect/ai`. */
import { isRecord } from "../wire/json.js"

/** A value that JSON can hold. */
export type JsonValue =
  | null
  | boolean
  | number
  | string
  | ReadonlyArray<JsonValue>
  | { readonly [key: string]: JsonValue }

/** A copy that JSON can hold: undefined fields are left out, and what JSON has no form for, such as NaN, is null. */
export const jsonOf = (value: unknown): JsonValue => {
  switch (typeof value) {
    case "boolean":
    case "string":
      return value
    case "number":
      return Number.isFinite(value) ? value : null
    default:
      if (Array.isArray(value)) return value.map(jsonOf)
      return isRecord(value) ? jsonFieldsOf(value) : null
  }
}

/** The same of the fields of an object. */
export const jsonFieldsOf = (fields: object): { readonly [key: string]: JsonValue } =>
  Object.fromEntries(
    Object.entries(fields).flatMap(([key, value]: [string, unknown]) =>
      value === undefined ? [] : [[key, jsonOf(value)]]
    )
  )

/** The result of a tool as the text for a model: JSON. */
export const resultText = (result: unknown): string => JSON.stringify(result) ?? "null"
