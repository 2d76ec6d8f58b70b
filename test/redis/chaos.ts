/**
 * Four processes make 2,000 calls each through one Redis: `npm run chaos:redis`. One of them is killed, and Redis is stopped and
 * started. What the limits promise is checked in what the provider saw; a promise that is not kept ends it with an error.
 */
import { Console, Duration, Effect, Schedule } from "effect"
import * as RateLimiter from "../../src/rateLimiter/RateLimiter.js"
import * as Redis from "../../src/redis/Redis.js"
import * as RedisRateLimiter from "../../src/redis/RedisRateLimiter.js"
import { redisServer } from "../support/redisServer.js"
import type { Orders } from "./caller.js"
import type { Report } from "./crowd.js"
import { caller, mostWithin, program, witness } from "./crowd.js"

const processes = 4
const calls = 2000
const limits: Orders["limits"] = {
  capacity: 100,
  refillRate: 200,
  requestsPerMinute: 6000,
  tokensPerMinute: 1_000_000,
  maxConcurrent: 24,
  maxWait: 60_000,
  leaseTime: 3000
}

/** Together they may do somewhat less at once than the limiter lets through: each of both is the tighter one at times. */
const keys = ["sk-one", "sk-two", "sk-three", "sk-four"].map((key) => ({ key, maxConcurrency: 5 }))

/** A request reaches its provider later than it is let through; a process that is busy sends it so much later. */
const journey = 250

const must = (holds: boolean, promise: string) =>
  holds ? Console.log(`  kept    ${promise}`) : Effect.dieMessage(`broken: ${promise}`)

const since = (start: number) => `${((performance.now() - start) / 1000).toFixed(1)} s`

const chaos = Effect.gen(function* () {
  const server = yield* redisServer
  const provider = yield* witness({ min: "20 millis", max: "120 millis" })
  const orders: Orders = {
    redis: server.url,
    provider: provider.baseUrl,
    calls,
    concurrency: 40,
    keys,
    limits,
    timeout: 500
  }
  const redis = yield* Redis.make({ url: server.url, probeInterval: 100 })
  const path = yield* program
  const start = performance.now()
  const children = yield* Effect.forEach(Array.from({ length: processes }), () => caller(path, orders))
  yield* Effect.forEach(children, ({ begun }) => begun)
  yield* Console.log(`${processes} processes begin (${since(start)})`)

  yield* Effect.sleep("5 seconds")
  yield* server.kill
  yield* Console.log(`Redis is killed (${since(start)}), ${provider.arrivals.length} calls so far`)
  const beforeOutage = provider.arrivals.length
  yield* Effect.sleep("4 seconds")
  const duringOutage = provider.arrivals.length - beforeOutage
  yield* server.start
  yield* Console.log(`Redis is back, with nothing in it (${since(start)}), ${duringOutage} calls meanwhile`)

  yield* Effect.sleep("5 seconds")
  const watching = yield* RedisRateLimiter.make({ name: "chaos", ...limits }).pipe(
    Effect.provideService(Redis.Redis, redis)
  )
  const [victim, ...others] = children
  if (victim === undefined) return
  yield* victim.kill
  const killedAt = performance.now()
  yield* Console.log(`one is killed (${since(start)}), ${provider.arrivals.length} calls so far`)
  // Its leases are those of the one that is registered no more.
  const registered = (from: number | string) =>
    Effect.promise(() => server.client.zrangebyscore(redis.key("limit", "chaos", "processes"), from, "+inf"))
  const before = yield* registered("-inf")
  yield* Effect.repeat(registered(Date.now()), {
    until: (now) => now.length < before.length,
    schedule: Schedule.spaced("50 millis")
  })
  const alive = yield* registered(Date.now())
  yield* Effect.repeat(
    Effect.promise(() => server.client.zrangebyscore(redis.key("limit", "chaos", "leases"), Date.now(), "+inf")),
    {
      until: (leases) => leases.every((lease) => alive.some((process) => lease.startsWith(process))),
      schedule: Schedule.spaced("20 millis")
    }
  )
  const leased = performance.now() - killedAt

  const reports = yield* Effect.forEach(others, ({ report }) => report)
  yield* Console.log(`all calls are over (${since(start)}), ${provider.arrivals.length} reached the provider`)
  const counts = reports.filter((report): report is Report => report !== undefined)
  const answered = counts.reduce((sum, report) => sum + report.answered, 0)
  const failures = JSON.stringify(counts.map(({ failed }) => failed))
  yield* Effect.sleep(Duration.millis(limits.leaseTime))
  const { concurrency, tokens } = yield* watching.status

  const { capacity = 0, maxConcurrent = 0, refillRate = 0, requestsPerMinute = 0 } = limits
  const minute = mostWithin(provider.arrivals, 60_000)
  yield* must(minute <= requestsPerMinute, `at most ${minute} of ${requestsPerMinute} requests in any minute`)
  for (const window of [100, 1000, 10_000]) {
    const most = mostWithin(provider.arrivals, window)
    const allowed = capacity + (refillRate * (window + journey)) / 1000
    yield* must(most <= allowed, `at most ${most} of ${allowed} requests in any ${window} ms`)
  }
  // What was in flight when Redis went away is known again, and a share of at least one place is everybody's.
  const most = provider.mostInFlight()
  yield* must(most <= maxConcurrent, `at most ${most} of ${maxConcurrent} calls in flight`)
  const busiest = yield* provider.mostOnAnyKey
  const cap = keys[0]?.maxConcurrency ?? 0
  yield* must(busiest <= cap, `at most ${busiest} of ${cap} calls in flight on any key`)
  yield* must(
    leased <= limits.leaseTime + 1000,
    `the places of the one that was killed are free after ${leased.toFixed(0)} ms`
  )
  yield* must(duringOutage > 0, `${duringOutage} calls went on while Redis was away`)
  yield* must(answered === (processes - 1) * calls, `${answered} calls answered, none lost (${failures})`)
  yield* must(concurrency?.inFlight === 0, "no place is held any more, not even by the one that was killed")
  yield* must(tokens?.reserved === 0, "no tokens are reserved any more")
})

Effect.runFork(
  Effect.scoped(chaos).pipe(
    Effect.tapErrorCause((cause) =>
      Effect.zipRight(
        Console.error(String(cause)),
        Effect.sync(() => void (process.exitCode = 1))
      )
    ),
    RateLimiter.withPriority("interactive")
  )
)
