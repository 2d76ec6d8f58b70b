/** The invariants of a chaos run, checked on the records of the callers and of the providers. */
import type { Attempt, CallRecord, Records } from "./records.js"
import { margin, memberCount } from "./callers.js"
import { keyIds } from "./records.js"
import type { ReceivedRequest } from "./provider.js"
import type { Plan } from "./scenario.js"
import { behaviorOf, deadlineOf, phaseOf, usageFor } from "./scenario.js"

/** Differences between both records that are not faults. */
export interface Gaps {
  /** Attempts that ended, or whose connection broke, before the provider received them. */
  readonly neverArrived: number
  /** Responses that the provider completed although the call was interrupted or timed out. */
  readonly crossed: number
}

export interface Findings {
  readonly broken: ReadonlyArray<string>
  readonly gaps: Gaps
  /** The outcomes of calls, by phase. */
  readonly outcomes: ReadonlyMap<string, ReadonlyMap<string, number>>
  /** The outcomes of attempts. */
  readonly attempts: ReadonlyMap<string, number>
  /** The duration of the longest call, in milliseconds. */
  readonly longest: number
}

const countWords = (words: Iterable<string>): Map<string, number> => {
  const counts = new Map<string, number>()
  for (const word of words) counts.set(word, (counts.get(word) ?? 0) + 1)
  return counts
}

const grouped = <A extends { readonly call: number; readonly keyId: string }>(all: ReadonlyArray<A>) => {
  const groups = new Map<string, Array<A>>()
  for (const item of all) {
    const name = `call ${item.call} with ${item.keyId}`
    const group = groups.get(name)
    if (group === undefined) groups.set(name, [item])
    else group.push(item)
  }
  return groups
}

/** The last key of a deployment is out of quota, which providers also report with a 429. */
const isOutOfQuota = (keyId: string): boolean => keyIds.indexOf(keyId) % 4 === 3

/** The tag of the error for a refusal. */
const refusal = ({ keyId, status }: ReceivedRequest): string => {
  switch (status) {
    case 401:
      return "AuthenticationError"
    case 402:
      return "QuotaExceededError"
    case 429:
      return isOutOfQuota(keyId) ? "QuotaExceededError" : "RateLimitError"
    default:
      return "ProviderUnavailableError"
  }
}

const isWhole = ({ outcome, status }: ReceivedRequest): boolean => outcome === "complete" && status === 200

/** Whether the caller's side ended the attempt, so that the provider's record can differ. */
const endedByCaller = ({ outcome }: Attempt): boolean => outcome === "interrupted" || outcome === "TimeoutError"

const never: ReadonlyArray<never> = []

/** Compares the attempts of one call with one key with the requests that the provider received. */
const compare = (attempts: ReadonlyArray<Attempt>, requests: ReadonlyArray<ReceivedRequest>) => {
  const interrupted = attempts.filter(endedByCaller).length
  const networkErrors = attempts.filter(({ outcome }) => outcome === "NetworkError").length
  const answered = attempts.filter(({ outcome }) => outcome === "ok").length
  const neverArrived = attempts.length - requests.length
  const crossed = requests.filter(isWhole).length - answered
  const faults: Array<string> = []
  if (neverArrived < 0) faults.push(`${requests.length} requests, and ${attempts.length} attempts`)
  if (neverArrived > interrupted + networkErrors)
    faults.push(`${attempts.length} attempts, of which ${requests.length} arrived`)
  if (crossed < 0) faults.push(`${answered} answers, of which none was sent`)
  if (crossed > interrupted) faults.push(`${crossed} answers were not counted`)
  const attemptOutcomes = countWords(attempts.map(({ outcome }) => outcome))
  for (const [tag, count] of countWords(requests.filter(({ status }) => status >= 400).map(refusal))) {
    if (count > (attemptOutcomes.get(tag) ?? 0) + interrupted)
      faults.push(`${count} refusals, of which the ledger has ${attemptOutcomes.get(tag) ?? 0}`)
  }
  return { faults, neverArrived, crossed }
}

/** Whether a provider broke a stream of the call in the middle. */
const hasBrokenStream = (requests: ReadonlyArray<ReceivedRequest>): boolean =>
  requests.some(({ outcome, status, stream }) => stream && status === 200 && outcome !== "complete")

