import { FileSystem } from "@effect/platform"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import { describe, expect, it } from "@effect/vitest"
import { Clock, Deferred, Effect, Exit, Fiber, Layer, Option, Schema, Stream, TestClock } from "effect"
import * as FastCheck from "fast-check"
import { spawn } from "node:child_process"
import * as Batch from "../../src/programs/Batch.js"
import { compiled } from "../support/compiled.js"
import { Failed, scripted } from "../support/batchTask.js"
import { eventually } from "../support/eventually.js"

const upTo = (length: number): ReadonlyArray<number> => Array.from({ length }, (_, index) => index)

const doubled = (length: number) => upTo(length).map((n) => Exit.succeed(n * 2))

/** Node's file system without `fsync`, which takes most of the time: these tests kill processes, not the machine. */
const withoutSync = Layer.effect(
  FileSystem.FileSystem,
  Effect.map(FileSystem.FileSystem, (files) => ({
    ...files,
    open: (...args: Parameters<typeof files.open>) =>
      Effect.map(files.open(...args), (file): FileSystem.File => Object.create(file, { sync: { value: Effect.void } }))
  }))
).pipe(Layer.provide(NodeFileSystem.layer))

const makeJournal = Effect.gen(function* () {
  const fileSystem = yield* FileSystem.FileSystem
  const path = `${yield* fileSystem.makeTempDirectoryScoped()}/journal.ndjson`
  return { fileSystem, path, journal: yield* Batch.journal(path) }
})

/** Files and processes do not follow a test clock. */
const realClock = Clock.make()

const Line = Schema.parseJson(Schema.Struct({ index: Schema.Number }))

const Outcome = Schema.parseJson(
  Schema.Struct({ index: Schema.Number, exit: Schema.Struct({ _tag: Schema.Literal("Success", "Failure") }) })
)

/** The index of each result line of a journal. */
const recordedIn = (text: string): ReadonlyArray<number> =>
  text
    .split("\n")
    .slice(1, -1)
    .map((line) => Schema.decodeUnknownSync(Line)(line).index)

/** Whether the last line of each request is an answer. Throws when a request has a line after its answer. */
const outcomesIn = (text: string): ReadonlyMap<number, boolean> => {
  const outcomes = new Map<number, boolean>()
  for (const line of text.split("\n").slice(1, -1)) {
    const { exit, index } = Schema.decodeUnknownSync(Outcome)(line)
    if (outcomes.get(index) === true) throw new Error(`request ${index} was recorded after its answer`)
    outcomes.set(index, exit._tag === "Success")
  }
  return outcomes
}

const sorted = (numbers: Iterable<number>): ReadonlyArray<number> => [...numbers].sort((self, that) => self - that)

/** Turns the line of an answer into the line of a failure. */
const failure = (line: string): string =>
  line.replace(/"exit":.*$/, '"exit":{"_tag":"Failure","cause":{"_tag":"Empty"}}}')

