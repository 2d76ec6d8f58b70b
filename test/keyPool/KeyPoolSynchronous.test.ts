import { describe, expect, it } from "@effect/vitest"
import type { Clock } from "effect"
import { Cause, Chunk, Effect, Exit, Fiber, TestClock } from "effect"
import * as KeyPool from "../../src/keyPool/KeyPool.js"

const { Verdict } = KeyPool

const make = (keys: ReadonlyArray<KeyPool.KeyInput>, options: Partial<KeyPool.Options> = {}) =>
  Effect.map(Effect.zip(KeyPool.make({ provider: "test", keys, ...options }), Effect.clock), ([pool, clock]) => ({
    pool,
    tryReserve: (exclude: ReadonlyArray<string> = []) => pool.unsafeTryReserve?.(clock, new Set(exclude)),
    settle: (lease: KeyPool.UnsafeLease | undefined, verdict: KeyPool.Verdict) => lease?.unsafeSettle(clock, verdict),
    giveBack: (lease: KeyPool.UnsafeLease | undefined) => lease?.unsafeGiveBack(clock),
    rest: (id: string, millis: number) => pool.unsafeRest?.(clock, id, millis)
  }))

const two = [
  { key: "sk-a", id: "a", maxConcurrency: 1 },
  { key: "sk-b", id: "b", maxConcurrency: 1 }
]

const inFlight = (pool: KeyPool.Service) =>
  Effect.map(pool.status, ({ keys }) => keys.reduce((sum, key) => sum + key.inFlight, 0))

describe("the synchronous members of a key pool", () => {
  it.effect("unsafeTryReserve reserves the first ready key, and returns undefined when none is ready or left", () =>
    Effect.gen(function* () {
      const { pool, tryReserve } = yield* make(two)
      expect(tryReserve(["a", "b"])).toBeUndefined()
      expect(tryReserve()?.key.id).toBe("a")
      expect(tryReserve(["b"])).toBeUndefined()
      expect(tryReserve()?.key.id).toBe("b")
      expect(tryReserve()).toBeUndefined()
      expect(yield* inFlight(pool)).toBe(2)
    })
  )

  it.effect("unsafeSettle applies the verdict as settle does, and wakes a call that waits for the key", () =>
    Effect.gen(function* () {
      const { pool, settle, tryReserve } = yield* make([{ key: "sk-a", id: "a", maxConcurrency: 1 }])
      const lease = tryReserve()
      const waiting = yield* Effect.fork(pool.reserve())
      yield* TestClock.adjust(0)
      settle(lease, Verdict.Served({ latency: 5 }))
      const next = yield* Fiber.join(waiting)
      yield* next.settle(Verdict.RateLimited({}))
      const [status] = (yield* pool.status).keys
      expect(status).toMatchObject({ inFlight: 0, succeeded: 1, rateLimited: 1, state: { _tag: "Cooling" } })
      expect(tryReserve()).toBeUndefined()
      yield* TestClock.adjust("1 second")
      expect(tryReserve()?.key.id).toBe("a")
    })
  )

  it.effect("a lease ends once, whichever of its members comes first", () =>
    Effect.gen(function* () {
      const { giveBack, pool, settle, tryReserve } = yield* make(two)
      const lease = tryReserve()
      settle(lease, Verdict.Neutral())
      settle(lease, Verdict.Refused())
      giveBack(lease)
      yield* lease?.settle(Verdict.Refused()) ?? Effect.void
      yield* lease?.giveBack ?? Effect.void
      expect((yield* pool.status).keys[0]).toMatchObject({ inFlight: 0, served: 1, refused: 0 })
      const other = yield* pool.reserve({ exclude: new Set(["a"]) })
      yield* other.giveBack ?? Effect.void
      yield* other.settle(Verdict.Refused())
      expect((yield* pool.status).keys[1]).toMatchObject({ inFlight: 0, served: 0, refused: 0 })
    })
  )

  it.effect("a key that is given back has neither served nor started a call, and goes to the next that waits", () =>
    Effect.gen(function* () {
      const { giveBack, pool, tryReserve } = yield* make([{ key: "sk-a", id: "a", requestsPerSecond: 2 }])
      const first = tryReserve()
      const second = tryReserve()
      const waiting = yield* Effect.fork(pool.reserve())
      yield* TestClock.adjust(0)
      giveBack(first)
      expect((yield* Fiber.join(waiting)).key.id).toBe("a")
      giveBack(second)
      expect((yield* pool.status).keys[0]).toMatchObject({ inFlight: 1, served: 1, recentStarts: 1 })
    })
  )

  it.effect("unsafeRest puts a key into a cooldown, and unsafeAccounts counts quota groups and keys without one", () =>
    Effect.gen(function* () {
      const { pool, rest, tryReserve } = yield* make([
        { key: "sk-a", id: "a", quotaGroup: "g" },
        { key: "sk-b", id: "b", quotaGroup: "g" },
        { key: "sk-c", id: "c" }
      ])
      expect(pool.unsafeAccounts?.()).toBe(2)
      rest("a", 1000)
      expect(tryReserve(["b", "c"])).toBeUndefined()
      yield* pool.remove("c")
      expect(pool.unsafeAccounts?.()).toBe(1)
      yield* pool.remove("a")
      yield* pool.add({ key: "sk-d", quotaGroup: "h" })
      expect(pool.unsafeAccounts?.()).toBe(2)
    })
  )
})

