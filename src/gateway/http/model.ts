/** The errors of the gateway before a protocol encodes them, and what requests are for. */
import type { Duration } from "effect"
import type { LLMError } from "../../vocabulary/LLMError.js"
import type { ServedError } from "../../wire/Wire.js"

/** What the requests of a route call. */
export type Operation = "chat" | "embeddings"

/** The name under which observers see calls that are refused before their model is known. */
export const refusedModel = ""

/** A refusal or a failure, before a protocol encodes it. */
export interface HttpError extends ServedError {
  readonly retryAfter?: Duration.Duration
  /** Sent as `x-should-retry`, which the official clients follow: false where a retry cannot succeed. */
  readonly shouldRetry?: boolean
  readonly headers?: Readonly<Record<string, string>>
  /** The cause, which only the log shows, under the id of the request. */
  readonly error?: LLMError
  /** The label of the client's key; absent before the key was checked. */
  readonly label?: string
  /** What the request asked for, as far as it was read when the call was refused. */
  readonly requested?: Requested
}

/** What a refused request asked for. */
export interface Requested {
  /** The name that the client sent. */
  readonly model?: string
  readonly streamed: boolean
}
