/** Decodes values that a model wrote. */
import { Effect, Schema } from "effect"
import { isRecord } from "../../wire/json.js"
import { faultsOf } from "../../internal/faults.js"

type Path = ReadonlyArray<PropertyKey>

/** Changes the properties at these paths: `undefined` takes one away, if it is null, and puts in one that is missing. */
const changed = (value: unknown, paths: ReadonlyArray<Path>, isMissing: boolean): unknown => {
  if (paths.length === 0) return value
  const below = (step: PropertyKey): ReadonlyArray<Path> =>
    paths.filter((path) => path[0] === step && path.length > 1).map((path) => path.slice(1))
  if (Array.isArray(value)) return value.map((item, index) => changed(item, below(index), isMissing))
  if (!isRecord(value)) return value
  const named = paths.filter((path) => path.length === 1).map(([name]) => String(name))
  const kept = Object.entries(value)
    .filter(([name, property]) => property !== null || !named.includes(name))
    .map(([name, property]): readonly [string, unknown] => [name, changed(property, below(name), isMissing)])
  const missing = isMissing
    ? named.filter((name) => !Object.hasOwn(value, name)).map((name) => [name, undefined] as const)
    : []
  return Object.fromEntries([...kept, ...missing])
}

/**
 * Makes a decoder. A null that the schema rejects counts as absent: a provider that enforces a schema exactly requires all
 * properties, and a model leaves an optional one out as null (OpenAI, "Structured Outputs", "All fields must be required"). A property that
 * is absent counts as `undefined`, which JSON does not have and Effect 4 expects of a schema such as `Schema.UndefinedOr`.
 */
export const decoder = <A, I, R>(
  schema: Schema.Codec<A, I, R, R>
): ((value: unknown) => Effect.Effect<A, Schema.SchemaError, R>) => {
  const decode = Schema.decodeUnknownEffect(schema, { errors: "all", reportInput: true })
  return (value) =>
    Effect.catch(decode(value), (first) => {
      const present = changed(
        value,
        faultsOf(first.issue).map(({ steps }) => steps),
        false
      )
      return Effect.catch(decode(present), (second) => {
        const missing = faultsOf(second.issue).filter(({ message }) => message === "is missing")
        return missing.length === 0
          ? Effect.fail(second)
          : Effect.mapError(
              decode(
                changed(
                  present,
                  missing.map(({ steps }) => steps),
                  true
                )
              ),
              () => second
            )
      })
    })
}
