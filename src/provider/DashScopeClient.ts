/**
 * A client for DashScope, Alibaba's own protocol. Keys belong to a region, so name the one that yours are of. For the mode that
 * follows OpenAI there is `ChatCompletionsClient.presets.dashscope`.
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
import { Context, Effect, Layer } from "effect"
import type { Service } from "../wire/providerClient.js"
import * as ProviderClient from "../call/ProviderClient.js"
import { client } from "../wire/dashscope/client/wire.js"
import type { Dialect } from "../wire/dashscope/dialect.js"
import * as Presets from "./presets/dashscope.js"
import type { Preset } from "./presets/preset.js"
import { resolve } from "./presets/preset.js"

/**
 * A provider: where it is, and how it deviates.
 *
 * - `baseUrl`: `https://dashscope.aliyuncs.com/api/v1` unless given.
 * - `provider`: the name of the preset with this base URL, else the URL's host, unless given.
 * - `auth`, `headers`, `query`, `dialect`: those of the preset with this base URL unless given.
 *
 * @since 0.1.0
 * @category model
 */
export type Options = Preset<Dialect>

/**
 * The client of a provider that speaks DashScope's own protocol.
 *
 * @since 0.1.0
 * @category tags
 */
export class DashScopeClient extends Context.Tag("effect-llm/DashScopeClient")<DashScopeClient, Service>() {}

/**
 * The regions, as data. A preset is an `Options` value: spread it to change a part of it.
 *
 * @since 0.1.0
 * @category presets
 */
export const presets = Presets.presets

/**
 * A client for the provider of the options; for DashScope in Beijing where they name none.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: Options = {}): Effect.Effect<Service, never, HttpClient.HttpClient> => {
  const { dialect, endpoint } = resolve<Dialect>(options, presets, {
    baseUrl: presets.beijing.baseUrl,
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
): Layer.Layer<DashScopeClient | ProviderClient.ProviderClient, never, HttpClient.HttpClient> =>
  Layer.effectContext(
    Effect.map(make(options), (client) =>
      Context.make(DashScopeClient, client).pipe(Context.add(ProviderClient.ProviderClient, client))
    )
  )
