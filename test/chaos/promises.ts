/** What was promised of a chaos run, checked from both sides: what the callers met, and what the providers saw. */
import type { Attempt, Ended, Records } from "./records.js"
import { margin, members } from "./callers.js"
import { keyIds } from "./records.js"
import type { Seen } from "./provider.js"
import type { Plan } from "./scenario.js"
import { deadlineOf, mannerOf, phaseOf, told } from "./scenario.js"

/** What the two sides do not tell alike, for reasons that are no fault. */
export interface Gaps {
  /** Attempts that were given up, or whose connection broke, before the provider had them. */
  readonly neverArrived: number
  /** Answers that were whole on the provider's side when the caller left or the time was up. */
  readonly crossed: number
}

export interface Findings {
  readonly broken: ReadonlyArray<string>
  readonly gaps: Gaps
  /** How calls ended, by phase. */
  readonly outcomes: ReadonlyMap<string, ReadonlyMap<string, number>>
  /** How attempts ended. */
  readonly attempts: ReadonlyMap<string, number>
  /** The longest that a call took, in milliseconds. */
  readonly longest: number
}

const tally = (words: Iterable<string>): Map<string, number> => {
  const counts = new Map<string, number>()
  for (const word of words) counts.set(word, (counts.get(word) ?? 0) + 1)
  return counts
}

const grouped = <A extends { readonly call: number; readonly keyId: string }>(all: ReadonlyArray<A>) => {
  const groups = new Map<string, Array<A>>()
  for (const one of all) {
    const name = `call ${one.call} with ${one.keyId}`
    const group = groups.get(name)
    if (group === undefined) groups.set(name, [one])
    else group.push(one)
  }
  return groups
}

/** The last of a deployment's keys is out of quota, which its provider says with a 429 too. */
const isPoor = (keyId: string): boolean => keyIds.indexOf(keyId) % 4 === 3

/** The error that a refusal is. */
const refusal = ({ keyId, status }: Seen): string => {
  switch (status) {
    case 401:
      return "AuthenticationError"
    case 402:
      return "QuotaExceededError"
    case 429:
      return isPoor(keyId) ? "QuotaExceededError" : "RateLimitError"
    default:
      return "ProviderUnavailableError"
  }
}

const isWhole = ({ outcome, status }: Seen): boolean => outcome === "complete" && status === 200

/** Whether an attempt ended from the caller's side, so that the provider cannot know how it did. */
const isCut = ({ outcome }: Attempt): boolean => outcome === "interrupted" || outcome === "TimeoutError"

const never: ReadonlyArray<never> = []

/** The attempts of one call with one key, against the requests that the provider saw. */
const compared = (attempts: ReadonlyArray<Attempt>, seen: ReadonlyArray<Seen>) => {
  const cut = attempts.filter(isCut).length
  const torn = attempts.filter(({ outcome }) => outcome === "NetworkError").length
  const answered = attempts.filter(({ outcome }) => outcome === "ok").length
  const neverArrived = attempts.length - seen.length
  const crossed = seen.filter(isWhole).length - answered
  const faults: Array<string> = []
  if (neverArrived < 0) faults.push(`${seen.length} requests, and ${attempts.length} attempts`)
  if (neverArrived > cut + torn) faults.push(`${attempts.length} attempts, of which ${seen.length} arrived`)
  if (crossed < 0) faults.push(`${answered} answers, of which none was sent`)
  if (crossed > cut) faults.push(`${crossed} answers were not counted`)
  const met = tally(attempts.map(({ outcome }) => outcome))
  for (const [tag, count] of tally(seen.filter(({ status }) => status >= 400).map(refusal))) {
    if (count > (met.get(tag) ?? 0) + cut)
      faults.push(`${count} refusals, of which the ledger has ${met.get(tag) ?? 0}`)
  }
  return { faults, neverArrived, crossed }
}

/** Whether the providers know of a stream of a call that it broke in the middle. */
const hasBroken = (seen: ReadonlyArray<Seen>): boolean =>
  seen.some(({ outcome, status, stream }) => stream && status === 200 && outcome !== "complete")

