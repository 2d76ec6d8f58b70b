/**
 * Clients for providers of OpenAI's Chat Completions protocol: OpenAI and the many compatible ones.
 *
 * @example
 * ```ts
 * import { ChatCompletionsClient } from "effect-llm"
 *
 * const OpenAI = ChatCompletionsClient.layer()
 * const DeepSeek = ChatCompletionsClient.layer(ChatCompletionsClient.presets.deepseek)
 * const Local = ChatCompletionsClient.layer({ provider: "local", baseUrl: "http://localhost:8000/v1" })
 * ```
 *
 * @since 0.1.0
 */
import type { HttpClient } from "@effect/platform"
import type { Effect, Layer } from "effect"
import { Context } from "effect"
import type { ProviderClient } from "../call/ProviderClient.js"
import { client } from "../wire/chatCompletions/client/wire.js"
import type { Dialect } from "../wire/chatCompletions/dialect.js"
import type { Service } from "../wire/providerClient.js"
import type { Preset } from "./client.js"
import { defineClient } from "./client.js"
import * as Presets from "./presets/chatCompletions.js"

/**
 * A provider: its endpoint, and how it deviates from OpenAI.
 *
 * - `baseUrl`: by default `https://api.openai.com/v1`.
 * - `provider`: by default that of the preset with this base URL, else the host of the URL.
 * - `auth`, `headers`, `query`, `dialect`: by default those of the preset with this base URL.
 *
 * @since 0.1.0
 * @category model
 */
export type Options = Preset<Dialect>

/**
 * The client of a provider of Chat Completions.
 *
 * @since 0.1.0
 * @category tags
 */
export class ChatCompletionsClient extends Context.Tag("effect-llm/ChatCompletionsClient")<
  ChatCompletionsClient,
  Service
>() {}

/**
 * Providers of this protocol as data. A preset is an `Options` value: spread it to change a part of it.
 *
 * @since 0.1.0
 * @category presets
 */
export const presets = Presets.presets

const defined = defineClient<ChatCompletionsClient, Dialect>({
  tag: ChatCompletionsClient,
  wire: client,
  presets,
  defaults: { baseUrl: Presets.presets.openai.baseUrl }
})

/**
 * Makes a client for the provider of the options; by default for OpenAI.
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
 * import { KeyPool, LLM, ChatCompletionsClient, RateLimiter } from "effect-llm"
 *
 * const Model = LLM.layer({ model: "deepseek-chat" }).pipe(
 *   Layer.provide(ChatCompletionsClient.layer(ChatCompletionsClient.presets.deepseek)),
 *   Layer.provide(KeyPool.layer({ provider: "deepseek", keys: ["key-one"] })),
 *   Layer.provide(RateLimiter.layerUnlimited)
 * )
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layer: (
  options?: Options
) => Layer.Layer<ChatCompletionsClient | ProviderClient, never, HttpClient.HttpClient> = defined.layer
