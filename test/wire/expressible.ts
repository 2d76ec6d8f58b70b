/** Arbitrary requests as a conversation has them, and the part of a request that a wire can express. */
import { Either } from "effect"
import * as FastCheck from "fast-check"
import type { ChatRequest, Message } from "../../src/vocabulary/Chat.js"
import * as Chat from "../../src/vocabulary/Chat.js"
import type { ClientWire } from "../../src/wire/Wire.js"
import { chatRequest } from "./generators.js"

/**
 * Generated requests to these models, on which some fields depend, with the reasoning of a provider. They begin with a question, and every
 * call has its result.
 */
export const requestsTo = (models: ReadonlyArray<string>, provider = "acme"): FastCheck.Arbitrary<ChatRequest> =>
  FastCheck.tuple(chatRequest(provider), FastCheck.constantFrom(...models)).map(([request, model]) => ({
    ...request,
    model,
    messages: [Chat.user("?"), ...request.messages].flatMap((message): ReadonlyArray<Message> => {
      if (message.role === "tool") return []
      if (message.role !== "assistant") return [message]
      return [message, ...Chat.toolCallsOf(message.content).map((call) => Chat.toolResult(call, "A result."))]
    })
  }))

type Target = Parameters<ClientWire["encodeRequest"]>[1]

/** The part of a request that a wire can express: the messages and fields that it does not refuse. */
export const expressible = (wire: ClientWire, { messages, ...fields }: ChatRequest, target: Target): ChatRequest => {
  const isWritten = (request: ChatRequest): boolean => Either.isRight(wire.encodeRequest(request, target))
  const written = messages.filter((message) => isWritten({ messages: [message] }))
  return Object.entries(fields).reduce<ChatRequest>(
    (kept, [field, value]) => {
      const more = { ...kept, [field]: value }
      return isWritten(more) ? more : kept
    },
    { messages: written.length === 0 ? [Chat.user("?")] : written }
  )
}
