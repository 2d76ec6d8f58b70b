/** What the gateway needs to know of a protocol that clients speak. */
import type { Frame, Wire } from "../../wire/Wire.js"

export interface Protocol {
  readonly path: `/${string}`
  readonly wire: Wire
  /** Fields of a request that mean nothing where another protocol is spoken to the provider, and are not missed there. */
  readonly own: ReadonlySet<string>
  /** The same of what stands inside of messages and tools: book-keeping, and what the vocabulary says otherwise. */
  readonly ownInside: ReadonlySet<string>
  /** How answers go through where the provider speaks it, too. */
  readonly relaying: Relaying
}

/** How a protocol goes through. */
export interface Relaying {
  /** Whether thoughts and calls of tools come as our clients are to get them. */
  readonly isExact: boolean
  /** Whether this client is to have this frame; `body` is what it asked. */
  readonly keeps: (frame: Frame, body: Record<string, unknown>) => boolean
  /** What says that the answer is whole, where the last frame does not. */
  readonly ending: (last: Frame | undefined) => ReadonlyArray<Frame>
}
