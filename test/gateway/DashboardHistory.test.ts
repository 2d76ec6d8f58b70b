/** The history of the dashboard: rows, slots, the file, and the route over sockets. */
import { FileSystem } from "@effect/platform"
import { SystemError } from "@effect/platform/Error"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import { describe, expect, it } from "@effect/vitest"
import { Effect, Exit, Logger, Schema, Scope, TestClock } from "effect"
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { defaultMaxAge } from "../../src/gateway/dashboard/history/model.js"
import * as Recorders from "../../src/gateway/dashboard/history/recorder.js"
import type { Row } from "../../src/gateway/dashboard/history/row.js"
import * as Rows from "../../src/gateway/dashboard/history/row.js"
import * as Slots from "../../src/gateway/dashboard/history/slots.js"
import { Dashboard, DashboardHistory } from "../../src/gateway/index.js"
import * as Sketch from "../../src/vocabulary/quantileSketch.js"
import { until } from "../support/eventually.js"
import { adminToken, canary, start } from "./support/dashboard.js"
import { post, send } from "./support/http.js"

const minute = 60_000
const hour = 60 * minute
const day = 24 * hour

/** A time at which slots of every length begin. */
const epoch = 20_000 * day

const rowAt = (at: number, fields: Partial<Row> = {}): Row => ({
  at,
  minutes: 1,
  model: "openai/gpt-large",
  outcomes: { ok: 3, RateLimitError: 1 },
  inputTokens: 10,
  outputTokens: 20,
  cost: 0.5,
  unpricedTokens: 0,
  latency: Rows.histogramOf(Sketch.fromIterable([100, 200, 400])),
  firstEvent: [],
  ...fields
})

const lineAt = (at: number, fields?: Partial<Row>): string => Rows.encode(rowAt(at, fields))

describe("rows of the history", () => {
  it("are the same after they were written and read", () => {
    const recorder = Recorders.unsafeMake()
    for (const latency of [0, 1e-12, 3, 250, 60_000, 1e15]) {
      recorder.unsafeRecordEnd({ model: "m", outcome: "ok", latency, timeToFirstEvent: latency / 2 }, epoch + 5)
    }
    recorder.unsafeRecordUsage({ model: "m", inputTokens: 3, outputTokens: 4, cost: undefined }, epoch + 59_999)
    const rows = recorder.unsafeTake()
    expect(rows).toMatchObject([{ at: epoch, minutes: 1, model: "m", outcomes: { ok: 6 }, unpricedTokens: 7 }])
    expect(rows.map((row) => Rows.decode(Rows.encode(row)))).toEqual(rows)
    expect(recorder.unsafeTake()).toEqual([])
  })

  it("have percentiles with a relative error of at most 5 %, also when they are added up", () => {
    const values = Array.from({ length: 2000 }, (_, index) => 20 + index * 7)
    const parts = [values.filter((_, index) => index % 3 === 0), values.filter((_, index) => index % 3 > 0)]
    const sum = Rows.unsafeMakeSum()
    const [one, two] = parts.map((part) => Rows.histogramOf(Sketch.fromIterable(part)))
    sum.unsafeAdd(rowAt(0, { latency: Rows.addHistograms(one ?? [], two ?? []) }))
    const { latency } = sum.unsafeResult().times
    const exact = (share: number): number => values[Math.floor(share * (values.length - 1))] ?? 0
    for (const [value, share] of [
      [latency?.p50, 0.5],
      [latency?.p95, 0.95],
      [latency?.p99, 0.99]
    ] as const) {
      expect(Math.abs((value ?? 0) / exact(share) - 1)).toBeLessThan(0.055)
    }
  })

  it("are not read from a line that is torn or of something else", () => {
    const line = lineAt(epoch)
    for (let length = 0; length < line.length; length++) expect(Rows.decode(line.slice(0, length))).toBeUndefined()
    for (const other of ['{"at":-1,"model":"m","outcomes":{}}', "[1]", '{"at":1,"model":"m","outcomes":{"ok":"1"}}']) {
      expect(Rows.decode(other)).toBeUndefined()
    }
    expect(Rows.decode('{"at":1,"model":"m","latency":[1e9,1]}')).toBeUndefined()
  })
})

