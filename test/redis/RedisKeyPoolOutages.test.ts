/** The pool when a process or Redis is killed or hangs. */
import { describe, expect, it } from "@effect/vitest"
import { Duration, Effect, Fiber, Logger, LogLevel, Stream } from "effect"
import type { Scope } from "effect"
import type { ChildProcess } from "node:child_process"
import { spawn } from "node:child_process"
import { inspect } from "node:util"
import * as KeyPool from "../../src/keyPool/KeyPool.js"
import type * as Redis from "../../src/redis/Redis.js"
import {
  acquire,
  ids,
  inFlight,
  key,
  pool,
  process as processOf,
  settleAll,
  storedLeases,
  waits
} from "../support/redisPool.js"
import type { RedisServer } from "../support/redisServer.js"
import { eventually } from "../support/eventually.js"
import { compiled } from "../support/compiled.js"
import { redisServer } from "../support/redisServer.js"

const { Neutral, Served } = KeyPool.Verdict

const atOnce = { maxWait: 0 }

const becomes = (redis: Redis.Service, availability: Redis.Availability) =>
  redis.changes.pipe(
    Stream.takeUntil((now) => now === availability),
    Stream.runDrain
  )

/** In milliseconds, for a Redis that sends no reply. */
const timeout = 500

const quietly = Effect.provide(Logger.minimumLogLevel(LogLevel.None))

/** A separate process that holds keys of this pool. */
const keyHolder = (server: RedisServer, times: number): Effect.Effect<ChildProcess, never, Scope.Scope> =>
  Effect.flatMap(compiled(new URL("../support/keyHolder.ts", import.meta.url)), (path) =>
    Effect.acquireRelease(
      Effect.async<ChildProcess>((resume) => {
        const child = spawn(process.execPath, [path, server.url, String(times)], {
          stdio: ["ignore", "pipe", "inherit"]
        })
        child.once("exit", (code) => resume(Effect.die(new Error(`the child ended with ${code}`))))
        child.stdout.once("data", () => resume(Effect.succeed(child)))
      }),
      (child) => Effect.sync(() => child.kill("SIGKILL"))
    )
  )

describe.concurrent("RedisKeyPool after a killed process", () => {
  it.scopedLive("keeps the keys of a live process beyond the lease time, and frees those of a killed process", () =>
    Effect.gen(function* () {
      const server = yield* redisServer
      const self = yield* pool(server, [key("a", { maxConcurrency: 2 })])
      const child = yield* keyHolder(server, 2)
      // Longer than the lease time, in which the process renews its leases.
      yield* Effect.sleep("1700 millis")
      expect((yield* Effect.flip(self.reserve(atOnce)))._tag).toBe("RateLimitError")
      const waiting = yield* Effect.fork(acquire(self, 2))
      yield* Effect.sync(() => child.kill("SIGKILL"))
      const taken = yield* Fiber.join(waiting)
      expect(ids(taken)).toEqual(["a", "a"])
      yield* settleAll(taken, Neutral())
      expect(yield* inFlight(self)).toBe(0)
    })
  )
})

describe.concurrent("RedisKeyPool after a Redis crash", () => {
  it.scopedLive(
    "continues with the whenAway share while Redis is down, and shares all state again when it is back",
    () =>
      quietly(
        Effect.gen(function* () {
          const server = yield* redisServer
          const keys = [key("a", { maxConcurrency: 8 }), key("b", { maxConcurrency: 2 }), key("c"), key("d")]
          const { pool: self, redis } = yield* processOf(server, keys, {
            leaseTime: "1 second",
            whenAway: { share: 0.25 }
          })
          yield* self.disable("c")
          yield* self.rest("d", "1 minute")
          const before = yield* acquire(self, 3)
          // Longer than a third of the lease time, so that the process has received the state of the keys.
          yield* Effect.sleep("500 millis")

          yield* server.kill
          yield* becomes(redis, "away")
          // Calls in flight count: the share of both keys is used up.
          expect((yield* Effect.flip(self.reserve(atOnce)))._tag).toBe("RateLimitError")
          const degraded = yield* self.status
          expect(degraded.degraded).toBe(true)
          expect(degraded.keys.map(({ maxConcurrency, state }) => [maxConcurrency, state._tag])).toEqual([
            [2, "Busy"],
            [1, "Busy"],
            [undefined, "Disabled"],
            [undefined, "Cooling"]
          ])
          // The end of a call that started with Redis is sent later.
          const [first, ...others] = before
          yield* first?.settle(Served({ latency: 3 })) ?? Effect.void
          const during = yield* acquire(self, 1)
          expect(ids(during)).toEqual(["a"])
          expect((yield* Effect.flip(self.reserve(atOnce)))._tag).toBe("RateLimitError")

          yield* server.start
          yield* becomes(redis, "up")
          // Redis has lost its data, and receives the calls in flight, also that of the outage.
          yield* eventually(Effect.map(storedLeases(server), (calls) => calls === 3))
          const after = yield* self.status
          expect(after.degraded).toBe(false)
          expect(after.keys.map(({ state }) => state._tag)).toEqual(["Ready", "Ready", "Disabled", "Cooling"])
          yield* settleAll([...others, ...during], Neutral())
          expect(yield* inFlight(self)).toBe(0)
          expect(ids(yield* acquire(self, 2)).length).toBe(2)
          expect(yield* inFlight(self)).toBe(2)
        })
      )
  )

  it.scopedLive(
    "fails waiting and new calls while Redis is down with whenAway fail, and serves calls when it is back",
    () =>
      quietly(
        Effect.gen(function* () {
          const server = yield* redisServer
          const { pool: self, redis } = yield* processOf(server, [key("a", { maxConcurrency: 1 })], {
            whenAway: "fail"
          })
          const held = yield* self.reserve()
          const waiting = yield* Effect.fork(Effect.flip(self.reserve()))
          yield* waits(self, 1)
          yield* server.kill
          const error = yield* Fiber.join(waiting)
          expect(error).toMatchObject({ _tag: "SharedStateError", provider: "test", reason: "connection" })
          const errors = yield* Effect.replicateEffect(Effect.flip(self.reserve()), 20)
          expect(errors.every((error) => error._tag === "SharedStateError" && error.reason === "connection")).toBe(true)
          yield* held.settle(Neutral())
          yield* server.start
          yield* becomes(redis, "up")
          expect(ids(yield* acquire(self, 1))).toEqual(["a"])
        })
      )
  )

  it.scopedLive("applies changes by hand at once in this process, and in others when Redis is back", () =>
    quietly(
      Effect.gen(function* () {
        const server = yield* redisServer
        const keys = [key("a"), key("b")]
        const { pool: one, redis } = yield* processOf(server, keys)
        const two = yield* pool(server, keys)
        yield* server.kill
        yield* becomes(redis, "away")
        expect(yield* one.disable("a")).toBe(true)
        expect(ids(yield* acquire(one, 2))).toEqual(["b", "b"])
        yield* server.start
        const isDisabled = Effect.map(
          two.status,
          ({ degraded, keys }) => degraded === false && keys[0]?.state._tag === "Disabled"
        )
        yield* eventually(isDisabled)
      })
    )
  )
})

