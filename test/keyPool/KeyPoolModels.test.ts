/** A pool that several models share: what concerns the key with one of them, and what concerns it with all. */
import { describe, expect, it } from "@effect/vitest"
import { Duration, Effect, Fiber, TestClock } from "effect"
import * as FastCheck from "fast-check"
import * as KeyPool from "../../src/keyPool/KeyPool.js"

const { Failed, Neutral, OutOfQuota, RateLimited, Refused, Served } = KeyPool.Verdict

const make = (keys: ReadonlyArray<KeyPool.KeyInput>) =>
  Effect.map(KeyPool.make({ provider: "acme", keys }), (shared) => ({
    shared,
    modelOf: (model: string, ids?: ReadonlyArray<string>): KeyPool.Service =>
      shared.forModel?.(model, ids === undefined ? {} : { keys: new Set(ids) }) ?? shared
  }))

const key = (id: string, options: object = {}) => ({ key: `sk-${id}`, id, ...options })

const settle = (pool: KeyPool.Service, verdict: KeyPool.Verdict) =>
  Effect.flatMap(pool.reserve({ maxWait: 0 }), (lease) => Effect.as(lease.settle(verdict), lease.key.id))

const states = (pool: KeyPool.Service) =>
  Effect.map(pool.status, ({ keys }) => keys.map(({ state }) => ("reason" in state ? state.reason : state._tag)))

