/**
 * Clients for Ollama's own protocol, on this machine and in the cloud.
 *
 * A local server ignores the key, but a pool needs one: use any text, such as `"none"`. One key is enough; its
 * `maxConcurrency` bounds the calls that the machine answers at once.
 *
 * The first request loads the model, which can take minutes, and the server stops loading when the client disconnects: allow
 * for it with `LLM.layer({ timeouts: { firstEvent: "10 minutes" } })`.
 *
 * @example
 * ```ts
 * import { KeyPool, LLM, OllamaClient, RateLimiter } from "effect-llm"
 * import { Layer } from "effect"
 *
 * const Local = LLM.layer({ model: "qwen3:8b" }).pipe(
 *   Layer.provide(OllamaClient.layer({ dialect: { options: { num_ctx: 32768 } } })),
 *   Layer.provide(KeyPool.layer({ provider: "ollama", keys: ["none"] })),
 *   Layer.provide(RateLimiter.layerUnlimited)
 * )
 * const Cloud = OllamaClient.layer(OllamaClient.presets.cloud)
 * ```
 *
 * @since 0.1.0
 */
import type { HttpClient } from "@effect/platform"
import type { Effect, Layer } from "effect"
import { Context } from "effect"
import type { ProviderClient } from "../call/ProviderClient.js"
import { client } from "../wire/ollama/client/wire.js"
import type { Dialect } from "../wire/ollama/dialect.js"
import type { Service } from "../wire/providerClient.js"
import type { Preset } from "./client.js"
import { defineClient } from "./client.js"
import * as Presets from "./presets/ollama.js"

/**
 * A server: its endpoint, and settings sent with every request.
 *
 * - `baseUrl`: by default `http://localhost:11434`.
 * - `provider`: by default that of the preset with this base URL, else the host of the URL.
 * - `auth`, `headers`, `query`, `dialect`: by default those of the preset with this base URL.
 *
 * @since 0.1.0
 * @category model
 */
export type Options = Preset<Dialect>

/**
 * The client of a provider of Ollama's own protocol.
 *
 * @since 0.1.0
 * @category tags
 */
export class OllamaClient extends Context.Tag("effect-llm/OllamaClient")<OllamaClient, Service>() {}

/**
 * The servers as data. A preset is an `Options` value: spread it to change a part of it.
 *
 * @since 0.1.0
 * @category presets
 */
export const presets = Presets.presets

const defined = defineClient<OllamaClient, Dialect>({
  tag: OllamaClient,
  wire: client,
  presets,
  defaults: { baseUrl: Presets.presets.local.baseUrl }
})

/**
 * Makes a client for the server of the options; by default for an Ollama on this machine.
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
 * import { KeyPool, LLM, OllamaClient, RateLimiter } from "effect-llm"
 *
 * const Model = LLM.layer({ model: "llama3.2" }).pipe(
 *   Layer.provide(OllamaClient.layer(OllamaClient.presets.local)),
 *   Layer.provide(KeyPool.layer({ provider: "ollama", keys: ["key-one"] })),
 *   Layer.provide(RateLimiter.layerUnlimited)
 * )
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layer: (options?: Options) => Layer.Layer<OllamaClient | ProviderClient, never, HttpClient.HttpClient> =
  defined.layer
