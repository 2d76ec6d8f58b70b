/**
 * What a provider's error means. Pure: data in, an `LLMError` out.
 *
 * The class is decided by the first of an ordered list of rules that fits, from the status, the provider's code and type,
 * and the words, in this order of trust. Bodies come in many shapes; the provider's own words are kept, with secrets masked.
 *
 * @since 0.1.0
 */
import type { Duration } from "effect"
import type { LLMError } from "../LLMError.js"
import * as Errors from "../LLMError.js"
import type { Json } from "./json.js"
import { isRecord, number, record, string } from "./json.js"
import { kindOf } from "./providerErrorRules.js"
import { retryAfter } from "./RateLimitHeaders.js"

/**
 * What the provider sent.
 *
 * @since 0.1.0
 * @category model
 */
export interface ErrorAnswer {
  /** 200 for an error under a good status or in the middle of a stream. */
  readonly status: number
  /** With names in lower case. */
  readonly headers: Readonly<Record<string, string | undefined>>
  /** Parsed from JSON, or the text where it is none. */
  readonly body: unknown
  /** The status says nothing of the error. */
  readonly inBand?: boolean
}

/**
 * For which call it is.
 *
 * @since 0.1.0
 * @category model
 */
export interface ErrorSource {
  readonly provider: string
  readonly model: string
  readonly keyId: string
  /** Milliseconds since the epoch. */
  readonly now: number
  /** Takes the call's own secrets out of a text. */
  readonly mask: (text: string) => string
}

/** What can be read off a body, whatever its shape. */
interface Told {
  readonly message: string
  readonly code: string
  readonly type: string
  readonly status: number | undefined
  readonly requestId: string | undefined
}

const worded = (from: Json, field: string): string => string(from, field) ?? number(from, field)?.toString() ?? ""

const parse = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

const httpStatus = (text: string): number | undefined => {
  const status = /^[45]\d\d$/.test(text) ? Number(text) : undefined
  return status
}

const textOfHtml = (html: string): string =>
  html
    .replace(/<(style|script)[\s\S]*?<\/\1>/gi, " ")
    .replace(/<[^>]+>/g, " ")
    .replace(/\s+/g, " ")
    .trim()

/** `error.message`, `error`, `message`, `detail`, lists of these, errors within errors, pages of HTML. */
const tell = (body: unknown): Told => {
  if (typeof body === "string") {
    const message = textOfHtml(body).slice(0, 500)
    return { message, code: "", type: "", status: undefined, requestId: undefined }
  }
  if (Array.isArray(body)) return tell(body[0])
  if (!isRecord(body)) return { message: "", code: "", type: "", status: undefined, requestId: undefined }
  const response = record(body, "response")
  const inner = record(body, "error") ?? (response === undefined ? undefined : record(response, "error"))
  const requestId = string(body, "request_id") ?? string(inner ?? {}, "request_id")
  if (inner !== undefined && isRecord(inner["error"])) return { ...tell(inner), requestId }
  const from = inner ?? body
  const message =
    string(from, "message") ??
    string(body, "error") ??
    string(body, "message") ??
    string(body, "detail") ??
    string(from, "detail") ??
    (Array.isArray(body["detail"]) ? JSON.stringify(body["detail"]) : undefined) ??
    (Array.isArray(body["errors"]) ? tell(body["errors"][0]).message : "")
  const code = worded(from, "code")
  const type = worded(from, "type") || worded(from, "status")
  return {
    message: upstream(from) === "" ? message : `${message}: ${upstream(from)}`,
    code,
    type: type === "error" ? "" : type,
    status: httpStatus(code) ?? httpStatus(worded(from, "status_code")) ?? httpStatus(worded(from, "status")),
    requestId
  }
}

