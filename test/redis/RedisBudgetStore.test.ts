import { describe, expect, it } from "@effect/vitest"
import { DateTime, Effect, Exit, Logger, LogLevel, Option, Random, Scope } from "effect"
import type { Claim, Settlement } from "../../src/accounting/budget/accounts.js"
import type { Store } from "../../src/accounting/budget/store.js"
import * as BudgetStore from "../../src/accounting/budget/store.js"
import * as Redis from "../../src/redis/Redis.js"
import * as RedisBudgetStore from "../../src/redis/RedisBudgetStore.js"
import { eventually } from "../support/eventually.js"
import { redisServer } from "../support/redisServer.js"

const longTimeout: Redis.CommonOptions = { timeout: "1 minute", probeInterval: "50 millis" }

/** A store with its own connection, like that of a separate process. */
const peer = (url: string, options: Partial<RedisBudgetStore.Options> = {}, redisOptions: Redis.CommonOptions = {}) =>
  Effect.flatMap(Redis.make({ url, ...longTimeout, ...redisOptions }), (redis) =>
    Effect.provideService(RedisBudgetStore.make({ name: "test", ...options }), Redis.Redis, redis)
  )

const quiet = Logger.minimumLogLevel(LogLevel.None)

const claim = (amount: number, options: Partial<Claim> = {}): Claim => ({
  account: "all",
  limit: 1000,
  period: "forever",
  amount,
  ...options
})

const settlementOf = (claim: Claim): Settlement => ({ claim, spent: claim.amount, unpriced: 0 })

const accountOf = (store: Store, account = "all", limit = 1000) =>
  Effect.map(store.accountStatus({ account, limit }), ({ reserved, spent }) => ({ reserved, spent }))

