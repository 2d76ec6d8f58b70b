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
import type { Endpoint, Service } from "../ProviderClient.js"
import * as ProviderClient from "../ProviderClient.js"
import type { Dialect } from "../wire/ChatCompletions.js"
import * as ChatCompletions from "../wire/ChatCompletions.js"
import * as Presets from "./ChatCompletionsPresets.js"

/**
 * A provider: where it is, and how it deviates from OpenAI.
 *
 * @since 0.1.0
 * @category model
 */
export interface Options extends Partial<Endpoint> {
  /** @default the name of the preset with this base URL, else the URL's host */
  readonly provider?: string
  /** @default "https://api.openai.com/v1" */
  readonly baseUrl?: string
  /** @default that of the preset with this base URL, else the protocol as most follow it */
  readonly dialect?: Partial<Dialect>
}

/**
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

const presetAt = (baseUrl: string): Options | undefined =>
  Object.values<Options>(presets).find((preset) => preset.baseUrl === baseUrl.replace(/\/+$/, ""))

/**
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: Options = {}): Effect.Effect<Service, never, HttpClient.HttpClient> => {
  const baseUrl = options.baseUrl ?? presets.openai.baseUrl
  const { dialect, ...endpoint } = { ...presetAt(baseUrl), ...options }
  return ProviderClient.make(ChatCompletions.make(dialect), {
    ...endpoint,
    baseUrl,
    provider: endpoint.provider ?? hostOf(baseUrl)
  })
}

/** What a provider without a name is called: the host that it is reached at. */
const hostOf = (baseUrl: string): string => /^[a-z]+:\/\/([^/?#]+)/i.exec(baseUrl)?.[1] ?? baseUrl

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
