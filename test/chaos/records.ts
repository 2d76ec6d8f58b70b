/** What the callers' side of a chaos run notes down: in arrays of numbers, made beforehand, so that a heap that grows is not theirs. */
import type * as UsageLedger from "../../src/accounting/UsageLedger.js"
import { deployments, keysOf } from "./scenario.js"
import * as ApiKey from "../../src/vocabulary/ApiKey.js"
import { Redacted } from "effect"

/** The ids of all keys, as attempts and the providers' logs call them. */
export const keyIds: ReadonlyArray<string> = deployments.flatMap((deployment) =>
  keysOf(deployment).map(({ key }) => ApiKey.fingerprint(Redacted.make(key)))
)

/** Numbers for words, by their first appearance. */
export const makeWords = () => {
  const words: Array<string> = []
  return {
    numberOf: (word: string): number => {
      const found = words.indexOf(word)
      return found === -1 ? words.push(word) - 1 : found
    },
    wordOf: (number: number): string => words[number] ?? ""
  }
}

/** How a call ended: an outcome is `answered`, `left` (its caller did), or the tag of its error. */
export interface Ended {
  readonly outcome: string
  /** In milliseconds. */
  readonly took: number
  /** Whether it had said something before it failed. */
  readonly begun: boolean
  /** What its error said; only kept of some. */
  readonly reason?: string
  /** The place of the member of the `Fallback` that was asked last; -1 where there is no such member. */
  readonly member: number
}

/** An attempt as the ledger heard of it. */
export interface Attempt {
  readonly call: number
  readonly keyId: string
  readonly outcome: string
  readonly inputTokens: number
  readonly outputTokens: number
  readonly estimated: boolean
}

export interface Records {
  readonly end: (call: number, ended: Omit<Ended, "member">) => void
  /** A member of the `Fallback` is asked. */
  readonly asks: (call: number, member: number) => void
  readonly attempt: (attempt: UsageLedger.Attempt) => void
  /** Says that something is not as it should be. */
  readonly complain: (complaint: string) => void
  readonly ended: (call: number) => Ended | undefined
  readonly attempts: () => ReadonlyArray<Attempt>
  readonly complaints: () => ReadonlyArray<string>
}

const columns = 6

/** More complaints than this say no more, nor do more reasons. */
const mostComplaints = 50
const mostReasons = 1000

export const make = (calls: number): Records => {
  const words = makeWords()
  const ends = new Int32Array(calls * 3).fill(-1)
  const members = new Int8Array(calls).fill(-1)
  const mostAttempts = calls * 20
  const rows = new Int32Array(mostAttempts * columns)
  const complaints: Array<string> = []
  const reasons = new Map<number, string>()
  let count = 0

  const complain = (complaint: string): void => {
    if (complaints.length < mostComplaints) complaints.push(complaint)
  }
  return {
    end: (call, { begun, outcome, reason, took }) => {
      if (reason !== undefined && reasons.size < mostReasons) reasons.set(call, reason)
      if (ends[call * 3] !== -1) complain(`call ${call} ended twice`)
      ends.set([words.numberOf(outcome), Math.round(took), begun ? 1 : 0], call * 3)
    },
    asks: (call, member) => {
      members[call] = member
    },
    attempt: ({ keyId, label, outcome, usage }) => {
      if (count >= mostAttempts) return complain("there are too many attempts")
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
    complain,
    ended: (call) => {
      const [outcome = -1, took = 0, begun = 0] = ends.subarray(call * 3, call * 3 + 3)
      const reason = reasons.get(call)
      return outcome === -1
        ? undefined
        : {
            outcome: words.wordOf(outcome),
            took,
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
    complaints: () => complaints
  }
}
