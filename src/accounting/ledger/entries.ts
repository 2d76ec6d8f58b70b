/** Entries of a ledger. Re-exported by `UsageLedger`. */
import type { Cost } from "../../vocabulary/cost.js"
import type { Usage } from "../../vocabulary/Usage.js"

/** The outcome of an answer from a cache. */
export const cacheHitOutcome = "cache-hit"

/**
 * An ended attempt.
 *
 * @since 0.1.0
 * @category model
 */
export interface Attempt {
  readonly operation: "chat" | "embeddings"
  readonly provider: string
  /** The requested model. */
  readonly model: string
  /** The model that answered, as the provider names it; the requested one when the provider names none. */
  readonly answeredBy: string
  /** The id (never the secret) of the key. */
  readonly keyId: string
  /** See `UsageLedger.label`; empty when there is none. */
  readonly label: string
  /** `ok`, `interrupted`, `cache-hit`, or the `_tag` of the error. */
  readonly outcome: string
  readonly usage: Usage
  /** In milliseconds since the epoch. */
  readonly startedAt: number
  readonly endedAt: number
}

/**
 * A recorded attempt with its cost.
 *
 * @since 0.1.0
 * @category model
 */
export interface Entry extends Attempt {
  /** Counts from 1, without gaps, so that a slow reader can detect lost entries. */
  readonly number: number
  /** Absent when the price is unknown. */
  readonly cost?: Cost
}