const hasExpectedUsage = ({ call, estimated, inputTokens, outcome, outputTokens }: Attempt): boolean => {
  if (outcome !== "ok") return true
  const { inputTokens: input, outputTokens: output } = usageFor(call)
  return !estimated && inputTokens === input && outputTokens === output
}

/** A request that is refused before any work must not cost tokens. */
const isPaidRefusal = ({ inputTokens, outcome, outputTokens }: Attempt): boolean =>
  ["RateLimitError", "QuotaExceededError", "AuthenticationError"].includes(outcome) && inputTokens + outputTokens > 0

const faultsOfCall = (
  plan: Plan,
  call: number,
  callRecord: CallRecord | undefined,
  requests: ReadonlyArray<ReceivedRequest>
): ReadonlyArray<string> => {
  const phase = phaseOf(plan, call)
  const behavior = behaviorOf(plan, call)
  if (callRecord === undefined) return [`call ${call} has no end`]
  const faults: Array<string> = []
  const { begun, member, outcome, reason = "", duration } = callRecord
  if (duration > deadlineOf(plan, call) + margin) faults.push(`call ${call} took ${duration} ms`)
  if (outcome === "left" && behavior.pattern !== "leaves" && behavior.pattern !== "first") {
    faults.push(`call ${call} ended as if its caller had interrupted it`)
  }
  if (outcome === "answered" && !requests.some(isWhole)) faults.push(`call ${call} has an answer that no provider sent`)
  if (phase.healthy === undefined) {
    if (outcome === "answered") faults.push(`call ${call} was answered in an outage`)
  } else if (outcome !== "answered" && outcome !== "left") {
    // A broken stream that has begun cannot be retried; a continued one fails when no member is left.
    const hasMembersLeft = behavior.mode === "continued" && member < memberCount - 1
    if (!begun || behavior.mode === "whole" || !hasBrokenStream(requests) || hasMembersLeft) {
      faults.push(
        `call ${call} (${phase.name}, ${behavior.mode}): ${outcome}, although one deployment was well: ${reason}`
      )
    }
  }
  return faults
}

export const check = (plan: Plan, records: Records, requests: ReadonlyArray<ReceivedRequest>): Findings => {
  const attempts = records.attempts()
  const broken = [...records.faults()]
  const requestsByCall = new Map<number, Array<ReceivedRequest>>()
  for (const item of requests) {
    const callRequests = requestsByCall.get(item.call)
    if (callRequests === undefined) requestsByCall.set(item.call, [item])
    else callRequests.push(item)
  }
  const outcomes = new Map<string, Map<string, number>>()
  let longest = 0
  for (let call = 0; call < plan.calls; call++) {
    const callRecord = records.callRecord(call)
    const { name } = phaseOf(plan, call)
    const counts = outcomes.get(name) ?? new Map<string, number>()
    const word =
      callRecord === undefined ? "no end" : callRecord.begun ? `${callRecord.outcome}, begun` : callRecord.outcome
    outcomes.set(name, counts.set(word, (counts.get(word) ?? 0) + 1))
    longest = Math.max(longest, callRecord?.duration ?? 0)
    broken.push(...faultsOfCall(plan, call, callRecord, requestsByCall.get(call) ?? never))
  }
  const requestsByKey = grouped(requests)
  const attemptsByKey = grouped(attempts)
  let neverArrived = 0
  let crossed = 0
  for (const name of new Set([...requestsByKey.keys(), ...attemptsByKey.keys()])) {
    const gaps = compare(attemptsByKey.get(name) ?? never, requestsByKey.get(name) ?? never)
    neverArrived += gaps.neverArrived
    crossed += gaps.crossed
    broken.push(...gaps.faults.map((fault) => `${name}: ${fault}`))
  }
  for (const attempt of attempts) {
    if (!hasExpectedUsage(attempt)) {
      broken.push(`call ${attempt.call}: ${attempt.inputTokens} and ${attempt.outputTokens} tokens in the ledger`)
    }
    if (isPaidRefusal(attempt)) broken.push(`call ${attempt.call}: a refusal (${attempt.outcome}) that is paid for`)
  }
  return {
    broken,
    gaps: { neverArrived, crossed },
    outcomes,
    attempts: countWords(attempts.map(({ outcome }) => outcome)),
    longest
  }
}
