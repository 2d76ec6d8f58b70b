import { describe, expect, it } from "@effect/vitest"
import type { Duration } from "effect"
import { Effect, Exit, Fiber, Layer, Stream, TestClock } from "effect"
import type { ApiKey } from "../../src/vocabulary/ApiKey.js"
import * as ChatEvent from "../../src/vocabulary/ChatEvent.js"
import * as KeyPool from "../../src/keyPool/KeyPool.js"
import * as LLM from "../../src/LLM.js"
import * as LLMErrors from "../../src/vocabulary/LLMError.js"
import * as ProviderClient from "../../src/call/ProviderClient.js"
import * as RateLimiter from "../../src/rateLimiter/RateLimiter.js"
import * as Timeouts from "../../src/call/Timeouts.js"
import { notifying } from "../../src/call/usageListeners.js"
import { answer, context } from "../support/scripted.js"

const refused = new LLMErrors.AuthenticationError({ ...context, status: 401, message: "wrong key" })

/** A provider that rejects the first key, and sends `events` events and then nothing with the second. */
const silent = (events = 0) =>
  Layer.succeed(ProviderClient.ProviderClient, {
    provider: "test",
    wire: "test",
    chat: (_, { key }) => (key.id === "one" ? Effect.fail(refused) : Effect.never),
    chatStream: (_, { key }: { readonly key: ApiKey }) =>
      key.id === "one"
        ? Stream.fail(refused)
        : Stream.concat(Stream.fromIterable(ChatEvent.fromResponse(answer("Hello")).slice(0, events)), Stream.never)
  })

const keys = KeyPool.layer({
  provider: "test",
  keys: ["one", "two"].map((id) => ({ key: id, id })),
  strategy: KeyPool.failover
})

const make = (provider: ReturnType<typeof silent>, options: Omit<LLM.Options, "model">) =>
  LLM.make({ model: "model", retry: false, ...options }).pipe(
    Effect.provide(Layer.mergeAll(provider, keys, RateLimiter.layerUnlimited))
  )

/** Runs an effect for `duration` and returns its error, and key and outcome of each attempt as usage listeners get them. */
const after = <A, R>(duration: Duration.DurationInput, effect: Effect.Effect<A, LLMErrors.LLMError, R>) =>
  Effect.gen(function* () {
    const attempts: Array<readonly [keyId: string, outcome: string]> = []
    const onUsage = notifying(effect, [
      { owner: attempts, onUsage: ({ keyId, outcome }) => Effect.sync(() => void attempts.push([keyId, outcome])) }
    ])
    const fiber = yield* Effect.fork(Effect.flip(onUsage))
    yield* TestClock.adjust(duration)
    const exit = yield* Fiber.interrupt(fiber)
    return { error: Exit.isSuccess(exit) ? exit.value : undefined, attempts }
  })

const attemptsOf = (error: LLMErrors.LLMError | undefined) => error?.attempts.map(({ error, keyId }) => [keyId, error])

const both = [
  ["one", "AuthenticationError"],
  ["two", "TimeoutError"]
]

describe("attempts of a call that times out", () => {
  it.effect("lists a timed-out attempt as TimeoutError in the ledger and the error, after the attempts before it", () =>
    Effect.gen(function* () {
      const llm = yield* make(silent(), { timeouts: { response: "10 seconds" } })
      const { attempts, error } = yield* after("10 seconds", llm.chat("?"))
      expect(attemptsOf(error)).toEqual(both)
      expect(attempts).toEqual(both)
    })
  )

  it.effect("lists an attempt cut by the limit `total` as TimeoutError", () =>
    Effect.gen(function* () {
      const llm = yield* make(silent(), { timeouts: { total: "10 seconds" } })
      const { attempts, error } = yield* after("10 seconds", llm.chat("?"))
      expect(attemptsOf(error)).toEqual(both)
      expect(attempts).toEqual(both)
    })
  )

  it.effect("lists every attempt below an outer time limit, with its duration", () =>
    Effect.gen(function* () {
      const inner = yield* make(silent(), {
        timeouts: { response: "4 seconds" },
        retry: { maxAttempts: 9, backoff: { jitter: 0 } }
      })
      const llm = yield* Timeouts.middleware({ response: "6 seconds" })(inner)
      const { attempts, error } = yield* after("6 seconds", llm.chat("?"))
      expect(attemptsOf(error)).toEqual([...both, ["two", "TimeoutError"]])
      expect(error?.attempts.map(({ duration }) => duration)).toEqual([0, 4000, 1000])
      expect(attempts).toEqual([...both, ["two", "TimeoutError"]])
    })
  )

  for (const [phase, events] of [
    ["firstEvent", 0],
    ["idle", 2]
  ] as const) {
    it.effect(`lists the attempt of a stream that exceeds ${phase} as TimeoutError`, () =>
      Effect.gen(function* () {
        const llm = yield* make(silent(events), { timeouts: { [phase]: "10 seconds" } })
        const { attempts, error } = yield* after("10 seconds", Stream.runDrain(llm.chatStream("?")))
        expect(error?._tag).toBe("TimeoutError")
        expect(attemptsOf(error)).toEqual(both)
        expect(attempts).toEqual(both)
      })
    )
  }
})

describe("attempts of a call that is interrupted", () => {
  it.effect("lists an attempt whose caller interrupts it as `interrupted`, not as TimeoutError", () =>
    Effect.gen(function* () {
      const llm = yield* make(silent(), { timeouts: { response: "10 seconds" } })
      const { attempts, error } = yield* after("5 seconds", llm.chat("?"))
      expect(error).toBeUndefined()
      expect(attempts).toEqual([both[0], ["two", "interrupted"]])
    })
  )
})