describe("the keys of a pool that several models share", () => {
  it.effect.each<[string, KeyPool.Verdict, string, string]>([
    ["a rate limit", RateLimited({}), "rate-limited", "Ready"],
    ["a refusal of the model", Refused({ modelOnly: true }), "refused", "Ready"],
    ["an exhausted quota of the model", OutOfQuota({ modelOnly: true }), "out-of-quota", "Ready"],
    ["a refusal of the key", Refused(), "refused", "refused"],
    ["an exhausted quota of the account", OutOfQuota({}), "out-of-quota", "out-of-quota"]
  ])("%s concerns the models that it should", ([, verdict, own, others]) =>
    Effect.gen(function* () {
      const { modelOf } = yield* make([key("a")])
      yield* settle(modelOf("one"), verdict)
      expect(yield* states(modelOf("one"))).toEqual([own])
      expect(yield* states(modelOf("two"))).toEqual([others])
      expect((yield* Effect.flip(settle(modelOf("one"), Neutral())))._tag).toMatch(/KeyPoolExhausted|RateLimit/)
    })
  )

  it.effect("a cooldown by `rest` is that of the model, and `enable` ends it for each of them", () =>
    Effect.gen(function* () {
      const { modelOf } = yield* make([key("a")])
      yield* modelOf("one").rest("a", "1 minute")
      expect(yield* states(modelOf("one"))).toEqual(["resting"])
      expect(yield* states(modelOf("two"))).toEqual(["Ready"])
      yield* modelOf("two").enable("a")
      expect(yield* states(modelOf("one"))).toEqual(["Ready"])
      yield* modelOf("one").disable("a")
      expect(yield* states(modelOf("two"))).toEqual(["by-hand"])
    })
  )

  it.effect("a success of one model does not forgive the failures of another", () =>
    Effect.gen(function* () {
      const { modelOf } = yield* make([key("a"), key("b"), key("c")])
      for (let round = 0; round < 5; round++) {
        const lease = yield* modelOf("one").reserve({ exclude: new Set(["b", "c"]) })
        yield* lease.settle(Failed())
        const other = yield* modelOf("two").reserve({ exclude: new Set(["b", "c"]) })
        yield* other.settle(Served({}))
      }
      expect(yield* states(modelOf("one"))).toEqual(["failing", "Ready", "Ready"])
      expect(yield* states(modelOf("two"))).toEqual(["Ready", "Ready", "Ready"])
    })
  )

  it.effect("a failing key is not cooled when it is the only one of its model, however many the pool has", () =>
    Effect.gen(function* () {
      const { modelOf } = yield* make([key("a"), key("b"), key("c")])
      const one = modelOf("one", ["a"])
      for (let call = 0; call < 10; call++) expect(yield* settle(one, Failed())).toBe("a")
      expect(yield* states(one)).toEqual(["Ready"])
    })
  )

  it.effect(
    "calls of all models wait in order of arrival for a key at its limit, and pass those that wait for a model",
    () =>
      Effect.gen(function* () {
        const { modelOf } = yield* make([key("a", { maxConcurrency: 1 })])
        const order: Array<string> = []
        const call = (model: string) =>
          Effect.fork(
            modelOf(model).withKey(
              () =>
                Effect.zipRight(
                  Effect.sync(() => order.push(model)),
                  Effect.sleep(10)
                ),
              {
                maxWait: "1 minute"
              }
            )
          )
        yield* settle(modelOf("limited"), RateLimited({ retryAfter: Duration.seconds(5) }))
        const fibers = yield* Effect.forEach(["limited", "one", "two", "one", "two"], call)
        yield* TestClock.adjust("1 second")
        expect(order).toEqual(["one", "two", "one", "two"])
        expect((yield* modelOf("limited").status).waiting).toBe(1)
        expect((yield* modelOf("one").status).waiting).toBe(0)
        yield* TestClock.adjust("5 seconds")
        yield* Fiber.joinAll(fibers)
        expect(order.at(-1)).toBe("limited")
      })
  )

  it.effect("a model uses its own keys only, also those that are added for it later", () =>
    Effect.gen(function* () {
      const { modelOf, shared } = yield* make([key("a"), key("b")])
      const one = modelOf("one", ["a"])
      expect((yield* one.status).keys.map(({ id }) => id)).toEqual(["a"])
      yield* Effect.replicateEffect(settle(one, Served({})), 3)
      yield* one.add(key("c"))
      const used = yield* Effect.replicateEffect(settle(one, Served({})), 4)
      expect(new Set(used)).toEqual(new Set(["a", "c"]))
      expect((yield* shared.status).keys.map(({ id, served }) => [id, served > 0])).toEqual([
        ["a", true],
        ["b", false],
        ["c", true]
      ])
    })
  )

  it.effect("a rate limit of a quota group concerns the keys of the group with the model", () =>
    Effect.gen(function* () {
      const { modelOf } = yield* make([key("a", { quotaGroup: "org" }), key("b", { quotaGroup: "org" }), key("c")])
      const lease = yield* modelOf("one").reserve({ exclude: new Set(["b", "c"]) })
      yield* lease.settle(RateLimited({ retryAfter: Duration.seconds(5) }))
      expect(yield* states(modelOf("one"))).toEqual(["rate-limited", "rate-limited", "Ready"])
      expect(yield* states(modelOf("two"))).toEqual(["Ready", "Ready", "Ready"])
      const refused = yield* modelOf("one").reserve({ exclude: new Set(["a", "b"]) })
      yield* refused.settle(OutOfQuota({}))
      expect(yield* states(modelOf("two"))).toEqual(["Ready", "Ready", "out-of-quota"])
    })
  )

  const verdicts = [
    Served({}),
    RateLimited({}),
    Refused(),
    Refused({ modelOnly: true }),
    OutOfQuota({}),
    Failed(),
    Neutral()
  ]

  it.effect.prop(
    "one model gets the keys that it would get from a pool of its own, under any verdicts, time and cooldowns",
    [
      FastCheck.array(
        FastCheck.oneof(
          { weight: 4, arbitrary: FastCheck.record({ call: FastCheck.constantFrom(...verdicts) }) },
          {
            weight: 1,
            arbitrary: FastCheck.record({ pass: FastCheck.constantFrom(1, 900, 5_000, 400_000, 4_000_000) })
          },
          { weight: 1, arbitrary: FastCheck.record({ rest: FastCheck.constantFrom("a", "b", "c") }) },
          { weight: 1, arbitrary: FastCheck.record({ enable: FastCheck.constantFrom("a", "b", "c") }) },
          { weight: 2, arbitrary: FastCheck.record({ end: FastCheck.constantFrom(...verdicts) }) },
          { weight: 2, arbitrary: FastCheck.constant({ start: true as const }) }
        ),
        { maxLength: 60 }
      )
    ],
    ([steps]) =>
      Effect.gen(function* () {
        const keys = [key("a"), key("b", { maxConcurrency: 2, quotaGroup: "org" }), key("c", { quotaGroup: "org" })]
        const run = (pool: KeyPool.Service) => {
          const open: Array<KeyPool.Lease> = []
          const tried = (reserve: typeof pool.reserve, use: (lease: KeyPool.Lease) => Effect.Effect<void>) =>
            Effect.matchEffect(reserve({ maxWait: 0 }), {
              onFailure: ({ _tag }) => Effect.succeed<string>(_tag),
              onSuccess: (lease) => Effect.as(use(lease), lease.key.id)
            })
          return (step: (typeof steps)[number]): Effect.Effect<string> => {
            if ("call" in step) return tried(pool.reserve, ({ settle }) => settle(step.call))
            if ("start" in step) return tried(pool.reserve, (lease) => Effect.sync(() => void open.push(lease)))
            if ("end" in step) return Effect.as(open.shift()?.settle(step.end) ?? Effect.void, "ended")
            if ("rest" in step) return Effect.as(pool.rest(step.rest, "20 seconds"), "rested")
            if ("enable" in step) return Effect.as(pool.enable(step.enable), "enabled")
            return Effect.succeed("passed")
          }
        }
        const own = run(yield* KeyPool.make({ provider: "acme", keys }))
        const shared = run((yield* make(keys)).modelOf("one"))
        for (const step of steps) {
          if ("pass" in step) yield* TestClock.adjust(step.pass)
          expect(yield* shared(step)).toEqual(yield* own(step))
        }
      })
  )
})
