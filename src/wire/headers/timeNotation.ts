/** Parses durations and times in the notations of providers. All results are in milliseconds. */

/** The bound on results, longer than any real limit, so that timers do not overflow. */
const maxMillis = 366 * 24 * 60 * 60 * 1000

const bounded = (millis: number): number | undefined =>
  Number.isNaN(millis) ? undefined : Math.min(Math.max(0, millis), maxMillis)

const millisOf = (unit: string): number => {
  const lower = unit.toLowerCase()
  if (lower.startsWith("ms") || lower.startsWith("mil")) return 1
  if (lower === "us" || lower === "µs") return 0.001
  if (lower.startsWith("d")) return 86_400_000
  if (lower.startsWith("h")) return 3_600_000
  return lower.startsWith("m") ? 60_000 : 1000
}

/**
 * The duration at the beginning of `text`: `6ms`, `1m30s`, `2m 13s`, `45 seconds`, `1 hour and 2 minutes`. Covers Go's notation,
 * which OpenAI and Groq use in headers, and the prose of messages.
 */
export const span = (text: string): number | undefined => {
  const term =
    /(?:\s|,|and\b)*(\d{1,15}(?:\.\d{1,15})?)\s*(milliseconds?|msecs?|ms|[uµ]s|days?|d|hours?|hrs?|h|minutes?|mins?|m|seconds?|secs?|s)(?![a-z])/iy
  let millis: number | undefined = undefined
  for (let match = term.exec(text); match !== null; match = term.exec(text)) {
    millis = (millis ?? 0) + Number(match[1]) * millisOf(match[2] ?? "")
  }
  return millis === undefined ? undefined : bounded(millis)
}

const from = (now: number, epochMillis: number): number | undefined => bounded(epochMillis - now)

/** The time from `now` until a calendar date and a time of day; `zone` is `Z`, `UTC`, `GMT` or an offset. */
export const untilLocal = (date: string, time: string, zone: string, now: number): number | undefined => {
  const offset = /^[+-]\d{4}$/.test(zone) ? `${zone.slice(0, 3)}:${zone.slice(3)}` : zone
  return from(now, Date.parse(`${date}T${time}${/^(?:utc|gmt|z|)$/i.test(offset) ? "Z" : offset}`))
}

const isoDate = /^(\d{4}-\d{2}-\d{2})[Tt ](\d{2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?) ?(Z|UTC|GMT|[+-]\d{2}:?\d{2})?$/i
const httpDate = /^(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*,? .{6,40}$/i

/** The time until a date: ISO 8601, or the dates of HTTP (RFC 9110, section 5.6.7). A date without a zone is in UTC. */
const timeUntil = (text: string, now: number): number | undefined => {
  const iso = isoDate.exec(text)
  if (iso !== null) return untilLocal(iso[1] ?? "", iso[2] ?? "", iso[3] ?? "", now)
  if (!httpDate.test(text)) return undefined
  return from(now, Date.parse(/(?:GMT|UTC|[+-]\d{4})$/i.test(text) ? text : `${text} GMT`))
}

/** A number without a unit: seconds from now; when it is too large for that, seconds or milliseconds since 1970. */
const unitless = (value: number, now: number): number | undefined => {
  if (value >= 1e11) return from(now, value)
  return value >= 1e9 ? from(now, value * 1000) : bounded(value * 1000)
}

/** The wait from `now` in any of the notations; undefined when the value is in none. */
export const delay = (value: string | number, now: number): number | undefined => {
  if (typeof value === "number") return unitless(value, now)
  const text = value.trim()
  if (/^[+-]?\d{1,20}(?:\.\d{1,20})?$/.test(text)) return unitless(Number(text), now)
  return /^\d/.test(text) && /[a-zµ]$/i.test(text) ? (timeUntil(text, now) ?? span(text)) : timeUntil(text, now)
}
