/** Laws of what calls send, under random arrivals, answers, cooldowns, limits of keys and interruptions. */
import { describe, expect, it } from "@effect/vitest"
import { Array, Effect, Fiber, Schedule, Stream } from "effect"
import * as FastCheck from "fast-check"
import * as KeyPool from "../../src/keyPool/KeyPool.js"
import * as RateLimiter from "../../src/rateLimiter/RateLimiter.js"
import type { Reply, Sent } from "../support/countingProvider.js"
import { countingProvider, excess, llmOf, mostWithin } from "../support/countingProvider.js"
import { makeClock, restless } from "../support/interleaving.js"

/** Sums of fractions are inexact. */
const rounding = 1e-6

/** The tokens that a call of these tests reserves, and that its answer has used. */
const tokensPerCall = 508

/** So many that a call that has its permit is sent before time goes on. */
const turns = 300

interface Limit {
  readonly options: RateLimiter.Options
  readonly holds: (sent: ReadonlyArray<Sent>) => void
}

/** One limit of each kind. */
const limits: Readonly<Record<string, Limit>> = {
  bucket: {
    options: { capacity: 2, refillRate: 4 },
    holds: (sent) => expect(excess(sent, 2, 4)).toBeLessThanOrEqual(rounding)
  },
  schedule: {
    options: { capacity: 3, refill: Schedule.fixed("1 second") },
    holds: (sent) => {
      const periods = Object.values(Array.groupBy(sent, ({ at }) => String(Math.floor(at / 1000))))
      for (const requests of periods) expect(requests.length).toBeLessThanOrEqual(3)
    }
  },
  minute: {
    options: { requestsPerMinute: 6 },
    holds: (sent) => expect(mostWithin(sent, 60_000)).toBeLessThanOrEqual(6)
  },
  tokens: {
    options: { capacity: 1000, refillRate: 1000, tokensPerMinute: 4 * tokensPerCall },
    // The tokens of refused requests are given back.
    holds: (sent) => {
      const served = sent.filter(({ isServed }) => isServed)
      expect(excess(served, 4, 4 / 60)).toBeLessThanOrEqual(rounding)
    }
  },
  concurrency: {
    options: { maxConcurrency: 2 },
    holds: (sent) => expect(Math.max(0, ...sent.map(({ inFlight }) => inFlight))).toBeLessThanOrEqual(2)
  },
  adaptive: {
    options: { capacity: 2, refillRate: 4, adaptive: true },
    holds: (sent) => expect(excess(sent, 2, 4)).toBeLessThanOrEqual(rounding)
  },
  all: {
    options: { capacity: 3, refillRate: 4, requestsPerMinute: 20, maxConcurrency: 2 },
    holds: (sent) => {
      expect(excess(sent, 3, 4)).toBeLessThanOrEqual(rounding)
      expect(mostWithin(sent, 60_000)).toBeLessThanOrEqual(20)
      expect(Math.max(0, ...sent.map(({ inFlight }) => inFlight))).toBeLessThanOrEqual(2)
    }
  }
}

interface Call {
  readonly at: number
  readonly interruptAfter: number
  readonly side: 0 | 1
  readonly isStream: boolean
  readonly priority: RateLimiter.Priority
}

interface Plan {
  readonly calls: ReadonlyArray<Call>
  readonly keys: ReadonlyArray<{ readonly maxConcurrency?: number; readonly requestsPerSecond?: number }>
  readonly replies: ReadonlyArray<Reply>
  /** Which of pool and limiter both sides share. */
  readonly shares: "both" | "pool" | "limiter"
  /** The members of the services: all, those that return effects, or those of 0.1. */
  readonly members: "all" | "effects" | "first"
  readonly seed: number
}

const call: FastCheck.Arbitrary<Call> = FastCheck.record({
  at: FastCheck.nat(3000),
  interruptAfter: FastCheck.oneof(FastCheck.nat(4000), { weight: 3, arbitrary: FastCheck.constant(10 ** 9) }),
  side: FastCheck.constantFrom(0, 1),
  isStream: FastCheck.boolean(),
  priority: FastCheck.constantFrom("interactive", "interactive", "batch")
})

