/**
 * The inner form of a chat: what a middleware adds to a call is an argument. In the context of the fiber it would be written before
 * the call and restored after it, which takes longer than the work of most middlewares.
 *
 * The `chat` of an `LLM` of the library carries its inner form, and so does that of a middleware around it that has one. Any other
 * `chat` gets what was added in its context.
 */
import type { Effect } from "effect"
import { Predicate } from "effect"
import type { ChatRequest, ChatResponse } from "../vocabulary/Chat.js"
import type { LLMError } from "../vocabulary/LLMError.js"
import type { Service } from "./model.js"
import { passedOn } from "./request.js"
import type { Listener, Listeners } from "./usageListeners.js"
import { add, noListeners, notifying } from "./usageListeners.js"

/** What the middlewares around a call have added to it. */
export interface Added {
  readonly listeners: Listeners
  /** The request as `normalize` returns it without defaults; undefined when no middleware has validated it. */
  readonly request: ChatRequest | undefined
  /** Estimates the input tokens of `request`, once for all that need them. */
  readonly inputTokens: (() => number) | undefined
}

export type InnerChat = (input: ChatRequest.Input, added: Added) => Effect.Effect<ChatResponse, LLMError>

type Chat = Service["chat"]

const InnerId: unique symbol = Symbol("effect-llm/InnerChat")

interface WithInner {
  readonly [InnerId]: InnerChat
}

/** A call to which nothing was added. */
export const nothing: Added = { listeners: noListeners, request: undefined, inputTokens: undefined }

/** Adds a listener, unless its owner listens already. */
export const withListener = ({ inputTokens, listeners, request }: Added, listener: Listener): Added => ({
  listeners: add(listeners, listener),
  request,
  inputTokens
})

/** The chat with this inner form. */
export const toChat = (inner: InnerChat): Chat => {
  const annotation: WithInner = { [InnerId]: inner }
  return Object.assign((input: ChatRequest.Input) => inner(input, nothing), annotation)
}

const hasInner = (chat: Chat): chat is Chat & WithInner => Predicate.hasProperty(chat, InnerId)

/** Calls the chat of a service. */
export const call = (service: Service, input: ChatRequest.Input, added: Added): ReturnType<Chat> => {
  const { chat } = service
  if (hasInner(chat)) return chat[InnerId](input, added)
  const { listeners, request } = added
  return notifying(service.chat(request === undefined ? input : passedOn(input, request)), listeners)
}