describe.concurrent("RedisBudgetStore", () => {
  it.scopedLive("returns the same results as the memory store for random reservations and settlements", () =>
    Effect.gen(function* () {
      const { url } = yield* redisServer
      const peers = [yield* peer(url), yield* peer(url), yield* peer(url)]
      const memory = yield* BudgetStore.makeMemory
      const open: Array<readonly [Store, ReadonlyArray<Claim>]> = []
      const draw = Random.nextIntBetween
      for (let step = 0; step < 400; step++) {
        const store = peers[yield* draw(0, peers.length)] ?? memory
        if (open.length > 0 && (yield* Random.nextBoolean)) {
          const [[owner, claims] = [store, []]] = open.splice(yield* draw(0, open.length), 1)
          const settlements = yield* Effect.forEach(claims, (claim) =>
            Effect.map(draw(0, 2 * claim.amount + 2), (spent) => ({ claim, spent, unpriced: spent % 3 }))
          )
          const changes = yield* owner.settle(settlements)
          expect(changes).toEqual(yield* memory.settle(settlements))
        } else {
          // The sum for the second account exceeds 2^53.
          const claims = [
            claim(yield* draw(0, 9), { account: "a", limit: 300 }),
            claim(yield* draw(1, 1e9), { account: "b/{x}", limit: 6e16 })
          ].slice(0, yield* draw(1, 3))
          const refusal = yield* store.reserve(claims)
          expect(refusal).toEqual(yield* memory.reserve(claims))
          if (Option.isNone(refusal)) open.push([store, claims])
        }
      }
      for (const account of ["a", "b/{x}"]) {
        expect(yield* accountOf(peers[0] ?? memory, account, 300)).toEqual(yield* accountOf(memory, account, 300))
      }
    }).pipe(Effect.withRandom(Random.make("books")))
  )

  it.scopedLive("adds amounts up exactly above 2^53", () =>
    Effect.gen(function* () {
      const { url } = yield* redisServer
      const store = yield* peer(url)
      const large = claim(2 ** 53 - 2, { limit: 2 ** 60 })
      yield* store.settle([settlementOf(large)])
      for (let n = 0; n < 3; n++) yield* store.settle([{ claim: claim(0, { limit: 2 ** 60 }), spent: 1, unpriced: 0 }])
      // 2^53 + 1 is not representable; the sum 2^53 + 2 shows that every settlement was counted.
      yield* store.settle([{ claim: claim(0, { limit: 2 ** 60 }), spent: 1, unpriced: 0 }])
      expect((yield* accountOf(store, "all", 2 ** 60)).spent).toBe(2 ** 53 + 2)
    })
  )

  it.scopedLive("selects calendar and rolling periods by Redis's clock when the clock of the process is wrong", () =>
    Effect.gen(function* () {
      const { url } = yield* redisServer
      const wrong = yield* peer(url)
      const right = yield* peer(url)
      const period = { calendar: "day", timeZone: DateTime.zoneUnsafeMakeNamed("Asia/Kolkata") } as const
      const daily = claim(7, { period })
      const real = yield* Effect.clock
      const slow = { ...real, currentTimeMillis: Effect.succeed(Date.UTC(2001, 1, 3)) }
      yield* Effect.withClock(wrong.settle([settlementOf(daily)]), slow)
      const status = yield* right.accountStatus(daily)
      const midnight = DateTime.unsafeMakeZoned(Date.now(), { timeZone: "Asia/Kolkata" }).pipe(
        DateTime.startOf("day"),
        DateTime.add({ days: 1 }),
        DateTime.toEpochMillis
      )
      expect([status.spent, status.resetsAt]).toEqual([7, midnight])
      const rolling = claim(3, { account: "rolling", period: { rolling: "300 millis" } })
      const [change] = yield* right.settle([settlementOf(rolling)])
      expect(change?.after.spent).toBe(3)
      yield* eventually(Effect.map(accountOf(wrong, "rolling"), ({ spent }) => spent === 0))
    })
  )

  it.scopedLive("frees the reservations of a lost process after its lease, and keeps what it spent", () =>
    Effect.gen(function* () {
      const { url } = yield* redisServer
      const other = yield* peer(url)
      const scope = yield* Scope.make()
      const redis = yield* Redis.make({ url, ...longTimeout })
      // When `gone` is set, its heartbeat fails and it does not sign off.
      let gone = false
      let renewals = 0
      const mortal: Redis.Service = {
        ...redis,
        run: (script, keys, args) =>
          gone
            ? Effect.fail(new Redis.RedisError({ reason: "connection", script: "", detail: "killed" }))
            : Effect.tap(redis.run(script, keys, args), () =>
                Effect.sync(() => (renewals += script.name.endsWith("renew") ? 1 : 0))
              )
      }
      const killed = yield* RedisBudgetStore.make({ name: "test", leaseTime: "900 millis" }).pipe(
        Effect.provideService(Redis.Redis, mortal),
        Scope.extend(scope)
      )
      yield* killed.reserve([claim(600)])
      yield* killed.settle([{ claim: claim(100), spent: 50, unpriced: 0 }])
      // The process renews its reservations three times per lease time.
      const before = renewals
      yield* eventually(Effect.sync(() => renewals > before + 3))
      expect(yield* accountOf(other)).toEqual({ reserved: 500, spent: 50 })
      expect(Option.isSome(yield* other.reserve([claim(600)]))).toBe(true)
      gone = true
      yield* eventually(Effect.map(accountOf(other), ({ reserved }) => reserved === 0))
      expect(yield* accountOf(other)).toEqual({ reserved: 0, spent: 50 })
      expect(Option.isNone(yield* other.reserve([claim(600)]))).toBe(true)
      yield* Scope.close(scope, Exit.void)
    }).pipe(Effect.provide(quiet))
  )

  it.scopedLive("spends a share of what was left while Redis is away, and records it when Redis is back", () =>
    Effect.gen(function* () {
      const server = yield* redisServer
      const shortTimeout = { timeout: "1 second" } as const
      const one = yield* peer(server.url, { whenAway: { share: 0.5 } }, shortTimeout)
      const two = yield* peer(server.url, { whenAway: "fail" }, shortTimeout)
      const before = claim(100)
      yield* one.reserve([before])
      yield* one.settle([{ claim: before, spent: 200, unpriced: 0 }])
      const open = claim(10)
      yield* one.reserve([open])
      yield* server.freeze
      expect(yield* Effect.flip(two.reserve([claim(1)]))).toMatchObject({ _tag: "SharedStateError" })
      // The share is half of the remaining 800.
      expect(Option.isNone(yield* one.reserve([claim(300)]))).toBe(true)
      expect(Option.getOrUndefined(yield* one.reserve([claim(150)]))).toMatchObject({ spent: 200, reserved: 300 })
      yield* one.settle([settlementOf(open)])
      yield* one.settle([{ claim: claim(300), spent: 250, unpriced: 0 }])
      expect(Option.isNone(yield* one.reserve([claim(20)]))).toBe(true)
      yield* server.thaw
      yield* eventually(Effect.map(accountOf(two), ({ reserved, spent }) => reserved === 20 && spent === 460))
      yield* one.settle([settlementOf(claim(20))])
      expect(yield* accountOf(two)).toEqual({ reserved: 0, spent: 480 })
    }).pipe(Effect.provide(quiet))
  )
})
