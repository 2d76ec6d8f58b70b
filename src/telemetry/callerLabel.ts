/** The label of a caller as a label of metrics, with a bounded number of values. */

/** The most labels; further ones are counted together. */
const maxLabels = 1000

/** What further labels are counted as. */
const otherLabel = "other"

/** The metrics of a process are one registry, so its labels are bounded together. */
const known = new Set<string>()

/** The label, or `other` once a thousand others are in use. */
export const metricLabel = (label: string): string => {
  if (label === "" || known.has(label)) return label
  if (known.size >= maxLabels) return otherLabel
  known.add(label)
  return label
}
