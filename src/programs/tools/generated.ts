/** Decodes values that a model wrote. */
import type { ParseResult } from "effect"
import { Effect, Schema } from "effect"
import { isRecord } from "../../wire/json.js"
import { faultsOf } from "../../internal/faults.js"

type Path = ReadonlyArray<PropertyKey>

/** Removes the properties at these paths that are null. */
const withoutNulls = (value: unknown, paths: ReadonlyArray<Path>): unknown => {
  if (paths.length === 0) return value
  const below = (step: PropertyKey): ReadonlyArray<Path> =>
    paths.filter((path) => path[0] === step && path.length > 1).map((path) => path.slice(1))
  if (Array.isArray(value)) return value.map((item, index) => withoutNulls(item, below(index)))
  if (!isRecord(value)) return value
  const isRejected = (name: string): boolean => paths.some((path) => path.length === 1 && path[0] === name)
  return Object.fromEntries(
    Object.entries(value)
      .filter(([name, property]) => property !== null || !isRejected(name))
      .map(([name, property]) => [name, withoutNulls(property, below(name))])
  )
}

/**
 * Makes a decoder. A null that the schema rejects counts as absent: a provider that enforces a schema exactly requires all
 * properties, and a model leaves an optional one out as null (OpenAI, "Structured Outputs", "All fields must be required").
 */
export const decoder = <A, I, R>(
  schema: Schema.Schema<A, I, R>
): ((value: unknown) => Effect.Effect<A, ParseResult.ParseError, R>) => {
  const decode = Schema.decodeUnknown(schema, { errors: "all" })
  return (value) =>
    Effect.catchAll(decode(value), ({ issue }) =>
      decode(
        withoutNulls(
          value,
          faultsOf(issue).map((fault) => fault.steps)
        )
      )
    )
}
