import type { ErrorTag } from "../../vocabulary/LLMError.js"
import type { ErrorReport } from "./answer.js"
import { canonical } from "./answer.js"

/** The classes of provider errors. */
export type Verdict = Extract<
  ErrorTag,
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

/** `none`: an error in band without a status. */
export type Status = number | "none" | "3xx" | "4xx" | "5xx"

/** The conditions of a rule; all must hold. */
export interface Condition {
  /** Matches the user's name of the provider, in lower case. */
  readonly provider?: RegExp
  readonly status?: ReadonlyArray<Status>
  /** One of these equals a code, ignoring case and punctuation; `*` matches any text. */
  readonly code?: ReadonlyArray<string>
  /** One of these matches the provider's messages, in lower case. */
  readonly text?: ReadonlyArray<RegExp>
  /** This does not match the provider's messages. */
  readonly unless?: RegExp
}

export interface Rule {
  readonly when: Condition
  readonly means: Verdict
  /** Whether an exhausted quota is that of the model alone. @default false */
  readonly modelOnly?: boolean
}

const matchesStatus = (expected: Status, status: number): boolean =>
  expected === "none"
    ? status === 0
    : typeof expected === "number"
      ? status === expected
      : Math.floor(status / 100) === Number(expected[0])

type Test = (report: ErrorReport, provider: string) => boolean

const testOf = ({ code, provider, status, text, unless }: Condition): Test => {
  const pattern =
    code === undefined
      ? undefined
      : new RegExp(`^(?:${code.map((name) => name.split("*").map(canonical).join(".*")).join("|")})$`)
  return (report, name) =>
    (status === undefined || status.some((expected) => matchesStatus(expected, report.status))) &&
    (pattern === undefined || [...report.codes].some((one) => pattern.test(one))) &&
    (provider === undefined || provider.test(name)) &&
    (text === undefined || text.some((pattern) => pattern.test(report.text))) &&
    (unless === undefined || !unless.test(report.text))
}

/** The first rule that matches; undefined when none does. */
export const compile = (rules: ReadonlyArray<Rule>): ((report: ErrorReport, provider: string) => Rule | undefined) => {
  const tests = rules.map((rule) => ({ matches: testOf(rule.when), rule }))
  return (report, provider) => {
    const name = provider.toLowerCase()
    return tests.find(({ matches }) => matches(report, name))?.rule
  }
}