describe("batch journal", () => {
  it.scoped("creates the journal, and a second run of a finished batch asks nothing", () =>
    Effect.gen(function* () {
      const { fileSystem, journal, path } = yield* makeJournal
      const first = yield* Batch.run(upTo(20), { task: scripted().task, journal })
      expect(sorted(recordedIn(yield* fileSystem.readFileString(path)))).toEqual(upTo(20))
      const { asked, task } = scripted()
      const second = yield* Batch.run(upTo(20), { task, journal })
      expect(asked.size).toBe(0)
      expect(second.exits).toEqual(first.exits)
      expect(second.progress).toMatchObject({ resumed: 20, succeeded: 20, rate: 0 })
    }).pipe(Effect.provide(NodeFileSystem.layer))
  )

  it.scoped("a journal has results with Options and Sets, and defects that are no errors", () =>
    Effect.gen(function* () {
      const { journal } = yield* makeJournal
      const results = [
        Exit.succeed({ option: Option.some(1), set: new Set(["é"]) }),
        Exit.succeed({ option: Option.none<number>(), set: new Set<string>() }),
        Exit.die("a text"),
        Exit.die(undefined)
      ]
      const taskOf = (
        ask: (request: number) => Exit.Exit<{ option: Option.Option<number>; set: ReadonlySet<string> }>
      ) =>
        Batch.makeTask({
          name: "results",
          ask: (request: number) => Effect.suspend(() => ask(request)),
          success: Schema.Struct({ option: Schema.Option(Schema.Number), set: Schema.ReadonlySet(Schema.String) }),
          failure: Failed
        })
      yield* Batch.run(upTo(4), { task: taskOf((request) => results[request] ?? Exit.die("none")), journal })
      const { exits, progress } = yield* Batch.run(upTo(4), { task: taskOf(() => Exit.die("asked again")), journal })
      expect(progress.resumed).toBe(4)
      expect(exits).toEqual(results)
    }).pipe(Effect.provide(NodeFileSystem.layer))
  )

  it.scoped("records final failures, but not failures that will be retried", () =>
    Effect.gen(function* () {
      const { fileSystem, journal, path } = yield* makeJournal
      const failing = scripted({
        takes: (request) => (request < 2 ? 0 : 60_000),
        fails: (request) => new Failed({ request, retryable: request === 0 })
      })
      const fiber = yield* Effect.fork(Batch.run(upTo(3), { task: failing.task, journal }))
      yield* Effect.iterate(false, {
        while: (written) => !written,
        body: () =>
          Effect.zipRight(
            TestClock.adjust(0),
            Effect.map(fileSystem.readFileString(path), (text) => recordedIn(text).length === 1)
          ).pipe(Effect.orElseSucceed(() => false))
      })
      yield* Fiber.interrupt(fiber)
      expect(recordedIn(yield* fileSystem.readFileString(path))).toEqual([1])
      const { asked, task } = scripted()
      const { exits } = yield* Batch.run(upTo(3), { task, journal })
      expect([...asked.keys()]).toEqual([0, 2])
      expect(exits[1]).toEqual(Exit.fail(new Failed({ request: 1, retryable: false })))
    }).pipe(Effect.provide(NodeFileSystem.layer))
  )

  it.scoped("records one final result for each request, whichever failures `resume` asks again", () =>
    Effect.gen(function* () {
      const { fileSystem, journal, path } = yield* makeJournal
      const failing = scripted({ fails: (request) => new Failed({ request, retryable: request === 1 }) })
      const failed = (request: number) => Exit.fail(new Failed({ request, retryable: request === 1 }))
      const broken = yield* Batch.run(upTo(3), { task: failing.task, journal })
      expect(broken.exits).toEqual(upTo(3).map(failed))

      const untouched = scripted()
      const replayed = yield* Batch.run(upTo(3), { task: untouched.task, journal, resume: "unfinished" })
      expect(replayed.exits).toEqual(broken.exits)
      expect(replayed.progress).toMatchObject({ resumed: 3, failed: 3 })
      expect(untouched.asked.size).toBe(0)

      const later = scripted()
      const mended = yield* Batch.run(upTo(3), { task: later.task, journal })
      expect([...later.asked.keys()]).toEqual([1])
      expect(mended.exits).toEqual([failed(0), Exit.succeed(2), failed(2)])
      expect(mended.progress).toMatchObject({ done: 3, resumed: 2, succeeded: 1, failed: 2 })

      const still = scripted({ fails: (request) => new Failed({ request, retryable: false }) })
      yield* Batch.run(upTo(3), { task: still.task, journal, resume: "failed", concurrency: 1 })
      expect([...still.asked.keys()]).toEqual([0, 2])

      const last = scripted()
      const { exits, progress } = yield* Batch.run(upTo(3), { task: last.task, journal, resume: "failed" })
      expect([...last.asked.keys()]).toEqual([0, 2])
      expect(exits).toEqual(doubled(3))
      expect(progress).toMatchObject({ done: 3, resumed: 1, succeeded: 3, failed: 0 })
      expect(outcomesIn(yield* fileSystem.readFileString(path))).toEqual(new Map(upTo(3).map((n) => [n, true])))
    }).pipe(Effect.provide(NodeFileSystem.layer))
  )

  it.scoped("refuses the journal of another batch and leaves the file unchanged", () =>
    Effect.gen(function* () {
      const { fileSystem, journal, path } = yield* makeJournal
      yield* Batch.run([1, 2], { task: scripted().task, journal })
      const before = yield* fileSystem.readFileString(path)
      const other = { ...scripted().task, name: "treble" }
      for (const refused of [
        Batch.run([1, 3], { task: scripted().task, journal }),
        Batch.run([1, 2, 3], { task: scripted().task, journal }),
        Batch.run([1, 2], { task: other, journal }),
        Batch.run(Stream.make(1, 2), { task: scripted().task, journal })
      ]) {
        expect(yield* Effect.flip(refused)).toMatchObject({ _tag: "BatchJournalError", reason: "OtherBatch", path })
      }
      expect(yield* fileSystem.readFileString(path)).toBe(before)
    }).pipe(Effect.provide(NodeFileSystem.layer))
  )

  it.scoped("refuses the journal of another stream at the first request that differs", () =>
    Effect.gen(function* () {
      const { journal } = yield* makeJournal
      const run = (...requests: ReadonlyArray<number>) =>
        Batch.run(Stream.fromIterable(requests), { task: scripted().task, journal })
      yield* run(1, 2)
      expect((yield* run(1, 2, 3)).progress).toMatchObject({ resumed: 2, done: 3 })
      for (const other of [run(1, 5, 3), run(1)]) {
        expect(yield* Effect.flip(other)).toMatchObject({ reason: "OtherBatch" })
      }
    }).pipe(Effect.provide(NodeFileSystem.layer))
  )

  it.scoped("refuses a corrupt journal, and a path that cannot be used", () =>
    Effect.gen(function* () {
      const { fileSystem, journal, path } = yield* makeJournal
      const { task } = scripted()
      yield* Batch.run([1, 2], { task, journal })
      const [header = "", first = "", second = ""] = (yield* fileSystem.readFileString(path)).split("\n")
      for (const lines of [
        ["shopping list"],
        [header, first.slice(0, 20), second],
        [header, first, first],
        [header, failure(first), failure(second).replace('"index":1', '"index":0')],
        [header, first.replace("Success", "Fortune")]
      ]) {
        yield* fileSystem.writeFileString(path, `${lines.join("\n")}\n`)
        expect(yield* Effect.flip(Batch.run([1, 2], { task, journal }))).toMatchObject({ reason: "Corrupt" })
      }
      const nowhere = yield* Batch.journal(`${path}/nowhere/journal`)
      expect(yield* Effect.flip(Batch.run([1], { task, journal: nowhere }))).toMatchObject({ reason: "Unusable" })
    }).pipe(Effect.provide(NodeFileSystem.layer))
  )
})

