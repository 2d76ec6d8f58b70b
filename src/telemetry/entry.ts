/** Entries of the access log. */
import type { Attempt } from "../vocabulary/attempt.js"
import type { Cost } from "../vocabulary/cost.js"
import type { Usage } from "../vocabulary/Usage.js"

/**
 * An ended call. Times are in milliseconds.
 *
 * @since 0.1.0
 * @category model
 */
export interface Entry {
  readonly requestId: string
  /** The label of the call (`UsageLedger.label`); empty when there is none. */
  readonly label: string
  readonly operation: "chat" | "embeddings"
  readonly streamed: boolean
  /** The provider that answered, else the requested one. */
  readonly provider: string
  /** The requested model. */
  readonly model: string
  /** The model that answered; empty when none did. */
  readonly answeredBy: string
  /** The id (never the secret) of the key that was used last; empty when there is none. */
  readonly keyId: string
  /** The last one of an interrupted call has the error `interrupted`. */
  readonly attempts: ReadonlyArray<Attempt>
  /** `ok`, `interrupted`, `defect`, or the `_tag` of the error. */
  readonly outcome: string
  /**
   * The HTTP status: at a gateway that of its response to the client, else that of the error or of the last attempt. Absent without a
   * response, as for a client that disconnected before one.
   */
  readonly status?: number
  readonly finishReason?: string
  /** For a broken or interrupted stream, an estimate from what had arrived. */
  readonly usage?: Usage
  /**
   * Cost of the answer; absent when no price is known, or when nothing inside the log adds costs to answers (`Pricing.middleware`).
   *
   * @since 0.2.0
   */
  readonly cost?: Cost
  /** Start of the call, since the epoch. */
  readonly startedAt: number
  readonly latency: number
  /** Time from the call to a stream's first event. */
  readonly timeToFirstEvent?: number
  /**
   * How long the attempts waited for permits of rate limiters; absent when they did not.
   *
   * @since 0.2.0
   */
  readonly waitedForPermit?: number
  /**
   * How long they waited for keys; absent when they did not.
   *
   * @since 0.2.0
   */
  readonly waitedForKey?: number
  /** Trace id of the span around the call. */
  readonly traceId?: string
}
