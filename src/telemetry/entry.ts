/** One line of the access log, as data. */
import type { Attempt } from "../vocabulary/Attempt.js"
import type { Cost } from "../vocabulary/Cost.js"
import type { Usage } from "../vocabulary/Usage.js"

/**
 * A call that is over. Times are in milliseconds.
 *
 * @since 0.1.0
 * @category model
 */
export interface Entry {
  readonly requestId: string
  /** The name under which the call is counted (`UsageLedger.label`); empty where there is none. */
  readonly label: string
  readonly operation: "chat" | "embeddings"
  readonly streamed: boolean
  /** Who answered, or else who was asked. */
  readonly provider: string
  /** The model that was asked for. */
  readonly model: string
  /** The model that says it answered; empty where none did. */
  readonly answeredBy: string
  /** The id (never the secret) of the key that was used last; empty where there was none. */
  readonly keyId: string
  readonly attempts: ReadonlyArray<Attempt>
  /** `ok`, `interrupted`, `defect`, or the `_tag` of the error. */
  readonly outcome: string
  /** The HTTP status of the last attempt, where there was one. */
  readonly status?: number
  readonly finishReason?: string
  /** Of a stream that broke or was given up it is an estimate of what had arrived. */
  readonly usage?: Usage
  /**
   * What the answer cost; absent where no price is known, or nothing inside of the log puts a cost on answers (`Pricing.make`).
   *
   * @since 0.2.0
   */
  readonly cost?: Cost
  /** Since the epoch. */
  readonly startedAt: number
  readonly latency: number
  /** Of a stream. */
  readonly timeToFirstEvent?: number
  /** Of the span that the call was made in. */
  readonly traceId?: string
}
