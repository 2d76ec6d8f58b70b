/** The protocols that clients speak to the gateway. */
import * as Anthropic from "../wire/Anthropic.js"
import * as ChatCompletions from "../wire/ChatCompletions.js"
import * as Responses from "../wire/Responses.js"
import type { Wire } from "../wire/Wire.js"

export interface Protocol {
  readonly path: `/${string}`
  readonly wire: Wire
  /** Fields of a request that mean nothing where another protocol is spoken to the provider, and are not missed there. */
  readonly own: ReadonlySet<string>
}

export const chatCompletions: Protocol = {
  path: "/v1/chat/completions",
  wire: ChatCompletions.make({ streamUsage: true }),
  own: new Set(["n"])
}

export const responses: Protocol = {
  path: "/v1/responses",
  wire: Responses.make(),
  own: new Set(["store", "include", "truncation"])
}

export const anthropic: Protocol = {
  path: "/v1/messages",
  wire: Anthropic.make(),
  own: new Set(["betas"])
}
