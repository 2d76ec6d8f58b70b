/** The alerts of the dashboard, and that they are those of the rules for Prometheus. */
import { describe, expect, it } from "@effect/vitest"
import { Effect, Schema, TestClock } from "effect"
import { readFileSync } from "node:fs"
import { parse } from "yaml"
import type { Name } from "../../src/gateway/dashboard/alertRules.js"
import { rules, slowShare } from "../../src/gateway/dashboard/alertRules.js"
import * as Alerts from "../../src/gateway/dashboard/alerts.js"
import * as Series from "../../src/gateway/dashboard/series.js"
import type { Budget, Key, Model } from "../../src/gateway/dashboard/snapshot.js"
import { start } from "./support/dashboard.js"

const minute = 60_000

const RulesFile = Schema.Struct({
  groups: Schema.Array(
    Schema.Struct({
      rules: Schema.Array(
        Schema.Struct({
          alert: Schema.String,
          expr: Schema.String,
          for: Schema.String,
          labels: Schema.Struct({ severity: Schema.String })
        })
      )
    })
  )
})

const inFile = Schema.decodeUnknownSync(RulesFile)(
  parse(readFileSync(new URL("../../docs/prometheus/alerts.yml", import.meta.url), "utf8"))
).groups.flatMap(({ rules }) => rules)

describe("the rules of the alerts", () => {
  it("have the names, thresholds, times and severities of the rules for Prometheus", () => {
    expect(inFile.map(({ alert }) => alert).toSorted()).toEqual(Object.keys(rules).toSorted())
    for (const rule of inFile) {
      const [, comparison, threshold] = /(==|>) ([\d.]+)$/.exec(rule.expr.trim()) ?? []
      const [, window] = /\[(\d+)m\]/.exec(rule.expr) ?? []
      expect(rules).toHaveProperty(rule.alert, {
        severity: rule.labels.severity,
        threshold: Number(threshold),
        minutes: Number(/^(\d+)m$/.exec(rule.for)?.[1]),
        ...(window === undefined ? {} : { window: Number(window) })
      })
      expect(comparison).toBe(rule.alert === "LlmKeysOut" ? "==" : ">")
    }
    const slow = inFile.find(({ alert }) => alert === "LlmSlow")
    expect(slow?.expr).toContain(`histogram_quantile(${1 - slowShare},`)
  })
})

const key: Key = {
  id: "one",
  state: "ready",
  inFlight: 0,
  load: 0,
  weight: 1,
  served: 0,
  succeeded: 0,
  rateLimited: 0,
  outOfQuota: 0,
  refused: 0
}

const modelWith = (fields: Partial<Model>): Model => ({
  id: "m",
  aliases: [],
  wire: "chat-completions",
  ...Series.unsafeMake().unsafeCounts("m", 0),
  waiting: 0,
  waitingForPermit: 0,
  isAway: false,
  levels: [],
  hasPool: true,
  keys: [key],
  deployments: [],
  ...fields
})

const budgetWith = (spent: number, reserved: number): Budget => ({
  budget: "team",
  unit: "dollars",
  limit: 10,
  spent,
  reserved
})

const seen = (model: Partial<Model>, budgets: ReadonlyArray<Budget> = []) =>
  Alerts.unsafeMake()
    .unsafeObserve({ models: [modelWith(model)], budgets }, 0)
    .map(({ name, text }) => [name, text])

/** The counts of a model with these calls within the last minutes. */
const countsOf = (calls: ReadonlyArray<readonly [outcome: string, latency: number, minutesAgo: number]>) => {
  const series = Series.unsafeMake()
  const now = 1000 * minute
  for (const [outcome, latency, minutesAgo] of calls) {
    series.unsafeRecordStart("m")
    series.unsafeRecordEnd({ model: "m", outcome, latency, timeToFirstEvent: undefined }, now - minutesAgo * minute)
  }
  return series.unsafeCounts("m", now)
}

const times = (n: number, outcome: string, latency: number, minutesAgo: number) =>
  Array.from({ length: n }, () => [outcome, latency, minutesAgo] as const)

