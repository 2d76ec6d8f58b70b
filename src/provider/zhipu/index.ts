/**
 * Clients for Zhipu's platforms (open.bigmodel.cn and Z.ai) that sign tokens with the package `jose`, an optional peer
 * dependency.
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
 */
export * as ZhipuClient from "./ZhipuClient.js"
