/**
 * Key pools, rate limits, budgets, caches, deployment health and gateway keys that several processes share in Redis. Needs the optional peer
 * dependency `ioredis`.
 *
 * @example
 * ```ts
 * import { Layer } from "effect"
 * import { ChatCompletionsClient, LLM } from "effect-llm"
 * import { NodeTransport } from "effect-llm/node"
 * import { Redis, RedisKeyPool, RedisRateLimiter } from "effect-llm/redis"
 *
 * // Processes with the same Redis share the key and the limit.
 * const OpenAI = LLM.layer({ model: "gpt-4o" }).pipe(
 *   Layer.provide(ChatCompletionsClient.layer()),
 *   Layer.provide(RedisKeyPool.layer({ provider: "openai", keys: [{ key: "sk-one", maxConcurrency: 8 }] })),
 *   Layer.provide(RedisRateLimiter.layer({ name: "openai", capacity: 20, refillRate: 3 })),
 *   Layer.provide(Redis.layer({ url: "redis://localhost:6379" })),
 *   Layer.provide(NodeTransport.layerUndici)
 * )
 * ```
 *
 * @since 0.1.0
 */
export * as Redis from "./Redis.js"
export * as RedisAccessStore from "./RedisAccessStore.js"
export * as RedisDeploymentHealth from "./RedisDeploymentHealth.js"
export * as RedisKeyPool from "./RedisKeyPool.js"
export * as RedisRateLimiter from "./RedisRateLimiter.js"
export * as RedisBudgetStore from "./RedisBudgetStore.js"
export * as RedisCacheStore from "./RedisCacheStore.js"
export * as RedisResponseStore from "./RedisResponseStore.js"
export * as RedisSharing from "./RedisSharing.js"