const reply = (tokens: number): FastCheck.Arbitrary<Reply> =>
  FastCheck.oneof(
    { weight: 4, arbitrary: FastCheck.record({ millis: FastCheck.nat(1500), tokens: FastCheck.constant(tokens) }) },
    FastCheck.record({ millis: FastCheck.nat(100), retryAfter: FastCheck.integer({ min: 1, max: 5000 }) })
  )

const key = FastCheck.record(
  { maxConcurrency: FastCheck.integer({ min: 1, max: 2 }), requestsPerSecond: FastCheck.integer({ min: 1, max: 4 }) },
  { requiredKeys: [] }
)

const plan: FastCheck.Arbitrary<Plan> = FastCheck.record({
  calls: FastCheck.array(call, { minLength: 4, maxLength: 24 }),
  keys: FastCheck.array(key, { minLength: 1, maxLength: 3 }),
  replies: FastCheck.array(reply(tokensPerCall), { minLength: 1, maxLength: 24 }),
  shares: FastCheck.constantFrom("both", "pool", "limiter"),
  members: FastCheck.constantFrom("all", "effects", "first"),
  seed: FastCheck.nat()
})

const limiterWith = (members: Plan["members"], limiter: RateLimiter.Service): RateLimiter.Service => {
  if (members === "all") return limiter
  const { unsafeObserve: _, unsafeTryReserve: __, reserve, ...rest } = limiter
  return {
    ...rest,
    reserve: (tokens, options) =>
      Effect.map(reserve(tokens, options), ({ giveBack, settle }) =>
        members === "effects" && giveBack !== undefined ? { settle, giveBack } : { settle }
      )
  }
}

const poolWith = (members: Plan["members"], pool: KeyPool.Service): KeyPool.Service => {
  if (members === "all") return pool
  const { unsafeAccounts: _, unsafeRest: __, unsafeTryReserve: ___, reserve, ...rest } = pool
  return {
    ...rest,
    reserve: (options) =>
      Effect.map(reserve(options), ({ giveBack, key, settle }) =>
        members === "effects" && giveBack !== undefined ? { key, settle, giveBack } : { key, settle }
      )
  }
}

/** Runs a plan, and returns what was sent through each limiter and what the services report afterwards. */
const run = ({ calls, keys, members, replies, seed, shares }: Plan, options: RateLimiter.Options) => {
  const { clock, pass } = makeClock(turns)
  const program = Effect.gen(function* () {
    const provider = () => countingProvider((index) => replies[index % replies.length] ?? { millis: 10 })
    const makeLimiter = Effect.map(
      RateLimiter.make({ maxWait: "1 hour", batch: { maxWait: "1 hour" }, ...options }),
      (limiter) => limiterWith(members, limiter)
    )
    const makePool = Effect.map(
      KeyPool.make({
        provider: "test",
        keys: keys.map((limits, index) => ({ key: `sk-${index}`, ...limits })),
        maxWait: "1 hour"
      }),
      (pool) => poolWith(members, pool)
    )
    const first = { ...provider(), limiter: yield* makeLimiter, pool: yield* makePool }
    const second = {
      ...(shares === "pool" ? provider() : first),
      limiter: shares === "pool" ? yield* makeLimiter : first.limiter,
      pool: shares === "limiter" ? yield* makePool : first.pool
    }
    const sides = [first, second] as const
    const llms = yield* Effect.forEach(sides, ({ client, limiter, pool }) => llmOf(client, pool, limiter))
    const runCall = ({ at, interruptAfter, isStream, priority, side }: Call) =>
      Effect.gen(function* () {
        yield* Effect.sleep(at)
        const llm = llms[side]
        if (llm === undefined) return
        const answer = isStream ? Stream.runDrain(llm.chatStream("?")) : Effect.asVoid(llm.chat("?"))
        const fiber = yield* Effect.fork(Effect.provideService(answer, RateLimiter.CurrentPriority, priority))
        yield* Effect.race(Effect.sleep(interruptAfter), Fiber.await(fiber))
        yield* Fiber.interrupt(fiber)
      })
    const fibers = yield* Effect.forEach(calls, (each) => Effect.fork(runCall(each)))
    yield* pass(2_000_000)
    yield* Fiber.joinAll(fibers)
    return {
      sent: shares === "pool" ? [first.sent, second.sent] : [first.sent],
      statuses: yield* Effect.forEach(llms, ({ status }) => status)
    }
  })
  return Effect.withScheduler(Effect.withClock(program, clock), restless(seed))
}

