/** What a schema expects of a value, in words for people and models: the same words in both versions of Effect. */

type Path = ReadonlyArray<PropertyKey>

/** What is wrong with a value: one of another type, by what is expected, or a fault of any other kind. */
export type Finding = Mismatch | Fault

interface Mismatch {
  readonly _tag: "Mismatch"
  readonly path: Path
  readonly expected: string
  readonly actual: unknown
}

interface Fault {
  readonly _tag: "Fault"
  readonly path: Path
  readonly message: string
}

export const mismatch = (path: Path, expected: string, actual: unknown): Finding => ({
  _tag: "Mismatch",
  path,
  expected,
  actual
})

export const fault = (path: Path, message: string): Finding => ({ _tag: "Fault", path, message })

/** A value of the right type that a filter or a transformation refuses. */
export const refusal = (path: Path, expected: string, actual: unknown): Finding =>
  fault(path, `Expected ${expected}, actual ${textOf(actual)}`)

export const messageOf = (finding: Finding): string =>
  finding._tag === "Fault" ? finding.message : `Expected ${finding.expected}, actual ${textOf(finding.actual)}`

/** A value as JSON, if it is any. */
const textOf = (value: unknown): string => {
  if (typeof value === "bigint") return `${value}n`
  if (typeof value !== "object" || value === null || value instanceof Date) {
    return typeof value === "string" ? JSON.stringify(value) : String(value)
  }
  try {
    return JSON.stringify(value)
  } catch {
    return String(value)
  }
}

/** A type that has members, by their words. */
export const anyOf = (members: ReadonlyArray<string>): string =>
  [...new Set(members.flatMap((member) => member.split(" | ")))].join(" | ")

/** The property whose literals tell the members of a union apart, and the literals. */
export interface Discriminator {
  readonly name: PropertyKey
  readonly literals: ReadonlyArray<unknown>
}

/** A union that takes no value: what it expects, and what is wrong for each member. */
export interface Union {
  readonly expected: string
  readonly discriminator: Discriminator | undefined
  readonly members: ReadonlyArray<ReadonlyArray<Finding>>
}

/** What is wrong with a value that no member of a union takes. Of members that have the type of the value, one is meant. */
export const findingsOfUnion = (
  path: Path,
  { discriminator, expected, members }: Union,
  actual: unknown
): ReadonlyArray<Finding> => {
  if (discriminator !== undefined && typeof actual === "object" && actual !== null) {
    const { literals, name } = discriminator
    const value: unknown = Object.getOwnPropertyDescriptor(actual, name)?.value
    const place = [...path, name]
    if (value === undefined) return [fault(place, "is missing")]
    if (!literals.includes(value)) return [mismatch(place, anyOf(literals.map(literal)), value)]
    const meant = members.filter(
      (findings) => !findings.some((finding) => finding._tag === "Mismatch" && isSamePath(finding.path, place))
    )
    if (meant.length > 0) return meant.flat()
  }
  const meant = members.filter((findings) =>
    findings.some((finding) => finding._tag === "Fault" || finding.path.length > path.length)
  )
  return meant.length === 0 ? [mismatch(path, expected, actual)] : meant.flat()
}

const isSamePath = (one: Path, other: Path): boolean =>
  one.length === other.length && one.every((step, index) => step === other[index])

/** The property that has literals in all members of a union, of whose properties the literals are given. */
export const discriminatorOf = (
  members: ReadonlyArray<ReadonlyMap<PropertyKey, ReadonlyArray<unknown>>>
): Discriminator | undefined => {
  for (const name of members[0]?.keys() ?? []) {
    const literals = members.map((member) => member.get(name) ?? [])
    if (literals.every(({ length }) => length > 0)) return { name, literals: [...new Set(literals.flat())] }
  }
  return undefined
}

/** A value that another form was decoded into, which has the type of that form. */
export const ofDecoded = (findings: ReadonlyArray<Finding>): ReadonlyArray<Finding> =>
  findings.map((finding) => fault(finding.path, messageOf(finding)))

