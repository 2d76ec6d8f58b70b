/**
 * A client for Zhipu's platforms that signs its requests: a key of the form `id.secret` signs a token, which goes over the
 * network in its place and is renewed before it ends. Plain keys go as they are.
 *
 * The platforms also take a whole key as it is. For that, `ChatCompletionsClient.presets.zhipu` and `presets.zai` are enough,
 * and `jose` is not needed.
 *
 * @example
 * ```ts
 * import { KeyPool, LLM, RateLimiter } from "effect-llm"
 * import { ZhipuClient } from "effect-llm/zhipu"
 * import { Layer } from "effect"
 *
 * const Zhipu = LLM.layer({ model: "glm-4.6" }).pipe(
 *   Layer.provide(ZhipuClient.layer()),
 *   Layer.provide(KeyPool.layer({ providerId: "zhipu", keys: ["0123456789abcdef.secret"] })),
 *   Layer.provide(RateLimiter.unlimited)
 * )
 * ```
 *
 * @since 0.1.0
 */
import type { HttpClient } from "@effect/platform"
import { Context, Effect, Layer } from "effect"
import { presets as chatCompletions } from "../presets/chatCompletions.js"
import type { Preset } from "../presets/preset.js"
import { resolve } from "../presets/preset.js"
import type { Service } from "../../wire/providerClient.js"
import * as ProviderClient from "../../call/ProviderClient.js"
import { client } from "../../wire/chatCompletions/client/wire.js"
import type { Dialect } from "../../wire/chatCompletions/dialect.js"
import * as Token from "./token.js"

/**
 * A platform: where it is, and how it deviates from OpenAI.
 *
 * - `baseUrl`: `https://open.bigmodel.cn/api/paas/v4` unless given.
 * - `provider`: the name of the preset with this base URL, else `zhipu`, unless given.
 * - `auth`, `headers`, `query`: those of the preset with this base URL unless given.
 * - `dialect`: Zhipu's, unless given.
 *
 * @since 0.1.0
 * @category model
 */
export interface Options extends Preset<Dialect> {
  /**
   * Whether keys of the form `id.secret` sign tokens, which last for 30 minutes and are renewed a minute before. `false`: every
   * key goes as it is. @default true
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
 * The platforms, as data. A preset is an `Options` value: spread it to change a part of it.
 *
 * @since 0.1.0
 * @category presets
 */
export const presets = { zhipu, zhipuCoding, zai, zaiCoding } as const satisfies Record<string, Options>

const bearer: ProviderClient.Auth = { header: "authorization", prefix: "Bearer " }

/**
 * A key that has a dot, but is not an id and a secret, is an `AuthenticationError` before anything is sent.
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
 * The client, under its own tag and as the `ProviderClient` that an `LLM` layer asks for.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (
  options: Options = {}
): Layer.Layer<ZhipuClient | ProviderClient.ProviderClient, never, HttpClient.HttpClient> =>
  Layer.effectContext(
    Effect.map(make(options), (client) =>
      Context.make(ZhipuClient, client).pipe(Context.add(ProviderClient.ProviderClient, client))
    )
  )