describe("a call that waits for a key again", () => {
  it.effect("is served before calls that arrived later", () =>
    Effect.gen(function* () {
      const { pool, settle, tryReserve } = yield* make([{ key: "sk-a", maxConcurrency: 1 }])
      const held = tryReserve()
      yield* TestClock.adjust("1 second")
      const order: Array<string> = []
      const call = (name: string, arrivedAgo: number) =>
        Effect.flatMap(pool.reserve({ arrivedAgo }), (lease) => {
          order.push(name)
          return lease.settle(Verdict.Neutral())
        })
      const calls = [
        yield* Effect.fork(call("new", 0)),
        yield* Effect.fork(call("oldest", 900)),
        yield* Effect.fork(call("older", 500))
      ]
      yield* TestClock.adjust(0)
      settle(held, Verdict.Neutral())
      yield* Fiber.joinAll(calls)
      expect(order).toEqual(["oldest", "older", "new"])
    })
  )

  it.effect("waits no longer than the pool's maxWait over all its waits", () =>
    Effect.gen(function* () {
      const { pool, tryReserve } = yield* make([{ key: "sk-a", maxConcurrency: 1 }], { maxWait: "10 seconds" })
      tryReserve()
      const call = yield* Effect.fork(Effect.flip(pool.reserve({ arrivedAgo: "20 seconds", waited: "7 seconds" })))
      yield* TestClock.adjust(2999)
      expect(yield* Fiber.poll(call)).toMatchObject({ _tag: "None" })
      yield* TestClock.adjust(1)
      expect(yield* Fiber.join(call)).toMatchObject({ _tag: "RateLimitError", source: "pool" })
    })
  )
})

describe("a strategy that throws", () => {
  const makeBroken = (keys: ReadonlyArray<KeyPool.KeyInput>) => {
    const bug = new Error("a bug")
    const strategy = { isBroken: false }
    return Effect.map(
      make(keys, {
        strategy: (left, right) => {
          if (strategy.isBroken) throw bug
          return KeyPool.failover(left, right)
        }
      }),
      (pool) => ({ ...pool, bug, strategy })
    )
  }

  it.effect("ends a call that asks for a key with a defect, and takes no key", () =>
    Effect.gen(function* () {
      const { bug, pool, strategy, tryReserve } = yield* makeBroken(two)
      strategy.isBroken = true
      expect(() => tryReserve()).toThrow(bug)
      const exit = yield* Effect.exit(pool.reserve())
      expect(Exit.isFailure(exit) && Chunk.toReadonlyArray(Cause.defects(exit.cause))).toEqual([bug])
      expect(yield* inFlight(pool)).toBe(0)
      strategy.isBroken = false
      expect(tryReserve()?.key.id).toBe("a")
    })
  )

  it.effect("ends the calls that wait for a key with a defect, and not the call whose end offers them one", () =>
    Effect.gen(function* () {
      const { bug, pool, rest, strategy, tryReserve } = yield* makeBroken([...two, { key: "sk-c", id: "c" }])
      const clock = yield* Effect.clock
      const later: Clock.Clock = {
        ...clock,
        unsafeCurrentTimeNanos: () => clock.unsafeCurrentTimeNanos() + 1_000_000_000n
      }
      for (const end of [
        (lease: KeyPool.UnsafeLease | undefined) => lease?.unsafeSettle(later, Verdict.Neutral()),
        (lease: KeyPool.UnsafeLease | undefined) => lease?.unsafeGiveBack(later)
      ]) {
        const lease = tryReserve(["a", "b"])
        rest("a", 1000)
        rest("b", 1000)
        const waiting = yield* Effect.fork(pool.reserve({ exclude: new Set(["c"]) }))
        yield* TestClock.adjust(0)
        strategy.isBroken = true
        // Two keys that become ready at once must be compared.
        end(lease)
        const exit = yield* Fiber.await(waiting)
        expect(Exit.isFailure(exit) && Chunk.toReadonlyArray(Cause.defects(exit.cause))).toEqual([bug])
        strategy.isBroken = false
        expect(yield* inFlight(pool)).toBe(0)
        expect((yield* pool.status).waiting).toBe(0)
        yield* TestClock.adjust("1 second")
      }
    })
  )
})
