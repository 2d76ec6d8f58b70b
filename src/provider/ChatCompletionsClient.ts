/**
 * A client for everything that speaks OpenAI's Chat Completions protocol: OpenAI and the many that follow it.
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
import { Context, Effect, Layer } from "effect"
import type { Service } from "../wire/providerClient.js"
import * as ProviderClient from "../call/ProviderClient.js"
import { client } from "../wire/chatCompletions/client/wire.js"
import type { Dialect } from "../wire/chatCompletions/dialect.js"
import * as Presets from "./presets/chatCompletions.js"
import type { Preset } from "./presets/preset.js"
import { resolve } from "./presets/preset.js"

/**
 * A provider: where it is, and how it deviates from OpenAI.
 *
 * - `baseUrl`: `https://api.openai.com/v1` unless given.
 * - `provider`: the name of the preset with this base URL, else the URL's host, unless given.
 * - `auth`, `headers`, `query`, `dialect`: those of the preset with this base URL unless given.
 *
 * @since 0.1.0
 * @category model
 */
export type Options = Preset<Dialect>

/**
 * The client of a provider that speaks Chat Completions.
 *
 * @since 0.1.0
 * @category tags
 */
export class ChatCompletionsClient extends Context.Tag("effect-llm/ChatCompletionsClient")<
  ChatCompletionsClient,
  Service
>() {}

/**
 * Providers that speak this protocol, as data. A preset is an `Options` value: spread it to change a part of it.
 *
 * @since 0.1.0
 * @category presets
 */
export const presets = Presets.presets

/**
 * A client for the provider of the options; for OpenAI where they name none.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: Options = {}): Effect.Effect<Service, never, HttpClient.HttpClient> => {
  const { dialect, endpoint } = resolve<Dialect>(options, presets, {
    baseUrl: presets.openai.baseUrl,
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
): Layer.Layer<ChatCompletionsClient | ProviderClient.ProviderClient, never, HttpClient.HttpClient> =>
  Layer.effectContext(
    Effect.map(make(options), (client) =>
      Context.make(ChatCompletionsClient, client).pipe(Context.add(ProviderClient.ProviderClient, client))
    )
  )
