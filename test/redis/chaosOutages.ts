/** Steady load on limiters over a Redis that is cut off without an error, and over a cluster that loses one of three nodes. */
import { Console, Effect, Fiber, Option } from "effect"
import { Cluster } from "ioredis"
import type { Service } from "../../src/rateLimiter/RateLimiter.js"
import * as Redis from "../../src/redis/Redis.js"
import * as RedisRateLimiter from "../../src/redis/RedisRateLimiter.js"
import { eventually } from "../support/eventually.js"
import { redisNodes, redisServer } from "../support/redisServer.js"
import { tcpProxy } from "../support/tcpProxy.js"

const timeout = 1000

/** Three processes send 180 calls a second, of 300 that are allowed. */
const limits = {
  capacity: 60,
  refillRate: 300,
  requestsPerMinute: 18_000,
  tokensPerMinute: 6_000_000,
  maxConcurrency: 240
}
const perSecond = 60
const peers = 3

interface Call {
  readonly askedAt: number
  grantedAt: number
  failure: string | undefined
}

const load = (limiter: Service, calls: Array<Call>) =>
  Effect.gen(function* () {
    const startedAt = performance.now()
    for (let index = 0; ; index++) {
      yield* Effect.sleep(Math.max(0, startedAt + (index * 1000) / perSecond - performance.now()))
      const call: Call = { askedAt: performance.now(), grantedAt: Infinity, failure: undefined }
      calls.push(call)
      const used = Effect.acquireUseRelease(
        limiter.reserve(100),
        () => {
          call.grantedAt = performance.now()
          return Effect.sleep("20 millis")
        },
        (reservation) => reservation.settle(90)
      )
      yield* Effect.fork(Effect.catchAll(used, ({ _tag }) => Effect.sync(() => void (call.failure = _tag))))
    }
  })

const isShared = (limiters: ReadonlyArray<Service>) =>
  Effect.map(
    Effect.forEach(limiters, ({ status }) => status),
    (all) => all.every(({ degraded }) => degraded === false)
  )

const percentile = (values: ReadonlyArray<number>, share: number): number =>
  values.toSorted((one, other) => one - other)[Math.floor(values.length * share)] ?? 0

type Check = (holds: boolean, invariant: string) => Effect.Effect<void>

/** Measures calls before, during and after an outage of this many seconds. */
const overOutage = (
  check: Check,
  limiters: ReadonlyArray<Service>,
  seconds: number,
  begin: Effect.Effect<void>,
  end: Effect.Effect<void>
) =>
  Effect.gen(function* () {
    const calls: Array<Call> = []
    const startedAt = performance.now()
    const fibers = yield* Effect.forEach(limiters, (limiter) => Effect.fork(load(limiter, calls)))
    yield* Effect.sleep("10 seconds")
    const beganAt = performance.now()
    yield* begin
    yield* Effect.sleep(seconds * 1000)
    const endedAt = performance.now()
    yield* end
    yield* eventually(isShared(limiters))
    const sharedAfter = performance.now() - endedAt
    yield* Effect.sleep("10 seconds")
    yield* Fiber.interruptAll(fibers)
    yield* Effect.sleep("100 millis")
    const waits = (from: number, to: number) =>
      calls
        .filter(({ askedAt }) => askedAt >= from && askedAt < to)
        .map(({ askedAt, grantedAt }) => grantedAt - askedAt)
    const p99 = (from: number, to: number) => percentile(waits(from, to), 0.99)
    const before = p99(startedAt + 1000, beganAt - 100)
    const during = p99(beganAt + timeout + 500, endedAt)
    const after = p99(endedAt, performance.now() - 200)
    const failed = calls.filter(({ failure }) => failure !== undefined).length
    const granted = calls.filter(({ grantedAt }) => grantedAt >= endedAt && grantedAt < endedAt + 1000).length
    yield* check(failed === 0, `0 of ${calls.length} calls failed (${failed})`)
    yield* check(
      during <= before + 50,
      `p99 of the wait is ${during.toFixed(1)} ms after one timeout, ${before.toFixed(1)} ms before the outage`
    )
    yield* check(after <= before + 50, `p99 of the wait is ${after.toFixed(1)} ms after the return`)
    yield* check(granted >= 0.95 * perSecond * peers, `${granted} calls in the first second after the return`)
    yield* Console.log(`  limits are shared again ${sharedAfter.toFixed(0)} ms after the return`)
  })

const limiterOf = (redis: Redis.Service, name: string) =>
  Effect.provideService(RedisRateLimiter.make({ name, ...limits }), Redis.Redis, redis)

/** A network that loses every packet for 60 seconds, without closing a connection. */
export const blackHole = (check: Check) =>
  Effect.gen(function* () {
    yield* Console.log("Redis is cut off for 60 seconds without an error")
    const server = yield* redisServer
    const proxy = yield* tcpProxy(server.port)
    const limiters = yield* Effect.forEach(Array.from({ length: peers }), () =>
      Effect.flatMap(Redis.make({ url: `redis://127.0.0.1:${proxy.port}`, timeout }), (redis) =>
        limiterOf(redis, "black hole")
      )
    )
    // The number of processes is known from the next exchange on.
    yield* Effect.forEach(limiters, (limiter) => limiter.lower({}))
    yield* overOutage(check, limiters, 60, proxy.stop, proxy.resume)
  }).pipe(Effect.scoped)

/** One of three nodes is killed; each process has limits on all nodes. */
export const lostNode = (check: Check) =>
  Effect.gen(function* () {
    yield* Console.log("one of three cluster nodes is killed for 20 seconds")
    const nodes = yield* redisNodes(3)
    const connection = Effect.gen(function* () {
      const client = yield* Effect.acquireRelease(
        Effect.sync(() => {
          const all = nodes.map(({ port }) => ({ host: "127.0.0.1", port }))
          const cluster = new Cluster(all, { slotsRefreshTimeout: 5000, redisOptions: { maxRetriesPerRequest: 0 } })
          cluster.on("error", () => undefined)
          return cluster
        }),
        (cluster) => Effect.sync(() => cluster.disconnect())
      )
      yield* eventually(Effect.sync(() => client.status === "ready"))
      return yield* Redis.fromClient(client, { timeout })
    })
    const [, victim] = nodes
    if (victim === undefined) return
    // A name whose keys are on the node that is killed, which has the second third of the slots.
    const { key } = yield* connection
    const isOnVictim = (name: string) =>
      Effect.promise(async () => {
        const slot = Number(await victim.client.call("CLUSTER", "KEYSLOT", key("limit", name, "state")))
        return Math.floor((slot * 3) / 16_384) === 1
      })
    const candidates = Array.from({ length: 50 }, (_, index) => `lost node ${index}`)
    const name = Option.getOrElse(yield* Effect.findFirst(candidates, isOnVictim), () => "lost node")
    const limiters = yield* Effect.forEach(Array.from({ length: peers }), () =>
      Effect.flatMap(connection, (redis) => limiterOf(redis, name))
    )
    yield* Effect.forEach(limiters, (limiter) => limiter.lower({}))
    yield* overOutage(check, limiters, 20, victim.kill, victim.start)
  }).pipe(Effect.scoped)
