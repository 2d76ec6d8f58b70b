/**
 * A client for Google's Gemini models: the Gemini API and Vertex AI.
 *
 * - The key goes in the header `x-goog-api-key`, never in the URL. Vertex AI wants an access token, as the key.
 * - A model is named as Google does, with or without its collection: `gemini-3-flash-preview`, `models/…`, `tunedModels/…`;
 *   on Vertex AI also `endpoints/…` below a base URL that ends with the location.
 * - Tools: add the answer with `Chat.toMessage`, and the results after it. Gemini 3 and later refuse calls that come back
 *   without their signatures, which are in the answer's reasoning parts. Models before Gemini 3 give calls no ids; those in
 *   the answer are made up, and tell calls apart as others do.
 * - A prompt that is blocked fails with `ContentFilterError`. An answer that is blocked is an answer, with the
 *   `finishReason` `content-filter`.
 * - `usage.inputTokens` has the cached tokens in it, and `usage.outputTokens` the thoughts. What Google's own tools add to
 *   the prompt is only in the total, and in `providerMetadata.usage`.
 * - Google's own tools are asked for with `extra.tools`, as in `{ tools: [{ googleSearch: {} }] }`; safety settings and a
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
import { Context, Effect, Layer } from "effect"
import type { Service } from "../wire/providerClient.js"
import * as ProviderClient from "../call/ProviderClient.js"
import { client } from "../wire/gemini/client/wire.js"
import type { Dialect } from "../wire/gemini/dialect.js"
import * as Presets from "./presets/gemini.js"
import type { Preset } from "./presets/preset.js"
import { resolve } from "./presets/preset.js"

/**
 * A provider: where it is, and how it deviates from the Gemini API.
 *
 * - `baseUrl`: `https://generativelanguage.googleapis.com/v1beta` unless given.
 * - `provider`: the name of the preset with this base URL, else the URL's host, unless given.
 * - `headers`, `query`, `dialect`: those of the preset with this base URL unless given.
 * - `auth`: likewise, and `x-goog-api-key` where there is no such preset.
 *
 * @since 0.1.0
 * @category model
 */
export type Options = Preset<Dialect>

/**
 * The client of a provider that speaks Gemini's own protocol.
 *
 * @since 0.1.0
 * @category tags
 */
export class GeminiClient extends Context.Tag("effect-llm/GeminiClient")<GeminiClient, Service>() {}

/**
 * Providers that speak this protocol, as data. A preset is an `Options` value: spread it to change a part of it.
 *
 * @since 0.1.0
 * @category presets
 */
export const presets = Presets.presets

/**
 * A client for the provider of the options; for Gemini where they name none.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: Options = {}): Effect.Effect<Service, never, HttpClient.HttpClient> => {
  const { dialect, endpoint } = resolve<Dialect>(options, presets, { baseUrl: presets.gemini.baseUrl, dialect: {} })
  return ProviderClient.make(client(dialect), { auth: Presets.apiKey, ...endpoint })
}

/**
 * The client, under its own tag and as the `ProviderClient` that an `LLM` layer asks for.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (
  options: Options = {}
): Layer.Layer<GeminiClient | ProviderClient.ProviderClient, never, HttpClient.HttpClient> =>
  Layer.effectContext(
    Effect.map(make(options), (client) =>
      Context.make(GeminiClient, client).pipe(Context.add(ProviderClient.ProviderClient, client))
    )
  )
