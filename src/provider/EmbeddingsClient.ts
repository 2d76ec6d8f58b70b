/**
 * Clients for embeddings only. A client of a chat protocol also has the embeddings of its provider.
 *
 * @example
 * ```ts
 * import { EmbeddingsClient, KeyPool, LLM, RateLimiter } from "effect-llm"
 * import { Layer } from "effect"
 *
 * const Voyage = LLM.layer({ model: "voyage-3.5" }).pipe(
 *   Layer.provide(EmbeddingsClient.layer(EmbeddingsClient.presets.voyage)),
 *   Layer.provide(KeyPool.layer({ provider: "voyage", keys: ["pa-one"] })),
 *   Layer.provide(RateLimiter.layerUnlimited)
 * )
 * ```
 *
 * @since 0.1.0
 */
import type { HttpClient } from "@effect/platform"
import type { Effect, Layer } from "effect"
import { Context } from "effect"
import type { Endpoint, Service } from "../wire/providerClient.js"
import * as ProviderClient from "../call/ProviderClient.js"
import { cohere } from "../wire/embeddings/client/cohere.js"
import * as OpenAI from "../wire/embeddings/client/openai.js"
import type { EmbeddingsWire } from "../wire/Wire.js"
import { layerOf } from "./client.js"

/**
 * A provider: its endpoint, and its protocol for embeddings.
 *
 * @since 0.1.0
 * @category model
 */
export interface Options extends Endpoint {
  readonly embeddings: EmbeddingsWire
}

/**
 * The client of a provider of embeddings.
 *
 * @since 0.2.0
 * @category tags
 */
export class EmbeddingsClient extends Context.Tag("effect-llm/EmbeddingsClient")<EmbeddingsClient, Service>() {}

/**
 * Makes the wire of OpenAI's embeddings in the dialect of a provider.
 *
 * @since 0.1.0
 * @category wires
 */
export const openai = OpenAI.make

/**
 * Providers as data. A preset is an `Options` value: spread it to change a part of it.
 *
 * @since 0.1.0
 * @category presets
 */
export const presets = {
  /** https://docs.voyageai.com/reference/embeddings-api: at most 1,000 texts a request. */
  voyage: {
    provider: "voyage",
    baseUrl: "https://api.voyageai.com/v1",
    embeddings: OpenAI.make({ maxBatch: 1000, base64: true, dimensionsField: "output_dimension", inputType: true })
  },
  /** https://docs.cohere.com/reference/embed: at most 96 texts a request. */
  cohere: { provider: "cohere", baseUrl: "https://api.cohere.com/v2", embeddings: cohere }
} as const satisfies Record<string, Options>

/**
 * Makes a client for embeddings. Its `chat` and `chatStream` fail with `UnsupportedError`.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = ({ embeddings, ...endpoint }: Options): Effect.Effect<Service, never, HttpClient.HttpClient> =>
  ProviderClient.makeEmbeddings({ name: "embeddings", embeddings }, endpoint)

/**
 * The client under its own tag, and as the `ProviderClient` that `LLM.layer` needs.
 *
 * @example
 * ```ts
 * import { Layer } from "effect"
 * import { EmbeddingsClient, KeyPool, LLM, RateLimiter } from "effect-llm"
 *
 * const Voyage = LLM.layer({ model: "voyage-3.5" }).pipe(
 *   Layer.provide(EmbeddingsClient.layer(EmbeddingsClient.presets.voyage)),
 *   Layer.provide(KeyPool.layer({ provider: "voyage", keys: ["pa-one"] })),
 *   Layer.provide(RateLimiter.layerUnlimited)
 * )
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (
  options: Options
): Layer.Layer<EmbeddingsClient | ProviderClient.ProviderClient, never, HttpClient.HttpClient> =>
  layerOf(EmbeddingsClient, make(options))
