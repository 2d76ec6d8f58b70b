/** Values of metric labels that come from outside, with a bounded number of values. */

/** What further values are counted as. */
const otherValue = "other"

/** A label with so many values at most; further ones are counted together. */
export const bounded = (maxValues: number): ((value: string) => string) => {
  const known = new Set<string>()
  return (value) => {
    if (value === "" || known.has(value)) return value
    if (known.size >= maxValues) return otherValue
    known.add(value)
    return value
  }
}

/** The label of a caller, or `other` once a thousand others are in use. The metrics of a process are one registry: all `LLM`s share the bound. */
export const callerLabel = bounded(1000)