describe("slots of the history", () => {
  it.effect("keep a month in at most 3,000 slots without losing a call, and answer in at most a hundred steps", () =>
    Effect.gen(function* () {
      const slots = Slots.unsafeMake(defaultMaxAge)
      const end = epoch + 40 * day
      for (let at = epoch; at < end; at += minute) {
        slots.unsafeAdd(rowAt(at), at)
        if (at % hour === 0) slots.unsafeAge(at)
      }
      slots.unsafeAge(end)
      const rows = slots.unsafeRows()
      expect(rows.length).toBeLessThan(3000)
      for (const range of [hour, day, 7 * day, 30 * day]) {
        const { buckets, from, models, step } = yield* slots.query(end - range, end, end)
        expect(buckets.length).toBeLessThanOrEqual(101)
        expect(buckets.length).toBeGreaterThanOrEqual(60)
        // The first step begins up to its length before the range.
        const minutes = (end - from) / minute
        expect(minutes - range / minute).toBeLessThan(step / minute)
        expect(models).toMatchObject([{ requests: 4 * minutes, failed: minutes, inputTokens: 10 * minutes }])
        expect(buckets.every(({ at }) => at % step === 0)).toBe(true)
      }
      const threeDaysAgo = yield* slots.query(end - 3 * day, end - 3 * day + hour, end)
      expect([threeDaysAgo.step, threeDaysAgo.buckets.length]).toEqual([10 * minute, 6])
    })
  )

  it.effect("add the models after the first twenty of a slot up under one name", () =>
    Effect.gen(function* () {
      const slots = Slots.unsafeMake(defaultMaxAge)
      for (let each = 0; each < 500; each++) slots.unsafeAdd(rowAt(epoch, { model: `model-${each}` }), epoch)
      expect(slots.unsafeRows()).toHaveLength(21)
      const { buckets, models } = yield* slots.query(epoch, epoch + hour, epoch + hour)
      expect(models).toHaveLength(21)
      expect(models[0]).toMatchObject({ id: "other models", requests: 480 * 4 })
      expect(buckets).toMatchObject([{ at: epoch, outcomes: { ok: 1500, RateLimitError: 500 } }])
    })
  )
})

const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "effect-llm-history-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
)

/** Uses the history in a file, and closes it. Returns the warnings, too. */
const withHistory = <A>(
  path: string,
  use: (history: DashboardHistory.Service) => Effect.Effect<A>,
  change: (files: FileSystem.FileSystem) => FileSystem.FileSystem = (files) => files
) =>
  Effect.gen(function* () {
    const warnings: Array<string> = []
    const logger = Logger.make(({ message }) => warnings.push(String(message)))
    const files = change(yield* FileSystem.FileSystem)
    const result = yield* Effect.scoped(Effect.flatMap(DashboardHistory.makeFile({ path }), use)).pipe(
      Effect.provideService(FileSystem.FileSystem, files),
      Effect.provide(Logger.replace(Logger.defaultLogger, logger))
    )
    return { result, warnings }
  }).pipe(Effect.provide(NodeFileSystem.layer))

const requestsOf = (history: DashboardHistory.Service) =>
  Effect.map(history.query(epoch, epoch + day), ({ models }) =>
    Object.fromEntries(models.map(({ id, requests }) => [id, requests]))
  )

const linesOf = (path: string): ReadonlyArray<string> => readFileSync(path, "utf8").trimEnd().split("\n")

/** Lets the time of a write pass until the condition holds. A write takes real time, in which the next one is not yet planned. */
const untilWritten = (condition: () => boolean) =>
  until(Effect.zipRight(TestClock.adjust("15 seconds"), Effect.sync(condition)), (holds) => holds)

const diskFull = (path: string) =>
  new SystemError({ reason: "WriteZero", module: "FileSystem", method: "writeFile", pathOrDescriptor: path })

const denied = (path: string) =>
  new SystemError({ reason: "PermissionDenied", module: "FileSystem", method: "stat", pathOrDescriptor: path })

