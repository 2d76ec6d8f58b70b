/** Laws of the call plan under the live clock: each attempt is reported once, and no event of a stream is lost. */
import { HttpClient } from "@effect/platform"
import { describe, expect, it } from "@effect/vitest"
import { Effect, Exit, Option, Stream } from "effect"
import * as Finalizers from "../../src/call/finalizers.js"
import * as OpenStream from "../../src/call/openStream.js"
import * as Timeouts from "../../src/call/Timeouts.js"
import { liveClock } from "../../src/internal/clock.js"
import type * as LLM from "../../src/LLM.js"
import * as ChatEvents from "../../src/vocabulary/ChatEvent.js"
import type { LLMError } from "../../src/vocabulary/LLMError.js"
import { eventually } from "../support/eventually.js"
import { otherClock } from "../support/otherClock.js"
import { portable } from "../support/portable.js"
import { endedByItself, interruptedAt } from "../support/steps.js"
import type { Reply, TimedProvider } from "../support/timedProvider.js"
import * as Provider from "../support/timedProvider.js"
import { runInVirtualTime } from "../support/virtualTime.js"

let runs = 0

const calls: ReadonlyArray<readonly [string, (llm: LLM.Service) => Effect.Effect<void, LLMError>]> = [
  ["a chat", (llm) => Effect.asVoid(llm.chat("?"))],
  ["a stream", (llm) => Stream.runDrain(llm.chatStream("?"))],
  ["a stream whose consumer stops", (llm) => Stream.runDrain(Stream.take(llm.chatStream("?"), 1))]
]

describe("the usage listeners of a call", () => {
  const endings: ReadonlyArray<Reply> = [
    { pace: "now" },
    { pace: 0 },
    { pace: 0, pieces: 2 },
    { pace: 0, status: 500 },
    { pace: 0, pieces: 2, end: "reset" }
  ]

  it.scopedLive.each(calls)(
    "get exactly one attempt for each request when %s is interrupted before any of its steps",
    ([, call]) =>
      Effect.gen(function* () {
        for (const reply of endings) {
          const server = Provider.make(() => reply)
          const { attempts, llm } = yield* Provider.setup(server, {
            provider: `steps-${runs++}`,
            keys: ["key"],
            llm: { retry: false }
          })
          for (let step = 1, isOver = false; !isOver; step++) {
            const exit = yield* interruptedAt(call(llm), step, "20 millis")
            if (Option.isNone(exit)) yield* eventually(Effect.sync(() => attempts.length === server.sent()))
            isOver = Option.exists(exit, endedByItself)
            expect(attempts.length, `step ${step} of ${JSON.stringify(reply)}`).toBe(server.sent())
          }
        }
      })
  )

  it.scopedLive("get a timeout for an attempt that the time limit of a middleware ends", () =>
    Effect.gen(function* () {
      const server = Provider.make(() => ({ pace: 0, pieces: 1, end: "stay open" }))
      const { attempts, llm } = yield* Provider.setup(server, {
        provider: `limits-${runs++}`,
        keys: ["key"],
        llm: { retry: false, timeouts: false }
      })
      const limited = yield* Timeouts.middleware({ total: "30 millis" })(llm)
      for (const [, call] of calls.slice(0, 2)) expect((yield* Effect.flip(call(limited)))._tag).toBe("TimeoutError")
      expect(attempts.map(({ outcome }) => outcome)).toEqual(["TimeoutError", "TimeoutError"])
    })
  )
})

describe("the request of a whole answer over an HttpClient", () => {
  const kinds: ReadonlyArray<readonly [string, (llm: LLM.Service) => Effect.Effect<unknown, LLMError>]> = [
    ["a chat", (llm) => llm.chat("?")],
    ["an embedding", (llm) => llm.embed("?")]
  ]

  it.scopedLive.each(kinds)("is aborted when %s is interrupted before any of its steps", ([, call]) =>
    Effect.gen(function* () {
      const server = Provider.make(() => ({ pace: 0, end: "stay open" }))
      const { llm } = yield* Provider.setup(
        { ...server, http: portable(server.http) },
        { provider: `aborts-${runs++}`, keys: ["key"], llm: { retry: false, timeouts: { total: "20 millis" } } }
      )
      for (let step = 1, isOver = false; !isOver; step++) {
        const exit = yield* interruptedAt(call(llm), step, "100 millis")
        yield* eventually(Effect.sync(() => server.open() === 0))
        isOver = Option.exists(exit, endedByItself)
      }
      expect(server.sent()).toBeGreaterThan(0)
    })
  )
})

