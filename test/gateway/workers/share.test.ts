/** Tests of the division of limits among workers. */
import { describe, expect, it } from "@effect/vitest"
import { DateTime, Effect, Either } from "effect"
import * as FastCheck from "fast-check"
import * as KeyShare from "../../../src/gateway/auth/keyShare.js"
import type { VirtualKey } from "../../../src/gateway/VirtualKey.js"
import { indivisible, partOf } from "../../../src/gateway/workers/share.js"
import * as Division from "../../../src/cli/gateway/cluster/division.js"
import * as Models from "../../../src/models/Models.js"
import { fromEither } from "../../../src/internal/asEffect.js"

const sharesOf = (of: number) => Array.from({ length: of }, (_, index) => ({ index, of }))

describe("the parts of a limit", () => {
  it("are whole, differ by one at most, and add up to the limit", () => {
    FastCheck.assert(
      FastCheck.property(
        FastCheck.integer({ min: 1, max: 1e6 }),
        FastCheck.integer({ min: 1, max: 64 }),
        (limit, of) => {
          const parts = sharesOf(of).map((share) => partOf(limit, share))
          expect(parts.reduce((sum, part) => sum + part, 0)).toBe(limit)
          expect(Math.max(...parts) - Math.min(...parts)).toBeLessThanOrEqual(1)
          expect(indivisible(limit, { index: 0, of }) === undefined).toBe(Math.min(...parts) >= 1)
        }
      )
    )
  })
})

const key: VirtualKey = {
  id: "key-1",
  label: "team",
  hash: "0".repeat(64),
  createdAt: DateTime.unsafeMake(0),
  budget: { dollars: 9, period: "day" },
  rateLimit: { requestsPerMinute: 7, maxConcurrency: 3 }
}

describe("KeyShare.divide", () => {
  it("divides the limits and the budget of a client key, and nothing for a process of its own", () => {
    expect(KeyShare.divide(key, { index: 0, of: 1 })).toEqual(Either.right(key))
    expect(sharesOf(3).map((share) => Either.getOrThrow(KeyShare.divide(key, share)))).toMatchObject([
      { budget: { dollars: 3, period: "day" }, rateLimit: { requestsPerMinute: 3, maxConcurrency: 1 } },
      { budget: { dollars: 3, period: "day" }, rateLimit: { requestsPerMinute: 2, maxConcurrency: 1 } },
      { budget: { dollars: 3, period: "day" }, rateLimit: { requestsPerMinute: 2, maxConcurrency: 1 } }
    ])
  })

  it("names every limit that is too small, as it is written in JSON", () => {
    const small: VirtualKey = { ...key, budget: { tokens: 1 } }
    const faults = Either.getOrThrow(Either.flip(KeyShare.divide(small, { index: 0, of: 4 })))
    expect(faults.map((fault) => fault.replace(/Raise.*/, ""))).toEqual([
      "rateLimit.maxConcurrent of the key team: 3 cannot be divided among 4 workers. ",
      "budget.tokens of the key team: 1 cannot be divided among 4 workers. "
    ])
  })
})

const file = Models.parseFile(
  JSON.stringify({
    openai: [
      {
        model_name: "a",
        api_keys: [{ key: "sk-a", max_concurrency: 5, max_qps: 3 }, "sk-b"],
        rate_limit_capacity: 5,
        rate_limit_refill_rate: 3,
        tokens_per_minute: 1001,
        requests_per_day: 9,
        max_concurrency: 4
      },
      { model_name: "b", api_keys: ["sk-a"] }
    ],
    $groups: { both: { members: [{ model: "openai/a", max_concurrency: 3 }, "openai/b"] } }
  })
)

describe("the division of a model file", () => {
  it.effect("divides every limit of models, keys and groups, with the defaults of a model without limits", () =>
    Effect.gen(function* () {
      const { groups, models } = yield* fromEither(
        Division.divide(yield* file, "provider.json", { index: 0, of: 2 }, true)
      )
      expect(models).toMatchObject([
        {
          capacity: 3,
          refillRate: 1.5,
          tokensPerMinute: 501,
          requestsPerDay: 5,
          maxConcurrency: 2,
          keys: [{ maxConcurrency: 3, requestsPerSecond: 1.5 }, {}]
        },
        { capacity: 5, refillRate: 0.5, tokensPerMinute: undefined, maxConcurrency: undefined }
      ])
      expect(models[0]?.keys[1]).not.toHaveProperty("maxConcurrency")
      expect(groups[0]?.members).toMatchObject([{ maxConcurrency: 2 }, {}])
    })
  )

  it.effect(
    "divides only the caps of groups where a store shares the other limits, because it does not share those",
    () =>
      Effect.gen(function* () {
        const original = yield* file
        const { groups, models } = yield* fromEither(
          Division.divide(original, "provider.json", { index: 1, of: 2 }, false)
        )
        expect(models).toEqual(original.models)
        expect(groups[0]?.members).toMatchObject([{ maxConcurrency: 1 }, {}])
      })
  )

  it.effect("fails with the path of every limit that is too small", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(
        fromEither(Division.divide(yield* file, "provider.json", { index: 0, of: 6 }, true))
      )
      expect(error.faults.map(({ path }) => path)).toEqual([
        "openai[0].rate_limit_capacity",
        "openai[0].max_concurrency",
        "openai[0].api_keys[0].max_concurrency",
        "$groups.both: max_concurrency of openai/a"
      ])
      expect(error.message).toContain("5 cannot be divided among 6 workers")
    })
  )
})
