import { FileSystem } from "@effect/platform"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import { describe, expect, it } from "@effect/vitest"
import { Chunk, Duration, Effect, Exit, Fiber, Layer, Ref, Schema, Stream, TestClock } from "effect"
import * as Batch from "../../src/programs/Batch.js"
import * as LLM from "../../src/LLM.js"
import * as RateLimiter from "../../src/rateLimiter/RateLimiter.js"
import { TestLLM } from "../../src/testing/index.js"
import { Failed, scripted } from "../support/batchTask.js"
import { answer, invalid, unavailable } from "../support/scripted.js"

const upTo = (length: number): ReadonlyArray<number> => Array.from({ length }, (_, index) => index)

const values = <A, E>(exits: ReadonlyArray<Exit.Exit<A, E>>) =>
  exits.map((exit) => (Exit.isSuccess(exit) ? exit.value : "failed"))

describe("Batch.run", () => {
  it.effect("returns one result for each request in the order of the requests, not of the answers", () =>
    Effect.gen(function* () {
      const { task } = scripted({ takes: (request) => (request * 37) % 11 })
      const fiber = yield* Effect.fork(Batch.run(upTo(200), { task, concurrency: 16 }))
      yield* TestClock.adjust("1 minute")
      const { exits, progress } = yield* Fiber.join(fiber)
      expect(values(exits)).toEqual(upTo(200).map((n) => n * 2))
      expect(progress).toMatchObject({ total: 200, done: 200, succeeded: 200, failed: 0, isOver: true })
    })
  )

  it.effect("runs no more requests at once than `concurrency`", () =>
    Effect.gen(function* () {
      let most = 0
      let now = 0
      const task = Batch.makeTask({
        name: "busy",
        ask: (_: number) =>
          Effect.acquireUseRelease(
            Effect.sync(() => (most = Math.max(most, ++now))),
            () => Effect.sleep(10),
            () => Effect.sync(() => now--)
          ),
        success: Schema.Void,
        failure: Schema.Never
      })
      const fiber = yield* Effect.fork(Batch.run(upTo(50), { task, concurrency: 7 }))
      yield* TestClock.adjust("1 minute")
      yield* Fiber.join(fiber)
      expect(most).toBe(7)
    })
  )

  it.effect("succeeds when requests fail, die or are interrupted: each exit is the result of its request", () =>
    Effect.gen(function* () {
      const task = Batch.makeTask({
        name: "odd",
        ask: (request: number) =>
          request % 3 === 0
            ? Effect.fail("no")
            : request % 3 === 1
              ? Effect.dieMessage("a bug")
              : request === 2
                ? Effect.interrupt
                : Effect.succeed(request),
        success: Schema.Number,
        failure: Schema.String
      })
      const { exits, progress } = yield* Batch.run(upTo(6), { task })
      expect(exits.map(Exit.isSuccess)).toEqual([false, false, false, false, false, true])
      expect(exits[0]).toEqual(Exit.fail("no"))
      expect(exits[2] !== undefined && Exit.isInterrupted(exits[2])).toBe(true)
      expect(progress).toMatchObject({ succeeded: 1, failed: 5 })
    })
  )

  it.effect("asks a retryable request once more, after all others are over and the longest retryAfter has passed", () =>
    Effect.gen(function* () {
      const { asked, task } = scripted({
        fails: (request, time) =>
          request === 1 && time === 1
            ? new Failed({ request, retryable: true, retryAfter: 5000 })
            : request === 2
              ? new Failed({ request, retryable: true, retryAfter: 3000 })
              : request === 3
                ? new Failed({ request, retryable: false })
                : undefined
      })
      const { progress, result } = yield* Batch.start(upTo(5), { task })
      const ending = yield* Effect.fork(result)
      const last = yield* Effect.fork(Stream.runCollect(progress))
      yield* TestClock.adjust("4999 millis")
      expect([...asked.values()]).toEqual([1, 1, 1, 1, 1])
      yield* TestClock.adjust(1)
      const { exits } = yield* Fiber.join(ending)
      expect([...asked.values()]).toEqual([1, 2, 2, 1, 1])
      expect(values(exits)).toEqual([0, 2, "failed", "failed", 8])
      expect(Chunk.toReadonlyArray(yield* Fiber.join(last)).at(-1)).toMatchObject({
        toRetry: 0,
        failed: 2,
        isOver: true
      })
    }).pipe(Effect.scoped)
  )

  it.effect("takes requests from a stream, and fails when the stream fails", () =>
    Effect.gen(function* () {
      const { task } = scripted()
      const { exits, progress } = yield* Batch.run(Stream.fromIterable(upTo(30)), { task })
      expect(values(exits)).toEqual(upTo(30).map((n) => n * 2))
      expect(progress.total).toBe(30)
      const error = yield* Effect.flip(Batch.run(Stream.concat(Stream.make(1), Stream.fail("gone")), { task }))
      expect(error).toBe("gone")
    })
  )

  it.effect("Batch.start streams the progress with rate and time left until the batch is over", () =>
    Effect.gen(function* () {
      const { task } = scripted({ takes: () => 1000 })
      const { progress, result } = yield* Batch.start(upTo(10), { task, concurrency: 1 })
      const seen = yield* Effect.fork(Stream.runCollect(progress))
      yield* TestClock.adjust("4 seconds")
      yield* TestClock.adjust("6 seconds")
      yield* result
      const all = Chunk.toReadonlyArray(yield* Fiber.join(seen))
      expect(all.find(({ done }) => done === 4)).toMatchObject({
        total: 10,
        tokens: 12,
        rate: 1,
        elapsed: Duration.seconds(4),
        timeLeft: Duration.seconds(6)
      })
      expect(all.at(-1)).toMatchObject({ done: 10, isOver: true, timeLeft: Duration.zero })
    }).pipe(Effect.scoped)
  )

  it.effect("succeeds at once with no exits when there are no requests", () =>
    Effect.gen(function* () {
      const { exits, progress } = yield* Batch.run([], { task: scripted().task })
      expect(exits).toEqual([])
      expect(progress).toMatchObject({ total: 0, done: 0, isOver: true })
    })
  )

  it.effect("waits at the rate limiter with the priority `batch`, behind other calls", () =>
    Effect.gen(function* () {
      const limiter = yield* RateLimiter.make({ capacity: 1, refillRate: 1 })
      const served = yield* Ref.make<ReadonlyArray<string>>([])
      const note = (name: string) =>
        Effect.zipRight(
          limiter.take(),
          Ref.update(served, (before) => [...before, name])
        )
      const task = Batch.makeTask({
        name: "limited",
        ask: (_: number) => note("batch"),
        success: Schema.Void,
        failure: Schema.instanceOf(Error)
      })
      const { result } = yield* Batch.start(upTo(3), { task })
      yield* TestClock.adjust(0)
      const caller = yield* Effect.fork(note("caller"))
      yield* TestClock.adjust("3 seconds")
      yield* Fiber.join(caller)
      yield* result
      expect(yield* Ref.get(served)).toEqual(["batch", "caller", "batch", "batch"])
    }).pipe(Effect.scoped)
  )
})

