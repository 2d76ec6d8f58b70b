/**
 * What an error of a provider means, as an ordered list: the first rule that fits decides. Exceptions of single providers
 * come first, then codes that mean one thing everywhere, then words, then what is left of codes, then the status alone.
 */
import type { ErrorReport } from "./answer.js"
import { codes, vague } from "./codes.js"
import { exceptions } from "./exceptions.js"
import type { Rule, Verdict } from "./rule.js"
import { compile } from "./rule.js"
import { words } from "./wording.js"

const statuses: ReadonlyArray<Rule> = [
  { when: { status: [401] }, means: "AuthenticationError" },
  { when: { status: [402] }, means: "QuotaExceededError" },
  { when: { status: [403, 451] }, means: "PermissionError" },
  { when: { status: [429] }, means: "RateLimitError" },
  // 498: Groq's flex tier is full (console.groq.com/docs/errors); 499: the request was cancelled on the way
  { when: { status: [408, 409, 424, 425, 498, 499, "5xx"] }, means: "ProviderUnavailableError" },
  { when: { status: ["3xx", "4xx"] }, means: "InvalidRequestError" }
]

const decideBy = compile([...exceptions, ...codes, ...words, ...vague, ...statuses])

/**
 * The class of an error. What no rule knows came in band without a status: a request that was at fault would have been
 * refused before, so the provider is.
 */
export const decide = (report: ErrorReport, provider: string): Verdict =>
  decideBy(report, provider) ?? "ProviderUnavailableError"
