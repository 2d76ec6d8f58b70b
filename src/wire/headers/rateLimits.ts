/**
 * Reads the remaining rate limits of a key from the headers of a provider.
 */
import { Duration } from "effect"
import { delay } from "./timeNotation.js"

/**
 * The remaining rate limits of a key. A field that the provider does not send is absent. Of several limits on requests or on
 * tokens (a minute's and a day's, input and output tokens) this is the one with the smallest share left.
 *
 * @since 0.1.0
 * @category model
 */
export interface RateLimits {
  /** Requests allowed in the window. */
  readonly limitRequests?: number
  /** Requests left in the window. */
  readonly remainingRequests?: number
  /** Time until all requests are allowed again. */
  readonly resetRequests?: Duration.Duration
  /** Tokens allowed in the window. */
  readonly limitTokens?: number
  /** Tokens left in the window. */
  readonly remainingTokens?: number
  /** Time until all tokens are allowed again. */
  readonly resetTokens?: Duration.Duration
}

/** The names of the three headers of one limit. */
interface Names {
  readonly limit: string
  readonly remaining: string
  readonly reset: string
}

const suffixed = (base: string): Names => ({
  limit: `${base}-limit`,
  remaining: `${base}-remaining`,
  reset: `${base}-reset`
})

const infixed = (what: string): Names => ({
  limit: `x-ratelimit-limit${what}`,
  remaining: `x-ratelimit-remaining${what}`,
  reset: `x-ratelimit-reset${what}`
})

const requestNames: ReadonlyArray<Names> = [
  // OpenAI (platform.openai.com/docs/guides/rate-limits), Groq, Azure OpenAI, Fireworks, xAI
  infixed("-requests"),
  // Cerebras (inference-docs.cerebras.ai/support/rate-limits)
  infixed("-requests-minute"),
  infixed("-requests-day"),
  // Mistral
  infixed("-req-minute"),
  // Anthropic (docs.claude.com/en/api/rate-limits)
  suffixed("anthropic-ratelimit-requests"),
  // OpenRouter, Together, Moonshot, GitHub
  infixed(""),
  // draft-ietf-httpapi-ratelimit-headers, before it became structured fields
  suffixed("ratelimit")
]

const tokenNames: ReadonlyArray<Names> = [
  infixed("-tokens"),
  infixed("-tokens-minute"),
  infixed("-tokens-day"),
  suffixed("anthropic-ratelimit-tokens"),
  suffixed("anthropic-ratelimit-input-tokens"),
  suffixed("anthropic-ratelimit-output-tokens"),
  // Together (docs.together.ai/docs/rate-limits)
  suffixed("x-tokenlimit")
]

interface Limit {
  readonly limit: number | undefined
  readonly remaining: number | undefined
  readonly reset: number | undefined
}

/** Whether any of the headers can be one of these: most answers have none, and to look for each by its name takes longer. */
const hasAny = (headers: Readonly<Record<string, string>>): boolean => {
  for (const name in headers) if (name.includes("ratelimit") || name.includes("tokenlimit")) return true
  return false
}

/** The number at the beginning; in the IETF draft a policy can follow it (`100, 100;w=60`). */
const count = (value: string | undefined): number | undefined => {
  if (value === undefined) return undefined
  const match = /^\s*(\d{1,15}(?:\.\d{1,15})?)/.exec(value)
  return match === null ? undefined : Number(match[1])
}

const read = (headers: Readonly<Record<string, string>>, names: Names, now: number): Limit => {
  const reset = headers[names.reset]
  return {
    limit: count(headers[names.limit]),
    remaining: count(headers[names.remaining]),
    reset: reset === undefined ? undefined : delay(reset, now)
  }
}

/** The number that a pattern finds in a structured field: `"default";r=50;t=30`, and `remaining=50` before draft -08. */
const parameter = (field: string | undefined, pattern: RegExp): number | undefined => {
  const match = field === undefined ? null : pattern.exec(field)
  return match === null ? undefined : Number(match[1])
}

/** `RateLimit` and `RateLimit-Policy` of draft-ietf-httpapi-ratelimit-headers (Hugging Face). Resets are in seconds. */
const structured = (headers: Readonly<Record<string, string>>): Limit => {
  const field = headers["ratelimit"]
  const reset = parameter(field, /\b(?:t|reset)=(\d{1,12})/)
  return {
    limit: parameter(headers["ratelimit-policy"], /\bq=(\d{1,15})/) ?? parameter(field, /\b(?:q|limit)=(\d{1,15})/),
    remaining: parameter(field, /\b(?:r|remaining)=(\d{1,15})/),
    reset: reset === undefined ? undefined : reset * 1000
  }
}

const share = ({ limit, remaining }: Limit): number =>
  remaining === undefined
    ? Number.POSITIVE_INFINITY
    : limit === undefined || limit === 0
      ? remaining
      : remaining / limit

/** The limit with the smallest share left. */
const tightest = (limits: ReadonlyArray<Limit>): Limit | undefined =>
  limits
    .filter(({ limit, remaining, reset }) => limit !== undefined || remaining !== undefined || reset !== undefined)
    .reduce<Limit | undefined>(
      (tight, next) => (tight === undefined || share(next) < share(tight) ? next : tight),
      undefined
    )

/**
 * Reads `x-ratelimit-*` as sent by OpenAI, Azure, Groq, Mistral, Cerebras, Together, OpenRouter and GitHub,
 * `anthropic-ratelimit-*`, and the IETF's `RateLimit`; undefined when there is none of them. Resets can be durations (`1m30s`,
 * `6ms`), seconds, times since 1970 in seconds or milliseconds, or ISO dates; a reset in the past is zero. `headers` have
 * lower-case names; `now` is in milliseconds since 1970.
 *
 * `retry-after` is not read: it belongs to errors (`retryAfter.ts`).
 *
 * @since 0.1.0
 * @category decoding
 */
export const rateLimits = (headers: Readonly<Record<string, string>>, now: number): RateLimits | undefined => {
  if (!hasAny(headers)) return undefined
  const requests = tightest([...requestNames.map((names) => read(headers, names, now)), structured(headers)])
  const tokens = tightest(tokenNames.map((names) => read(headers, names, now)))
  if (requests === undefined && tokens === undefined) return undefined
  return {
    ...(requests?.limit === undefined ? {} : { limitRequests: requests.limit }),
    ...(requests?.remaining === undefined ? {} : { remainingRequests: requests.remaining }),
    ...(requests?.reset === undefined ? {} : { resetRequests: Duration.millis(requests.reset) }),
    ...(tokens?.limit === undefined ? {} : { limitTokens: tokens.limit }),
    ...(tokens?.remaining === undefined ? {} : { remainingTokens: tokens.remaining }),
    ...(tokens?.reset === undefined ? {} : { resetTokens: Duration.millis(tokens.reset) })
  }
}
