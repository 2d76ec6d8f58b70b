/** Measures permits and leases that processes share, against a plain round trip to the same Redis. */
import { Effect, Exit, Scope } from "effect"
import { Redis as Client } from "ioredis"
import { spawn } from "node:child_process"
import { once } from "node:events"
import { createServer } from "node:net"
import type { Service } from "../src/rateLimiter/RateLimiter.js"
import { Verdict } from "../src/keyPool/KeyPool.js"
import * as Redis from "../src/redis/Redis.js"
import * as RedisKeyPool from "../src/redis/RedisKeyPool.js"
import * as RedisRateLimiter from "../src/redis/RedisRateLimiter.js"
import type { Contestant } from "./measure.js"
import { compare } from "./measure.js"
import type { Group } from "./report.js"
import { compared } from "./report.js"

const freePort = async (): Promise<number> => {
  const server = createServer().listen(0, "127.0.0.1")
  await once(server, "listening")
  const address = server.address()
  await new Promise((done) => server.close(done))
  return typeof address === "object" && address !== null ? address.port : 0
}

const repeat = (name: string, once: Effect.Effect<unknown, unknown>): Contestant => ({
  name,
  run: async (times) => {
    await Effect.runPromise(Effect.repeatN(once, times - 1))
    return times
  }
})

const unlimited = 1e9

/** Measures with a Redis server of its own; nothing without `redis-server`. */
export const sharedThroughRedis = async (): Promise<ReadonlyArray<Group>> => {
  const port = await freePort()
  const server = spawn("redis-server", ["--port", String(port), "--bind", "127.0.0.1", "--save", ""], {
    stdio: "ignore"
  })
  const isInstalled = await Promise.race([
    once(server, "spawn").then(() => true),
    once(server, "error").then(() => false)
  ]).catch(() => false)
  if (!isInstalled) {
    console.log("\nredis-server is not installed: the Redis benchmarks are skipped")
    return []
  }
  const client = new Client({ port, host: "127.0.0.1", retryStrategy: () => 20, maxRetriesPerRequest: null })
  client.on("error", () => undefined)
  await client.ping()
  const scope = Effect.runSync(Scope.make())
  const limiter = (name: string, options: Omit<RedisRateLimiter.Options, "name">): Promise<Service> =>
    Effect.runPromise(
      Effect.flatMap(Redis.make({ url: `redis://127.0.0.1:${port}` }), (redis) =>
        Effect.provideService(RedisRateLimiter.make({ name, ...options }), Redis.Redis, redis)
      ).pipe(Scope.extend(scope))
    )
  const bucket = await limiter("bucket", { capacity: unlimited, refillRate: unlimited })
  const all = await limiter("all", {
    capacity: unlimited,
    refillRate: unlimited,
    requestsPerMinute: unlimited,
    tokensPerMinute: unlimited,
    maxConcurrency: 100
  })
  const pool = await Effect.runPromise(
    Effect.flatMap(Redis.make({ url: `redis://127.0.0.1:${port}` }), (redis) =>
      Effect.provideService(
        RedisKeyPool.make({ provider: "bench", keys: ["sk-one", "sk-two", "sk-three"] }),
        Redis.Redis,
        redis
      )
    ).pipe(Scope.extend(scope))
  )
  const contestants = [
    repeat(
      "plain round trip",
      Effect.promise(() => client.get("key"))
    ),
    repeat(
      "plain script",
      Effect.promise(() => client.eval("return redis.call('INCR', KEYS[1])", 1, "key"))
    ),
    repeat("permit", bucket.take()),
    repeat(
      "permit with tokens and concurrency, settled",
      Effect.flatMap(all.reserve(100), ({ settle }) => settle(80))
    ),
    repeat(
      "lease and release of a key",
      Effect.flatMap(pool.reserve(), ({ settle }) => settle(Verdict.Served({ latency: 5 })))
    )
  ]
  const comparison = await compare(contestants, { rounds: 5, times: 2000 })
  await Effect.runPromise(Scope.close(scope, Exit.void))
  client.disconnect()
  server.kill("SIGKILL")
  return [{ title: "Operations shared through Redis", ...compared(comparison), baselines: ["plain round trip"] }]
}