describe("the file of the history", () => {
  it.scoped("has a line for each model and minute, and is read at the start", () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(epoch + hour)
      const path = join(yield* folder, "history.jsonl")
      yield* withHistory(path, ({ add }) =>
        Effect.zipRight(
          add([lineAt(epoch), lineAt(epoch, { model: "m" })]),
          add([lineAt(epoch), lineAt(epoch + minute)])
        )
      )
      expect(linesOf(path)).toHaveLength(4)
      const { result, warnings } = yield* withHistory(path, (history) =>
        Effect.zipRight(history.add([lineAt(epoch)]), requestsOf(history))
      )
      expect(result).toEqual({ "openai/gpt-large": 16, m: 4 })
      expect(linesOf(path)).toHaveLength(5)
      expect(warnings).toEqual([])
    })
  )

  it.scoped("is written while the gateway runs, when a minute has ended", () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(epoch + hour)
      const path = join(yield* folder, "history.jsonl")
      yield* withHistory(path, ({ add }) =>
        Effect.gen(function* () {
          yield* add([lineAt(epoch + hour)])
          yield* TestClock.adjust("1 minute")
          expect(linesOf(path)).toHaveLength(1)
          yield* untilWritten(() => linesOf(path).length === 2)
        })
      )
    })
  )

  it.scoped("loses only the line that a killed process has torn, and the next line is whole", () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(epoch + hour)
      const path = join(yield* folder, "history.jsonl")
      const use = (history: DashboardHistory.Service) =>
        Effect.zipRight(history.add([lineAt(epoch), lineAt(epoch + minute)]), requestsOf(history))
      yield* withHistory(path, use)
      writeFileSync(path, readFileSync(path, "utf8").slice(0, -40))
      const { result, warnings } = yield* withHistory(path, use)
      expect(result).toEqual({ "openai/gpt-large": 12 })
      expect(warnings).toEqual([
        expect.stringMatching(/^Lines of the history .* cannot be read and are left out: 1\.$/)
      ])
      expect((yield* withHistory(path, requestsOf)).result).toEqual({ "openai/gpt-large": 12 })
      // The header, too.
      writeFileSync(path, readFileSync(path, "utf8").slice(0, 10))
      expect((yield* withHistory(path, use)).warnings).toEqual([])
      expect((yield* withHistory(path, requestsOf)).result).toEqual({ "openai/gpt-large": 8 })
    })
  )

  it.scoped("has nothing twice and misses nothing after a full disk, of which one warning tells", () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(epoch + hour)
      const path = join(yield* folder, "history.jsonl")
      let isFull = false
      let failures = 0
      const { warnings } = yield* withHistory(
        path,
        ({ add }) =>
          Effect.gen(function* () {
            yield* add([lineAt(epoch), lineAt(epoch + minute)])
            isFull = true
            yield* untilWritten(() => failures >= 3)
            isFull = false
            yield* add([lineAt(epoch + 2 * minute)])
          }),
        (files) => ({
          ...files,
          writeFileString: (path, text, options) =>
            isFull
              ? files
                  .writeFileString(path, text.slice(0, text.length / 2), options)
                  .pipe(Effect.zipRight(Effect.fail(diskFull(path))), Effect.ensuring(Effect.sync(() => failures++)))
              : files.writeFileString(path, text, options)
        })
      )
      expect(warnings).toEqual([expect.stringContaining("Cannot write the history")])
      expect(linesOf(path)).toHaveLength(4)
      expect((yield* withHistory(path, requestsOf)).result).toEqual({ "openai/gpt-large": 12 })
    })
  )

  it.scoped("is left as it is when it is something else, and the history is kept in memory", () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(epoch + hour)
      const path = join(yield* folder, "provider.json")
      writeFileSync(path, '{ "openai": [] }\n')
      const { result, warnings } = yield* withHistory(path, (history) =>
        Effect.zipRight(history.add([lineAt(epoch)]), requestsOf(history))
      )
      expect(result).toEqual({ "openai/gpt-large": 4 })
      expect(warnings).toEqual([expect.stringContaining("is not a history of this version")])
      expect(readFileSync(path, "utf8")).toBe('{ "openai": [] }\n')
    })
  )

  it.scoped("is written later when its folder cannot be read for a while", () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(epoch + hour)
      const path = join(yield* folder, "history.jsonl")
      let isAway = false
      let failures = 0
      const { warnings } = yield* withHistory(
        path,
        ({ add }) =>
          Effect.gen(function* () {
            yield* add([lineAt(epoch)])
            isAway = true
            yield* untilWritten(() => failures >= 2)
            isAway = false
          }),
        (files) => ({
          ...files,
          stat: (path) =>
            Effect.suspend(() => {
              if (!isAway) return files.stat(path)
              failures++
              return Effect.fail(denied(path))
            })
        })
      )
      expect(warnings).toEqual([expect.stringContaining("Cannot write the history")])
      expect((yield* withHistory(path, requestsOf)).result).toEqual({ "openai/gpt-large": 4 })
    })
  )

  it.scoped("warns at the start when the file cannot be written", () =>
    Effect.gen(function* () {
      const path = join(yield* folder, "missing", "history.jsonl")
      const { warnings } = yield* withHistory(path, () => Effect.void)
      expect(warnings).toEqual([expect.stringContaining("Cannot write the history")])
    })
  )

  it.scoped("is replaced by longer slots when it has doubled, which loses no call", () =>
    Effect.gen(function* () {
      const path = join(yield* folder, "history.jsonl")
      const end = epoch + 12 * day
      const minutes = (end - epoch) / minute
      yield* TestClock.setTime(end)
      const header = '{"format":"effect-llm dashboard history","version":1}\n'
      const lines = Array.from({ length: minutes }, (_, index) => `${lineAt(epoch + index * minute)}\n`)
      writeFileSync(path, header)
      const { result, warnings } = yield* withHistory(path, (history) =>
        Effect.gen(function* () {
          // In parts, because only so many rows wait to be written.
          for (let start = 0; start < lines.length; start += 5000) {
            yield* history.add(lines.slice(start, start + 5000))
            const before = readFileSync(path, "utf8")
            yield* untilWritten(() => {
              const text = readFileSync(path, "utf8")
              return text !== before && text.endsWith("\n")
            })
          }
          return yield* history.query(epoch, end)
        })
      )
      expect(warnings).toEqual([])
      expect(result.models).toMatchObject([{ requests: 4 * minutes }])
      // The rows as they came are 2.4 MB.
      expect(readFileSync(path).length).toBeLessThan(1_500_000)
      expect(existsSync(`${path}.tmp`)).toBe(false)
      const again = yield* withHistory(path, (history) => history.query(epoch, end))
      expect(again.result.models).toEqual(result.models)
    })
  )

  it.scoped("only appends to a file that another process writes, too", () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(epoch + hour)
      const path = join(yield* folder, "history.jsonl")
      const { warnings } = yield* withHistory(path, ({ add }) =>
        Effect.zipRight(
          withHistory(path, (other) => other.add([lineAt(epoch)])),
          add([lineAt(epoch)])
        )
      )
      expect(warnings).toEqual([expect.stringContaining("Another process writes the history")])
      expect((yield* withHistory(path, requestsOf)).result).toEqual({ "openai/gpt-large": 8 })
    })
  )
})

