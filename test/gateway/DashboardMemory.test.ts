/** The memory of the dashboard's figures with 10,000 requests a minute. */
import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import { defaultMaxAge } from "../../src/gateway/dashboard/history/model.js"
import * as Recorders from "../../src/gateway/dashboard/history/recorder.js"
import * as Rows from "../../src/gateway/dashboard/history/row.js"
import * as Slots from "../../src/gateway/dashboard/history/slots.js"
import * as RequestLogs from "../../src/gateway/dashboard/requestLog.js"
import * as Series from "../../src/gateway/dashboard/series.js"
import * as BusyHour from "./support/busyHour.js"

setFlagsFromString("--expose-gc")
const collect: unknown = runInNewContext("gc")

const megabyte = 1024 * 1024

/** The bytes of the heap that are in use. */
const heapUsed = (): number => {
  if (typeof collect === "function") for (let round = 0; round < 3; round++) collect()
  return process.memoryUsage().heapUsed
}

const hour = 3_600_000

/** The end of an hour. */
const end = 500_000 * hour - 1

describe("the figures of 10,000 requests a minute", () => {
  it("take at most 25 MB for the last hour, and no more after three hours", () => {
    const before = heapUsed()
    const series = Series.unsafeMake()
    BusyHour.recordIn(series, end)
    const afterOne = heapUsed() - before
    BusyHour.recordIn(series, end + hour)
    BusyHour.recordIn(series, end + 2 * hour)
    const afterThree = heapUsed() - before
    expect(afterOne).toBeLessThan(25 * megabyte)
    expect(afterThree).toBeLessThan(25 * megabyte)
    const at = end + 2 * hour
    const { buckets, models, windows } = series.unsafeDistributions(0, [5, 15, 60], at)
    expect([buckets.length, models.length, windows.length]).toEqual([360, 20, 3])
    expect(series.unsafeBuckets(0, at)).toHaveLength(360)
    const longest = buckets.reduce((most, [, { latency }]) => Math.max(most, latency.buckets.length), 0)
    expect(longest).toBeLessThan(400)
    const counted = series
      .unsafeBuckets(0, at)
      .reduce((sum, { outcomes }) => Object.values(outcomes).reduce((a, b) => a + b, sum), 0)
    expect(counted).toBe(60 * BusyHour.requestsPerMinute)
    // What a page gets at first, and then once a second.
    const snapshot = (since: number) => JSON.stringify(BusyHour.snapshotOf(series, since, at, [])).length
    expect(snapshot(0)).toBeLessThan(megabyte / 4)
    expect(snapshot(at - 1000)).toBeLessThan(megabyte / 16)
  })

  it.effect(
    "take at most 5 MB of the history for an hour, and a line of some hundred bytes for each minute and model",
    () =>
      Effect.gen(function* () {
        const before = heapUsed()
        const recorder = Recorders.unsafeMake()
        const slots = Slots.unsafeMake(defaultMaxAge)
        let nextAt = 0
        // As the dashboard does, every five seconds.
        const handOver = (at: number): void => {
          if (at < nextAt) return
          nextAt = at + 5000
          for (const row of recorder.unsafeTake()) slots.unsafeAdd(row, at)
        }
        BusyHour.record(
          end,
          (call, at) => {
            handOver(at)
            recorder.unsafeRecordEnd(call, at)
          },
          recorder.unsafeRecordUsage
        )
        nextAt = 0
        handOver(end)
        const used = heapUsed() - before
        expect(used).toBeLessThan(5 * megabyte)
        const rows = slots.unsafeRows()
        expect(rows).toHaveLength(60 * BusyHour.models.length)
        const bytes = rows.reduce((sum, row) => sum + Rows.encode(row).length + 1, 0)
        expect(bytes / rows.length).toBeLessThan(800)
        const { models } = yield* slots.query(end - hour, end, end)
        expect(models.reduce((sum, { requests }) => sum + requests, 0)).toBe(60 * BusyHour.requestsPerMinute)
      })
  )
})

describe("the start of a text in the request log", () => {
  it("does not keep the whole text in memory", () => {
    const before = heapUsed()
    // A slice of a text refers to the text; these are 100 MB.
    const starts = Array.from({ length: 50 }, (_, each) =>
      RequestLogs.startOf(
        String(each)
          .repeat(2 * megabyte)
          .slice(0, each % 2 === 0 ? 300 : 1000),
        300
      )
    )
    expect(heapUsed() - before).toBeLessThan(20 * megabyte)
    expect(starts.every(({ length }) => length === 300)).toBe(true)
  })
})
