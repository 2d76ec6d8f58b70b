/** The constructor of middlewares, and the `info` of those over several `LLM`s. */
import type { ModelInfo, Overrides, Service } from "./model.js"
import { withListener } from "./added.js"
import { openChat, toChatStream, toListeningChatStream } from "./openStream.js"
import { sendChat, toChat } from "./sending.js"
import type { Listener } from "./usageListeners.js"
import { add, notifying } from "./usageListeners.js"

/** Every member of a service, the optional ones too: a member that is added to `Service` does not compile until it is forwarded. */
type Forwarded = { readonly [Member in keyof Required<Service>]: Service[Member] }

/**
 * Makes the `LLM` of a middleware: the overrides, and the members of `next` for the rest. Spreading `...next` instead would skip
 * the middleware for every call that a later version adds, and would keep the `info` of a model that is reloaded.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { LLM } from "effect-llm"
 *
 * const logged: LLM.Middleware = (next) =>
 *   Effect.succeed(LLM.wrap(next, { around: Effect.tapError((error) => Effect.logWarning(error.message)) }))
 * ```
 *
 * @since 0.2.0
 * @category constructors
 */
export const wrap = (next: Service, overrides: Overrides): Service => {
  const { around } = overrides
  const forwarded: Forwarded = {
    chat: overrides.chat ?? (around === undefined ? next.chat : (request) => around(next.chat(request))),
    chatStream:
      overrides.chatStream ??
      (around === undefined
        ? next.chatStream
        : toChatStream((request) => (finalizers) => around(openChat(next, request)(finalizers)))),
    embed: overrides.embed ?? (around === undefined ? next.embed : (request) => around(next.embed(request))),
    listModels: overrides.listModels ?? (around === undefined ? next.listModels : around(next.listModels)),
    // Read at each access, because a reloaded model changes them.
    get info() {
      return overrides.info ?? next.info
    },
    status: overrides.status ?? next.status,
    resetRateLimit: overrides.resetRateLimit ?? next.resetRateLimit,
    get keys() {
      return overrides.keys ?? next.keys
    }
  }
  return forwarded
}

/** Makes the `LLM` of a middleware that only listens to the usage of attempts. */
export const withUsageListener = (next: Service, listener: Listener): Service => {
  const listeners = [listener]
  return wrap(next, {
    chat: toChat((input, added) => sendChat(next, input, withListener(added, listener))),
    chatStream: toListeningChatStream((request, added) => openChat(next, request, add(added, listener))),
    around: (call) => notifying(call, listeners)
  })
}

/**
 * Reads the `info` of the first `LLM` as that of all. It is faithful only where bodies of its protocol reach every one unchanged. The
 * object stays the same while the models do: calls are recognised by it.
 */
export const sharedInfo = (first: Service, others: ReadonlyArray<Service>): (() => ModelInfo) => {
  let changed: { readonly from: ModelInfo; readonly info: ModelInfo } | undefined
  return () => {
    const from = first.info
    if (from.faithful !== true || others.every(({ info }) => info.faithful === true && info.wire === from.wire))
      return from
    if (changed?.from !== from) changed = { from, info: { ...from, faithful: false } }
    return changed.info
  }
}
