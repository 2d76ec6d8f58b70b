/**
 * Key pools, rate limits, budgets, caches and gateway keys that several processes share in Redis. Needs the optional peer
 * dependency `ioredis`.
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
