/**
 * How long a provider says to wait, wherever it says so.
 *
 * @since 0.1.0
 */
import { Duration } from "effect"
import type { ErrorAnswer, ErrorReport } from "../error/answer.js"
import { read } from "../error/answer.js"
import { rateLimits } from "./RateLimitHeaders.js"
import { delay, span, untilLocal } from "./timeNotation.js"

type Headers = Readonly<Record<string, string>>

/** The first source that names a time, in milliseconds. */
const first = (sources: ReadonlyArray<() => number | undefined>): number | undefined => {
  for (const source of sources) {
    const millis = source()
    if (millis !== undefined) return millis
  }
  return undefined
}

/** RFC 9110 has no negative delays: one says nothing, and the next source is asked. */
const isNegative = (value: string | number): boolean => /^\s*-/.test(String(value))

const inNotation = (value: string | number | undefined, now: number): number | undefined =>
  value === undefined || isNegative(value) ? undefined : delay(value, now)

const inMillis = (value: string | number | undefined, now: number): number | undefined =>
  value === undefined ? undefined : inNotation(/^[\d.]+$/.test(String(value)) ? `${value}ms` : value, now)

/** RFC 9110, section 10.2.3, and the milliseconds of OpenAI and Azure, which are more exact. */
const fromHeaders = (headers: Headers, now: number): number | undefined =>
  first([
    () => inMillis(headers["retry-after-ms"], now),
    () => inMillis(headers["x-ms-retry-after-ms"], now),
    () => inNotation(headers["retry-after"], now)
  ])

/** Fields of bodies, the most exact first; a value without a unit is in seconds but where the name says otherwise. */
const fields: ReadonlyArray<string> = [
  // OpenRouter's metadata, and gateways
  "retryafterseconds",
  "retryafter",
  // google.rpc.RetryInfo (google/rpc/error_details.proto), such as "34.4s"
  "retrydelay",
  // Gemini Code Assist's metadata, such as "2h13m5.2s"
  "quotaresetdelay",
  // ChatGPT's usage limits
  "resetsinseconds",
  "resetsat",
  "resetat",
  // Hugging Face, while a model is loading
  "estimatedtime"
]

const fromFields = (report: ErrorReport, now: number): number | undefined =>
  first([
    () => inMillis(report.values("retryafterms")[0], now),
    ...fields.map((key) => () => inNotation(report.values(key)[0], now))
  ])

const relative =
  /\b(?:try again|retry(?:ing|[- ]after)?|wait(?:ing)?|resets?|available|refresh(?:es)?)\b:?\s+(?:again\s+)?(?:in|after|for)?\s*(?:about|approximately|at least)?\s*(?=\d)/gi

const absolute =
  /\b(?:resets?|renews?|regain|available|access|try again)\b[^\n]{0,30}?\b(\d{4}-\d{2}-\d{2})(?:t|\s{1,3}(?:at\s{1,3})?)(\d{2}:\d{2}(?::\d{2})?)(?:\.\d{1,9})?\s{0,3}(utc|gmt|z|[+-]\d{2}:?\d{2})?/i

const chineseMoment = /(?:将在|将于|请在|请于)\s{0,3}(\d{4}-\d{2}-\d{2})\s{1,3}(\d{2}:\d{2}(?::\d{2})?)/

const chineseSpan = /(\d{1,9}(?:\.\d{1,9})?)\s{0,3}(毫秒|秒|分钟|小时|天)(?:钟)?(?:之|以)?后/

const chineseMillis: Readonly<Record<string, number>> = {
  毫秒: 1,
  秒: 1000,
  分钟: 60_000,
  小时: 3_600_000,
  天: 86_400_000
}

/** Azure API Management: `Quota will be replenished in 02:25:04`, with days before a dot. */
const clock = /\breplenished in (?:(\d{1,3})\.)?(\d{1,2}):(\d{2}):(\d{2})/i

const fromRelative = (text: string): number | undefined => {
  for (const match of text.matchAll(relative)) {
    const millis = span(text.slice(match.index + match[0].length))
    if (millis !== undefined) return millis
  }
  return undefined
}

