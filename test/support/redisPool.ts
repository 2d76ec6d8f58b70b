/** Key pools that share one Redis, as in several processes. */
import type { Duration } from "effect"
import { Effect } from "effect"
import type { Scope } from "effect"
import type * as KeyPool from "../../src/keyPool/KeyPool.js"
import * as Redis from "../../src/redis/Redis.js"
import * as RedisKeyPool from "../../src/redis/RedisKeyPool.js"
import { eventually } from "./eventually.js"
import type { RedisServer } from "./redisServer.js"

export interface Process {
  readonly redis: Redis.Service
  readonly pool: KeyPool.Service
}

export interface Options extends Partial<RedisKeyPool.Options> {
  /** The time limit of a command. @default "1 minute" */
  readonly timeout?: Duration.DurationInput
}

/** A pool with its own connection and a short poll interval. */
export const process = (
  server: RedisServer,
  keys: ReadonlyArray<KeyPool.KeyInput>,
  { timeout = "1 minute", ...options }: Options = {}
): Effect.Effect<Process, KeyPool.InvalidPoolError, Scope.Scope> =>
  Effect.gen(function* () {
    const redis = yield* Redis.make({ url: server.url, timeout, probeInterval: "50 millis" })
    const all = { provider: "test", keys, leaseTime: "1 minute", pollInterval: "10 millis", ...options } as const
    return { redis, pool: yield* Effect.provideService(RedisKeyPool.make(all), Redis.Redis, redis) }
  })

export const pool = (...args: Parameters<typeof process>) => Effect.map(process(...args), ({ pool }) => pool)

export const key = (id: string, options: object = {}) => ({ key: `sk-canary-${id}`, id, ...options })

export const acquire = (pool: KeyPool.Service, times: number, options?: KeyPool.LeaseOptions) =>
  Effect.all(Array.from({ length: times }, () => pool.reserve(options)))

export const settleAll = (leases: ReadonlyArray<KeyPool.Lease>, verdict: KeyPool.Verdict) =>
  Effect.forEach(leases, ({ settle }) => settle(verdict), { discard: true })

export const ids = (leases: ReadonlyArray<KeyPool.Lease>) => leases.map((lease) => lease.key.id)

/** Waits until this number of calls wait for keys. */
export const waits = (pool: KeyPool.Service, calls: number) =>
  eventually(Effect.map(pool.status, ({ waiting }) => waiting === calls))

export const inFlight = (pool: KeyPool.Service) =>
  Effect.map(pool.status, ({ keys }) => keys.reduce((sum, key) => sum + key.inFlight, 0))

/** The leases that Redis has, of all keys. */
export const storedLeases = ({ client }: RedisServer) =>
  Effect.promise(async () => {
    const names = await client.keys("effect-llm:{pool:test}:v2:leases:*")
    const counts = await Promise.all(names.map((name) => client.zcard(name)))
    return counts.reduce((sum, count) => sum + count, 0)
  })
