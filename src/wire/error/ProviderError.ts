/**
 * What a provider's error means: data in, an `LLMError` out.
 *
 * The class is decided from the status, then from codes and types, then from words, by an ordered list of rules. The
 * provider's own words are kept, with secrets masked.
 *
 * @example
 * ```ts
 * import { ProviderError } from "effect-llm"
 *
 * const error = ProviderError.classify(
 *   {
 *     status: 429,
 *     headers: { "retry-after": "20" },
 *     body: { error: { message: "Slow down.", code: "rate_limit_exceeded" } }
 *   },
 *   { provider: "openai", model: "gpt-4o", keyId: "key-1", now: Date.now(), mask: (text) => text }
 * )
 * // RateLimitError, retryAfter 20 seconds
 * ```
 *
 * @since 0.1.0
 */
import { Duration } from "effect"
import type { LLMError } from "../../vocabulary/LLMError.js"
import * as Errors from "../../vocabulary/LLMError.js"
import type { ErrorAnswer, ErrorReport } from "./answer.js"
import { read } from "./answer.js"
import type { Verdict } from "./rule.js"
import { decide } from "./rules.js"
import { told, toldOrReset } from "../headers/RetryAfter.js"
import { withoutSecrets } from "./secrets.js"

export type { ErrorAnswer } from "./answer.js"
export { retryAfter } from "../headers/RetryAfter.js"

/**
 * For which call it is.
 *
 * @since 0.1.0
 * @category model
 */
export interface ErrorSource {
  /** The name of the provider. Some rules hold for one provider only, and know it by this name. */
  readonly provider: string
  /** The model that was asked for. */
  readonly model: string
  /** The id (never the secret) of the key that was used. */
  readonly keyId: string
  /** The time, in milliseconds since 1970. */
  readonly now: number
  /** Takes the secrets of the call out of a text. What looks like any other secret is taken out besides. */
  readonly mask: (text: string) => string
}

/** The most that is kept of the provider's words, in characters. */
const maxWords = 500

/** What is masked is longer than what is kept, so that a secret at the end is not cut in two before it is seen. */
const maxMasked = 4000

const cut = (text: string, length: number): string =>
  text.length <= length ? text : `${text.slice(0, length).replace(/[\uD800-\uDBFF]$/, "")}…`

const wait = (retryAfter: Duration.Duration | undefined, otherwise: string): string =>
  retryAfter === undefined
    ? otherwise
    : Duration.toMillis(retryAfter) === 0
      ? "Try again at once"
      : `Try again in ${Duration.format(retryAfter)}`

/** What the class says happened, for when the provider does not. */
const happened: Readonly<Record<Verdict, string>> = {
  RateLimitError: "limits the rate of requests",
  QuotaExceededError: "says that the quota is used up",
  AuthenticationError: "refuses the key",
  PermissionError: "does not permit this",
  ModelNotFoundError: "does not know the model",
  ContextLengthError: "finds the request too long for the model",
  ContentFilterError: "refuses the content",
  InvalidRequestError: "refuses the request",
  ProviderUnavailableError: "is unavailable"
}

const advice = (
  verdict: Verdict,
  { keyId, model }: ErrorSource,
  status: number,
  retryAfter: Duration.Duration | undefined
): string => {
  switch (verdict) {
    case "RateLimitError":
      return `${wait(retryAfter, "Send fewer requests")}, or use another key.`
    case "QuotaExceededError":
      return `${wait(retryAfter, "Add credit or raise the limit of the account")}, or use another key.`
    case "AuthenticationError":
      return `Check the key "${keyId}", and that it is one of this provider.`
    case "PermissionError":
      return `Check what the key "${keyId}" and its account may do.`
    case "ModelNotFoundError":
      return `Check the name "${model}", and that the account may use it.`
    case "ContextLengthError":
      return "Shorten the messages, or use a model with a larger context window."
    case "ContentFilterError":
      return "Change the prompt, or use another model."
    case "InvalidRequestError":
      return status === 404 ? "Check the base URL of the provider." : "Change the request: as it is, it fails again."
    case "ProviderUnavailableError":
      return `${wait(retryAfter, "Try again later")}, or use another provider.`
  }
}

