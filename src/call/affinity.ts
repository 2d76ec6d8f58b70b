/**
 * What related requests have in common: those of one conversation, whose prompt a provider can have in its cache. It is a function of the
 * request alone, so that all processes send a conversation to the same key without a state that they share, and nothing expires.
 */
import { isRecord } from "../wire/json.js"
import * as Rendezvous from "../internal/rendezvous.js"
import type { ChatRequest, Message } from "../vocabulary/Chat.js"
import type { Client } from "../rateLimiter/model.js"

/** The id that a client has given to a conversation: OpenAI's `prompt_cache_key`, OpenRouter's `session_id`, the `conversation` of Responses. */
const explicitKey = ({ extra }: ChatRequest): string | undefined => {
  const conversation = extra?.["conversation"]
  return [
    extra?.["prompt_cache_key"],
    extra?.["session_id"],
    isRecord(conversation) ? conversation["id"] : conversation
  ].find((id): id is string => typeof id === "string" && id !== "")
}

/** The texts of a message. Media are left out: they are large, and seldom the only difference. */
const textOf = ({ content }: Message): string =>
  typeof content === "string"
    ? content
    : content.map((part) => ("text" in part && typeof part.text === "string" ? part.text : part.type)).join("\n")

/** The part of a prompt that all requests of a conversation begin with: tools, system messages, and the first message of the user. */
const prefixOf = ({ messages, tools = [] }: ChatRequest): string => {
  const first = messages.findIndex(({ role }) => role === "user")
  const opening = messages.slice(0, first === -1 ? 1 : first + 1)
  return JSON.stringify([tools, opening.map((message) => [message.role, textOf(message)])])
}

/** A short text that the requests of one conversation of one client share: sixteen hexadecimal digits. */
export const keyOf = (request: ChatRequest, client: Client): string => {
  const text = JSON.stringify([client.id, explicitKey(request) ?? prefixOf(request)])
  return [text, `${text} `].map((each) => (Rendezvous.hash(each) >>> 0).toString(16).padStart(8, "0")).join("")
}
