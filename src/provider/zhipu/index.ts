/**
 * Clients for Zhipu's platforms (open.bigmodel.cn and Z.ai) that sign a token for each request with the package `jose`, an optional peer
 * dependency.
 *
 * @example
 * ```ts
 * import { Effect, Layer } from "effect"
 * import { KeyPool, LLM, RateLimiter } from "effect-llm"
 * import { NodeTransport } from "effect-llm/node"
 * import { ZhipuClient } from "effect-llm/zhipu"
 *
 * const Zhipu = LLM.layer({ model: "glm-4.6" }).pipe(
 *   Layer.provide(ZhipuClient.layer()),
 *   Layer.provide(KeyPool.layer({ provider: "zhipu", keys: ["0123456789abcdef.secret"] })),
 *   Layer.provide(RateLimiter.layerUnlimited),
 *   Layer.provide(NodeTransport.layerUndici)
 * )
 *
 * const program = LLM.chat("Hello").pipe(Effect.provide(Zhipu))
 * ```
 *
 * @since 0.1.0
 */
export * as ZhipuClient from "./ZhipuClient.js"
