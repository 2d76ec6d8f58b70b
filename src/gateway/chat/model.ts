/** The types of the protocols that clients use. */
import type { Frame, ServerWire } from "../../wire/Wire.js"

export interface Protocol {
  readonly path: `/${string}`
  readonly wire: ServerWire
  /** The status of an overload, where the protocol has one. @default 503 */
  readonly overloadedStatus?: number
  /** Fields of a request that are dropped without a report when the provider uses another protocol. */
  readonly ignorable: ReadonlySet<string>
  /** The same for fields inside messages and tools: bookkeeping, and fields that the vocabulary expresses otherwise. */
  readonly ignorableNested: ReadonlySet<string>
  /**
   * The headers of a client that a provider of the same protocol gets; names are in lower case. None of them names an account or
   * contains a secret.
   */
  readonly passedHeaders: ReadonlyArray<string>
  /** How answers are passed through when the provider uses the same protocol. */
  readonly passthrough: Passthrough
}

/** What is known of a stream when its last bytes are passed on. */
export interface StreamEnd {
  /** The request of the client. */
  readonly body: Record<string, unknown>
  /** The frames with the estimated usage of the answer; none when the provider sent its counts. */
  readonly estimatedUsage: () => ReadonlyArray<Frame>
}

/** How answers of a protocol are passed through. */
export interface Passthrough {
  /** Whether reasoning and tool calls of all providers arrive in the form that clients of the gateway receive. */
  readonly isExact: boolean
  /** The bytes of a read as the client gets them; `body` is the request of the client. */
  readonly edit: (bytes: Uint8Array, body: Record<string, unknown>) => Uint8Array
  /** The last bytes of an answer, with what is missing in them. */
  readonly complete: (bytes: Uint8Array, end: StreamEnd) => Uint8Array
}
