/**
 * Key pools, rate limits, budgets, caches, deployment health and gateway keys that several processes share in Redis. Needs the optional peer
 * dependency `ioredis`.
 *
 * @example
 * ```ts
 * import { Layer } from "effect"
 * import { ChatCompletionsClient, KeyPool, LLM } from "effect-llm"
 * import { Redis, RedisRateLimiter } from "effect-llm/redis"
 *
 * // All processes together send at most 500 requests a minute.
 * const OpenAI = LLM.layer({ model: "gpt-4o" }).pipe(
 *   Layer.provide(ChatCompletionsClient.layer()),
 *   Layer.provide(KeyPool.layer({ provider: "openai", keys: ["sk-one"] })),
 *   Layer.provide(RedisRateLimiter.layer({ name: "openai", requestsPerMinute: 500 })),
 *   Layer.provide(Redis.layer({ url: "redis://localhost:6379" }))
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
