/**
 * Clients for Zhipu and Z.ai that sign their requests: a key of the form `id.secret` signs a token, which is sent in place of
 * the key and renewed before it expires. Keys without a dot are sent unchanged.
 *
 * The platforms also accept the whole key unsigned: `ChatCompletionsClient.presets.zhipu` and `presets.zai` do that, without
 * the peer dependency `jose`.
 *
 * @example
 * ```ts
 * import { KeyPool, LLM, RateLimiter } from "effect-llm"
 * import { ZhipuClient } from "effect-llm/zhipu"
 * import { Layer } from "effect"
 *
 * const Zhipu = LLM.layer({ model: "glm-4.6" }).pipe(
 *   Layer.provide(ZhipuClient.layer()),
 *   Layer.provide(KeyPool.layer({ provider: "zhipu", keys: ["0123456789abcdef.secret"] })),
 *   Layer.provide(RateLimiter.layerUnlimited)
 * )
 * ```
 *
 * @since 0.1.0
 */
import type { HttpClient } from "@effect/platform"
import type { Layer } from "effect"
import { Context, Effect } from "effect"
import { presets as chatCompletions } from "../presets/chatCompletions.js"
import type { Preset } from "../client.js"
import { layerOf, resolve } from "../client.js"
import type { Service } from "../../wire/providerClient.js"
import * as ProviderClient from "../../call/ProviderClient.js"
import { client } from "../../wire/chatCompletions/client/wire.js"
import type { Dialect } from "../../wire/chatCompletions/dialect.js"
import * as Token from "./token.js"

/**
 * A platform: its endpoint, and how it deviates from OpenAI.
 *
 * - `baseUrl`: by default `https://open.bigmodel.cn/api/paas/v4`.
 * - `provider`: by default that of the preset with this base URL, else `zhipu`.
 * - `auth`, `headers`, `query`: by default those of the preset with this base URL.
 * - `dialect`: by default Zhipu's.
 *
 * @since 0.1.0
 * @category model
 */
export interface Options extends Preset<Dialect> {
  /**
   * Whether keys of the form `id.secret` sign tokens, which are valid for 30 minutes and renewed one minute before the end.
   * `false`: every key is sent unchanged. @default true
   */
  readonly jwt?: boolean
}

/**
 * The client of Zhipu or Z.ai.
 *
 * @since 0.1.0
 * @category tags
 */
export class ZhipuClient extends Context.Tag("effect-llm/ZhipuClient")<ZhipuClient, Service>() {}

const { zai, zaiCoding, zhipu, zhipuCoding } = chatCompletions

/**
 * The platforms as data. A preset is an `Options` value: spread it to change a part of it.
 *
 * @since 0.1.0
 * @category presets
 */
export const presets = { zhipu, zhipuCoding, zai, zaiCoding } as const satisfies Record<string, Options>

const bearer: ProviderClient.Auth = { header: "authorization", prefix: "Bearer " }

/**
 * Makes a client for the platform of the options; by default for Zhipu. A key with a dot that is not an id and a secret fails
 * with `AuthenticationError` before a request is sent.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = ({ jwt = true, ...options }: Options = {}): Effect.Effect<
  Service,
  never,
  HttpClient.HttpClient
> => {
  const { dialect, endpoint } = resolve<Dialect>(options, presets, {
    baseUrl: zhipu.baseUrl,
    dialect: zhipu.dialect,
    provider: zhipu.provider
  })
  const wire = client(dialect)
  return jwt
    ? Effect.flatMap(Token.make(endpoint.provider), (token) =>
        ProviderClient.make(wire, { ...endpoint, auth: { token, ...(endpoint.auth ?? bearer) } })
      )
    : ProviderClient.make(wire, endpoint)
}

/**
 * The client under its own tag, and as the `ProviderClient` that `LLM.layer` needs.
 *
 * @example
 * ```ts
 * import { Layer } from "effect"
 * import { KeyPool, LLM, RateLimiter } from "effect-llm"
 * import { ZhipuClient } from "effect-llm/zhipu"
 *
 * const Zhipu = LLM.layer({ model: "glm-4.6" }).pipe(
 *   Layer.provide(ZhipuClient.layer()),
 *   Layer.provide(KeyPool.layer({ provider: "zhipu", keys: ["0123456789abcdef.secret"] })),
 *   Layer.provide(RateLimiter.layerUnlimited)
 * )
 * ```
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (
  options?: Options
): Layer.Layer<ZhipuClient | ProviderClient.ProviderClient, never, HttpClient.HttpClient> =>
  layerOf(ZhipuClient, make(options))
