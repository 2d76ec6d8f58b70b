/** The JSON Schema of an Effect Schema, as Effect writes it: one module, since Effect 4 writes others. */
import type { Schema } from "effect"
import { JSONSchema } from "effect"
import type { JsonSchema } from "../../wire/schema/walker.js"
import { mapSchemas } from "../../wire/schema/walker.js"

/**
 * Titles and descriptions that Effect gives to its own filters and types. Keywords say the same, or nothing has to be said; what a text is
 * decoded into remains, since no keyword says it.
 */
const ownTitle =
  /^(int|finite|positive|negative|nonPositive|nonNegative|nonEmptyString|unknown|any|void|object|(between|greaterThan|greaterThanOrEqualTo|lessThan|lessThanOrEqualTo|multipleOf|minLength|maxLength|length|minItems|maxItems|itemsCount|startsWith|endsWith|includes)\(.*\)|`.*`)$/

const ownDescription =
  /^(an integer|a finite number|a (positive|negative|non-positive|non-negative) number|a number (between|greater than|less than|divisible by) .+|a string (at least|at most) \d+ character\(s\) long|a string matching the pattern .+|a string (starting|ending) with .+|a string including .+|a non empty string|a single character|an array of (at least|at most|exactly) \d+ item\(s\)|a Universally Unique .+|a template literal|an object in the TypeScript meaning.+)$/

const isOwn = (key: string, value: unknown): boolean =>
  typeof value === "string" &&
  ((key === "title" && ownTitle.test(value)) || (key === "description" && ownDescription.test(value)))

const withoutOwn = (node: JsonSchema): JsonSchema =>
  Object.fromEntries(Object.entries(mapSchemas(node, withoutOwn)).filter(([key, value]) => !isOwn(key, value)))

/** @throws when a part of the schema has neither a JSON Schema nor an annotation with one */
export const documentOf = <A, I, R>(schema: Schema.Schema<A, I, R>): JsonSchema =>
  withoutOwn({ ...JSONSchema.make(schema) })
