import { describe, expect, it } from "@effect/vitest"
import { Duration, Effect, Fiber } from "effect"
import type { Scope } from "effect"
import * as KeyPool from "../../src/KeyPool.js"
import * as Redis from "../../src/redis/Redis.js"
import * as RedisKeyPool from "../../src/redis/RedisKeyPool.js"
import type { RedisServer } from "../support/redisServer.js"
import { redisServer } from "../support/redisServer.js"

const quick: Redis.CommonOptions = { timeout: "200 millis", probeInterval: "50 millis" }

/** A pool as another process would have it: with a connection of its own. */
const pool = (
  server: RedisServer,
  keys: ReadonlyArray<KeyPool.KeyInput>,
  options: Partial<RedisKeyPool.Options> = {}
): Effect.Effect<KeyPool.Service, KeyPool.InvalidPoolError, Scope.Scope> =>
  Effect.flatMap(Redis.make({ url: server.url, ...quick }), (redis) =>
    Effect.provideService(
      RedisKeyPool.make({ providerId: "test", keys, leaseTime: "300 millis", pollInterval: "10 millis", ...options }),
      Redis.Redis,
      redis
    )
  )

const key = (id: string, options: object = {}) => ({ key: `sk-canary-${id}`, id, ...options })

const ids = (leases: ReadonlyArray<KeyPool.Lease>) => leases.map((lease) => lease.key.id)

const acquire = (pool: KeyPool.Service, times: number, options?: KeyPool.LeaseOptions) =>
  Effect.all(Array.from({ length: times }, () => pool.acquire(options)))

const now = { maxWait: 0 }

describe("RedisKeyPool", () => {
  it.scopedLive("gives keys by load and weight, and takes them back", () =>
    Effect.gen(function* () {
      const server = yield* redisServer
      const self = yield* pool(server, [key("a", { weight: 2 }), key("b")])
      const leases = yield* acquire(self, 6)
      expect(ids(leases)).toEqual(["a", "b", "a", "a", "b", "a"])
      yield* Effect.forEach(leases, ({ settle }) => settle(KeyPool.Verdict.Served({ latency: 5 })))
      const status = yield* self.status
      expect(status).toMatchObject({ providerId: "test", waiting: 0, degraded: false })
      expect(status.keys.map(({ id, inFlight, succeeded }) => [id, inFlight, succeeded])).toEqual([
        ["a", 0, 4],
        ["b", 0, 2]
      ])
    })
  )

  it.scopedLive("two processes share caps, and one that waits gets what the other gives back", () =>
    Effect.gen(function* () {
      const server = yield* redisServer
      const keys = [key("a", { maxConcurrency: 2 })]
      const [one, two] = yield* Effect.all([pool(server, keys), pool(server, keys)])
      const [held] = yield* acquire(one, 1)
      yield* acquire(two, 1)
      expect(yield* Effect.flip(two.acquire(now))).toMatchObject({ _tag: "RateLimitError", source: "pool" })
      const waiting = yield* Effect.fork(two.acquire())
      yield* Effect.sleep("30 millis")
      expect((yield* two.status).waiting).toBe(1)
      yield* held?.settle(KeyPool.Verdict.Neutral()) ?? Effect.void
      expect((yield* Effect.timed(Fiber.join(waiting)))[0]).toSatisfy(
        (took) => Duration.toMillis(took as Duration.Duration) < 100
      )
    })
  )
})
