/** Laws of the call plan under the live clock: each attempt is reported once, and no event of a stream is lost. */
import { HttpClient } from "@effect/platform"
import { describe, expect, it } from "@effect/vitest"
import { Clock, Effect, Exit, Option, Stream } from "effect"
import * as UsageLedger from "../../src/accounting/UsageLedger.js"
import * as OpenStream from "../../src/call/openStream.js"
import * as Timeouts from "../../src/call/Timeouts.js"
import { liveClock } from "../../src/internal/clock.js"
import * as KeyPool from "../../src/keyPool/KeyPool.js"
import * as LLM from "../../src/LLM.js"
import * as ChatCompletionsClient from "../../src/provider/ChatCompletionsClient.js"
import * as RateLimiter from "../../src/rateLimiter/RateLimiter.js"
import * as ChatEvents from "../../src/vocabulary/ChatEvent.js"
import type { LLMError } from "../../src/vocabulary/LLMError.js"
import { endedByItself, interruptedAt } from "../support/interruptedAt.js"
import { eventually } from "../support/eventually.js"
import type { Reply, TimedProvider } from "../support/timedProvider.js"
import * as Provider from "../support/timedProvider.js"

const capacity = 10_000

interface Settings {
  readonly provider: string
  readonly keys: KeyPool.Options["keys"]
  readonly pool?: Omit<KeyPool.Options, "provider" | "keys">
  readonly limiter?: Partial<RateLimiter.Options>
  readonly llm?: Omit<LLM.Options, "model">
}

interface Setup {
  readonly llm: LLM.Service
  /** The attempts that were reported, in the order of their ends. */
  readonly attempts: ReadonlyArray<UsageLedger.Attempt>
}

const setup = (server: TimedProvider, { keys, limiter, llm, pool, provider }: Settings) =>
  Effect.gen(function* () {
    const attempts: Array<UsageLedger.Attempt> = []
    const ledger = yield* UsageLedger.make()
    const made = yield* LLM.make({ model: "asked", ...llm }).pipe(
      Effect.provide(ChatCompletionsClient.layer({ provider, baseUrl: "http://provider.test/v1" })),
      Effect.provide(KeyPool.layer({ provider, keys, ...pool })),
      Effect.provide(RateLimiter.layer({ capacity, refillRate: 1e-9, tokensPerMinute: 1e9, ...limiter })),
      Effect.provideService(HttpClient.HttpClient, server.http),
      Effect.flatMap(UsageLedger.middleware()),
      Effect.provideService(UsageLedger.UsageLedger, {
        ...ledger,
        record: (attempt) => Effect.sync(() => void attempts.push(attempt))
      })
    )
    return { llm: made, attempts } satisfies Setup
  })

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
          const { attempts, llm } = yield* setup(server, {
            provider: `steps-${runs++}`,
            keys: ["key"],
            llm: { retry: false }
          })
          for (let step = 1, isOver = false; !isOver; step++) {
            const exit = yield* interruptedAt(call(llm), step)
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
      const { attempts, llm } = yield* setup(server, {
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

/** The live clock as another object, with which calls are made of effects. */
const otherClock: Clock.Clock = {
  [Clock.ClockTypeId]: Clock.ClockTypeId,
  unsafeCurrentTimeMillis: () => liveClock.unsafeCurrentTimeMillis(),
  unsafeCurrentTimeNanos: () => liveClock.unsafeCurrentTimeNanos(),
  currentTimeMillis: liveClock.currentTimeMillis,
  currentTimeNanos: liveClock.currentTimeNanos,
  sleep: (duration) => liveClock.sleep(duration)
}

describe("the time limits of a call", () => {
  it.scopedLive.each(calls.slice(0, 2))("end %s that cannot be interrupted, also on the way of effects", ([, call]) =>
    Effect.gen(function* () {
      for (const clock of [liveClock, otherClock]) {
        const server = Provider.make(() => ({ pace: 0, status: "silent" }))
        const { llm } = yield* setup(server, {
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

describe("an open stream", () => {
  it.scopedLive("loses no events when a pull is interrupted and another one follows", () =>
    Effect.gen(function* () {
      const server = Provider.make(() => ({ pace: 20 }))
      const { llm } = yield* setup(server, { provider: `pulls-${runs++}`, keys: ["key"] })
      const { first, pull } = yield* OpenStream.fromStream(llm.chatStream("?"))
      const events = [...first]
      for (;;) {
        // The next event comes while nobody pulls.
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