describe.concurrent("RedisKeyPool with a hanging Redis", () => {
  it.scopedLive(
    "fails calls after one timeout, then at once, and withdraws keys that Redis grants after the timeout",
    () =>
      quietly(
        Effect.gen(function* () {
          const server = yield* redisServer
          const options = { leaseTime: "1 minute", whenAway: "fail", timeout } as const
          const { pool: self, redis } = yield* processOf(server, [key("a", { maxConcurrency: 1 })], options)
          yield* becomes(redis, "up")
          // Redis has cached the scripts: commands that are sent while it hangs will be executed.
          yield* self.withKey(() => Effect.void)
          yield* server.freeze
          const calls = yield* Effect.forEach([1, 2, 3], () => Effect.fork(Effect.timed(Effect.flip(self.reserve()))))
          for (const [took, error] of yield* Effect.forEach(calls, Fiber.join)) {
            expect(error._tag).toBe("SharedStateError")
            expect(Duration.toMillis(took)).toBeLessThan(10 * timeout)
          }
          // These calls send no command.
          for (const error of yield* Effect.replicateEffect(Effect.flip(self.reserve()), 20))
            expect(error).toMatchObject({ _tag: "SharedStateError", reason: "connection" })
          yield* server.thaw
          yield* becomes(redis, "up")
          // The lease that was granted after the timeout would last for a minute if it were not withdrawn.
          yield* eventually(Effect.map(storedLeases(server), (count) => count === 0))
          const lease = yield* self.reserve()
          yield* server.freeze
          const [settling] = yield* Effect.timed(lease.settle(Neutral()))
          expect(Duration.toMillis(settling)).toBeLessThan(10 * timeout)
          yield* server.thaw
          yield* eventually(Effect.map(storedLeases(server), (count) => count === 0))
        })
      )
  )

  it.scopedLive("continues with the whenAway share after one timeout, then at once", () =>
    quietly(
      Effect.gen(function* () {
        const server = yield* redisServer
        const self = yield* pool(server, [key("a", { maxConcurrency: 4 })], { timeout })
        yield* server.freeze
        const [took] = yield* Effect.timed(self.reserve())
        expect(Duration.toMillis(took)).toBeLessThan(10 * timeout)
        const [next, errors] = yield* Effect.timed(Effect.replicateEffect(Effect.flip(self.reserve(atOnce)), 20))
        expect(errors.every(({ _tag }) => _tag === "RateLimitError")).toBe(true)
        expect(Duration.toMillis(next)).toBeLessThan(10 * timeout)
      })
    )
  )
})

describe.concurrent("secrets of RedisKeyPool", () => {
  it.scopedLive("keeps secrets out of Redis, status and errors, and lets every key of the pool in Redis expire", () =>
    Effect.gen(function* () {
      const server = yield* redisServer
      const keys = [key("a", { maxConcurrency: 1, requestsPerSecond: 50, quotaGroup: "g" }), "sk-canary-without-id"]
      const self = yield* pool(server, keys)
      yield* self.add("sk-canary-added")
      yield* settleAll(yield* acquire(self, 2), KeyPool.Verdict.RateLimited({}))
      yield* self.reserve()
      const others = new Set((yield* self.keys).map(({ id }) => id))
      const error = yield* Effect.flip(self.reserve({ ...atOnce, exclude: others }))
      const seen: Array<unknown> = [yield* self.status, self, error]
      const client = server.client
      for (const name of yield* Effect.promise(() => client.keys("*"))) {
        seen.push(name)
        const type = yield* Effect.promise(() => client.type(name))
        seen.push(
          yield* Effect.promise((): Promise<unknown> =>
            type === "hash"
              ? client.hgetall(name)
              : type === "zset"
                ? client.zrange(name, 0, -1)
                : type === "list"
                  ? client.lrange(name, 0, -1)
                  : client.get(name)
          )
        )
      }
      // The three above, and the names and values of the pool's Redis keys; the key of the probe may have expired.
      expect(seen.length).toBeGreaterThanOrEqual(7)
      expect(inspect(seen, { depth: Infinity })).not.toContain("canary")
      for (const name of yield* Effect.promise(() => client.keys("*pool*"))) {
        expect(yield* Effect.promise(() => client.pttl(name))).toBeGreaterThan(0)
      }
    })
  )
})
