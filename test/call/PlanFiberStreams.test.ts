/** Streams of a client's effects on the straight way of the call plan, which a fiber of their own reads. */
import { describe, expect, it } from "@effect/vitest"
import { Cause, Chunk, Deferred, Effect, Exit, Fiber, Layer, Option, Stream } from "effect"
import * as ProviderClient from "../../src/call/ProviderClient.js"
import * as KeyPool from "../../src/keyPool/KeyPool.js"
import * as LLM from "../../src/LLM.js"
import * as RateLimiter from "../../src/rateLimiter/RateLimiter.js"
import type { ChatEvent } from "../../src/vocabulary/ChatEvent.js"
import * as ChatEvents from "../../src/vocabulary/ChatEvent.js"
import type { LLMError } from "../../src/vocabulary/LLMError.js"
import { eventually } from "../support/eventually.js"
import { portable } from "../support/portable.js"
import { answer } from "../support/scripted.js"
import { interruptedAt } from "../support/steps.js"
import type { Reply } from "../support/timedProvider.js"
import * as Provider from "../support/timedProvider.js"

let runs = 0

const events = ChatEvents.fromResponse(answer("yes"))

/** An `LLM` over a client whose streams are these. */
const llmOf = (stream: (key: string) => Stream.Stream<ChatEvent, LLMError>, options: Partial<LLM.Options> = {}) =>
  LLM.make({ model: "model", retry: false, ...options }).pipe(
    Effect.provide(
      Layer.mergeAll(
        Layer.succeed(ProviderClient.ProviderClient, {
          provider: `fibers-${runs++}`,
          wire: "test",
          chat: () => Effect.succeed(answer("yes")),
          chatStream: (_, { key }) => stream(key.id)
        }),
        RateLimiter.layer({ capacity: 1000, refillRate: 1e-9, maxConcurrency: 5 }),
        KeyPool.layer({ provider: "test", keys: [{ key: "one", id: "one" }] })
      )
    )
  )

const inUse = (llm: LLM.Service) =>
  Effect.map(llm.status, ({ keys, limiter }) => ({
    keys: keys.keys.map(({ inFlight }) => inFlight),
    permits: limiter.concurrency?.inFlight
  }))

const nothing = { keys: [0], permits: 0 }

