/**
 * Clients for DashScope, Alibaba's own protocol. A key belongs to one region: choose the preset of that region. The mode that
 * is compatible with OpenAI is `ChatCompletionsClient.presets.dashscope`.
 *
 * @example
 * ```ts
 * import { DashScopeClient } from "effect-llm"
 *
 * const Beijing = DashScopeClient.layer()
 * const Singapore = DashScopeClient.layer(DashScopeClient.presets.singapore)
 * const Workspace = DashScopeClient.layer({ baseUrl: "https://my-workspace.ap-southeast-1.maas.aliyuncs.com/api/v1" })
 * ```
 *
 * @since 0.1.0
 */
import type { HttpClient } from "@effect/platform"
import type { Effect, Layer } from "effect"
import { Context } from "effect"
import type { ProviderClient } from "../call/ProviderClient.js"
import { client } from "../wire/dashscope/client/wire.js"
import type { Dialect } from "../wire/dashscope/dialect.js"
import type { Service } from "../wire/providerClient.js"
import type { Preset } from "./client.js"
import { defineClient } from "./client.js"
import * as Presets from "./presets/dashscope.js"

/**
 * A region or workspace: its endpoint, and how it deviates from DashScope.
 *
 * - `baseUrl`: by default `https://dashscope.aliyuncs.com/api/v1`.
 * - `provider`: by default that of the preset with this base URL, else the host of the URL.
 * - `auth`, `headers`, `query`, `dialect`: by default those of the preset with this base URL.
 *
 * @since 0.1.0
 * @category model
 */
export type Options = Preset<Dialect>

/**
 * The client of a provider of DashScope's own protocol.
 *
 * @since 0.1.0
 * @category tags
 */
export class DashScopeClient extends Context.Tag("effect-llm/DashScopeClient")<DashScopeClient, Service>() {}

/**
 * The regions as data. A preset is an `Options` value: spread it to change a part of it.
 *
 * @since 0.1.0
 * @category presets
 */
export const presets = Presets.presets

const defined = defineClient<DashScopeClient, Dialect>({
  tag: DashScopeClient,
  wire: client,
  presets,
  defaults: { baseUrl: Presets.presets.beijing.baseUrl }
})

/**
 * Makes a client for the provider of the options; by default for DashScope in Beijing.
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
 * import { KeyPool, LLM, DashScopeClient, RateLimiter } from "effect-llm"
 *
 * const Model = LLM.layer({ model: "qwen-plus" }).pipe(
 *   Layer.provide(DashScopeClient.layer(DashScopeClient.presets.beijing)),
 *   Layer.provide(KeyPool.layer({ provider: "dashscope", keys: ["key-one"] })),
 *   Layer.provide(RateLimiter.layerUnlimited)
 * )
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layer: (options?: Options) => Layer.Layer<DashScopeClient | ProviderClient, never, HttpClient.HttpClient> =
  defined.layer
