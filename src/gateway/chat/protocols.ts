/** The protocols that clients speak to the gateway. */
import * as Anthropic from "../../wire/Anthropic.js"
import * as ChatCompletions from "../../wire/ChatCompletions.js"
import * as Responses from "../../wire/Responses.js"
import type { Wire } from "../../wire/Wire.js"
import * as Relaying from "./passthrough.js"

export interface Protocol {
  readonly path: `/${string}`
  readonly wire: Wire
  /** Fields of a request that mean nothing where another protocol is spoken to the provider, and are not missed there. */
  readonly own: ReadonlySet<string>
  /** The same of what stands inside of messages and tools: book-keeping, and what the vocabulary says otherwise. */
  readonly ownInside: ReadonlySet<string>
  /** How answers go through where the provider speaks it, too. */
  readonly relaying: Relaying.Relaying
}

export const chatCompletions: Protocol = {
  path: "/v1/chat/completions",
  wire: ChatCompletions.make({ streamUsage: true }),
  own: new Set(["n", "stream_options"]),
  ownInside: new Set(["type", "text", "content", "refusal"]),
  relaying: Relaying.chatCompletions
}

export const responses: Protocol = {
  path: "/v1/responses",
  wire: Responses.make(),
  own: new Set(["store", "include", "truncation", "stream_options"]),
  ownInside: new Set(["type", "text", "refusal", "id", "status"]),
  relaying: Relaying.responses
}

export const anthropic: Protocol = {
  path: "/v1/messages",
  wire: Anthropic.make(),
  own: new Set(["betas"]),
  ownInside: new Set(),
  relaying: Relaying.anthropic
}
