/**
 * What providers say of time: how long to wait, and how much is left until then. Pure: the present is a parameter.
 *
 * @since 0.1.0
 */
import { Duration } from "effect"
import type { Json } from "./json.js"
import { isRecord, number, record, records, string } from "./json.js"

type Headers = Readonly<Record<string, string | undefined>>

/**
 * What is left of a key's limits. Only what the provider said is there.
 *
 * @since 0.1.0
 * @category model
 */
export interface RateLimits {
  readonly limitRequests?: number
  readonly remainingRequests?: number
  /** Until the requests are full again. */
  readonly resetRequests?: Duration.Duration
  readonly limitTokens?: number
  readonly remainingTokens?: number
  /** Until the tokens are full again. */
  readonly resetTokens?: Duration.Duration
}

const units: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  sec: 1000,
  m: 60_000,
  min: 60_000,
  h: 3_600_000,
  hour: 3_600_000,
  d: 86_400_000,
  day: 86_400_000
}

const spanPattern = /(\d+(?:\.\d+)?)\s*(ms|milliseconds?|s|sec(?:ond)?s?|m|min(?:ute)?s?|h|hours?|d|days?)(?![a-z])/gi

const unitOf = (word: string): number => {
  const lower = word.toLowerCase()
  if (lower.startsWith("milli")) return 1
  return units[lower] ?? units[lower.replace(/(ond|ute)?s?$/, "")] ?? units[lower.replace(/s$/, "")] ?? 0
}

/** `1m30s`, `399ms`, `2 hours 5 minutes` in milliseconds. */
const spanOf = (text: string): number | undefined => {
  let total: number | undefined
  for (const [, amount, unit] of text.matchAll(spanPattern)) total = (total ?? 0) + Number(amount) * unitOf(unit ?? "")
  return total
}

/** Bigger than any wait in seconds, and any in milliseconds: an instant, in seconds or milliseconds since the epoch. */
const instantFrom = 1e9

const untilInstant = (value: number, now: number): number => (value > 1e12 ? value : value * 1000) - now

/** A wait in milliseconds, however it is written: seconds, a span, an instant, a date. */
const waitOf = (text: string, now: number): number | undefined => {
  const trimmed = text.trim()
  if (/^\d+(\.\d+)?$/.test(trimmed)) {
    const value = Number(trimmed)
    return value >= instantFrom ? untilInstant(value, now) : value * 1000
  }
  const date = /\d{4}|GMT/.test(trimmed) ? Date.parse(trimmed) : Number.NaN
  return Number.isNaN(date) ? spanOf(trimmed) : date - now
}

const duration = (wait: number | undefined): Duration.Duration | undefined =>
  wait === undefined || Number.isNaN(wait) ? undefined : Duration.millis(Math.max(0, Math.round(wait)))

const amount = (text: string | undefined): number | undefined => {
  const value = text === undefined || text.trim() === "" ? Number.NaN : Number(text)
  return Number.isFinite(value) ? value : undefined
}

const firstOf = (headers: Headers, names: ReadonlyArray<string>): string | undefined => {
  for (const name of names) if (headers[name] !== undefined) return headers[name]
  return undefined
}

/**
 * Reads `x-ratelimit-*` (OpenAI, "Rate limits"; Groq and Azure write them alike; OpenRouter and others leave `-requests`
 * out) and `anthropic-ratelimit-*` (Anthropic, "Rate limits"). Nothing where a provider sends none.
 *
 * @since 0.1.0
 * @category decoding
 */
