/** Tests of the dashboard's snapshot of several workers. */
import { describe, expect, it } from "@effect/vitest"
import { Schema } from "effect"
import type { Report } from "../../../src/gateway/dashboard/report.js"
import * as Reports from "../../../src/gateway/dashboard/report.js"
import * as Series from "../../../src/gateway/dashboard/series.js"
import type { Key, Model } from "../../../src/gateway/dashboard/snapshot.js"

const at = 7_200_000

const key: Key = {
  id: "one",
  state: "ready",
  inFlight: 1,
  maxConcurrency: 2,
  load: 0.5,
  weight: 1,
  latency: 100,
  served: 3,
  succeeded: 3,
  rateLimited: 0,
  outOfQuota: 0,
  refused: 0
}

/** The report of a worker whose calls took these milliseconds. */
const reportOf = (latencies: ReadonlyArray<number>, model: Partial<Model> = {}, startedAt = 0): Report => {
  const series = Series.unsafeMake()
  for (const latency of latencies) {
    series.unsafeRecordStart("m")
    series.unsafeRecordEnd({ model: "m", outcome: "ok", latency, timeToFirstEvent: undefined }, at)
    series.unsafeRecordUsage({ model: "m", inputTokens: 1, outputTokens: 2, cost: 0.1 }, at)
  }
  return {
    snapshot: {
      at,
      startedAt,
      width: Series.width,
      mayAct: true,
      hasHistory: false,
      hasBodies: false,
      inFlight: 1,
      buckets: series.unsafeBuckets(0, at),
      windows: [{ minutes: 5, ...series.unsafeTimes(5, at) }],
      alerts: [],
      models: [
        {
          id: "m",
          aliases: [],
          wire: "chat-completions",
          ...series.unsafeTotals("m", at),
          waiting: 1,
          waitingForPermit: 0,
          isAway: false,
          levels: [{ name: "requests", available: 4, limit: 5 }],
          hasPool: true,
          keys: [key],
          deployments: [],
          ...model
        }
      ],
      budgets: [{ budget: "team", key: "key-1", unit: "dollars", limit: 5, spent: 0.3, reserved: 0.1 }],
      caches: [{ name: "responses", hits: 1, misses: 3, hitRate: 0.25, storeFailures: 0 }]
    },
    distributions: series.unsafeDistributions(0, [5], at)
  }
}

const fast = [10, 11, 12, 13, 14, 15, 16, 17]
const slow = [1000, 1100]

describe("the snapshot of several workers", () => {
  it("has the percentiles of all calls, as if one worker had served them", () => {
    const merged = Reports.merge(reportOf(fast), [reportOf(slow)], true)
    const alone = reportOf([...fast, ...slow]).snapshot
    expect(merged.buckets).toEqual(alone.buckets)
    expect(merged.windows).toEqual(alone.windows)
    const [model] = merged.models
    expect(model).toMatchObject({
      requests: 10,
      inputTokens: 10,
      outputTokens: 20,
      cost: 1,
      latency: alone.models[0]?.latency,
      minutes: alone.models[0]?.minutes
    })
  })

  it("adds what the workers divide", () => {
    const cooling: Key = { ...key, state: "cooling", reason: "limited", until: at + 5, latency: 400, served: 1 }
    const merged = Reports.merge(reportOf(fast, {}, 5), [reportOf(slow, { keys: [cooling] }, 3)], true)
    expect(merged).toMatchObject({ startedAt: 3, inFlight: 2 })
    expect(merged.models[0]).toMatchObject({
      waiting: 2,
      levels: [{ name: "requests", available: 8, limit: 10 }],
      keys: [
        {
          state: "cooling",
          reason: "limited",
          until: at + 5,
          inFlight: 2,
          maxConcurrency: 4,
          load: 0.5,
          served: 4,
          latency: 175
        }
      ]
    })
    expect(merged.budgets).toEqual([
      { budget: "team", key: "key-1", unit: "dollars", limit: 10, spent: 0.6, reserved: 0.2 }
    ])
    expect(merged.caches).toEqual([{ name: "responses", hits: 2, misses: 6, hitRate: 0.25, storeFailures: 0 }])
  })

  it("shows once what the workers share through a store, and adds what each has for itself", () => {
    const deployment = {
      id: "openai/a",
      provider: "openai",
      model: "a",
      state: "ready" as const,
      inFlight: 1,
      weight: 1,
      order: 0,
      served: 2,
      failed: 1
    }
    const own = reportOf(fast, { deployments: [deployment] })
    const merged = Reports.merge(own, [reportOf(slow, { deployments: [{ ...deployment, state: "open" }] })], false)
    expect(merged.models[0]).toMatchObject({
      requests: 10,
      levels: own.snapshot.models[0]?.levels,
      keys: [key],
      deployments: [{ state: "open", inFlight: 2, served: 4, failed: 2 }]
    })
    expect(merged.budgets).toEqual(own.snapshot.budgets)
  })

  it("has no model that this worker does not have", () => {
    expect(Reports.merge(reportOf(fast), [reportOf(slow, { id: "other" })], true).models.map(({ id }) => id)).toEqual([
      "m"
    ])
  })

  it("reads a report that was sent between processes", () => {
    const report = reportOf(fast)
    expect(Schema.decodeUnknownSync(Reports.Report)(structuredClone(report))).toEqual(report)
  })
})
