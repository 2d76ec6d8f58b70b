/**
 * The accounts that made the reasoning that clients of the provider's own protocol got unchanged: its signature has no room for their
 * names. The latest signatures are remembered by hashes, in this process.
 */
import * as Rendezvous from "../../internal/rendezvous.js"
import * as Signatures from "../../call/signatures.js"
import type { AssistantPart, ChatRequest, ChatResponse } from "../../vocabulary/Chat.js"
import type { ChatEvent } from "../../vocabulary/ChatEvent.js"

const capacity = 100_000

const keyOf = (signature: string): string =>
  [signature.length, Rendezvous.hash(signature), Rendezvous.hash(signature.slice(0, signature.length >> 1))].join()

export interface Owners {
  /** Remembers the signatures of an answer that is passed through. */
  readonly addResponse: (response: ChatResponse) => void
  /** The same for the events of one stream. */
  readonly eventsObserver: () => (events: Iterable<ChatEvent>) => void
  /** The request with the accounts of the signatures that are remembered. */
  readonly claim: (request: ChatRequest) => ChatRequest
}

export const make = (): Owners => {
  /** From the oldest to the latest. */
  const makers = new Map<string, Signatures.Maker>()

  const add = (signature: string | undefined, provider: string, keyId: string): void => {
    // The answer of a cache has no key.
    if (signature === undefined || keyId === "") return
    const key = keyOf(signature)
    makers.delete(key)
    makers.set(key, Signatures.makerOf(provider, keyId))
    for (const oldest of makers.size > capacity ? makers.keys() : []) {
      makers.delete(oldest)
      break
    }
  }

  const claimPart = (part: AssistantPart): AssistantPart => {
    if (part.type !== "reasoning" || part.signature === undefined) return part
    const maker = makers.get(keyOf(part.signature))
    return maker === undefined ? part : Signatures.claim(maker, { ...part, signature: part.signature })
  }

  return {
    addResponse: ({ content, keyId, provider }) => {
      for (const part of content) if (part.type === "reasoning") add(part.signature, provider, keyId)
    },
    eventsObserver: () => {
      let source = { provider: "", keyId: "" }
      return (events) => {
        for (const event of events) {
          if (event._tag === "Start") source = event
          else if (event._tag === "ReasoningDelta") add(event.signature, source.provider, source.keyId)
        }
      }
    },
    claim: (request) => {
      if (makers.size === 0) return request
      let isClaimed = false
      const messages = request.messages.map((message) => {
        if (message.role !== "assistant" || typeof message.content === "string") return message
        const content = message.content.map(claimPart)
        if (content.every((part, index) => part === message.content[index])) return message
        isClaimed = true
        return { ...message, content }
      })
      return isClaimed ? { ...request, messages } : request
    }
  }
}
