/**
 * A client for Ollama, at home and in the cloud, in its own protocol.
 *
 * A server at home looks at no key, but a pool wants one: give it any text, such as `"none"`. One key is enough, with
 * `maxConcurrency` where the machine should not be asked for more at once than it can answer.
 *
 * A first request loads the model, which can take minutes, and a client that gives up aborts the loading: give it time
 * (`LLM.layer({ timeouts: { firstEvent: "10 minutes" } })`).
 *
 * @example
 * ```ts
 * import { KeyPool, LLM, OllamaClient, RateLimiter } from "effect-llm"
 * import { Layer } from "effect"
 *
 * const Local = LLM.layer({ model: "qwen3:8b" }).pipe(
 *   Layer.provide(OllamaClient.layer({ dialect: { options: { num_ctx: 32768 } } })),
 *   Layer.provide(KeyPool.layer({ providerId: "ollama", keys: ["none"] })),
 *   Layer.provide(RateLimiter.unlimited)
 * )
 * const Cloud = OllamaClient.layer(OllamaClient.presets.cloud)
 * ```
 *
 * @since 0.1.0
 */
import type { HttpClient } from "@effect/platform"
import { Context, Effect, Layer } from "effect"
import type { Service } from "../wire/providerClient.js"
import * as ProviderClient from "../call/ProviderClient.js"
import { client } from "../wire/ollama/client/wire.js"
import type { Dialect } from "../wire/ollama/dialect.js"
import * as Presets from "./presets/ollama.js"
import type { Preset } from "./presets/preset.js"
import { resolve } from "./presets/preset.js"

/**
 * A server: where it is, and what is said to it with every request.
 *
 * - `baseUrl`: `http://localhost:11434` unless given.
 * - `provider`: the name of the preset with this base URL, else the URL's host, unless given.
 * - `auth`, `headers`, `query`, `dialect`: those of the preset with this base URL unless given.
 *
 * @since 0.1.0
 * @category model
 */
export type Options = Preset<Dialect>

/**
 * The client of a provider that speaks Ollama's own protocol.
 *
 * @since 0.1.0
 * @category tags
 */
export class OllamaClient extends Context.Tag("effect-llm/OllamaClient")<OllamaClient, Service>() {}

/**
 * Where Ollama is, as data. A preset is an `Options` value: spread it to change a part of it.
 *
 * @since 0.1.0
 * @category presets
 */
export const presets = Presets.presets

/**
 * A client for the provider of the options; for an Ollama on this machine where they name none.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: Options = {}): Effect.Effect<Service, never, HttpClient.HttpClient> => {
  const { dialect, endpoint } = resolve<Dialect>(options, presets, {
    baseUrl: presets.local.baseUrl,
    dialect: {}
  })
  return ProviderClient.make(client(dialect), endpoint)
}

/**
 * The client, under its own tag and as the `ProviderClient` that an `LLM` layer asks for.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (
  options: Options = {}
): Layer.Layer<OllamaClient | ProviderClient.ProviderClient, never, HttpClient.HttpClient> =>
  Layer.effectContext(
    Effect.map(make(options), (client) =>
      Context.make(OllamaClient, client).pipe(Context.add(ProviderClient.ProviderClient, client))
    )
  )
