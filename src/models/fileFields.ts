/** Checked access to the fields of an object in a file: an invalid field is reported as a fault and read as absent. */
import type { Json } from "../wire/json.js"

export interface Fault {
  readonly path: string
  readonly message: string
}

export type AddFault = (path: string, message: string) => void

/** Replaces variables in a text; undefined when one of them is not set. */
export type Expand = (text: string) => string | undefined

export interface Fields {
  readonly at: (field: string) => string
  readonly text: (field: string) => string | undefined
  readonly positive: (field: string) => number | undefined
  /** A positive whole number. */
  readonly whole: (field: string) => number | undefined
  readonly notNegative: (field: string) => number | undefined
  readonly flag: (field: string) => boolean | undefined
}

const missingVariable = "names an environment variable that is not set"

export const fieldsOf = (from: Json, path: string, addFault: AddFault, expand: Expand): Fields => {
  const at = (field: string) => `${path}.${field}`
  const number = (field: string, isValid: (value: number) => boolean, expected: string): number | undefined => {
    const value = from[field]
    if (value === undefined || value === null) return undefined
    if (typeof value === "number" && Number.isFinite(value) && isValid(value)) return value
    addFault(at(field), `expected ${expected}`)
    return undefined
  }
  return {
    at,
    text: (field) => {
      const value = from[field]
      if (value === undefined || value === null) return undefined
      if (typeof value !== "string") {
        addFault(at(field), "expected a string")
        return undefined
      }
      const expanded = expand(value)
      if (expanded === undefined) addFault(at(field), missingVariable)
      return expanded
    },
    positive: (field) => number(field, (value) => value > 0, "a positive number"),
    whole: (field) => number(field, (value) => value > 0 && Number.isInteger(value), "a positive whole number"),
    notNegative: (field) => number(field, (value) => value >= 0, "a number that is not negative"),
    flag: (field) => {
      const value = from[field]
      if (value === undefined || value === null) return undefined
      if (typeof value === "boolean") return value
      addFault(at(field), "expected true or false")
      return undefined
    }
  }
}

/** An object with the field, or an empty one when there is no value. */
export const optional = <K extends string, V>(key: K, value: V | undefined): { readonly [P in K]?: V } => {
  const field: { [P in K]?: V } = {}
  if (value !== undefined) field[key] = value
  return field
}
