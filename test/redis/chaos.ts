/**
 * Four processes make 2,000 calls each through one Redis: `npm run chaos:redis`. One of them is killed, and Redis is killed and
 * restarted. The limits are checked against the requests that the provider recorded. Then Redis is cut off for 60 seconds under load, and
 * one of three nodes of a cluster is killed. A violation ends the run with an error.
 */
import { Console, Duration, Effect, Schedule } from "effect"
import * as RateLimiter from "../../src/rateLimiter/RateLimiter.js"
import * as Redis from "../../src/redis/Redis.js"
import * as RedisRateLimiter from "../../src/redis/RedisRateLimiter.js"
import { redisServer } from "../support/redisServer.js"
import type { CallerOptions } from "./callerProgram.js"
import type { Report } from "./callerProcesses.js"
import { caller, maxWithin, program, recordingProvider } from "./callerProcesses.js"
import { blackHole, lostNode } from "./chaosOutages.js"

const processes = 4
const calls = 2000
const limits: CallerOptions["limits"] = {
  capacity: 100,
  refillRate: 200,
  requestsPerMinute: 6000,
  tokensPerMinute: 1_000_000,
  maxConcurrency: 24,
  maxWait: 60_000,
  leaseTime: 3000
}

/** The caps sum up to a little less than `maxConcurrency`, so that both limits apply at times. */
const keys = ["sk-one", "sk-two", "sk-three", "sk-four"].map((key) => ({ key, maxConcurrency: 5 }))

/** The delay between a grant and the arrival of the request at the provider, on a busy machine. */
const deliveryAllowance = 250

const check = (holds: boolean, invariant: string) =>
  holds ? Console.log(`  ok      ${invariant}`) : Effect.dieMessage(`violated: ${invariant}`)

const elapsed = (start: number) => `${((performance.now() - start) / 1000).toFixed(1)} s`

const chaos = Effect.gen(function* () {
  const server = yield* redisServer
  const provider = yield* recordingProvider({ min: "20 millis", max: "120 millis" })
  const options: CallerOptions = {
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
  const children = yield* Effect.forEach(Array.from({ length: processes }), () => caller(path, options))
  yield* Effect.forEach(children, ({ started }) => started)
  yield* Console.log(`${processes} processes have started (${elapsed(start)})`)

  yield* Effect.sleep("5 seconds")
  const from = Date.now()
  yield* server.kill
  const handover = { from, to: Date.now() + deliveryAllowance }
  yield* Console.log(`Redis is killed (${elapsed(start)}), ${provider.arrivals.length} calls so far`)
  const beforeOutage = provider.arrivals.length
  yield* Effect.sleep("4 seconds")
  const duringOutage = provider.arrivals.length - beforeOutage
  yield* server.start
  yield* Console.log(`Redis is back without data (${elapsed(start)}), ${duringOutage} calls during the outage`)

  yield* Effect.sleep("5 seconds")
  const observer = yield* RedisRateLimiter.make({ name: "chaos", ...limits }).pipe(
    Effect.provideService(Redis.Redis, redis)
  )
  const [victim, ...others] = children
  if (victim === undefined) return
  yield* victim.kill
  const killedAt = performance.now()
  yield* Console.log(`one process is killed (${elapsed(start)}), ${provider.arrivals.length} calls so far`)
  // The leases of the killed process are those without a registered process.
  const registered = (from: number | string) =>
    Effect.promise(() => server.client.zrangebyscore(redis.key("limit", "chaos", "v2:processes"), from, "+inf"))
  const before = yield* registered("-inf")
  yield* Effect.repeat(registered(Date.now()), {
    until: (now) => now.length < before.length,
    schedule: Schedule.spaced("50 millis")
  })
  const alive = yield* registered(Date.now())
  yield* Effect.repeat(
    Effect.promise(() => server.client.zrangebyscore(redis.key("limit", "chaos", "v2:leases"), Date.now(), "+inf")),
    {
      until: (leases) => leases.every((lease) => alive.some((process) => lease.startsWith(process))),
      schedule: Schedule.spaced("20 millis")
    }
  )
  const timeToFree = performance.now() - killedAt

  const reports = yield* Effect.forEach(others, ({ report }) => report)
  yield* Console.log(`all calls have ended (${elapsed(start)}), ${provider.arrivals.length} reached the provider`)
  const counts = reports.filter((report): report is Report => report !== undefined)
  const answered = counts.reduce((sum, report) => sum + report.answered, 0)
  const failures = JSON.stringify(counts.map(({ failed }) => failed))
  yield* Effect.sleep(Duration.millis(limits.leaseTime))
  const { concurrency, tokens } = yield* observer.status

  const { capacity = 0, maxConcurrency = 0, refillRate = 0, requestsPerMinute = 0 } = limits
  const minute = maxWithin(provider.arrivals, 60_000)
  yield* check(minute <= requestsPerMinute, `at most ${minute} of ${requestsPerMinute} requests in any minute`)
  for (const window of [100, 1000, 10_000]) {
    const most = maxWithin(provider.arrivals, window)
    const allowed = capacity + (refillRate * (window + deliveryAllowance)) / 1000
    yield* check(most <= allowed, `at most ${most} of ${allowed} requests in any ${window} ms`)
  }
  // Leases from before the outage are restored. Until they end, the calls in flight at its beginning come on top of the shares.
  const most = provider.maxInFlight()
  yield* check(most <= maxConcurrency, `at most ${most} of ${maxConcurrency} calls in flight`)
  const maxOnAnyKey = yield* provider.maxInFlightOnAnyKey(handover)
  const cap = keys[0]?.maxConcurrency ?? 0
  yield* check(maxOnAnyKey <= cap, `at most ${maxOnAnyKey} of ${cap} calls in flight on any key`)
  yield* check(
    timeToFree <= limits.leaseTime + 1000,
    `the permits of the killed process are free after ${timeToFree.toFixed(0)} ms`
  )
  yield* check(duringOutage > 0, `${duringOutage} calls started while Redis was down`)
  yield* check(answered === (processes - 1) * calls, `${answered} calls answered, none lost (${failures})`)
  yield* check(concurrency?.inFlight === 0, "no permit is held any more, also not by the killed process")
  yield* check(tokens?.reserved === 0, "no tokens are reserved any more")
})

Effect.runFork(
  Effect.scoped(chaos).pipe(
    Effect.zipRight(blackHole(check)),
    Effect.zipRight(lostNode(check)),
    Effect.tapErrorCause((cause) =>
      Effect.zipRight(
        Console.error(String(cause)),
        Effect.sync(() => void (process.exitCode = 1))
      )
    ),
    RateLimiter.withPriority("interactive")
  )
)
