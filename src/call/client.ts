/** Clients: one transport, with the operations that the wire has. */
import { HttpClient } from "@effect/platform"
import { Effect, Stream } from "effect"
import type { ClientWire, EmbeddingsWire, ModelsWire } from "../wire/Wire.js"
import type { Endpoint, Service } from "../wire/providerClient.js"
import { shownUrl } from "./endpointSecrets.js"
import * as Direct from "./direct.js"
import * as DirectClient from "./directClient.js"
import * as DirectExchange from "./directExchange.js"
import { chat, embed, listModels } from "./exchange.js"
import { chatStream } from "./exchangeStream.js"
import { unsupportedError } from "./failure.js"
import { server } from "./message.js"
import { toStream } from "./openStream.js"
import * as Transport from "./transport.js"

/**
 * Makes a client for a provider with the protocol `wire` at `endpoint`.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (wire: ClientWire, endpoint: Endpoint): Effect.Effect<Service, never, HttpClient.HttpClient> =>
  Effect.map(HttpClient.HttpClient, (http) => {
    const target = server(wire.name, endpoint)
    const transport = Transport.make(target, http)
    const service: Service = {
      provider: endpoint.provider,
      wire: wire.name,
      ...(wire.verbatim === undefined ? {} : { faithful: true }),
      baseUrl: shownUrl(endpoint.baseUrl),
      chat: (request, call) => chat(transport, wire, request, call),
      chatStream: (request, call) => toStream(chatStream(transport, wire, request, call)),
      ...embedding(transport, wire.embeddings),
      ...listing(transport, wire.models)
    }
    // Registered for this `HttpClient` object alone: one that wraps it has none.
    const direct = Direct.of(http)
    if (direct !== undefined && endpoint.auth?.token === undefined) {
      DirectClient.register(service, DirectExchange.make(direct, target, wire))
    }
    return service
  })

/**
 * Makes a client for a provider that has only embeddings. Its `chat` and `chatStream` fail with `UnsupportedError`.
 *
 * @since 0.1.0
 * @category constructors
 */
export const makeEmbeddings = (
  wire: { readonly name: string; readonly embeddings: EmbeddingsWire; readonly models?: ModelsWire },
  endpoint: Endpoint
): Effect.Effect<Service, never, HttpClient.HttpClient> =>
  Effect.map(HttpClient.HttpClient, (http) => {
    const transport = Transport.make(server(wire.name, endpoint), http)
    return {
      provider: endpoint.provider,
      wire: wire.name,
      baseUrl: shownUrl(endpoint.baseUrl),
      chat: (_, call) => Effect.fail(unsupportedError(transport.server, call, "chat")),
      chatStream: (_, call) => Stream.fail(unsupportedError(transport.server, call, "chat")),
      ...embedding(transport, wire.embeddings),
      ...listing(transport, wire.models)
    }
  })

const embedding = (transport: Transport.Transport, wire: EmbeddingsWire | undefined): Pick<Service, "embeddings"> =>
  wire === undefined
    ? {}
    : {
        embeddings: {
          maxBatch: wire.maxBatch,
          ...(wire.maxBatchTokens === undefined ? {} : { maxBatchTokens: wire.maxBatchTokens }),
          embed: (request, call) => embed(transport, wire, request, call)
        }
      }

const listing = (transport: Transport.Transport, wire: ModelsWire | undefined): Pick<Service, "listModels"> =>
  wire === undefined ? {} : { listModels: (call) => listModels(transport, wire, call) }