export const rateLimits = (headers: Headers, now: number): RateLimits | undefined => {
  const read = (what: string, kind: string) =>
    firstOf(headers, [
      `x-ratelimit-${what}-${kind}`,
      `anthropic-ratelimit-${kind}-${what}`,
      ...(kind === "requests" ? [`x-ratelimit-${what}`] : [])
    ])
  const reset = (kind: string) => {
    const text = read("reset", kind)
    return text === undefined ? undefined : duration(waitOf(text, now))
  }
  const found = {
    limitRequests: amount(read("limit", "requests")),
    remainingRequests: amount(read("remaining", "requests")),
    resetRequests: reset("requests"),
    limitTokens: amount(read("limit", "tokens")),
    remainingTokens: amount(read("remaining", "tokens")),
    resetTokens: reset("tokens")
  }
  const limits: RateLimits = Object.fromEntries(Object.entries(found).filter(([, value]) => value !== undefined))
  return Object.keys(limits).length === 0 ? undefined : limits
}

/** What is exhausted decides when there is more: the longer of the two where both are. */
const fromLimits = (headers: Headers, now: number): Duration.Duration | undefined => {
  const limits = rateLimits(headers, now)
  const waits = [
    limits?.remainingRequests === 0 ? limits.resetRequests : undefined,
    limits?.remainingTokens === 0 ? limits.resetTokens : undefined
  ].filter((wait) => wait !== undefined)
  return waits.reduce<Duration.Duration | undefined>(
    (longest, wait) => (longest === undefined ? wait : Duration.max(longest, wait)),
    undefined
  )
}

/** Google's `RetryInfo` (google.rpc, error_details.proto), and the fields that others put into their bodies. */
const fromBody = (body: Json, now: number): Duration.Duration | undefined => {
  const error = record(body, "error") ?? body
  for (const detail of records(error, "details")) {
    const delay = string(detail, "retryDelay")
    if (delay !== undefined) return duration(waitOf(delay, now))
  }
  for (const field of ["retry_after", "resets_in_seconds", "retry_after_seconds"]) {
    const value = number(error, field) ?? number(body, field)
    if (value !== undefined) return duration(value * 1000)
  }
  const at = number(error, "resets_at")
  if (at !== undefined) return duration(untilInstant(at, now))
  const headers = record(record(error, "metadata") ?? {}, "headers")
  const reset = headers === undefined ? undefined : string(headers, "X-RateLimit-Reset")
  return reset === undefined ? undefined : duration(waitOf(reset, now))
}

const inWords =
  /(?:try again|retry|reset(?:s)?|available again|wait)(?:\s+(?:in|after|for))?\s*:?\s+((?:\d+(?:\.\d+)?\s*[a-z]+[\s,]*(?:and\s+)?)+)/i

/** Zhipu names the instant in China's time: 将在 2026-08-25 07:41:44 重置. */
const inChinese = /(\d{4}-\d{2}-\d{2}) (\d{2}:\d{2}:\d{2})\s*(?:重置|恢复|后)/

const fromWords = (text: string, now: number): Duration.Duration | undefined => {
  const chinese = inChinese.exec(text)
  if (chinese !== null) return duration(Date.parse(`${chinese[1]}T${chinese[2]}+08:00`) - now)
  const told = inWords.exec(text)
  return told === null ? undefined : duration(spanOf(told[1] ?? ""))
}

/**
 * How long to wait before the next try, from an answer that is an error: `retry-after-ms`, `Retry-After` in seconds or as a
 * date (RFC 9110, section 10.2.3), a field of the body, an exhausted rate limit, and the words of the message, in this order.
 * Never negative.
 *
 * @since 0.1.0
 * @category decoding
 */
export const retryAfter = (
  answer: { readonly headers: Headers; readonly body: unknown; readonly message: string },
  now: number
): Duration.Duration | undefined => {
  const { headers } = answer
  const millis = amount(headers["retry-after-ms"])
  const header = headers["retry-after"]
  // Azure sends 0 ms beside a whole second: it is the second that it means.
  if (millis !== undefined && (millis > 0 || header === undefined)) return duration(millis)
  if (header !== undefined) return duration(waitOf(header, now))
  const body = Array.isArray(answer.body) ? answer.body[0] : answer.body
  return (
    (isRecord(body) ? fromBody(body, now) : undefined) ?? fromLimits(headers, now) ?? fromWords(answer.message, now)
  )
}
