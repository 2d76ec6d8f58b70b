/** The protocols that clients use with the gateway. */
import * as Anthropic from "../../wire/Anthropic.js"
import * as ChatCompletions from "../../wire/ChatCompletions.js"
import * as Responses from "../../wire/Responses.js"
import type { Protocol } from "./model.js"
import * as Passthrough from "./passthrough.js"

export type { Protocol } from "./model.js"

export const chatCompletions: Protocol = {
  path: "/v1/chat/completions",
  wire: ChatCompletions.make({ streamUsage: true }),
  ignorable: new Set(["n", "stream_options"]),
  ignorableNested: new Set(["type", "text", "content", "refusal"]),
  passthrough: Passthrough.chatCompletions
}

export const responses: Protocol = {
  path: "/v1/responses",
  wire: Responses.make(),
  ignorable: new Set(["store", "include", "truncation", "stream_options"]),
  ignorableNested: new Set(["type", "text", "refusal", "id", "status"]),
  passthrough: Passthrough.responses
}

export const anthropic: Protocol = {
  path: "/v1/messages",
  wire: Anthropic.make(),
  ignorable: new Set(["betas"]),
  ignorableNested: new Set(),
  passthrough: Passthrough.anthropic
}