const rightTokens = ({ call, estimated, inputTokens, outcome, outputTokens }: Attempt): boolean => {
  if (outcome !== "ok") return true
  const { inputTokens: input, outputTokens: output } = told(call)
  return !estimated && inputTokens === input && outputTokens === output
}

/** Refused before any work was done: nothing is paid for that. */
const wronglyPaid = ({ inputTokens, outcome, outputTokens }: Attempt): boolean =>
  ["RateLimitError", "QuotaExceededError", "AuthenticationError"].includes(outcome) && inputTokens + outputTokens > 0

const faultsOfCall = (
  plan: Plan,
  call: number,
  ended: Ended | undefined,
  seen: ReadonlyArray<Seen>
): ReadonlyArray<string> => {
  const phase = phaseOf(plan, call)
  const manner = mannerOf(plan, call)
  if (ended === undefined) return [`call ${call} has no end`]
  const faults: Array<string> = []
  const { begun, member, outcome, reason = "", took } = ended
  if (took > deadlineOf(plan, call) + margin) faults.push(`call ${call} took ${took} ms`)
  if (outcome === "left" && manner.does !== "leaves" && manner.does !== "first") {
    faults.push(`call ${call} was left by nobody`)
  }
  if (outcome === "answered" && !seen.some(isWhole)) faults.push(`call ${call} has an answer that nobody gave`)
  if (phase.well === undefined) {
    if (outcome === "answered") faults.push(`call ${call} was answered by nobody`)
  } else if (outcome !== "answered" && outcome !== "left") {
    // Nobody can take back the beginning of a stream that breaks; where it is continued, nobody may be left to go on.
    const someoneIsLeft = manner.asks === "continued" && member < members - 1
    if (!begun || manner.asks === "whole" || !hasBroken(seen) || someoneIsLeft) {
      faults.push(
        `call ${call} (${phase.name}, ${manner.asks}): ${outcome}, although one deployment was well: ${reason}`
      )
    }
  }
  return faults
}

export const check = (plan: Plan, records: Records, seen: ReadonlyArray<Seen>): Findings => {
  const attempts = records.attempts()
  const broken = [...records.complaints()]
  const seenByCall = new Map<number, Array<Seen>>()
  for (const one of seen) {
    const ofCall = seenByCall.get(one.call)
    if (ofCall === undefined) seenByCall.set(one.call, [one])
    else ofCall.push(one)
  }
  const outcomes = new Map<string, Map<string, number>>()
  let longest = 0
  for (let call = 0; call < plan.calls; call++) {
    const ended = records.ended(call)
    const { name } = phaseOf(plan, call)
    const counts = outcomes.get(name) ?? new Map<string, number>()
    const word = ended === undefined ? "no end" : ended.begun ? `${ended.outcome}, begun` : ended.outcome
    outcomes.set(name, counts.set(word, (counts.get(word) ?? 0) + 1))
    longest = Math.max(longest, ended?.took ?? 0)
    broken.push(...faultsOfCall(plan, call, ended, seenByCall.get(call) ?? never))
  }
  const seenByKey = grouped(seen)
  const attemptsByKey = grouped(attempts)
  let neverArrived = 0
  let crossed = 0
  for (const name of new Set([...seenByKey.keys(), ...attemptsByKey.keys()])) {
    const gaps = compared(attemptsByKey.get(name) ?? never, seenByKey.get(name) ?? never)
    neverArrived += gaps.neverArrived
    crossed += gaps.crossed
    broken.push(...gaps.faults.map((fault) => `${name}: ${fault}`))
  }
  for (const attempt of attempts) {
    if (!rightTokens(attempt)) {
      broken.push(`call ${attempt.call}: ${attempt.inputTokens} and ${attempt.outputTokens} tokens in the ledger`)
    }
    if (wronglyPaid(attempt)) broken.push(`call ${attempt.call}: a refusal (${attempt.outcome}) that is paid for`)
  }
  return {
    broken,
    gaps: { neverArrived, crossed },
    outcomes,
    attempts: tally(attempts.map(({ outcome }) => outcome)),
    longest
  }
}
