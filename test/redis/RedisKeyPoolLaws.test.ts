/** Compares the pool in Redis with the one in memory: the same random actions give the same keys, errors and statuses. */
import { describe, expect, it } from "@effect/vitest"
import { Clock, Duration, Effect, Runtime, TestClock } from "effect"
import * as FastCheck from "fast-check"
import type { Scope } from "effect"
import * as KeyPool from "../../src/keyPool/KeyPool.js"
import * as Pool from "../../src/redis/keyPool/options.js"
import * as Exchange from "../../src/redis/keyPool/exchange.js"
import * as Redis from "../../src/redis/Redis.js"
import type { Strategy } from "../../src/redis/RedisKeyPool.js"
import type { RedisServer } from "../support/redisServer.js"
import { redisServer } from "../support/redisServer.js"

/** All strategies except "random", which draws random numbers in both. */
const strategies = {
  "least-loaded": KeyPool.leastLoaded,
  weighted: KeyPool.weighted,
  "round-robin": KeyPool.roundRobin,
  latency: KeyPool.latency,
  failover: KeyPool.failover
} satisfies Partial<Record<Strategy, KeyPool.Strategy>>

const isStrategy = (name: string): name is keyof typeof strategies => name in strategies

/** The script with a clock that the test sets, instead of Redis's clock. */
const testScript = Exchange.make(`local now = tonumber(redis.call("GET", "clock"))`)

type Action =
  | {
      readonly _tag: "Acquire"
      readonly exclude: ReadonlyArray<string>
      readonly patient: boolean
      readonly model: keyof typeof models
    }
  | { readonly _tag: "Settle"; readonly which: number; readonly verdict: KeyPool.Verdict }
  | { readonly _tag: "Accept"; readonly which: number }
  | { readonly _tag: "Wait"; readonly millis: number }
  | { readonly _tag: "Change"; readonly id: string; readonly change: "enable" | "disable" }
  | { readonly _tag: "Rest"; readonly id: string; readonly millis: number; readonly model: keyof typeof models }
  | { readonly _tag: "Reweight"; readonly id: string; readonly weight: number }

const ids = ["a", "b", "c", "d"]

const id = FastCheck.constantFrom(...ids)

/** The keys of each model. */
const models = { none: undefined, all: undefined, some: new Set(["a", "b"]) }

const model = FastCheck.constantFrom("none" as const, "all" as const, "some" as const)

const verdict: FastCheck.Arbitrary<KeyPool.Verdict> = FastCheck.oneof(
  {
    weight: 4,
    arbitrary: FastCheck.integer({ min: 1, max: 500 }).map((latency) => KeyPool.Verdict.Served({ latency }))
  },
  { weight: 1, arbitrary: FastCheck.constant(KeyPool.Verdict.Served({})) },
  { weight: 2, arbitrary: FastCheck.constant(KeyPool.Verdict.RateLimited({})) },
  {
    weight: 1,
    arbitrary: FastCheck.integer({ min: 0, max: 9_000 }).map((millis) =>
      KeyPool.Verdict.RateLimited({ retryAfter: Duration.millis(millis) })
    )
  },
  { weight: 1, arbitrary: FastCheck.constant(KeyPool.Verdict.OutOfQuota({})) },
  { weight: 1, arbitrary: FastCheck.constant(KeyPool.Verdict.Refused()) },
  { weight: 2, arbitrary: FastCheck.constant(KeyPool.Verdict.Failed()) },
  { weight: 1, arbitrary: FastCheck.constant(KeyPool.Verdict.Neutral()) }
)

const action: FastCheck.Arbitrary<Action> = FastCheck.oneof(
  {
    weight: 8,
    arbitrary: FastCheck.record({
      _tag: FastCheck.constant("Acquire" as const),
      exclude: FastCheck.subarray(ids, { maxLength: 2 }),
      patient: FastCheck.boolean(),
      model
    })
  },
  {
    weight: 6,
    arbitrary: FastCheck.record({ _tag: FastCheck.constant("Settle" as const), which: FastCheck.nat(7), verdict })
  },
  {
    weight: 1,
    arbitrary: FastCheck.record({ _tag: FastCheck.constant("Accept" as const), which: FastCheck.nat(7) })
  },
  {
    weight: 4,
    arbitrary: FastCheck.record({
      _tag: FastCheck.constant("Wait" as const),
      millis: FastCheck.constantFrom(1, 250, 500, 1_000, 2_500, 10_000)
    })
  },
  {
    weight: 1,
    arbitrary: FastCheck.record({
      _tag: FastCheck.constant("Change" as const),
      id,
      change: FastCheck.constantFrom("enable" as const, "disable" as const)
    })
  },
  {
    weight: 1,
    arbitrary: FastCheck.record({
      _tag: FastCheck.constant("Rest" as const),
      id,
      millis: FastCheck.constantFrom(500, 5_000),
      model
    })
  },
  {
    weight: 1,
    arbitrary: FastCheck.record({
      _tag: FastCheck.constant("Reweight" as const),
      id,
      weight: FastCheck.integer({ min: 1, max: 4 })
    })
  }
)

