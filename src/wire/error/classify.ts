/**
 * Classifies the errors of providers as `LLMError`s.
 *
 * An ordered list of rules decides the class; the first rule that matches wins. Exceptions of single providers come first, then
 * codes with one meaning everywhere, then wordings, then vague codes, then the status alone. The provider's message is kept, with
 * secrets masked.
 */
import { Duration } from "effect"
import { durationText } from "../../internal/durationText.js"
import type { LLMError } from "../../vocabulary/LLMError.js"
import * as Errors from "../../vocabulary/LLMError.js"
import type { ErrorAnswer, ErrorReport } from "./answer.js"
import { read } from "./answer.js"
import { codeRules, vagueCodeRules } from "./codes.js"
import { exceptionRules } from "./exceptions.js"
import type { Rule, Verdict } from "./rule.js"
import { compile } from "./rule.js"
import { reportedWait, reportedWaitOrReset } from "../headers/retryAfter.js"
import { withoutSecrets } from "./secrets.js"
import { wordingRules } from "./wording.js"

export type { ErrorAnswer } from "./answer.js"
export { retryAfter } from "../headers/retryAfter.js"

/**
 * The call that failed.
 *
 * @since 0.1.0
 * @category model
 */
export interface ErrorSource {
  /** The name of the provider. Some rules match this name. */
  readonly provider: string
  /** The requested model. */
  readonly model: string
  /** The id (never the secret) of the key that was used. */
  readonly keyId: string
  /** The current time, in milliseconds since 1970. */
  readonly now: number
  /** Masks the secrets of the call in a text. Texts that look like other secrets are masked as well. */
  readonly mask: (text: string) => string
}

const statusRules: ReadonlyArray<Rule> = [
  { when: { status: [401] }, means: "AuthenticationError" },
  { when: { status: [402] }, means: "QuotaExceededError" },
  { when: { status: [403, 451] }, means: "PermissionError" },
  { when: { status: [429] }, means: "RateLimitError" },
  // 498: Groq's flex tier is full (console.groq.com/docs/errors); 499: the request was cancelled on the way
  { when: { status: [408, 409, 424, 425, 498, 499, "5xx"] }, means: "ProviderUnavailableError" },
  { when: { status: ["3xx", "4xx"] }, means: "InvalidRequestError" }
]

const decide = compile([...exceptionRules, ...codeRules, ...wordingRules, ...vagueCodeRules, ...statusRules])

/** The longest message kept, in characters. */
const maxMessage = 500

/** Masking sees more characters than are kept, so that a secret at the end is not cut in two first. */
const maxMasked = 4000

const cut = (text: string, length: number): string =>
  text.length <= length ? text : `${text.slice(0, length).replace(/[\uD800-\uDBFF]$/, "")}…`

const wait = (retryAfter: Duration.Duration | undefined, otherwise: string): string =>
  retryAfter === undefined
    ? otherwise
    : Duration.toMillis(retryAfter) === 0
      ? "Try again at once"
      : `Try again in ${durationText(retryAfter)}`

/** The description of a class, for errors without a message. */
const descriptions: Readonly<Record<Verdict, string>> = {
  RateLimitError: "limits the rate of requests",
  QuotaExceededError: "reports that the quota is used up",
  AuthenticationError: "rejects the key",
  PermissionError: "does not permit the request",
  ModelNotFoundError: "does not have the model",
  ContextLengthError: "reports that the request is too long for the model",
  ContentFilterError: "rejects the content",
  InvalidRequestError: "rejects the request",
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
      return `Check the key "${keyId}", and that it belongs to this provider.`
    case "PermissionError":
      return `Check the permissions of the key "${keyId}" and of its account.`
    case "ModelNotFoundError":
      return `Check the name "${model}", and that the account has access to the model.`
    case "ContextLengthError":
      return "Shorten the messages, or use a model with a larger context window."
    case "ContentFilterError":
      return "Change the prompt, or use another model."
    case "InvalidRequestError":
      return status === 404
        ? "Check the base URL of the provider."
        : "Change the request: the same request fails again."
    case "ProviderUnavailableError":
      return `${wait(retryAfter, "Try again later")}, or use another provider.`
  }
}

const withPeriod = (sentence: string): string => (/[.!?。！？…]["')\]]?$/.test(sentence) ? sentence : `${sentence}.`)

const build = (
  verdict: Verdict,
  common: Omit<ConstructorParameters<typeof Errors.PermissionError>[0], "_tag">,
  field: string | undefined,
  retryAfter: Duration.Duration | undefined,
  shouldRetry: boolean | undefined,
  modelOnly: boolean | undefined
): LLMError => {
  const waitFields = retryAfter === undefined ? {} : { retryAfter }
  const retryFields = shouldRetry === undefined ? waitFields : { ...waitFields, shouldRetry }
  switch (verdict) {
    case "RateLimitError":
      return new Errors.RateLimitError({ ...common, ...retryFields, source: "provider" })
    case "QuotaExceededError":
      return new Errors.QuotaExceededError({
        ...common,
        ...waitFields,
        ...(modelOnly === undefined ? {} : { modelOnly })
      })
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
      return new Errors.ProviderUnavailableError({ ...common, ...retryFields })
  }
}

/** The wait before a retry. The reset of a rate limit does not apply to an exhausted quota. */
const waitFor = (
  verdict: Verdict,
  answer: ErrorAnswer,
  report: ErrorReport,
  now: number
): Duration.Duration | undefined => {
  switch (verdict) {
    case "RateLimitError":
    case "ProviderUnavailableError":
      return reportedWaitOrReset(answer, report, now)
    case "QuotaExceededError":
      return reportedWait(answer, report, now)
    default:
      return undefined
  }
}

/** `x-should-retry`, which the SDKs of OpenAI and Anthropic apply before the status. It does not apply to errors in band. */
const shouldRetry = ({ headers, inBand, status }: ErrorAnswer): boolean | undefined => {
  if (inBand ?? status < 300) return undefined
  const header = headers["x-should-retry"]?.trim().toLowerCase()
  return header === "true" ? true : header === "false" ? false : undefined
}

/**
 * The error of an answer, with empty `attempts`. Never throws.
 *
 * `status` is the HTTP status, also of an error in band, whose class is decided from the status in the body. `code` is the most
 * specific of the provider's code, type and status.
 *
 * @since 0.1.0
 * @category decoding
 */
export const classify = (answer: ErrorAnswer, source: ErrorSource): LLMError => {
  const report = read(answer)
  // Without a match the error came in band without a status: the provider had accepted the request, so the request is not at fault.
  const rule = decide(report, source.provider)
  const verdict = rule?.means ?? "ProviderUnavailableError"
  const retryAfter = waitFor(verdict, answer, report, source.now)
  const safe = (text: string, length: number) => cut(withoutSecrets(source.mask(text.slice(0, maxMasked))), length)
  const message = safe(report.message, maxMessage)
  const sentence =
    message === "" ? `${source.provider} ${descriptions[verdict]} (${answer.status})` : `${source.provider}: ${message}`
  return build(
    verdict,
    {
      provider: source.provider,
      model: source.model,
      keyId: source.keyId,
      status: answer.status,
      ...(report.requestId === undefined ? {} : { requestId: safe(report.requestId, 200) }),
      ...(report.code === undefined ? {} : { code: safe(report.code, 100) }),
      message: `${withPeriod(sentence)} ${advice(verdict, source, answer.status, retryAfter)}`,
      attempts: []
    },
    report.field === undefined ? undefined : safe(report.field, 200),
    retryAfter,
    shouldRetry(answer),
    rule?.modelOnly
  )
}