describe("resuming a batch after a kill", () => {
  it.scoped("resumes from a journal cut at any byte, and records every request once", () =>
    Effect.gen(function* () {
      const { fileSystem, journal, path } = yield* makeJournal
      yield* Batch.run(upTo(2), { task: scripted().task, journal })
      const whole = yield* fileSystem.readFile(path)
      const cutAt = (length: number) =>
        Effect.gen(function* () {
          const cut = whole.slice(0, length)
          const cutPath = `${path}.${length}`
          yield* fileSystem.writeFile(cutPath, cut)
          const recorded = new Set(recordedIn(new TextDecoder().decode(cut)))
          const { asked, task } = scripted()
          const { exits } = yield* Batch.run(upTo(2), { task, journal: yield* Batch.journal(cutPath) })
          expect(exits).toEqual(doubled(2))
          expect(sorted(asked.keys())).toEqual(upTo(2).filter((n) => !recorded.has(n)))
          expect(sorted(recordedIn(yield* fileSystem.readFileString(cutPath)))).toEqual(upTo(2))
        })
      // Every byte around the ends of lines, and every third one between them.
      const isNearEnd = (length: number) => whole.slice(Math.max(0, length - 2), length + 2).includes(10)
      const lengths = upTo(whole.length + 1).filter((length) => length % 3 === 0 || isNearEnd(length))
      yield* Effect.forEach(lengths, cutAt, { concurrency: 16, discard: true })
    }).pipe(Effect.provide(withoutSync))
  )

  it.scoped("records an answer that has arrived although the batch is interrupted before it is written", () =>
    Effect.gen(function* () {
      const { fileSystem, journal, path } = yield* makeJournal
      const begun = yield* Deferred.make<void>()
      const writing = yield* Deferred.make<void>()
      const slowNumber = Schema.transformOrFail(Schema.Number, Schema.Number, {
        decode: (n) => Effect.succeed(n),
        encode: (n) => Effect.as(Effect.zipRight(Deferred.succeed(begun, undefined), Deferred.await(writing)), n)
      })
      const task = Batch.makeTask({
        name: "slow to write",
        ask: (request: number) => Effect.succeed(request),
        success: slowNumber,
        failure: Schema.Never
      })
      const fiber = yield* Effect.fork(Batch.run(upTo(3), { task, journal, concurrency: 1 }))
      yield* Deferred.await(begun)
      const interrupting = yield* Effect.fork(Fiber.interrupt(fiber))
      yield* Effect.repeatN(Effect.yieldNow(), 50)
      yield* Deferred.succeed(writing, undefined)
      yield* Fiber.join(interrupting)
      expect(recordedIn(yield* fileSystem.readFileString(path))).toEqual([0])
    }).pipe(Effect.provide(withoutSync))
  )

  it.scoped.prop(
    "asks each request until one answer after any number of interruptions",
    { pauses: FastCheck.array(FastCheck.integer({ min: 0, max: 12 }), { maxLength: 5 }) },
    ({ pauses }) =>
      Effect.gen(function* () {
        const { fileSystem, journal, path } = yield* makeJournal
        const { answered, task } = scripted({
          takes: (request) => request % 3,
          fails: (request, time) =>
            request % 5 === 0 && time === 1 ? new Failed({ request, retryable: true }) : undefined
        })
        const run = Batch.run(upTo(40), { task, journal, concurrency: 3 })
        for (const pause of pauses) yield* Effect.timeoutOption(run, pause)
        const { exits } = yield* run
        expect(exits).toEqual(doubled(40))
        expect(sorted(recordedIn(yield* fileSystem.readFileString(path)))).toEqual(upTo(40))
        // An answer is recorded although the run is interrupted, so no request is answered twice.
        expect(new Set(answered.values())).toEqual(new Set([1]))
      }).pipe(Effect.withClock(realClock), Effect.provide(withoutSync)),
    { fastCheck: { numRuns: 8 } }
  )

  it.scoped.prop(
    "asks for no answer twice when interrupted runs with `resume: failed` repeat the failures",
    { pauses: FastCheck.array(FastCheck.integer({ min: 0, max: 12 }), { maxLength: 5 }) },
    ({ pauses }) =>
      Effect.gen(function* () {
        const { fileSystem, journal, path } = yield* makeJournal
        let isBroken = true
        const { answered, task } = scripted({
          takes: (request) => request % 3,
          fails: (request) => (isBroken && request % 4 === 0 ? new Failed({ request, retryable: false }) : undefined)
        })
        const run = Batch.run(upTo(40), { task, journal, concurrency: 3, resume: "failed" })
        for (const pause of pauses) yield* Effect.timeoutOption(run, pause)
        isBroken = false
        for (const pause of pauses) yield* Effect.timeoutOption(run, pause)
        const { exits } = yield* run
        expect(exits).toEqual(doubled(40))
        expect(outcomesIn(yield* fileSystem.readFileString(path))).toEqual(new Map(upTo(40).map((n) => [n, true])))
        expect(new Set(answered.values())).toEqual(new Set([1]))
      }).pipe(Effect.withClock(realClock), Effect.provide(withoutSync)),
    { fastCheck: { numRuns: 5 } }
  )

  it.scoped("resumes a process killed with SIGKILL from the results on the disk", () =>
    Effect.gen(function* () {
      const { fileSystem, journal, path } = yield* makeJournal
      const program = yield* compiled(new URL("../support/batchChild.ts", import.meta.url))
      const child = yield* Effect.acquireRelease(
        Effect.sync(() =>
          spawn(process.execPath, [program, path], {
            stdio: "ignore"
          })
        ),
        (running) => Effect.sync(() => running.kill("SIGKILL"))
      )
      const exited = Effect.async<void>((resume) => {
        if (child.exitCode !== null || child.signalCode !== null) resume(Effect.void)
        else child.once("exit", () => resume(Effect.void))
      })
      const written = fileSystem.readFileString(path).pipe(Effect.orElseSucceed(() => ""))
      yield* eventually(Effect.map(written, (text) => text.split("\n").length > 60))
      child.kill("SIGKILL")
      yield* exited
      const outcomes = outcomesIn(yield* written)
      const answered = [...outcomes].filter(([, isAnswered]) => isAnswered)
      expect(answered.length).toBeGreaterThanOrEqual(40)
      expect(answered.length).toBeLessThan(outcomes.size)
      expect(outcomes.size).toBeLessThan(200)
      const { asked, task } = scripted()
      const { exits, progress } = yield* Batch.run(upTo(200), { task, journal, concurrency: 64, resume: "failed" })
      expect(exits).toEqual(doubled(200))
      expect(progress.resumed).toBe(answered.length)
      expect(asked.size).toBe(200 - answered.length)
      expect(sorted(outcomesIn(yield* written).keys())).toEqual(upTo(200))
      expect(new Set(outcomesIn(yield* written).values())).toEqual(new Set([true]))
    }).pipe(Effect.provide(withoutSync))
  )
})