describe("what calls send under random arrivals, cooldowns, key limits and interruptions", () => {
  for (const [kind, { holds, options }] of Object.entries(limits)) {
    it.effect(`stays within a limit of the kind ${kind}, and every permit and key is given back`, () =>
      Effect.forEach(
        FastCheck.sample(plan, { numRuns: 30, seed: 11 }),
        (each) =>
          Effect.gen(function* () {
            const { sent, statuses } = yield* run(each, options)
            for (const requests of sent) holds(requests)
            for (const { keys, limiter } of statuses) {
              expect(keys.keys.reduce((sum, { inFlight }) => sum + inFlight, 0)).toBe(0)
              expect([keys.waiting, limiter.waiting]).toEqual([0, 0])
              expect([limiter.concurrency?.inFlight ?? 0, limiter.tokens?.reserved ?? 0]).toEqual([0, 0])
            }
          }),
        { discard: true }
      )
    )
  }

  it.effect("spends a permit for each request and none for calls that find no key or are interrupted", () =>
    Effect.forEach(
      FastCheck.sample(
        plan.filter(({ members }) => members !== "first"),
        { numRuns: 40, seed: 5 }
      ),
      (each) =>
        Effect.gen(function* () {
          const { sent, statuses } = yield* run(each, { capacity: 500, refillRate: 1e-9, requestsPerDay: 500 })
          for (const [index, requests] of sent.entries()) {
            const limiter = statuses[index]?.limiter
            expect(500 - (limiter?.available ?? 0)).toBeCloseTo(requests.length, 3)
            expect(500 - (limiter?.day?.available ?? 0)).toBe(requests.length)
          }
        }),
      { discard: true }
    )
  )

  it.effect("goes in the order of arrival while permits and keys are both scarce", () =>
    Effect.forEach(
      FastCheck.sample(
        FastCheck.record({
          arrivals: FastCheck.uniqueArray(FastCheck.integer({ min: 1, max: 2000 }), { minLength: 4, maxLength: 20 }),
          replies: FastCheck.array(FastCheck.record({ millis: FastCheck.nat(600) }), { minLength: 1, maxLength: 20 }),
          maxConcurrency: FastCheck.integer({ min: 1, max: 2 }),
          seed: FastCheck.nat()
        }),
        { numRuns: 60, seed: 3 }
      ),
      ({ arrivals, maxConcurrency, replies, seed }) => {
        const { clock, pass } = makeClock(turns)
        const program = Effect.gen(function* () {
          const { client, sent } = countingProvider((index) => replies[index % replies.length] ?? { millis: 10 })
          const limiter = yield* RateLimiter.make({ capacity: 1, refillRate: 4, maxWait: "1 hour" })
          const keys = [{ key: "one", maxConcurrency }]
          const pool = yield* KeyPool.make({ provider: "test", keys, maxWait: "1 hour" })
          const llm = yield* llmOf(client, pool, limiter)
          const fibers = yield* Effect.forEach(arrivals, (at) =>
            Effect.fork(
              Effect.zipRight(
                Effect.sleep(at),
                llm.chat({ model: String(at), messages: [{ role: "user", content: "?" }] })
              )
            )
          )
          yield* pass(1_000_000)
          yield* Fiber.joinAll(fibers)
          expect(sent.map(({ model }) => Number(model))).toEqual(arrivals.toSorted((one, other) => one - other))
        })
        return Effect.withScheduler(Effect.withClock(program, clock), restless(seed))
      },
      { discard: true }
    )
  )
})
