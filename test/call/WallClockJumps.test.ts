/** Waits and time limits follow the monotonic clock: when the wall clock jumps, no call fails and none is released early. */
import { describe, expect, it } from "@effect/vitest"
import { Effect, Fiber, Option, Schedule, Stream } from "effect"
import { vi } from "vitest"
import * as ChatEvent from "../../src/vocabulary/ChatEvent.js"
import * as KeyPool from "../../src/keyPool/KeyPool.js"
import * as LLM from "../../src/LLM.js"
import * as ChatCompletionsClient from "../../src/provider/ChatCompletionsClient.js"
import * as RateLimiter from "../../src/rateLimiter/RateLimiter.js"
import { SimulatedProvider } from "../../src/testing/index.js"
import { ProviderClient } from "../../src/wire/providerClient.js"
import { countingProvider } from "../support/countingProvider.js"
import { makeClock, withWallShift } from "../support/interleaving.js"
import { answer, unavailable } from "../support/scripted.js"
import { transports } from "../support/transports.js"

const hour = 3_600_000

const jumps = [
  ["an hour forward", hour],
  ["an hour back", -hour]
] as const

type Client = (typeof ProviderClient)["Service"]

interface Setup {
  readonly client: Client
  readonly limits?: RateLimiter.Options
  readonly options?: Omit<LLM.Options, "model">
}

const llmOf = ({ client, limits = { capacity: 100, refillRate: 100 }, options = {} }: Setup) =>
  LLM.make({ model: "model", retry: false, ...options }).pipe(
    Effect.provideService(ProviderClient, client),
    Effect.provide(KeyPool.layer({ provider: "test", keys: ["one"] })),
    Effect.provide(RateLimiter.layer(limits))
  )

/** Runs two calls, and moves the wall clock when both have begun. Both succeed. */
const twoCalls = (setup: Setup) => (jump: Effect.Effect<void>) =>
  Effect.gen(function* () {
    const llm = yield* llmOf(setup)
    const first = yield* Effect.fork(Effect.exit(llm.chat("?")))
    yield* Effect.sleep(50)
    const second = yield* Effect.fork(llm.chat("?"))
    yield* Effect.sleep(50)
    yield* jump
    yield* Fiber.join(second)
    yield* Fiber.join(first)
  })

const served = () => countingProvider(() => ({ millis: 10 })).client

/** A stream of ten events, one every 200 ms. */
const slowStream: Client = {
  provider: "test",
  wire: "test",
  chat: () => Effect.succeed(answer("yes")),
  chatStream: () => {
    const events = ChatEvent.fromResponse(answer("yes"))
    const delta = events.filter(({ _tag }) => _tag === "TextDelta")
    const longer = [...events.slice(0, -1), ...Array.from({ length: 8 }, () => delta).flat(), ...events.slice(-1)]
    return Stream.schedule(Stream.fromIterable(longer), Schedule.spaced("200 millis"))
  }
}

const waits: Readonly<Record<string, (jump: Effect.Effect<void>) => Effect.Effect<void, unknown>>> = {
  "waits for a permit": (jump) => twoCalls({ client: served(), limits: { capacity: 1, refillRate: 4 } })(jump),
  "waits for the end of a schedule's window": (jump) =>
    twoCalls({ client: served(), limits: { capacity: 1, refill: Schedule.fixed("300 millis") } })(jump),
  "waits for a slot of a limiter with a schedule": (jump) =>
    twoCalls({
      client: countingProvider(() => ({ millis: 200 })).client,
      limits: { capacity: 9, maxConcurrency: 1, refill: Schedule.fixed("10 seconds") }
    })(jump),
  "waits for a key in cooldown": (jump) =>
    twoCalls({
      client: countingProvider((index) => (index === 0 ? { millis: 10, retryAfter: 250 } : { millis: 10 })).client
    })(jump),
  "waits before a retry": (jump) => {
    let count = 0
    const client: Client = {
      ...slowStream,
      chat: () => (count++ < 4 ? Effect.fail(unavailable) : Effect.succeed(answer("yes")))
    }
    return twoCalls({ client, options: { retry: { backoff: { base: 80 } } } })(jump)
  },
  "waits for its answer": (jump) => twoCalls({ client: countingProvider(() => ({ millis: 200 })).client })(jump),
  "reads a stream": (jump) =>
    Effect.gen(function* () {
      const llm = yield* llmOf({
        client: slowStream,
        options: { timeouts: { idle: "1500 millis", total: "1 minute" } }
      })
      const fiber = yield* Effect.fork(Stream.runCount(llm.chatStream("?")))
      yield* Effect.sleep(500)
      yield* jump
      expect(yield* Fiber.join(fiber)).toBeGreaterThanOrEqual(10)
    })
}

