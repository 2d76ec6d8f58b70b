/** The protocols that clients use with the gateway. */
import * as Anthropic from "../../wire/anthropic/server/wire.js"
import * as ChatCompletions from "../../wire/chatCompletions/server/wire.js"
import * as Responses from "../../wire/responses/server/wire.js"
import { anthropicOverloadedStatus } from "../http/callErrors.js"
import type { Protocol } from "./model.js"
import * as Passthrough from "./passthrough.js"

export type { Protocol } from "./model.js"

export const chatCompletions: Protocol = {
  path: "/v1/chat/completions",
  wire: ChatCompletions.server({ streamUsage: true }),
  ignorable: new Set(["n", "stream_options"]),
  ignorableNested: new Set(["type", "text", "content", "refusal"]),
  passedHeaders: ["openai-beta"],
  passthrough: Passthrough.chatCompletions
}

export const responses: Protocol = {
  path: "/v1/responses",
  wire: Responses.server(),
  // The gateway has a store of its own, and reasoning comes back by its own signatures.
  ignorable: new Set(["store", "include", "stream_options"]),
  ignorableNested: new Set(["type", "text", "refusal", "id", "status"]),
  passedHeaders: ["openai-beta"],
  passthrough: Passthrough.responses
}

export const anthropic: Protocol = {
  path: "/v1/messages",
  overloadedStatus: anthropicOverloadedStatus,
  wire: Anthropic.server(),
  ignorable: new Set(["betas"]),
  ignorableNested: new Set(),
  passedHeaders: ["anthropic-beta", "anthropic-version"],
  passthrough: Passthrough.anthropic
}