/** OpenRouter hands on what the provider behind it said, as a text that may itself be JSON ("Errors"). */
const upstream = (error: Json): string => {
  const raw = string(record(error, "metadata") ?? {}, "raw") ?? ""
  const parsed = raw.startsWith("{") || raw.startsWith("[") ? parse(raw) : undefined
  return parsed === undefined ? raw.slice(0, 300) : tell(parsed).message
}

/** What looks like a key: `sk-…` and the like, bearer tokens, Google's `AIza…`, keys in a query. */
const secrets: ReadonlyArray<readonly [RegExp, string]> = [
  [/\b(bearer)\s+[\w.~+/=-]{8,}/gi, "$1 ***"],
  [/\b(sk|pk|rk|gsk|xai|ak|nvapi|pplx|hf|tgp)([-_])[\w-]{8,}\b/g, "$1$2***"],
  [/\bAIza[\w-]{20,}/g, "AIza***"],
  [/([?&](?:api[-_]?key|key|token)=)[^&\s"']+/gi, "$1***"]
]

const maskAll = (text: string): string =>
  secrets.reduce((masked, [pattern, replacement]) => masked.replace(pattern, replacement), text)

const requestIdHeaders = [
  "x-request-id",
  "request-id",
  "x-ms-request-id",
  "apim-request-id",
  "x-amzn-requestid",
  "cf-ray"
]

/**
 * The error that a provider's answer is, without any attempt on its receipt.
 *
 * @since 0.1.0
 * @category decoding
 */
export const classify = (answer: ErrorAnswer, source: ErrorSource): LLMError => {
  const told = tell(answer.body)
  const status = answer.inBand === true ? (told.status ?? answer.status) : answer.status
  const wait = retryAfter({ headers: answer.headers, body: answer.body, message: told.message }, source.now)
  const words = maskAll(source.mask(told.message)).slice(0, 500)
  const requestId =
    requestIdHeaders.map((name) => answer.headers[name]).find((id) => id !== undefined) ?? told.requestId
  const code = told.code || told.type
  const context = {
    provider: source.provider,
    model: source.model,
    keyId: source.keyId,
    status: answer.status,
    ...(requestId === undefined ? {} : { requestId }),
    ...(code === "" ? {} : { code: maskAll(source.mask(code)) }),
    attempts: []
  }
  const say = (what: string, todo: string) => ({
    message: `${source.provider} ${what}${words === "" ? "" : `: ${words.replace(/\.$/, "")}`}. ${todo}`
  })
  const waiting: { readonly retryAfter?: Duration.Duration } = wait === undefined ? {} : { retryAfter: wait }
  switch (kindOf({ provider: source.provider, status, code: told.code, type: told.type, message: told.message })) {
    case "rate-limit":
      return new Errors.RateLimitError({
        ...context,
        ...waiting,
        source: "provider",
        ...say("limits the rate", "Wait, or use more keys.")
      })
    case "quota":
      return new Errors.QuotaExceededError({
        ...context,
        ...waiting,
        ...say("says the quota is used up", "Top up the account or use another.")
      })
    case "authentication":
      return new Errors.AuthenticationError({ ...context, ...say("refuses the key", "Check or replace it.") })
    case "permission":
      return new Errors.PermissionError({
        ...context,
        ...say("does not permit this", "Check what the key and its account may do.")
      })
    case "model-not-found":
      return new Errors.ModelNotFoundError({
        ...context,
        ...say(`does not know the model ${source.model}`, "Check its name and the account's access.")
      })
    case "context-length":
      return new Errors.ContextLengthError({
        ...context,
        ...say("finds the request too long", "Shorten it, or use a model with a larger context window.")
      })
    case "content-filter":
      return new Errors.ContentFilterError({ ...context, ...say("filtered the content", "Change the prompt.") })
    case "unavailable":
      return new Errors.ProviderUnavailableError({
        ...context,
        ...waiting,
        ...say(`is unavailable (${status})`, "Try again later.")
      })
    case "invalid":
      return new Errors.InvalidRequestError({
        ...context,
        ...say("refuses the request", "Change it before trying again.")
      })
  }
}