const fromWords = (report: ErrorReport, now: number): number | undefined =>
  first([
    () => fromRelative(report.text),
    () => {
      const match = absolute.exec(report.text)
      // Zhipu and Z.ai tell the time in China whatever the language (docs.bigmodel.cn/cn/api/api-code, 1308 and 1310).
      const zone = report.codes.has("1308") || report.codes.has("1310") ? "+08:00" : "Z"
      return match === null ? undefined : untilLocal(match[1] ?? "", match[2] ?? "", match[3] ?? zone, now)
    },
    () => {
      const match = chineseMoment.exec(report.text)
      return match === null ? undefined : untilLocal(match[1] ?? "", match[2] ?? "", "+08:00", now)
    },
    () => {
      const match = chineseSpan.exec(report.text)
      return match === null ? undefined : Number(match[1]) * (chineseMillis[match[2] ?? ""] ?? Number.NaN)
    },
    () => {
      const match = clock.exec(report.text)
      if (match === null) return undefined
      const [days, hours, minutes, seconds] = match.slice(1).map((digits) => Number(digits ?? 0))
      return ((((days ?? 0) * 24 + (hours ?? 0)) * 60 + (minutes ?? 0)) * 60 + (seconds ?? 0)) * 1000
    }
  ])

/**
 * When the limit that is used up is whole again. A limit of which something is left is not the one that was hit, except
 * that of tokens, of which a request may have wanted more than that.
 */
const fromRateLimits = (headers: Headers, status: number, now: number): number | undefined => {
  const limits = rateLimits(headers, now)
  if (limits === undefined) return undefined
  const limited = status === 429
  const resets = [
    limits.remainingRequests === 0 || (limited && limits.remainingRequests === undefined)
      ? limits.resetRequests
      : undefined,
    limits.remainingTokens === 0 || limited ? limits.resetTokens : undefined
  ].filter((reset) => reset !== undefined)
  return resets.length === 0 ? undefined : Math.max(...resets.map((reset) => Duration.toMillis(reset)))
}

/** What a successful answer's headers say was written before the error was known. */
const headersOf = (answer: ErrorAnswer): Headers => ((answer.inBand ?? answer.status < 300) ? {} : answer.headers)

const asDuration = (millis: number | undefined): Duration.Duration | undefined =>
  millis === undefined ? undefined : Duration.millis(millis)

/**
 * How long the error itself says to wait: headers, then fields of the body, then words.
 *
 * @since 0.1.0
 * @category decoding
 */
export const told = (answer: ErrorAnswer, report: ErrorReport, now: number): Duration.Duration | undefined =>
  asDuration(
    first([
      () => fromHeaders(headersOf(answer), now),
      () => fromHeaders(report.upstreamHeaders, now),
      () => fromFields(report, now),
      () => fromWords(report, now)
    ])
  )

/**
 * What `told` says, or else when the limit that the headers show as used up is whole again.
 *
 * @since 0.1.0
 * @category decoding
 */
export const toldOrReset = (answer: ErrorAnswer, report: ErrorReport, now: number): Duration.Duration | undefined =>
  told(answer, report, now) ??
  asDuration(
    first([
      () => fromRateLimits(headersOf(answer), report.status, now),
      () => fromRateLimits(report.upstreamHeaders, report.status, now)
    ])
  )

/**
 * How long to wait before the next try, as far as the provider says it: `retry-after-ms`, `retry-after` in seconds or as
 * a date, Google's `RetryInfo`, fields such as `retry_after` and `resets_at`, words (`Please try again in 399ms`,
 * `将在 2026-08-25 07:41:44 重置`), and `x-ratelimit-reset*` where nothing is left. `now` is in milliseconds since 1970. A
 * moment in the past is zero; a negative delay is none.
 *
 * For errors only: a `retry-after` beside a successful status is not read.
 *
 * @since 0.1.0
 * @category decoding
 */
export const retryAfter = (answer: ErrorAnswer, now: number): Duration.Duration | undefined =>
  toldOrReset(answer, read(answer), now)
