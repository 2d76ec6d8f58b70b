/** The lines of a ledger. Public by way of `UsageLedger`. */
import type { Cost } from "../../vocabulary/Cost.js"
import type { Usage } from "../../vocabulary/Usage.js"

/** The outcome of what a cache answered. */
export const cacheHitOutcome = "cache-hit"

/**
 * An attempt that is over.
 *
 * @since 0.1.0
 * @category model
 */
export interface Attempt {
  readonly operation: "chat" | "embeddings"
  readonly provider: string
  /** The model that was asked. */
  readonly model: string
  /** The model that says it answered, in the provider's words; the one that was asked where nobody says. */
  readonly answeredBy: string
  /** The id (never the secret) of the key. */
  readonly keyId: string
  /** See `UsageLedger.label`; empty where there was none. */
  readonly label: string
  /** `ok`, `interrupted`, `cache-hit`, or the `_tag` of the error. */
  readonly outcome: string
  readonly usage: Usage
  /** In milliseconds since the epoch. */
  readonly startedAt: number
  readonly endedAt: number
}

/**
 * A line of the ledger.
 *
 * @since 0.1.0
 * @category model
 */
export interface Entry extends Attempt {
  /** Counts from 1, without gaps: a reader who fell behind sees what it missed. */
  readonly number: number
  /** Absent where the price is not known. */
  readonly cost?: Cost
}