describe("Batch.chat and Batch.embed", () => {
  it.scoped("Batch.chat and Batch.embed ask the LLM in context, and a rerun reads the journal", () =>
    Effect.gen(function* () {
      const fileSystem = yield* FileSystem.FileSystem
      const directory = yield* fileSystem.makeTempDirectoryScoped()
      const journal = yield* Batch.journal(`${directory}/chats.ndjson`)
      const script = TestLLM.layer([
        TestLLM.answer({ ...answer("one") }),
        TestLLM.failure(invalid),
        TestLLM.failure(unavailable),
        "three"
      ])
      const run = Batch.run(["a", { messages: [{ role: "user", content: "b" }] }, "c"], {
        task: Batch.chat,
        journal,
        concurrency: 1
      })
      const first = yield* Effect.provide(run, script)
      expect(first.exits.map((exit) => (Exit.isSuccess(exit) ? exit.value.text : "failed"))).toEqual([
        "one",
        "failed",
        "three"
      ])
      const again = yield* Effect.provide(run, TestLLM.layer([]))
      expect(again.exits).toEqual(first.exits)
      expect(again.progress).toMatchObject({ resumed: 3, tokens: first.progress.tokens })

      const vectors = yield* Effect.provide(
        Batch.run([["a cat", "a dog"], "a bee"], { task: Batch.embed }),
        Layer.fresh(TestLLM.layer([]))
      )
      const { embeddings } = yield* Effect.provide(LLM.embed("a bee"), TestLLM.layer([]))
      expect(vectors.exits.map((exit) => (Exit.isSuccess(exit) ? exit.value.embeddings.length : 0))).toEqual([2, 1])
      expect(vectors.exits[1]).toMatchObject({ value: { embeddings } })
    }).pipe(Effect.provide(NodeFileSystem.layer))
  )
})
