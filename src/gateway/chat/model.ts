/** The types of the protocols that clients use. */
import type { Frame, ServerWire } from "../../wire/Wire.js"

export interface Protocol {
  readonly path: `/${string}`
  readonly wire: ServerWire
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

/** How answers of a protocol are passed through. */
export interface Passthrough {
  /** Whether reasoning and tool calls arrive in the form that clients of the gateway receive. */
  readonly isExact: boolean
  /** Whether a frame is passed to the client; `body` is the request of the client. */
  readonly keepsFrame: (frame: Frame, body: Record<string, unknown>) => boolean
  /** The frames that mark the end of the answer if the last frame does not. */
  readonly endFrames: (last: Frame | undefined) => ReadonlyArray<Frame>
}
