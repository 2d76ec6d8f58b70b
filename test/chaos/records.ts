/** The records of the callers of a chaos run, in preallocated arrays of numbers, so that they do not let the heap grow. */
import type * as UsageLedger from "../../src/accounting/UsageLedger.js"
import { deployments, keysOf } from "./scenario.js"
import * as ApiKey from "../../src/vocabulary/ApiKey.js"
import { Redacted } from "effect"

/** The ids of all keys in attempts and in the logs of the providers. */
export const keyIds: ReadonlyArray<string> = deployments.flatMap((deployment) =>
  keysOf(deployment).map(({ key }) => ApiKey.fingerprint(Redacted.make(key)))
)

/** Numbers words in order of first appearance. */
export const makeWords = () => {
  const words: Array<string> = []
  return {
    numberOf: (word: string): number => {
      const index = words.indexOf(word)
      return index === -1 ? words.push(word) - 1 : index
    },
    wordOf: (number: number): string => words[number] ?? ""
  }
}

/** How a call ended: the outcome is `answered`, `left` (interrupted by its caller), or the tag of its error. */
export interface CallRecord {
  readonly outcome: string
  /** In milliseconds. */
  readonly duration: number
  /** Whether it had received a part of the answer before it failed. */
  readonly begun: boolean
  /** The message of its error; only of some calls. */
  readonly reason?: string
  /** The position of the member of the `Fallback` that was called last; -1 without one. */
  readonly member: number
}

/** An attempt as the ledger received it. */
export interface Attempt {
  readonly call: number
  readonly keyId: string
  readonly outcome: string
  readonly inputTokens: number
  readonly outputTokens: number
  readonly estimated: boolean
}

export interface Records {
  readonly end: (call: number, callRecord: Omit<CallRecord, "member">) => void
  /** Records a call to a member of the `Fallback`. */
  readonly recordMember: (call: number, member: number) => void
  readonly attempt: (attempt: UsageLedger.Attempt) => void
  /** Records a violation. */
  readonly reportFault: (fault: string) => void
  readonly callRecord: (call: number) => CallRecord | undefined
  readonly attempts: () => ReadonlyArray<Attempt>
  readonly faults: () => ReadonlyArray<string>
}

const columns = 6

/** The greatest numbers of faults and reasons that are kept. */
const maxFaults = 50
const maxReasons = 1000

export const make = (calls: number): Records => {
  const words = makeWords()
  const ends = new Int32Array(calls * 3).fill(-1)
  const members = new Int8Array(calls).fill(-1)
  const maxAttempts = calls * 20
  const rows = new Int32Array(maxAttempts * columns)
  const faults: Array<string> = []
  const reasons = new Map<number, string>()
  let count = 0

  const reportFault = (fault: string): void => {
    if (faults.length < maxFaults) faults.push(fault)
  }
  return {
    end: (call, { begun, outcome, reason, duration }) => {
      if (reason !== undefined && reasons.size < maxReasons) reasons.set(call, reason)
      if (ends[call * 3] !== -1) reportFault(`call ${call} ended twice`)
      ends.set([words.numberOf(outcome), Math.round(duration), begun ? 1 : 0], call * 3)
    },
    recordMember: (call, member) => {
      members[call] = member
    },
    attempt: ({ keyId, label, outcome, usage }) => {
      if (count >= maxAttempts) return reportFault("there are too many attempts")
      rows.set(
        [
          Number(label),
          keyIds.indexOf(keyId),
          words.numberOf(outcome),
          usage.inputTokens,
          usage.outputTokens,
          usage.estimated ? 1 : 0
        ],
        count * columns
      )
      count++
    },
    reportFault,
    callRecord: (call) => {
      const [outcome = -1, duration = 0, begun = 0] = ends.subarray(call * 3, call * 3 + 3)
      const reason = reasons.get(call)
      return outcome === -1
        ? undefined
        : {
            outcome: words.wordOf(outcome),
            duration,
            begun: begun === 1,
            member: members[call] ?? -1,
            ...(reason === undefined ? {} : { reason })
          }
    },
    attempts: () =>
      Array.from({ length: count }, (_, row) => {
        const [call = -1, key = -1, outcome = -1, inputTokens = 0, outputTokens = 0, estimated = 0] = rows.subarray(
          row * columns,
          (row + 1) * columns
        )
        return {
          call,
          keyId: keyIds[key] ?? "",
          outcome: words.wordOf(outcome),
          inputTokens,
          outputTokens,
          estimated: estimated === 1
        }
      }),
    faults: () => faults
  }
}