describe("the reasons of alerts", () => {
  const cooling: Key = { ...key, state: "cooling" }

  it("are no usable key of a model that has keys", () => {
    expect(seen({ keys: [cooling, { ...key, state: "disabled" }] })).toEqual([
      ["LlmKeysOut", "No key of m can be used."]
    ])
    expect(seen({ keys: [cooling, { ...key, state: "busy" }] })).toEqual([])
    expect(seen({ keys: [] })).toEqual([])
  })

  it("are a budget of which more than nine tenths are spent or reserved", () => {
    expect(seen({}, [budgetWith(9, 0.2)])).toEqual([["LlmBudgetNearlySpent", "92% of the budget team is spent."]])
    expect(seen({}, [budgetWith(9, 0), { ...budgetWith(0, 0), limit: 0 }])).toEqual([])
  })

  it("are more than a twentieth of failed calls in five minutes, without interrupted ones", () => {
    const calls = [...times(93, "ok", 1, 2), ...times(7, "RateLimitError", 1, 4)]
    expect(seen(countsOf(calls))).toEqual([["LlmErrorShare", "7% of the calls to m fail."]])
    expect(seen(countsOf(times(95, "ok", 1, 2).concat(times(5, "NetworkError", 1, 2))))).toEqual([])
    const interrupted = [...times(10, "ok", 1, 2), ...times(90, "interrupted", 1, 2), ...times(1, "defect", 1, 2)]
    expect(seen(countsOf(interrupted))).toEqual([["LlmErrorShare", "9% of the calls to m fail."]])
    expect(seen(countsOf(times(9, "NetworkError", 1, 6)))).toEqual([])
  })

  it("are more than a twentieth of calls in ten minutes that took longer than a minute", () => {
    const calls = [...times(90, "ok", 59_000, 8), ...times(10, "ok", 61_000, 2)]
    expect(seen(countsOf(calls))).toEqual([["LlmSlow", "10% of the calls to m take longer than 60 s."]])
    expect(seen(countsOf([...times(95, "ok", 1, 2), ...times(5, "ok", 61_000, 2)]))).toEqual([])
    expect(seen(countsOf(times(9, "ok", 61_000, 11)))).toEqual([])
  })

  it("are Redis that is unreachable, and more than a hundred waiting calls", () => {
    expect(seen({ isAway: true }).map(([name]) => name)).toEqual(["LlmRedisAway"])
    expect(seen({ waiting: 101, waitingForPermit: 100 })).toEqual([["LlmQueueLong", "101 calls to m wait for a key."]])
    expect(seen({ waitingForPermit: 101 })).toEqual([["LlmQueueLong", "101 calls to m wait for a permit."]])
  })
})

describe("alerts over time", () => {
  const out = { models: [modelWith({ keys: [{ ...key, state: "cooling" }] })], budgets: [] }
  const fine = { models: [modelWith({})], budgets: [] }

  it("fire when their reason has lasted as long as the rule says, since it began, and end with it", () => {
    const alerts = Alerts.unsafeMake()
    const firing = (levels: Alerts.Levels, at: number) =>
      alerts.unsafeObserve(levels, at).map(({ isFiring, since }) => [isFiring, since])
    expect(firing(fine, 1000)).toEqual([])
    expect(firing(out, 16_000)).toEqual([[false, 16_000]])
    for (let at = 31_000; at < 136_000; at += 15_000) expect(firing(out, at)).toEqual([[false, 16_000]])
    expect(firing(out, 136_000)).toEqual([[true, 16_000]])
    expect(firing(fine, 151_000)).toEqual([])
    expect(firing(out, 166_000)).toEqual([[false, 166_000]])
    // An alert can have ended and begun again in a gap.
    expect(firing(out, 600_000)).toEqual([[false, 600_000]])
  })

  it("have begun when the first of several processes saw them", () => {
    const name: Name = "LlmKeysOut"
    const other = { name, subject: "m", severity: "critical", text: "", since: 5000, isFiring: true } as const
    const [alert] = Alerts.unsafeMake().unsafeObserve(out, 200_000, [other, { ...other, subject: "n", since: 1 }])
    expect(alert).toMatchObject({ since: 5000, isFiring: true })
    expect(Alerts.unsafeMake().unsafeObserve(fine, 200_000, [other])).toEqual([])
  })

  it.scoped("are known since they began, also if no page was open", () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(1000 * minute)
      const { dashboard, models } = yield* start({ page: new URL("./nowhere/", import.meta.url) })
      const { keys } = yield* models.get("openai/gpt-small")
      if (keys === undefined) throw new Error("there is no administration of keys")
      for (const { id } of (yield* keys.status).keys) yield* keys.disable(id)
      yield* TestClock.adjust("3 minutes")
      const { alerts } = yield* dashboard.snapshot
      expect(alerts).toEqual([
        {
          name: "LlmKeysOut",
          severity: "critical",
          subject: "openai/gpt-small",
          text: "No key of openai/gpt-small can be used.",
          since: expect.any(Number),
          isFiring: true
        }
      ])
      expect(alerts[0]?.since).toBeLessThanOrEqual(1000 * minute + 15_000)
    })
  )
})
