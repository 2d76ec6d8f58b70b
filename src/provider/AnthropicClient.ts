/**
 * Clients for providers of Anthropic's Messages protocol: Anthropic, its models on other platforms, and compatible servers.
 *
 * - The key is sent in `x-api-key` and the version of the protocol in `anthropic-version`, unless a preset says otherwise.
 * - A request without `maxTokens` asks for the documented output limit of the model; for unknown models, for 8192 tokens.
 * - Newer models do not show their reasoning by default, so a stream can be silent for minutes: request the reasoning with
 *   `reasoning: { summary: "auto" }`, or raise the limits of `Timeouts`.
 * - Tokens read from and written to the prompt cache are part of `usage.inputTokens`, although Anthropic counts them apart.
 *   Mark what to cache with `cacheControl` on a part, a tool or a tool result.
 * - An `overloaded_error`, as status 529 or inside a stream, is a `ProviderUnavailableError`.
 * - The mapping of requests and responses is described in `Anthropic`.
 *
 * @example
 * ```ts
 * import { AnthropicClient } from "effect-llm"
 *
 * const Claude = AnthropicClient.layer()
 * const Kimi = AnthropicClient.layer(AnthropicClient.presets.moonshot)
 * const Beta = AnthropicClient.layer({ headers: { "anthropic-beta": "context-1m-2025-08-07" } })
 * const Local = AnthropicClient.layer({ provider: "local", baseUrl: "http://localhost:8000/v1" })
 * ```
 *
 * @since 0.1.0
 */
import type { HttpClient } from "@effect/platform"
import type { Effect, Layer } from "effect"
import { Context } from "effect"
import type { ProviderClient } from "../call/ProviderClient.js"
import { client } from "../wire/anthropic/client/wire.js"
import type { Dialect } from "../wire/anthropic/dialect.js"
import type { Service } from "../wire/providerClient.js"
import type { Preset } from "./client.js"
import { defineClient } from "./client.js"
import * as Presets from "./presets/anthropic.js"

/**
 * A provider: its endpoint, and how it deviates from Anthropic.
 *
 * - `baseUrl`: by default `https://api.anthropic.com/v1`. `/v1` is appended to a base URL without a version, such as the
 *   `ANTHROPIC_BASE_URL` of Anthropic's own libraries.
 * - `provider`: by default that of the preset with this base URL, else the host of the URL.
 * - `auth`, `headers`, `query`, `dialect`: by default those of the preset with this base URL; `auth` is the header `x-api-key`
 *   when there is none.
 *
 * @since 0.1.0
 * @category model
 */
export type Options = Preset<Dialect>

/**
 * The client of a provider of Anthropic Messages.
 *
 * @since 0.1.0
 * @category tags
 */
export class AnthropicClient extends Context.Tag("effect-llm/AnthropicClient")<AnthropicClient, Service>() {}

/**
 * Providers of this protocol as data. A preset is an `Options` value: spread it to change a part of it.
 *
 * @since 0.1.0
 * @category presets
 */
export const presets = Presets.presets

const withVersion = (options: Options): Options => {
  const { baseUrl, dialect } = options
  // Anthropic's libraries append `/v1/messages`; a dialect with a path starts where the base URL ends.
  return baseUrl === undefined || dialect?.path !== undefined || /\/v\d\w*\/*$/i.test(baseUrl)
    ? options
    : { ...options, baseUrl: `${baseUrl.replace(/\/+$/, "")}/v1` }
}

const defined = defineClient<AnthropicClient, Dialect>({
  tag: AnthropicClient,
  wire: client,
  presets,
  defaults: { baseUrl: Presets.presets.anthropic.baseUrl, dialect: Presets.plain, auth: { header: "x-api-key" } },
  complete: withVersion
})

/**
 * Makes a client for the provider of the options; by default for Anthropic.
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
 * import { KeyPool, LLM, AnthropicClient, RateLimiter } from "effect-llm"
 *
 * const Model = LLM.layer({ model: "claude-sonnet-4-5" }).pipe(
 *   Layer.provide(AnthropicClient.layer(AnthropicClient.presets.anthropic)),
 *   Layer.provide(KeyPool.layer({ provider: "anthropic", keys: ["key-one"] })),
 *   Layer.provide(RateLimiter.layerUnlimited)
 * )
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layer: (options?: Options) => Layer.Layer<AnthropicClient | ProviderClient, never, HttpClient.HttpClient> =
  defined.layer
