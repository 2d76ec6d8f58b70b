/** A strict parser of Prometheus' text format 0.0.4: throws on text that Prometheus would reject or read differently. */

export interface Sample {
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

export interface Family {
  readonly name: string
  readonly type: string
  readonly help: string | undefined
  readonly samples: ReadonlyArray<Sample>
}

const suffixes: Readonly<Record<string, ReadonlyArray<string>>> = {
  counter: [""],
  gauge: [""],
  histogram: ["_bucket", "_sum", "_count"],
  summary: ["", "_sum", "_count"]
}

const reject = (line: string, why: string): never => {
  throw new Error(`${why}: ${line}`)
}

const unescaped = (text: string): string => text.replace(/\\(.)/g, (_, sign: string) => (sign === "n" ? "\n" : sign))

const numberOf = (text: string, line: string): number => {
  if (text === "+Inf") return Infinity
  if (text === "-Inf") return -Infinity
  if (text === "NaN") return Number.NaN
  return /^-?\d+(\.\d+)?([eE][+-]?\d+)?$/.test(text) ? Number(text) : reject(line, "not a number")
}

const readLabels = (text: string, line: string): Record<string, string> => {
  const labels: Record<string, string> = {}
  let rest = text
  while (rest !== "") {
    const found = /^([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(?:,|$)/.exec(rest)
    if (found === null) return reject(line, "invalid labels")
    const [all, name = "", value = ""] = found
    if (name.startsWith("__")) reject(line, "a reserved label")
    if (labels[name] !== undefined) reject(line, "duplicate label")
    labels[name] = unescaped(value)
    rest = rest.slice(all.length)
  }
  return labels
}

const checkHistogram = ({ name, samples }: Family): void => {
  const groups = new Map<string, Array<Sample>>()
  for (const sample of samples) {
    const { le: _, ...labels } = sample.labels
    const group = JSON.stringify(labels)
    groups.set(group, [...(groups.get(group) ?? []), sample])
  }
  for (const [group, all] of groups) {
    const buckets = all.filter((sample) => sample.name === `${name}_bucket`)
    const bounds = buckets.map(({ labels }) => numberOf(labels["le"] ?? "", group))
    const total = all.find((sample) => sample.name === `${name}_count`)?.value
    if (bounds.some((bound, i) => i > 0 && bound <= (bounds[i - 1] ?? 0))) reject(group, "buckets out of order")
    if (buckets.some(({ value }, i) => i > 0 && value < (buckets[i - 1]?.value ?? 0)))
      reject(group, "a decreasing bucket")
    if (bounds.at(-1) !== Infinity || buckets.at(-1)?.value !== total) reject(group, "+Inf is not the count")
    if (!all.some((sample) => sample.name === `${name}_sum`)) reject(group, "no sum")
  }
}

export const read = (text: string): ReadonlyArray<Family> => {
  if (text !== "" && !text.endsWith("\n")) reject(text.slice(-40), "no line end at the end")
  const families: Array<{ name: string; type: string; help: string | undefined; samples: Array<Sample> }> = []
  const series = new Set<string>()
  let help: { readonly name: string; readonly text: string } | undefined
  for (const line of text.split("\n").slice(0, -1)) {
    const comment = /^# (HELP|TYPE) ([a-zA-Z_:][a-zA-Z0-9_:]*) (.*)$/.exec(line)
    if (comment !== null) {
      const [, kind, name = "", rest = ""] = comment
      if (kind === "HELP") help = { name, text: unescaped(rest) }
      else {
        if (suffixes[rest] === undefined) reject(line, "unknown type")
        if (help !== undefined && help.name !== name) reject(line, "HELP of another metric")
        if (families.some((family) => family.name === name)) reject(line, "duplicate type")
        families.push({ name, type: rest, help: help?.text, samples: [] })
        help = undefined
      }
      continue
    }
    const found = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$/.exec(line)
    const family = families.at(-1)
    if (found === null || family === undefined) return reject(line, "not a sample")
    const [, name = "", labels = "", value = ""] = found
    if (!(suffixes[family.type] ?? []).some((suffix) => name === family.name + suffix))
      reject(line, "sample of another family")
    const sample: Sample = { name, labels: readLabels(labels, line), value: numberOf(value, line) }
    const identity = JSON.stringify([name, Object.entries(sample.labels).toSorted()])
    if (series.has(identity)) reject(line, "duplicate series")
    series.add(identity)
    if (family.type === "counter" && !(sample.value >= 0)) reject(line, "a counter below zero")
    family.samples.push(sample)
  }
  for (const family of families) if (family.type === "histogram") checkHistogram(family)
  return families
}
