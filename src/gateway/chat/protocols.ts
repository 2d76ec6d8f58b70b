/** The protocols that clients speak to the gateway. */
import * as Anthropic from "../../wire/anthropic/server/wire.js"
import * as ChatCompletions from "../../wire/chatCompletions/server/wire.js"
import * as Responses from "../../wire/responses/server/wire.js"
import type { Protocol } from "./model.js"
import * as Relaying from "./passthrough.js"

export type { Protocol } from "./model.js"

export const chatCompletions: Protocol = {
  path: "/v1/chat/completions",
  wire: ChatCompletions.server({ streamUsage: true }),
  own: new Set(["n", "stream_options"]),
  ownInside: new Set(["type", "text", "content", "refusal"]),
  relaying: Relaying.chatCompletions
}

export const responses: Protocol = {
  path: "/v1/responses",
  wire: Responses.server(),
  own: new Set(["store", "include", "truncation", "stream_options"]),
  ownInside: new Set(["type", "text", "refusal", "id", "status"]),
  relaying: Relaying.responses
}

export const anthropic: Protocol = {
  path: "/v1/messages",
  wire: Anthropic.server(),
  own: new Set(["betas"]),
  ownInside: new Set(),
  relaying: Relaying.anthropic
}
