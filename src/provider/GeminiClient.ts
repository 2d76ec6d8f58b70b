/**
 * Clients for Google's Gemini models, on the Gemini API and on Vertex AI.
 *
 * - The key is sent in the header `x-goog-api-key`, never in the URL. On Vertex AI the key is an access token.
 * - Models have Google's names, with or without their collection: `gemini-3-flash-preview`, `models/…`, `tunedModels/…`; on
 *   Vertex AI also `endpoints/…` below a base URL that ends with the location.
 * - Tools: append the response with `Chat.toMessage`, then the results. Gemini 3 and later reject tool calls without their
 *   signatures, which are in the reasoning parts of the response. Models before Gemini 3 send no ids of tool calls; the
 *   ids in the response are generated here.
 * - A blocked prompt fails with `ContentFilterError`. A blocked response is a response with `finishReason: "content-filter"`.
 * - `usage.inputTokens` includes cached tokens and `usage.outputTokens` the reasoning. Tokens that Google's own tools add to
 *   the prompt are only in the total and in `providerMetadata.usage`.
 * - Google's own tools are requested with `extra.tools`, such as `{ tools: [{ googleSearch: {} }] }`; safety settings and
 *   cached content with `extra.safetySettings` and `extra.cachedContent`.
 *
 * @example
 * ```ts
 * import { GeminiClient } from "effect-llm"
 *
 * const Gemini = GeminiClient.layer()
 * const Vertex = GeminiClient.layer({
 *   ...GeminiClient.presets.vertex,
 *   baseUrl: "https://us-central1-aiplatform.googleapis.com/v1/projects/mine/locations/us-central1/publishers/google"
 * })
 * ```
 *
 * @since 0.1.0
 */
import type { HttpClient } from "@effect/platform"
import type { Effect, Layer } from "effect"
import { Context } from "effect"
import type { ProviderClient } from "../call/ProviderClient.js"
import { client } from "../wire/gemini/client/wire.js"
import type { Dialect } from "../wire/gemini/dialect.js"
import type { Service } from "../wire/providerClient.js"
import type { Preset } from "./client.js"
import { defineClient } from "./client.js"
import * as Presets from "./presets/gemini.js"

/**
 * A provider: its endpoint, and how it deviates from the Gemini API.
 *
 * - `baseUrl`: by default `https://generativelanguage.googleapis.com/v1beta`.
 * - `provider`: by default that of the preset with this base URL, else the host of the URL.
 * - `headers`, `query`, `dialect`: by default those of the preset with this base URL.
 * - `auth`: likewise, and the header `x-goog-api-key` without such a preset.
 *
 * @since 0.1.0
 * @category model
 */
export type Options = Preset<Dialect>

/**
 * The client of a provider of Gemini's own protocol.
 *
 * @since 0.1.0
 * @category tags
 */
export class GeminiClient extends Context.Tag("effect-llm/GeminiClient")<GeminiClient, Service>() {}

/**
 * Providers of this protocol as data. A preset is an `Options` value: spread it to change a part of it.
 *
 * @since 0.1.0
 * @category presets
 */
export const presets = Presets.presets

const defined = defineClient<GeminiClient, Dialect>({
  tag: GeminiClient,
  wire: client,
  presets,
  defaults: { baseUrl: Presets.presets.gemini.baseUrl, auth: Presets.apiKey }
})

/**
 * Makes a client for the provider of the options; by default for the Gemini API.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make: (options?: Options) => Effect.Effect<Service, never, HttpClient.HttpClient> = defined.make

/**
 * The client under its own tag, and as the `ProviderClient` that `LLM.layer` needs.
 *
 * @example
 * ```ts
 * import { Layer } from "effect"
 * import { KeyPool, LLM, GeminiClient, RateLimiter } from "effect-llm"
 *
 * const Model = LLM.layer({ model: "gemini-2.5-flash" }).pipe(
 *   Layer.provide(GeminiClient.layer(GeminiClient.presets.gemini)),
 *   Layer.provide(KeyPool.layer({ provider: "gemini", keys: ["key-one"] })),
 *   Layer.provide(RateLimiter.layerUnlimited)
 * )
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layer: (options?: Options) => Layer.Layer<GeminiClient | ProviderClient, never, HttpClient.HttpClient> =
  defined.layer