const ended = (sentence: string): string => (/[.!?。！？…]["')\]]?$/.test(sentence) ? sentence : `${sentence}.`)

const build = (
  verdict: Verdict,
  common: Omit<ConstructorParameters<typeof Errors.PermissionError>[0], "_tag">,
  field: string | undefined,
  retryAfter: Duration.Duration | undefined,
  shouldRetry: boolean | undefined
): LLMError => {
  const waiting = retryAfter === undefined ? {} : { retryAfter }
  const trying = shouldRetry === undefined ? waiting : { ...waiting, shouldRetry }
  switch (verdict) {
    case "RateLimitError":
      return new Errors.RateLimitError({ ...common, ...trying, source: "provider" })
    case "QuotaExceededError":
      return new Errors.QuotaExceededError({ ...common, ...waiting })
    case "AuthenticationError":
      return new Errors.AuthenticationError(common)
    case "PermissionError":
      return new Errors.PermissionError(common)
    case "ModelNotFoundError":
      return new Errors.ModelNotFoundError(common)
    case "ContextLengthError":
      return new Errors.ContextLengthError(common)
    case "ContentFilterError":
      return new Errors.ContentFilterError(common)
    case "InvalidRequestError":
      return new Errors.InvalidRequestError({ ...common, ...(field === undefined ? {} : { field }) })
    case "ProviderUnavailableError":
      return new Errors.ProviderUnavailableError({ ...common, ...trying })
  }
}

/** The reset of a rate limit says nothing of when an account has money again. */
const waitFor = (
  verdict: Verdict,
  answer: ErrorAnswer,
  report: ErrorReport,
  now: number
): Duration.Duration | undefined => {
  switch (verdict) {
    case "RateLimitError":
    case "ProviderUnavailableError":
      return toldOrReset(answer, report, now)
    case "QuotaExceededError":
      return told(answer, report, now)
    default:
      return undefined
  }
}

/** The SDKs of OpenAI and Anthropic obey it before they look at the status. It says nothing beside a success. */
const shouldRetry = ({ headers, inBand, status }: ErrorAnswer): boolean | undefined => {
  if (inBand ?? status < 300) return undefined
  const said = headers["x-should-retry"]?.trim().toLowerCase()
  return said === "true" ? true : said === "false" ? false : undefined
}

/**
 * The error that the answer is, with no attempts on its receipt. It never throws, whatever the answer holds.
 *
 * `status` is the HTTP status also where the error came in band; the class is then decided from the status that the body
 * names. `code` is the most telling of the provider's code, type and status.
 *
 * @since 0.1.0
 * @category decoding
 */
export const classify = (answer: ErrorAnswer, source: ErrorSource): LLMError => {
  const report = read(answer)
  const verdict = decide(report, source.provider)
  const retryAfter = waitFor(verdict, answer, report, source.now)
  const safe = (text: string, length: number) => cut(withoutSecrets(source.mask(text.slice(0, maxMasked))), length)
  const words = safe(report.words, maxWords)
  const what =
    words === "" ? `${source.provider} ${happened[verdict]} (${answer.status})` : `${source.provider}: ${words}`
  return build(
    verdict,
    {
      provider: source.provider,
      model: source.model,
      keyId: source.keyId,
      status: answer.status,
      ...(report.requestId === undefined ? {} : { requestId: safe(report.requestId, 200) }),
      ...(report.code === undefined ? {} : { code: safe(report.code, 100) }),
      message: `${ended(what)} ${advice(verdict, source, answer.status, retryAfter)}`,
      attempts: []
    },
    report.field === undefined ? undefined : safe(report.field, 200),
    retryAfter,
    shouldRetry(answer)
  )
}
