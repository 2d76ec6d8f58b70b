import type { Tag } from "../../vocabulary/LLMError.js"
import type { ErrorReport } from "./answer.js"
import { canonical } from "./answer.js"

/** The classes that a provider can cause. */
export type Verdict = Extract<
  Tag,
  | "RateLimitError"
  | "QuotaExceededError"
  | "AuthenticationError"
  | "PermissionError"
  | "ModelNotFoundError"
  | "ContextLengthError"
  | "ContentFilterError"
  | "InvalidRequestError"
  | "ProviderUnavailableError"
>

/** `none`: an error in band that names no status. */
export type Status = number | "none" | "3xx" | "4xx" | "5xx"

/** All that is given must hold. */
export interface Condition {
  /** Found in the name that the user gave the provider, in lower case. */
  readonly provider?: RegExp
  readonly status?: ReadonlyArray<Status>
  /** One of these is among the codes, whatever the case and punctuation; a `*` stands for anything. */
  readonly code?: ReadonlyArray<string>
  /** One of these is found in the provider's words, in lower case. */
  readonly text?: ReadonlyArray<RegExp>
  /** This is not found in the provider's words. */
  readonly unless?: RegExp
}

export interface Rule {
  readonly when: Condition
  readonly means: Verdict
}

const statusFits = (wanted: Status, status: number): boolean =>
  wanted === "none"
    ? status === 0
    : typeof wanted === "number"
      ? status === wanted
      : Math.floor(status / 100) === Number(wanted[0])

type Test = (report: ErrorReport, provider: string) => boolean

const testOf = ({ code, provider, status, text, unless }: Condition): Test => {
  const pattern =
    code === undefined
      ? undefined
      : new RegExp(`^(?:${code.map((name) => name.split("*").map(canonical).join(".*")).join("|")})$`)
  return (report, name) =>
    (status === undefined || status.some((wanted) => statusFits(wanted, report.status))) &&
    (pattern === undefined || [...report.codes].some((one) => pattern.test(one))) &&
    (provider === undefined || provider.test(name)) &&
    (text === undefined || text.some((part) => part.test(report.text))) &&
    (unless === undefined || !unless.test(report.text))
}

/** What the first rule that fits says. */
export const compile = (
  rules: ReadonlyArray<Rule>
): ((report: ErrorReport, provider: string) => Verdict | undefined) => {
  const tests = rules.map(({ means, when }) => ({ fits: testOf(when), means }))
  return (report, provider) => {
    const name = provider.toLowerCase()
    return tests.find(({ fits }) => fits(report, name))?.means
  }
}
