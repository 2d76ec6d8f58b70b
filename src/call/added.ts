/**
 * What middlewares add to a chat, handed down as an argument. In the context of the fiber it would be written before the call and
 * restored after it, which takes longer than the work of most middlewares.
 */
import type { ChatRequest } from "../vocabulary/Chat.js"
import type { Listener, Listeners } from "./usageListeners.js"
import { add, noListeners } from "./usageListeners.js"

export interface Added {
  readonly listeners: Listeners
  /** The request as `normalize` returns it without defaults; undefined when no middleware has validated it. */
  readonly request: ChatRequest | undefined
  /** Estimates the input tokens of `request`, once for all that need them. */
  readonly inputTokens: (() => number) | undefined
}

/** A call to which nothing was added. */
export const nothing: Added = { listeners: noListeners, request: undefined, inputTokens: undefined }

/** Adds a listener, unless its owner listens already. */
export const withListener = ({ inputTokens, listeners, request }: Added, listener: Listener): Added => ({
  listeners: add(listeners, listener),
  request,
  inputTokens
})

/** The same for another request. */
export const forRequest = ({ listeners }: Added, request: ChatRequest | undefined): Added =>
  request === undefined && listeners.length === 0 ? nothing : { listeners, request, inputTokens: undefined }