const keys = FastCheck.tuple(
  ...ids.map((id) =>
    FastCheck.record(
      {
        id: FastCheck.constant(id),
        key: FastCheck.constant(`sk-${id}`),
        weight: FastCheck.integer({ min: 1, max: 3 }),
        maxConcurrency: FastCheck.integer({ min: 1, max: 3 }),
        requestsPerSecond: FastCheck.constantFrom(0.5, 1, 2, 4),
        quotaGroup: FastCheck.constantFrom("one", "two")
      },
      { requiredKeys: ["id", "key", "weight"] }
    )
  )
)

/** The status of a pool without the end of a cooldown, which depends on the clock. */
const visibleStatus = ({ keys }: KeyPool.PoolStatus) =>
  keys.map(({ latency, state, ...key }) => ({
    ...key,
    state: state._tag,
    reason: "reason" in state ? state.reason : undefined,
    remaining: "remaining" in state ? Math.round(Duration.toMillis(state.remaining)) : undefined,
    latency: latency === undefined ? undefined : Math.round(latency * 1e6)
  }))

/** The pool as each model sees it. */
const viewsOf = (pool: KeyPool.Service) => {
  const view = (model: keyof typeof models) =>
    pool.forModel?.(model, models[model] === undefined ? {} : { keys: models[model] }) ?? pool
  return { none: pool, all: view("all"), some: view("some") }
}

const actor = (pool: KeyPool.Service, views: ReturnType<typeof viewsOf>) => {
  const open: Array<KeyPool.Lease> = []
  return (action: Action): Effect.Effect<unknown> => {
    switch (action._tag) {
      case "Acquire": {
        const cooling = action.patient ? ("wait" as const) : ("fail" as const)
        return views[action.model].reserve({ exclude: new Set(action.exclude), maxWait: 0, onCooldown: cooling }).pipe(
          Effect.map((lease) => {
            open.push(lease)
            return lease.key.id
          }),
          Effect.catchAll((error) => Effect.succeed(`${error._tag}: ${error.message}`))
        )
      }
      case "Settle": {
        const [lease] = open.splice(open.length === 0 ? 0 : action.which % open.length, 1)
        return lease === undefined ? Effect.void : lease.settle(action.verdict)
      }
      case "Accept":
        return open[action.which % Math.max(1, open.length)]?.accept ?? Effect.void
      case "Wait":
        return Effect.void
      case "Change":
        return pool[action.change](action.id)
      case "Rest":
        return views[action.model].rest(action.id, action.millis)
      case "Reweight":
        return Effect.orDie(pool.reweight(action.id, action.weight))
    }
  }
}

const expectSame = (
  server: RedisServer,
  redis: Redis.Service,
  name: string,
  strategy: keyof typeof strategies,
  inputs: ReadonlyArray<KeyPool.KeyInput>,
  actions: ReadonlyArray<Action>
): Effect.Effect<void, KeyPool.InvalidPoolError, Scope.Scope> =>
  Effect.gen(function* () {
    const setClock = Effect.flatMap(Clock.currentTimeMillis, (now) =>
      Effect.promise(() => server.client.set("clock", String(1_000_000 + now)))
    )
    yield* setClock
    // Short enough for the actions to reach the time after a cooldown.
    const cooldown = {
      max: "8 seconds",
      quota: "5 seconds",
      refused: "2 seconds",
      maxCooldown: "7 seconds",
      maxFailures: 2
    } as const
    const options = { provider: name, keys: inputs, cooldown }
    const memory = yield* KeyPool.make({ ...options, strategy: strategies[strategy] })
    const shared = yield* Effect.provideService(
      Pool.make({ ...options, strategy, leaseTime: "1000 days" }, testScript),
      Redis.Redis,
      redis
    )
    const [memoryViews, sharedViews] = [viewsOf(memory), viewsOf(shared)]
    const [inMemory, inRedis] = [actor(memory, memoryViews), actor(shared, sharedViews)]
    for (const [index, action] of actions.entries()) {
      if (action._tag === "Wait") {
        yield* TestClock.adjust(action.millis)
        yield* setClock
      }
      expect([index, yield* inRedis(action)]).toEqual([index, yield* inMemory(action)])
    }
    for (const model of ["none", "all", "some"] as const) {
      const [ofShared, ofMemory] = [yield* sharedViews[model].status, yield* memoryViews[model].status]
      expect([model, visibleStatus(ofShared)]).toEqual([model, visibleStatus(ofMemory)])
    }
  })

describe.concurrent("RedisKeyPool against KeyPool", () => {
  for (const strategy of Object.keys(strategies).filter(isStrategy)) {
    it.scoped(`gives the same keys and statuses as the pool in memory with the strategy ${strategy}`, () =>
      Effect.gen(function* () {
        const server = yield* redisServer
        const redis = yield* Redis.make({ url: server.url, timeout: "1 minute" })
        const runtime = yield* Effect.runtime<never>()
        let runs = 0
        yield* Effect.promise(() =>
          FastCheck.assert(
            FastCheck.asyncProperty(keys, FastCheck.array(action, { minLength: 20, maxLength: 80 }), (keys, actions) =>
              Runtime.runPromise(runtime)(
                Effect.scoped(expectSame(server, redis, `run-${runs++}`, strategy, keys, actions))
              )
            ),
            { numRuns: 12 }
          )
        )
      })
    )
  }
})
