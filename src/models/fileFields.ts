/** Checked access to the fields of an object in a file: what is wrong is noted, and a default stands in for it. */
import type { Json } from "../wire/json.js"

export interface Fault {
  readonly path: string
  readonly message: string
}

export type Note = (path: string, message: string) => void

/** Replaces variables in a text; nothing where one of them is missing. */
export type Expand = (text: string) => string | undefined

export interface Fields {
  readonly at: (field: string) => string
  readonly text: (field: string) => string | undefined
  readonly positive: (field: string) => number | undefined
  /** A positive whole number. */
  readonly whole: (field: string) => number | undefined
  readonly notNegative: (field: string) => number | undefined
}

const missingVariable = "names an environment variable that is not set"

export const fieldsOf = (from: Json, path: string, note: Note, expand: Expand): Fields => {
  const at = (field: string) => `${path}.${field}`
  const number = (field: string, wanted: (value: number) => boolean, expected: string): number | undefined => {
    const value = from[field]
    if (value === undefined || value === null) return undefined
    if (typeof value === "number" && Number.isFinite(value) && wanted(value)) return value
    note(at(field), `expected ${expected}`)
    return undefined
  }
  return {
    at,
    text: (field) => {
      const value = from[field]
      if (value === undefined || value === null) return undefined
      if (typeof value !== "string") {
        note(at(field), "expected a text")
        return undefined
      }
      const expanded = expand(value)
      if (expanded === undefined) note(at(field), missingVariable)
      return expanded
    },
    positive: (field) => number(field, (value) => value > 0, "a positive number"),
    whole: (field) => number(field, (value) => value > 0 && Number.isInteger(value), "a positive whole number"),
    notNegative: (field) => number(field, (value) => value >= 0, "a number that is not negative")
  }
}

/** The field, or none where there is no value. */
export const optional = <K extends string, V>(key: K, value: V | undefined): { readonly [P in K]?: V } => {
  const found: { [P in K]?: V } = {}
  if (value !== undefined) found[key] = value
  return found
}