describe.each(jumps)("when the wall clock jumps %s", (_, offset) => {
  for (const [title, wait] of Object.entries(waits)) {
    it.effect(`a call that ${title} succeeds under another clock`, () => {
      const { clock, pass } = makeClock()
      let shift = 10 * hour
      const program = Effect.gen(function* () {
        const jump = Effect.sync(() => void (shift += offset))
        const fiber = yield* Effect.fork(wait(jump))
        yield* pass(5000)
        expect(Option.isSome(yield* Fiber.poll(fiber))).toBe(true)
        yield* Fiber.join(fiber)
      })
      return Effect.withClock(
        program,
        withWallShift(clock, () => shift)
      )
    })

    it.live(`a call that ${title} succeeds under the clock of the machine`, () =>
      Effect.gen(function* () {
        const { now } = Date
        let shift = 0
        const mocked = vi.spyOn(Date, "now").mockImplementation(() => now.call(Date) + shift)
        const jump = Effect.sync(() => void (shift = offset))
        yield* Effect.ensuring(
          wait(jump),
          Effect.sync(() => mocked.mockRestore())
        )
      })
    )
  }

  it.scopedLive.each(transports)("a stream over sockets ends as it does without the jump, over %s", ([, transport]) =>
    Effect.gen(function* () {
      const provider = yield* SimulatedProvider.make({
        tokenPace: "20 millis",
        answer: () => "one two three four five"
      })
      const llm = yield* LLM.make({ model: "model", retry: false }).pipe(
        Effect.provide(ChatCompletionsClient.layer({ provider: "test", baseUrl: provider.baseUrl })),
        Effect.provide(KeyPool.layer({ provider: "test", keys: ["one"] })),
        Effect.provide(RateLimiter.layerUnlimited)
      )
      const { now } = Date
      let shift = 0
      const mocked = vi.spyOn(Date, "now").mockImplementation(() => now.call(Date) + shift)
      const events = Stream.tap(llm.chatStream("?"), () => Effect.sync(() => void (shift = offset)))
      const whole = yield* Effect.ensuring(
        ChatEvent.collect(events),
        Effect.sync(() => mocked.mockRestore())
      )
      expect(whole.text).toBe("one two three four five")
    }).pipe(Effect.provide(transport))
  )

  it.effect(
    "a limiter with a schedule refills its tokens and opens its windows at the same time as without the jump",
    () => {
      const { clock, pass } = makeClock()
      let shift = 10 * hour
      const program = Effect.gen(function* () {
        const limiter = yield* RateLimiter.make({
          capacity: 2,
          refill: Schedule.fixed("1 second"),
          requestsPerMinute: 5,
          tokensPerMinute: 600
        })
        yield* Effect.zipRight(limiter.reserve(300), limiter.reserve(300))
        shift += offset
        const status = yield* limiter.status
        expect([status.minute?.available, status.tokens?.available]).toEqual([3, 0])
        for (let second = 0; second < 3; second++) {
          yield* pass(1000)
          expect(yield* limiter.tryTake(1)).toBe(true)
        }
        expect(yield* limiter.tryTake(1)).toBe(false)
      })
      return Effect.withClock(
        program,
        withWallShift(clock, () => shift)
      )
    }
  )
})
