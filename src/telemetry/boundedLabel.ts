/** Values of metric labels that come from outside, with a bounded number of values. */

/** The most values of a label; further ones are counted together. */
const maxValues = 1000

/** What further values are counted as. */
const otherValue = "other"

/** A bounded label. The metrics of a process are one registry, so the values of all `LLM`s are bounded together. */
const bounded = (): ((value: string) => string) => {
  const known = new Set<string>()
  return (value) => {
    if (value === "" || known.has(value)) return value
    if (known.size >= maxValues) return otherValue
    known.add(value)
    return value
  }
}

/** The label of a caller, or `other` once a thousand others are in use. */
export const callerLabel = bounded()

/** The name of a model that a request or an answer contains, or `other` once a thousand others are in use. */
export const modelLabel = bounded()