describe("a stream of a client's effects", () => {
  const endings: ReadonlyArray<Reply> = [
    { pace: 0 },
    { pace: 0, pieces: 2 },
    { pace: 0, status: 500 },
    { pace: 0, pieces: 2, end: "reset" }
  ]

  it.scopedLive.each([
    ["is read to its end", (stream: Stream.Stream<ChatEvent, LLMError>) => Stream.runDrain(stream)],
    ["is left after an event", (stream: Stream.Stream<ChatEvent, LLMError>) => Stream.runDrain(Stream.take(stream, 1))]
  ] as const)(
    "that %s gives everything back and reports each attempt once when it is interrupted at any step",
    ([, run]) =>
      Effect.gen(function* () {
        for (const [offset, reply] of endings.entries()) {
          const server = Provider.make(() => reply)
          const { attempts, llm } = yield* Provider.setup(
            { ...server, http: portable(server.http) },
            { provider: `fibers-${runs++}`, keys: ["one"], llm: { retry: false } }
          )
          // A stream has hundreds of steps: each reply has another part of them.
          for (let step = 1 + offset, isOver = false; !isOver; step += endings.length) {
            const exit = yield* interruptedAt(run(llm.chatStream("?")), step, "20 millis")
            isOver = Option.exists(exit, (ended) => Exit.isSuccess(ended) || !Cause.isInterrupted(ended.cause))
            yield* eventually(Effect.map(inUse(llm), ({ keys }) => keys[0] === 0 && server.open() === 0))
            expect(attempts.length).toBeGreaterThanOrEqual(server.sent())
            const { limiter } = yield* llm.status
            expect(Math.round(Provider.capacity - limiter.available)).toBe(attempts.length)
          }
        }
      })
  )

  it.scopedLive("is read only a few pulls ahead of its consumer", () =>
    Effect.gen(function* () {
      let pulled = 0
      const delta: ChatEvent = { _tag: "TextDelta", text: "token ", index: 0 }
      const endless = Stream.repeatEffect(
        Effect.sync(() => {
          pulled++
          return delta
        })
      ).pipe(Stream.rechunk(1))
      const llm = yield* llmOf(() => endless)
      let consumed = 0
      let ahead = 0
      yield* llm.chatStream("?").pipe(
        Stream.tap(() => Effect.yieldNow()),
        Stream.tap(() =>
          Effect.sync(() => {
            consumed++
            ahead = Math.max(ahead, pulled - consumed)
          })
        ),
        Stream.take(100),
        Stream.runDrain
      )
      expect(pulled).toBeGreaterThanOrEqual(100)
      expect(ahead).toBeLessThanOrEqual(5)
      yield* eventually(Effect.map(inUse(llm), ({ keys }) => keys[0] === 0))
    })
  )

  it.scopedLive.each(["the consumer stops", "a time limit expires", "the caller is interrupted"] as const)(
    "has released its connection before its key is given back when %s",
    (end) =>
      Effect.gen(function* () {
        const states: Array<unknown> = []
        const begun = yield* Deferred.make<void>()
        const llm: LLM.Service = yield* llmOf(
          () =>
            Stream.concat(Stream.fromIterable(events.slice(0, 1)), Stream.never).pipe(
              Stream.tap(() => Deferred.succeed(begun, undefined)),
              Stream.ensuring(
                Effect.suspend(() => Effect.map(inUse(llm), ({ keys, permits }) => void states.push(keys[0], permits)))
              )
            ),
          { timeouts: end === "a time limit expires" ? { idle: "20 millis" } : {} }
        )
        const stream = llm.chatStream("?")
        const fiber = yield* Effect.fork(
          Effect.exit(Stream.runDrain(end === "the consumer stops" ? Stream.take(stream, 1) : stream))
        )
        yield* Deferred.await(begun)
        if (end === "the caller is interrupted") yield* Fiber.interrupt(fiber)
        const exit = yield* Fiber.await(fiber)
        expect(states).toEqual([1, 1])
        expect(yield* inUse(llm)).toEqual(nothing)
        if (end === "a time limit expires") {
          const failure = Exit.flatten(exit).pipe(Exit.causeOption, Option.flatMap(Cause.failureOption))
          expect(Option.getOrUndefined(failure)).toMatchObject({ _tag: "TimeoutError", phase: "idle" })
        }
      })
  )

  it.scopedLive("ends at its time limits where it cannot be interrupted", () =>
    Effect.gen(function* () {
      for (const [stream, phase] of [
        [Stream.never, "first-event"],
        [Stream.concat(Stream.fromIterable(events.slice(0, 1)), Stream.never), "idle"]
      ] as const) {
        const llm = yield* llmOf(() => stream, { timeouts: { firstEvent: "20 millis", idle: "20 millis" } })
        const error = yield* Effect.flip(Effect.uninterruptible(Stream.runDrain(llm.chatStream("?"))))
        expect(error).toMatchObject({ _tag: "TimeoutError", phase, attempts: [{ error: "TimeoutError" }] })
        expect(yield* inUse(llm)).toEqual(nothing)
      }
    })
  )

  it.scopedLive("without events ends without events", () =>
    Effect.gen(function* () {
      const llm = yield* llmOf(() => Stream.empty)
      expect(Chunk.size(yield* Stream.runCollect(llm.chatStream("?")))).toBe(0)
      expect(yield* inUse(llm)).toEqual(nothing)
    })
  )

  it.scopedLive("that dies or throws ends the call with its defect and gives everything back", () =>
    Effect.gen(function* () {
      const raise = (): never => {
        throw new Error("a bug")
      }
      for (const stream of [
        raise,
        () => Stream.die("a bug"),
        () => Stream.concat(Stream.fromIterable(events.slice(0, 1)), Stream.die("a bug"))
      ]) {
        const llm = yield* llmOf(stream)
        const exit = yield* Effect.exit(Stream.runDrain(llm.chatStream("?")))
        expect(Exit.isFailure(exit) && Cause.isDie(exit.cause)).toBe(true)
        expect(yield* inUse(llm)).toEqual(nothing)
      }
    })
  )
})
