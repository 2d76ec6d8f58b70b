/** Laws of several processes under one limit, in the time of a test: what they send together, and what one gives back to another. */
import { describe, expect, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import * as FastCheck from "fast-check"
import type { Options, Service } from "../../src/rateLimiter/RateLimiter.js"
import * as Redis from "../../src/redis/Redis.js"
import * as RedisRateLimiter from "../../src/redis/RedisRateLimiter.js"
import { makeClock } from "../support/interleaving.js"
import { redisInTestTime } from "../support/redisInTestTime.js"
import { redisServer } from "../support/redisServer.js"

const processes = 3

/** Limiters of one name, each with what only its process knows, and their time. */
const fleets = Effect.gen(function* () {
  const { idle, redis } = yield* redisInTestTime(yield* redisServer)
  const { clock, pass } = makeClock(20, idle)
  let count = 0
  const make = (options: Options) => {
    const name = `fleet-${count++}`
    return Effect.forEach(Array.from({ length: processes }), () =>
      Effect.provideService(RedisRateLimiter.make({ name, leaseTime: "1 day", ...options }), Redis.Redis, redis)
    )
  }
  return { clock, pass, make }
})

interface Sent {
  readonly at: number
  readonly tokens: number
}

const call = FastCheck.record({
  at: FastCheck.nat(4000),
  process: FastCheck.nat(processes - 1),
  duration: FastCheck.nat(300),
  tokens: FastCheck.integer({ min: 1, max: 100 }),
  used: FastCheck.nat(100),
  isUnsent: FastCheck.boolean(),
  priority: FastCheck.constantFrom("interactive", "batch"),
  givesUpAfter: FastCheck.option(FastCheck.nat(1500), { nil: undefined })
})

/** The most that was sent above `capacity + rate × t`, over any time `t`. */
const excess = (
  sent: ReadonlyArray<Sent>,
  capacity: number,
  perSecond: number,
  amount: (each: Sent) => number
): number => {
  let most = -Infinity
  for (const [index, first] of sent.entries()) {
    let sum = 0
    for (const each of sent.slice(index)) {
      sum += amount(each)
      most = Math.max(most, sum - capacity - (perSecond * (each.at - first.at)) / 1000)
    }
  }
  return most
}

const kinds: Readonly<Record<string, Options>> = {
  "a bucket": { capacity: 3, refillRate: 5 },
  "a minute": { requestsPerMinute: 7, capacity: 100, refillRate: 100 },
  "a day": { requestsPerDay: 6, capacity: 100, refillRate: 100 },
  tokens: { capacity: 100, refillRate: 100, tokensPerMinute: 600 },
  slots: { maxConcurrency: 2 },
  "all limits": { capacity: 4, refillRate: 4, requestsPerMinute: 9, tokensPerMinute: 900, maxConcurrency: 2 }
}

describe.concurrent("three processes under one limit", () => {
  for (const [kind, limits] of Object.entries(kinds)) {
    it.scopedLive(`send no more than ${kind} allows, and lose nothing when calls are interrupted or given back`, () =>
      Effect.gen(function* () {
        const { clock, make, pass } = yield* fleets
        const plans = FastCheck.sample(FastCheck.array(call, { minLength: 10, maxLength: 40 }), 8)
        const run = (plan: (typeof plans)[number]) =>
          Effect.gen(function* () {
            const limiters = yield* make({ maxWait: "20 seconds", ...limits })
            const sent: Array<Sent> = []
            let inFlight = 0
            let most = 0
            const now = () => clock.unsafeCurrentTimeMillis()
            const fibers = yield* Effect.forEach(plan, (each) =>
              Effect.gen(function* () {
                const limiter = limiters[each.process]
                if (limiter === undefined) return yield* Effect.dieMessage("Every process has a limiter.")
                const send = Effect.acquireUseRelease(
                  limiter.reserve(each.tokens),
                  () =>
                    each.isUnsent
                      ? Effect.void
                      : Effect.acquireUseRelease(
                          Effect.sync(() => {
                            sent.push({ at: now(), tokens: Math.max(each.tokens, each.used) })
                            most = Math.max(most, ++inFlight)
                          }),
                          () => Effect.sleep(each.duration),
                          () => Effect.sync(() => void inFlight--)
                        ),
                  (reservation) =>
                    (each.isUnsent ? reservation.giveBack : undefined) ??
                    reservation.settle(Math.max(each.tokens, each.used))
                )
                const fiber = yield* Effect.fork(Effect.delay(Effect.exit(send), each.at))
                if (each.givesUpAfter !== undefined) {
                  yield* Effect.fork(Effect.delay(Fiber.interrupt(fiber), each.at + each.givesUpAfter))
                }
                return fiber
              })
            )
            yield* pass(40_000)
            yield* Effect.forEach(fibers, Fiber.await)
            const {
              capacity = 1e9,
              maxConcurrency = Infinity,
              refillRate = 1e9,
              requestsPerMinute,
              tokensPerMinute
            } = limits
            expect(excess(sent, capacity, refillRate, () => 1)).toBeLessThanOrEqual(0.01)
            expect(sent.length).toBeLessThanOrEqual(
              Math.min(requestsPerMinute ?? Infinity, limits.requestsPerDay ?? Infinity)
            )
            // What a call uses beyond its estimate is paid for by later ones.
            const beyond = plan.reduce((sum, { tokens, used }) => sum + Math.max(0, used - tokens), 0)
            if (tokensPerMinute !== undefined) {
              expect(
                excess(sent, tokensPerMinute + beyond, tokensPerMinute / 60, ({ tokens }) => tokens)
              ).toBeLessThanOrEqual(1)
            }
            expect(most).toBeLessThanOrEqual(maxConcurrency)
            for (const { status } of limiters) {
              const { concurrency, tokens, waiting } = yield* status
              expect([waiting, concurrency?.inFlight ?? 0, tokens?.reserved ?? 0]).toEqual([0, 0, 0])
            }
          }).pipe(Effect.scoped, Effect.withClock(clock))
        yield* Effect.forEach(plans, run, { discard: true })
      })
    )
  }

  const holder = (
    limits: Options,
    use: (held: Service, other: Service, pass: (millis: number) => Effect.Effect<void>) => Effect.Effect<void, unknown>
  ) =>
    Effect.gen(function* () {
      const { clock, make, pass } = yield* fleets
      yield* Effect.gen(function* () {
        const [one, two] = yield* make(limits)
        if (one !== undefined && two !== undefined) yield* use(one, two, pass)
      }).pipe(Effect.scoped, Effect.withClock(clock))
    })

  const gifts: Readonly<Record<string, Options>> = {
    "a slot": { maxConcurrency: 1 },
    "a request": { capacity: 1, refillRate: 0.001, maxWait: "1 hour" },
    "a request of the minute": { requestsPerMinute: 1, maxWait: "1 hour" },
    tokens: { tokensPerMinute: 100, maxWait: "1 hour" }
  }
  for (const [gift, limits] of Object.entries(gifts)) {
    it.scopedLive(`can use ${gift} that another process gives back within a quarter of a second`, () =>
      holder(limits, (one, two, pass) =>
        Effect.gen(function* () {
          const held = yield* one.reserve(100)
          const waiting = yield* Effect.fork(two.reserve(100))
          yield* pass(1000)
          expect(yield* Fiber.poll(waiting)).toMatchObject({ _tag: "None" })
          yield* held.giveBack ?? Effect.void
          yield* pass(250)
          expect(yield* Fiber.poll(waiting)).toMatchObject({ _tag: "Some", value: { _tag: "Success" } })
        })
      )
    )
  }

  it.scopedLive("serve a large call of one process although the small calls of another never stop", () =>
    holder({ capacity: 1000, refillRate: 1000, tokensPerMinute: 600, maxWait: "5 minutes" }, (one, two, pass) =>
      Effect.gen(function* () {
        yield* one.reserve(600)
        const small = yield* Effect.fork(
          Effect.forever(Effect.zipRight(Effect.fork(Effect.exit(one.reserve(10))), Effect.sleep(500)))
        )
        yield* pass(5000)
        const large = yield* Effect.fork(two.reserve(300))
        yield* pass(120_000)
        expect(yield* Fiber.poll(large)).toMatchObject({ _tag: "Some", value: { _tag: "Success" } })
        yield* Fiber.interrupt(small)
      })
    )
  )
})