const page = new URL("./nowhere/", import.meta.url)

const authorization = { authorization: `Bearer ${adminToken}` }

const decode = Schema.decodeUnknownSync(Dashboard.History, { onExcessProperty: "error" })

describe("the history over sockets", () => {
  it.scopedLive("has the calls, tokens and costs of the dashboard, also after a restart", () =>
    Effect.gen(function* () {
      const history = join(yield* folder, "history.jsonl")
      const scope = yield* Scope.make()
      const { dashboard, url } = yield* Scope.extend(start({ page, history }), scope)
      const ask = (model: string) =>
        post(
          `${url}/v1/chat/completions`,
          { model, messages: [{ role: "user", content: "The prompt." }] },
          authorization
        )
      yield* ask("openai/gpt-large")
      yield* ask("no-such-model")
      const range = `from=${Date.now() - hour}&to=${Date.now() + hour}`
      const read = (url: string) => send(`${url}/dashboard/history?${range}`, { headers: authorization })
      const first = decode((yield* read(url)).json)
      const { hasHistory, models } = yield* dashboard.snapshot
      expect(hasHistory).toBe(true)
      expect(first.models.map(({ failed, id, requests }) => [id, requests, failed])).toEqual([
        ["", 1, 1],
        ["openai/gpt-large", 1, 0]
      ])
      const { cost, inputTokens, outputTokens } = models[0] ?? { cost: 0, inputTokens: 0, outputTokens: 0 }
      expect(first.models[1]).toMatchObject({ cost, inputTokens, outputTokens, unpricedTokens: 0 })
      expect(cost).toBeGreaterThan(0)
      expect(first.buckets.at(-1)?.outcomes).toEqual({ ok: 1, refused: 1 })
      yield* Scope.close(scope, Exit.void)
      const text = readFileSync(history, "utf8")
      for (const secret of [canary, "The prompt.", "no-such-model"]) expect(text).not.toContain(secret)
      const again = yield* start({ page, history })
      expect(decode((yield* read(again.url)).json).models).toEqual(first.models)
    })
  )

  it.scopedLive("requires the admin token and a range, and is not found without a file", () =>
    Effect.gen(function* () {
      const history = join(yield* folder, "history.jsonl")
      const { url } = yield* start({ page, history, access: { adminToken, keys: [{ key: "sk-team" }] } })
      const status = (query: string, headers: Readonly<Record<string, string>> = authorization, at = url) =>
        Effect.map(send(`${at}/dashboard/history${query}`, { headers }), ({ status }) => status)
      expect(yield* status("?from=0&to=1", {})).toBe(401)
      expect(yield* status("?from=0&to=1", { authorization: "Bearer sk-team" })).toBe(403)
      expect(yield* status("?from=0&to=1")).toBe(200)
      for (const query of ["", "?from=1&to=1", "?from=a&to=b", "?from=-1&to=5", "?from=0&to=Infinity", "?from=0"]) {
        expect(yield* status(query)).toBe(400)
      }
      const without = yield* start({ page })
      expect(yield* status("?from=0&to=1", authorization, without.url)).toBe(404)
    })
  )
})
