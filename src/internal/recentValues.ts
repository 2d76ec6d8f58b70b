/**
 * The results for the latest values, found by what they contain: for results that take longer to make than a comparison with a copy.
 *
 * Only plain objects, arrays and primitive values are kept. They are copied, because a caller can change its objects afterwards.
 */

const capacity = 128

/** The most text that is kept, in UTF-16 units. */
const maxUnits = 2_097_152

/** The most text of one value. */
const maxUnitsOfValue = maxUnits / 8

/** The most levels of nested objects and arrays. */
const maxDepth = 20

interface Known<A> {
  readonly copy: unknown
  readonly units: number
  readonly result: A
}

export interface RecentValues<A> {
  /** The result for an equal value. */
  readonly get: (value: unknown) => A | undefined
  /** Copies the value, for its result. */
  readonly prepare: (value: unknown) => (result: A) => void
}

const isPlain = (value: object): value is Readonly<Record<string, unknown>> => {
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null
}

interface Summary {
  fingerprint: number
  /** The units of all texts. */
  units: number
}

const mix = (summary: Summary, value: number): void => {
  summary.fingerprint = (Math.imul(summary.fingerprint, 31) + value) | 0
}

const addText = (summary: Summary, text: string): void => {
  const { length } = text
  summary.units += length
  mix(summary, length)
  if (length === 0) return
  mix(summary, text.charCodeAt(0))
  mix(summary, text.charCodeAt(length >> 1))
  mix(summary, text.charCodeAt(length - 1))
}

/** Adds a value. Returns whether it is plain. */
const addValue = (summary: Summary, value: unknown, depthLeft: number): boolean => {
  switch (typeof value) {
    case "string":
      addText(summary, value)
      return true
    case "number":
      mix(summary, value)
      return true
    case "boolean":
      mix(summary, value ? 1 : 2)
      return true
    case "undefined":
      mix(summary, 3)
      return true
    case "object":
      break
    default:
      return false
  }
  if (value === null) {
    mix(summary, 4)
    return true
  }
  if (depthLeft === 0) return false
  if (Array.isArray(value)) {
    mix(summary, value.length)
    return value.every((item: unknown) => addValue(summary, item, depthLeft - 1))
  }
  if (!isPlain(value)) return false
  for (const name in value) {
    mix(summary, name.length)
    if (!addValue(summary, value[name], depthLeft - 1)) return false
  }
  return true
}

/** Undefined when the value is not kept. */
const summaryOf = (value: unknown): Summary | undefined => {
  const summary: Summary = { fingerprint: 0, units: 0 }
  return addValue(summary, value, maxDepth) && summary.units <= maxUnitsOfValue ? summary : undefined
}

/** Whether a copy has the same values, with the fields in the same order. */
const equals = (copy: unknown, value: unknown): boolean => {
  if (copy === value) return true
  if (typeof copy !== "object" || typeof value !== "object" || copy === null || value === null) return false
  if (Array.isArray(copy)) {
    if (!Array.isArray(value) || value.length !== copy.length) return false
    for (let index = 0; index < copy.length; index++) if (!equals(copy[index], value[index])) return false
    return true
  }
  if (Array.isArray(value) || !isPlain(copy) || !isPlain(value)) return false
  const names = Object.keys(copy)
  let position = 0
  for (const name in value) {
    if (names[position++] !== name || !equals(copy[name], value[name])) return false
  }
  return position === names.length
}

const copyOf = (value: unknown): unknown => {
  if (typeof value !== "object" || value === null) return value
  if (Array.isArray(value)) return value.map(copyOf)
  // An assignment to `__proto__` would not make a field.
  return Object.fromEntries(Object.entries(value).map(([name, field]: [string, unknown]) => [name, copyOf(field)]))
}

export const make = <A>(): RecentValues<A> => {
  // A `Map` keeps the order of insertion: its first entry is the oldest. Of values with one fingerprint, the latest is kept.
  const known = new Map<number, Known<A>>()
  let units = 0
  const remove = (fingerprint: number): void => {
    units -= known.get(fingerprint)?.units ?? 0
    known.delete(fingerprint)
  }
  return {
    get: (value) => {
      const summary = summaryOf(value)
      const found = summary === undefined ? undefined : known.get(summary.fingerprint)
      return found !== undefined && equals(found.copy, value) ? found.result : undefined
    },
    prepare: (value) => {
      const summary = summaryOf(value)
      if (summary === undefined) return () => {}
      const copy = copyOf(value)
      return (result) => {
        remove(summary.fingerprint)
        known.set(summary.fingerprint, { copy, units: summary.units, result })
        units += summary.units
        for (const oldest of known.keys()) {
          if (known.size <= capacity && units <= maxUnits) return
          remove(oldest)
        }
      }
    }
  }
}
