import { describe, expect, it } from "@effect/vitest"
import { Effect, Exit, Layer, Stream } from "effect"
import * as ChatEvent from "../src/vocabulary/ChatEvent.js"
import * as KeyPool from "../src/keyPool/KeyPool.js"
import * as LLM from "../src/LLM.js"
import * as ProviderClient from "../src/call/ProviderClient.js"
import * as RateLimiter from "../src/rateLimiter/RateLimiter.js"
import { answer, unavailable } from "./support/scripted.js"
import * as Tracers from "./support/tracers.js"

const client = Layer.succeed(ProviderClient.ProviderClient, {
  provider: "test",
  wire: "test",
  chat: () => Effect.succeed(answer("Hello")),
  chatStream: () => Stream.fromIterable(ChatEvent.fromResponse(answer("Hello")))
})

/** Fails each request. The finalizer of each dies. */
const failing = Layer.succeed(ProviderClient.ProviderClient, {
  provider: "test",
  wire: "test",
  chat: () => Effect.fail(unavailable),
  chatStream: () =>
    Stream.unwrapScoped(
      Effect.as(
        Effect.addFinalizer(() => Effect.dieMessage("the client is broken")),
        Stream.fail(unavailable)
      )
    )
})

const limits = RateLimiter.layer({ maxConcurrency: 4, tokensPerMinute: 100_000 })

const make = (
  pool: Layer.Layer<KeyPool.KeyPool, KeyPool.InvalidPoolError>,
  provider: Layer.Layer<ProviderClient.ProviderClient> = client
) =>
  Effect.provide(
    LLM.make({ model: "model", retry: false, timeouts: { response: "1 minute" } }),
    Layer.mergeAll(provider, pool, limits)
  )

/** Settles each key, and dies. */
const broken = Layer.effect(
  KeyPool.KeyPool,
  Effect.map(KeyPool.make({ provider: "test", keys: ["one"] }), (pool): KeyPool.Service => {
    const { unsafeAccounts: _, unsafeRest: __, unsafeTryReserve: ___, reserve, ...rest } = pool
    return {
      ...rest,
      reserve: (options) =>
        Effect.map(reserve(options), ({ key, settle }) => ({
          key,
          settle: (verdict) => Effect.zipRight(settle(verdict), Effect.dieMessage("the pool is broken"))
        }))
    }
  })
)

const keys = KeyPool.layer({ provider: "test", keys: ["one"] })

const inUse = ({ status }: LLM.Service) =>
  Effect.map(status, ({ keys, limiter }) => ({
    keys: keys.keys.reduce((sum, { inFlight }) => sum + inFlight, 0),
    permits: limiter.concurrency?.inFlight,
    tokens: limiter.tokens?.reserved
  }))

const nothing = { keys: 0, permits: 0, tokens: 0 }

describe("release after defects", () => {
  it.effect("releases key, permit and tokens when the tracer throws", () =>
    Effect.gen(function* () {
      const llm = yield* make(keys)
      const native = yield* Effect.tracer
      // Creating the span of the call succeeds, that of its attempt throws.
      const dying = Tracers.withSpan(native, (name, own) => {
        if (name.startsWith("attempt")) throw new Error("the tracer is broken")
        return own()
      })
      expect(Exit.isFailure(yield* Effect.exit(Effect.withTracer(llm.chat("?"), dying)))).toBe(true)
      expect(yield* inUse(llm)).toEqual(nothing)
      const streamed = Stream.runDrain(llm.chatStream("?"))
      expect(Exit.isFailure(yield* Effect.exit(Effect.withTracer(streamed, dying)))).toBe(true)
      expect(yield* inUse(llm)).toEqual(nothing)
    })
  )

  it.effect("releases permit and tokens of the limiter when the key pool dies in `settle`", () =>
    Effect.gen(function* () {
      const llm = yield* make(broken)
      expect(Exit.isFailure(yield* Effect.exit(llm.chat("?")))).toBe(true)
      expect(yield* inUse(llm)).toEqual(nothing)
      expect(Exit.isFailure(yield* Effect.exit(Stream.runDrain(llm.chatStream("?"))))).toBe(true)
      expect(yield* inUse(llm)).toEqual(nothing)
    })
  )

  it.effect("fails with the error of the provider when the client or the key pool dies in its finalizer", () =>
    Effect.gen(function* () {
      for (const pool of [keys, broken]) {
        const llm = yield* make(pool, failing)
        const streamed = Stream.runDrain(llm.chatStream("?"))
        const errors = [yield* Effect.flip(llm.chat("?")), yield* Effect.flip(streamed)]
        expect(errors.map(({ _tag }) => _tag)).toEqual(["ProviderUnavailableError", "ProviderUnavailableError"])
        expect(yield* inUse(llm)).toEqual(nothing)
      }
    })
  )
})