describe("the time limits of a call", () => {
  it.scopedLive.each(calls.slice(0, 2))("end %s that cannot be interrupted, also on the way of effects", ([, call]) =>
    Effect.gen(function* () {
      for (const clock of [liveClock, otherClock]) {
        const server = Provider.make(() => ({ pace: 0, status: "silent" }))
        const { llm } = yield* Provider.setup(server, {
          provider: `uninterruptible-${runs++}`,
          keys: ["key"],
          llm: { retry: false, timeouts: { response: "20 millis", firstEvent: "20 millis" } }
        })
        const error = yield* Effect.flip(Effect.uninterruptible(call(llm))).pipe(Effect.withClock(clock))
        expect(error._tag).toBe("TimeoutError")
        expect(server.open()).toBe(0)
      }
    })
  )
})

describe("the time limits of a middleware around a call", () => {
  const clients: ReadonlyArray<readonly [string, (server: TimedProvider) => HttpClient.HttpClient]> = [
    ["over a direct transport", ({ http }) => http],
    ["over an HttpClient", ({ http }) => HttpClient.mapRequest(http, (request) => request)]
  ]

  it.each(clients)("close its request and name it once when they expire together with its own, %s", (_, clientOf) =>
    runInVirtualTime(
      Effect.gen(function* () {
        const server = Provider.make(() => ({ pace: 0, pieces: 0, end: "stay open" }))
        const { attempts, llm } = yield* Provider.setup(
          { ...server, http: clientOf(server) },
          { provider: `together-${runs++}`, keys: ["key"], llm: { retry: false, timeouts: { total: "2 seconds" } } }
        )
        const limited = yield* Timeouts.middleware({ total: "2 seconds" })(llm)
        for (const [, call] of calls.slice(0, 2)) {
          const error = yield* Effect.flip(call(limited))
          expect(error.attempts.map((attempt) => attempt.error)).toEqual(["TimeoutError"])
          expect(error.keyId).toBe(error.attempts[0]?.keyId)
          expect(server.open()).toBe(0)
        }
        expect(attempts.map(({ outcome }) => outcome)).toEqual(["TimeoutError", "TimeoutError"])
      }).pipe(Effect.scoped)
    )
  )
})

describe("the grace for the usage of a stream", () => {
  /** An answer without content. The finish signal comes with the first events, and no usage follows. */
  const empty = {
    whole: "",
    pieces: ['data: {"id":"a","choices":[{"index":0,"delta":{"content":""},"finish_reason":"stop"}]}\n\n']
  }

  it.each([
    ["over a direct transport", liveClock],
    ["on the way of effects", otherClock]
  ] as const)("begins with the finish signal when that comes after the time of the idle limit, %s", (_, clock) =>
    runInVirtualTime(
      Effect.gen(function* () {
        const server = Provider.make(() => ({ pace: 400, answer: empty, end: "stay open" }))
        const { llm } = yield* Provider.setup(server, {
          provider: `grace-${runs++}`,
          keys: ["key"],
          llm: { retry: false, timeouts: { idle: "600 millis" } }
        })
        const { latency } = yield* ChatEvents.collect(llm.chatStream("?"))
        expect(latency).toBe(800 + 600 / 2)
      }).pipe(Effect.scoped, Effect.withClock(clock))
    )
  )
})

describe("an open stream", () => {
  it.scopedLive("loses no events when a pull is interrupted and another one follows", () =>
    Effect.gen(function* () {
      const server = Provider.make(() => ({ pace: 20 }))
      const { llm } = yield* Provider.setup(server, { provider: `pulls-${runs++}`, keys: ["key"] })
      const finalizers = Finalizers.make()
      yield* Effect.addFinalizer(finalizers.close)
      const { first, pull } = yield* OpenStream.fromStream(llm.chatStream("?"))(finalizers)
      const events = [...first]
      for (;;) {
        // The next event comes before the next pull.
        const early = yield* Effect.exit(Effect.timeoutOption(pull, "1 millis"))
        if (Exit.isSuccess(early) && Option.isSome(early.value)) events.push(...early.value.value)
        yield* Effect.sleep("50 millis")
        const exit = yield* Effect.exit(pull)
        if (Exit.isFailure(exit)) break
        events.push(...exit.value)
      }
      const { text } = yield* ChatEvents.collect(Stream.fromIterable(events))
      expect(text).toBe("one two three")
    })
  )
})
