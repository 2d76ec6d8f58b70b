/**
 * Reads the wait before a retry from the error of a provider: its headers, body and message.
 */
import { Duration } from "effect"
import type { ErrorAnswer, ErrorReport } from "../error/answer.js"
import { read } from "../error/answer.js"
import { rateLimits } from "./rateLimits.js"
import { delay, span, untilLocal } from "./timeNotation.js"

type Headers = Readonly<Record<string, string>>

/** The first time that a source returns, in milliseconds. */
const first = (sources: ReadonlyArray<() => number | undefined>): number | undefined => {
  for (const source of sources) {
    const millis = source()
    if (millis !== undefined) return millis
  }
  return undefined
}

/** RFC 9110 has no negative delays: they are ignored. */
const isNegative = (value: string | number): boolean => /^\s*-/.test(String(value))

const parseDelay = (value: string | number | undefined, now: number): number | undefined =>
  value === undefined || isNegative(value) ? undefined : delay(value, now)

const parseMillis = (value: string | number | undefined, now: number): number | undefined =>
  value === undefined ? undefined : parseDelay(/^[\d.]+$/.test(String(value)) ? `${value}ms` : value, now)

/** RFC 9110, section 10.2.3, after the milliseconds of OpenAI and Azure, which are more exact. */
const fromHeaders = (headers: Headers, now: number): number | undefined =>
  first([
    () => parseMillis(headers["retry-after-ms"], now),
    () => parseMillis(headers["x-ms-retry-after-ms"], now),
    () => parseDelay(headers["retry-after"], now)
  ])

/** Fields of bodies, the most exact first. A number without a unit is in seconds. */
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
    () => parseMillis(report.values("retryafterms")[0], now),
    ...fields.map((key) => () => parseDelay(report.values(key)[0], now))
  ])

const relativeTime =
  /\b(?:try again|retry(?:ing|[- ]after)?|wait(?:ing)?|resets?|available|refresh(?:es)?)\b:?\s+(?:again\s+)?(?:in|after|for)?\s*(?:about|approximately|at least)?\s*(?=\d)/gi

const absoluteTime =
  /\b(?:resets?|renews?|regain|available|access|try again)\b[^\n]{0,30}?\b(\d{4}-\d{2}-\d{2})(?:t|\s{1,3}(?:at\s{1,3})?)(\d{2}:\d{2}(?::\d{2})?)(?:\.\d{1,9})?\s{0,3}(utc|gmt|z|[+-]\d{2}:?\d{2})?/i

const chineseTime = /(?:将在|将于|请在|请于)\s{0,3}(\d{4}-\d{2}-\d{2})\s{1,3}(\d{2}:\d{2}(?::\d{2})?)/

const chineseSpan = /(\d{1,9}(?:\.\d{1,9})?)\s{0,3}(毫秒|秒|分钟|小时|天)(?:钟)?(?:之|以)?后/

const chineseMillis: Readonly<Record<string, number>> = {
  毫秒: 1,
  秒: 1000,
  分钟: 60_000,
  小时: 3_600_000,
  天: 86_400_000
}

/** Azure API Management: `Quota will be replenished in 02:25:04`, with days before a dot. */
const replenishTime = /\breplenished in (?:(\d{1,3})\.)?(\d{1,2}):(\d{2}):(\d{2})/i

const fromRelative = (text: string): number | undefined => {
  for (const match of text.matchAll(relativeTime)) {
    const millis = span(text.slice(match.index + match[0].length))
    if (millis !== undefined) return millis
  }
  return undefined
}

const fromMessage = (report: ErrorReport, now: number): number | undefined =>
  first([
    () => fromRelative(report.text),
    () => {
      const match = absoluteTime.exec(report.text)
      // Zhipu and Z.ai send the time of China in every language (docs.bigmodel.cn/cn/api/api-code, 1308 and 1310).
      const zone = report.codes.has("1308") || report.codes.has("1310") ? "+08:00" : "Z"
      return match === null ? undefined : untilLocal(match[1] ?? "", match[2] ?? "", match[3] ?? zone, now)
    },
    () => {
      const match = chineseTime.exec(report.text)
      return match === null ? undefined : untilLocal(match[1] ?? "", match[2] ?? "", "+08:00", now)
    },
    () => {
      const match = chineseSpan.exec(report.text)
      return match === null ? undefined : Number(match[1]) * (chineseMillis[match[2] ?? ""] ?? Number.NaN)
    },
    () => {
      const match = replenishTime.exec(report.text)
      if (match === null) return undefined
      const [days, hours, minutes, seconds] = match.slice(1).map((digits) => Number(digits ?? 0))
      return ((((days ?? 0) * 24 + (hours ?? 0)) * 60 + (minutes ?? 0)) * 60 + (seconds ?? 0)) * 1000
    }
  ])

/**
 * The time until the reset of the exhausted limit. A limit with requests left is not the one that was hit; one with tokens left
 * can be, since the request can need more than are left.
 */
const fromRateLimits = (headers: Headers, status: number, now: number): number | undefined => {
  const limits = rateLimits(headers, now)
  if (limits === undefined) return undefined
  const isRateLimited = status === 429
  const waits = [
    limits.remainingRequests === 0 || (isRateLimited && limits.remainingRequests === undefined)
      ? limits.resetRequests
      : undefined,
    limits.remainingTokens === 0 || isRateLimited ? limits.resetTokens : undefined
  ].filter((reset) => reset !== undefined)
  return waits.length === 0 ? undefined : Math.max(...waits.map((reset) => Duration.toMillis(reset)))
}

/** No headers for an error in band: the server sent them before the error occurred. */
const headersOf = (answer: ErrorAnswer): Headers => ((answer.inBand ?? answer.status < 300) ? {} : answer.headers)

const asDuration = (millis: number | undefined): Duration.Duration | undefined =>
  millis === undefined ? undefined : Duration.millis(millis)

/**
 * The wait that the error contains: in headers, else in fields of the body, else in the message.
 *
 * @since 0.1.0
 * @category decoding
 */
export const reportedWait = (answer: ErrorAnswer, report: ErrorReport, now: number): Duration.Duration | undefined =>
  asDuration(
    first([
      () => fromHeaders(headersOf(answer), now),
      () => fromHeaders(report.upstreamHeaders, now),
      () => fromFields(report, now),
      () => fromMessage(report, now)
    ])
  )

/**
 * The result of `reportedWait`, else the time until the reset of the limit that the headers report as exhausted.
 *
 * @since 0.1.0
 * @category decoding
 */
export const reportedWaitOrReset = (
  answer: ErrorAnswer,
  report: ErrorReport,
  now: number
): Duration.Duration | undefined =>
  reportedWait(answer, report, now) ??
  asDuration(
    first([
      () => fromRateLimits(headersOf(answer), report.status, now),
      () => fromRateLimits(report.upstreamHeaders, report.status, now)
    ])
  )

/**
 * Reads the wait before a retry; undefined when the error contains none. Sources are `retry-after-ms`, `retry-after` in seconds
 * or as a date, Google's `RetryInfo`, fields such as `retry_after` and `resets_at`, the message (`Please try again in 399ms`,
 * `将在 2026-08-25 07:41:44 重置`), and `x-ratelimit-reset*` of an exhausted limit. `now` is in milliseconds since 1970. A time in
 * the past is zero; a negative delay is ignored.
 *
 * For errors only: headers of a response with a successful status are ignored.
 *
 * @since 0.1.0
 * @category decoding
 */
export const retryAfter = (answer: ErrorAnswer, now: number): Duration.Duration | undefined =>
  reportedWaitOrReset(answer, read(answer), now)
