/**
 * The accounts that made the reasoning that clients of the provider's own protocol got unchanged: its signature has no room for their
 * names. The latest signatures are remembered by hashes, in this process, and in the store of responses where processes share it.
 */
import { Effect, Option, Schema } from "effect"
import * as Rendezvous from "../../internal/rendezvous.js"
import * as Signatures from "../../call/signatures.js"
import type { ChatRequest, ChatResponse } from "../../vocabulary/Chat.js"
import type { ChatEvent } from "../../vocabulary/ChatEvent.js"
import type * as HttpErrors from "../http/error.js"
import { stored } from "../responses/references.js"
import type { Service as ResponseStore } from "../ResponseStore.js"

const capacity = 100_000

/** How many signatures of a request are read from the store at the same time. */
const concurrency = 16

const hashOf = (signature: string): string =>
  [signature.length, Rendezvous.hash(signature), Rendezvous.hash(signature.slice(0, signature.length >> 1))].join()

/** The signatures are in one namespace for all clients: only a client that has one can ask for its maker, which is sent to no client. */
const keyOf = (hash: string): string => JSON.stringify(["signature", hash])

/** Raise the version when gateways of the last release would misread a text. */
const StoredMaker = Schema.parseJson(
  Schema.Struct({ version: Schema.Literal(1), provider: Schema.String, account: Schema.String })
)

const decode = Schema.decodeUnknownOption(StoredMaker)

export interface Owners {
  /** Remembers the signatures of an answer that is passed through. */
  readonly addResponse: (response: ChatResponse) => void
  /** The same for the events of one stream. */
  readonly eventsObserver: () => (events: Iterable<ChatEvent>) => void
  /** Looks for the signatures of a request that only other processes remember; undefined where there are none to look for. */
  readonly load: (request: ChatRequest) => Effect.Effect<void, HttpErrors.HttpError> | undefined
  /** The request with the accounts of the signatures that are remembered. */
  readonly claim: (request: ChatRequest) => ChatRequest
}

/** `store`: the store of responses, if there is one. */
export const make = (store: ResponseStore | undefined): Owners => {
  const shared = store?.isShared === true ? store : undefined
  /** From the oldest to the latest. */
  const makers = new Map<string, Signatures.Maker>()

  const remember = (hash: string, maker: Signatures.Maker): void => {
    makers.delete(hash)
    makers.set(hash, maker)
    for (const oldest of makers.size > capacity ? makers.keys() : []) {
      makers.delete(oldest)
      break
    }
  }

  const add = (signature: string | undefined, maker: Signatures.Maker | undefined): void => {
    if (signature === undefined || maker === undefined) return
    const hash = hashOf(signature)
    remember(hash, maker)
    shared?.unsafeSet(keyOf(hash), JSON.stringify({ version: 1, ...maker }))
  }

  return {
    addResponse: (response) => {
      const maker = Signatures.makerOfAnswer(response)
      for (const part of response.content) if (part.type === "reasoning") add(part.signature, maker)
    },
    eventsObserver: () => {
      let maker: Signatures.Maker | undefined
      return (events) => {
        for (const event of events) {
          if (event._tag === "Start") maker = Signatures.makerOfAnswer(event)
          else if (event._tag === "ReasoningDelta") add(event.signature, maker)
        }
      }
    },
    load: (request) => {
      if (shared === undefined) return undefined
      const unknown = Signatures.unsealed(request)
        .map(hashOf)
        .filter((hash) => !makers.has(hash))
      if (unknown.length === 0) return undefined
      return Effect.forEach(
        new Set(unknown),
        (hash) =>
          Effect.map(stored(shared.get(keyOf(hash))), (text) => {
            const found = Option.flatMap(text, decode)
            if (Option.isSome(found)) remember(hash, found.value)
          }),
        { concurrency, discard: true }
      )
    },
    claim: (request) => (makers.size === 0 ? request : Signatures.claim(request, (text) => makers.get(hashOf(text))))
  }
}