/** What is wrong with the parts of a value, in the order of a list, or beginning with the property that names the member of a union. */
export const findingsOfParts = (path: Path, parts: ReadonlyArray<ReadonlyArray<Finding>>): ReadonlyArray<Finding> => {
  const positionOf = (findings: ReadonlyArray<Finding>): number => {
    const step = findings[0]?.path[path.length]
    return typeof step === "number" ? step : step === "_tag" ? -1 : 0
  }
  return parts.toSorted((one, other) => positionOf(one) - positionOf(other)).flat()
}

/** A text that does not fit a template of literals and types. */
export const template = "a string that fits the template"

export const literal = (value: unknown): string => textOf(value)

type Keywords = Readonly<Record<string, unknown>>

const knownPatterns: ReadonlyMap<unknown, string> = new Map([
  ["^\\S[\\s\\S]*\\S$|^\\S$|^$", "a string with no leading or trailing whitespace"],
  ["^[^A-Z]*$", "a lowercase string"],
  ["^[^a-z]*$", "an uppercase string"],
  ["^(?:[^a-z][\\s\\S]*)?$", "a string with an uppercase first letter"],
  ["^(?:[^A-Z][\\s\\S]*)?$", "a string with a lowercase first letter"],
  // Effect 3 writes these of capitalized and uncapitalized texts.
  ["^[^a-z]?.*$", "a string with an uppercase first letter"],
  ["^[^A-Z]?.*$", "a string with a lowercase first letter"],
  ["^-?\\d+$", "a string to be decoded into a bigint"],
  ["^[0-7][0-9A-HJKMNP-TV-Z]{25}$", "a ULID"]
])

const wordsOfLength = (minimum: unknown, maximum: unknown): string | undefined => {
  if (minimum === 1 && maximum === 1) return "a single character"
  if (minimum === 1 && maximum === undefined) return "a non empty string"
  if (minimum === maximum) return minimum === undefined ? undefined : `a string ${minimum} character(s) long`
  if (maximum === undefined) return `a string at least ${minimum} character(s) long`
  return minimum === undefined
    ? `a string at most ${maximum} character(s) long`
    : `a string at least ${minimum} character(s) and at most ${maximum} character(s) long`
}

const wordsOfCount = (minimum: unknown, maximum: unknown): string | undefined => {
  if (minimum === maximum) return minimum === undefined ? undefined : `an array of exactly ${minimum} item(s)`
  if (maximum === undefined) return `an array of at least ${minimum} item(s)`
  return minimum === undefined
    ? `an array of at most ${maximum} item(s)`
    : `an array of at least ${minimum} and at most ${maximum} item(s)`
}

const wordsOfLimit = ({ exclusiveMaximum, exclusiveMinimum, maximum, minimum }: Keywords): string | undefined => {
  if (minimum !== undefined && maximum !== undefined) return `a number between ${minimum} and ${maximum}`
  if (exclusiveMinimum !== undefined)
    return exclusiveMinimum === 0 ? "a positive number" : `a number greater than ${exclusiveMinimum}`
  if (exclusiveMaximum !== undefined)
    return exclusiveMaximum === 0 ? "a negative number" : `a number less than ${exclusiveMaximum}`
  if (minimum !== undefined)
    return minimum === 0 ? "a non-negative number" : `a number greater than or equal to ${minimum}`
  if (maximum !== undefined)
    return maximum === 0 ? "a non-positive number" : `a number less than or equal to ${maximum}`
  return undefined
}

/** A filter in words: by its keywords in JSON Schema, and by the text that it looks for. */
export const wordsOfFilter = (keywords: Keywords, { endsWith, includes, startsWith }: Keywords): string | undefined => {
  if (typeof startsWith === "string") return `a string starting with ${textOf(startsWith)}`
  if (typeof endsWith === "string") return `a string ending with ${textOf(endsWith)}`
  if (typeof includes === "string") return `a string including ${textOf(includes)}`
  const { format, maxItems, maxLength, minItems, minLength, multipleOf, pattern, type } = keywords
  if (type === "integer") return "an integer"
  if (format === "uuid") return "a UUID"
  if (pattern !== undefined) return knownPatterns.get(pattern) ?? `a string matching the pattern ${pattern}`
  if (multipleOf !== undefined) return `a number divisible by ${multipleOf}`
  return wordsOfLength(minLength, maxLength) ?? wordsOfCount(minItems, maxItems) ?? wordsOfLimit(keywords)
}
