/** The circuit breaker of a cache's store, driven by operations that a test ends one by one. */
import { describe, expect, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Logger, TestClock } from "effect"
import * as CacheStore from "../../src/caching/CacheStore.js"
import * as GuardedStore from "../../src/caching/guardedStore.js"

const failure = new CacheStore.CacheStoreError({ operation: "get", detail: "out of order" })

/** A breaker with a cooldown of 10 seconds, and the lines that it has logged. */
const breakerOf = (immediate: boolean) =>
  Effect.gen(function* () {
    const store = { ...(yield* CacheStore.makeMemory()), immediate }
    const breaker = yield* GuardedStore.make(store, { name: "Cache", timeout: 60_000, cooldown: 10_000 })
    const lines: Array<string> = []
    const logger = Logger.replace(
      Logger.defaultLogger,
      Logger.make(({ logLevel, message }) => {
        lines.push(`${logLevel.label} ${String(message)}`)
      })
    )
    const run = (effect: Effect.Effect<string, CacheStore.CacheStoreError>) =>
      Effect.provide(breaker.run("get", effect, "fallback"), logger)
    /** Starts an operation; `end` ends it and returns what its caller gets. */
    const start = Effect.gen(function* () {
      const result = yield* Deferred.make<string, CacheStore.CacheStoreError>()
      const started = yield* Deferred.make<void>()
      const fiber = yield* Effect.fork(
        run(Effect.zipRight(Deferred.succeed(started, undefined), Deferred.await(result)))
      )
      yield* Deferred.await(started)
      return {
        end: (effect: Effect.Effect<string, CacheStore.CacheStoreError>) =>
          Effect.zipRight(Deferred.complete(result, effect), Fiber.join(fiber)),
        interrupt: Fiber.interrupt(fiber)
      }
    })
    return { breaker, lines, run, start }
  })

const value = Effect.succeed("value")
const failed = Effect.fail(failure)

const warning =
  "WARN Cache: calls go on without the store until it works again. The cache's store failed (get): out of order"
const isBack = "INFO Cache: the store is back."

describe("the circuit breaker of a cache's store", () => {
  it.effect("logs that an immediate store is back, and logs its next failure again", () =>
    Effect.gen(function* () {
      const { breaker, lines, run } = yield* breakerOf(true)
      expect(yield* run(failed)).toBe("fallback")
      expect(yield* run(failed)).toBe("fallback")
      expect(lines).toEqual([warning])
      expect(yield* run(value)).toBe("value")
      expect(yield* run(value)).toBe("value")
      expect(lines).toEqual([warning, isBack])
      expect(yield* run(failed)).toBe("fallback")
      expect(lines).toEqual([warning, isBack, warning])
      expect(yield* breaker.failures).toBe(3)
    })
  )

  it.effect("keeps the probe when an operation is interrupted that started before the circuit opened", () =>
    Effect.gen(function* () {
      const { run, start } = yield* breakerOf(false)
      const early = yield* start
      yield* run(failed)
      yield* TestClock.adjust("10 seconds")
      const probe = yield* start
      yield* early.interrupt
      expect(yield* run(value)).toBe("fallback")
      expect(yield* probe.end(value)).toBe("value")
      expect(yield* run(value)).toBe("value")
    })
  )

  it.effect("keeps the probe when an operation fails that started before the circuit opened", () =>
    Effect.gen(function* () {
      const { run, start } = yield* breakerOf(false)
      const early = yield* start
      yield* run(failed)
      yield* TestClock.adjust("10 seconds")
      const probe = yield* start
      expect(yield* early.end(failed)).toBe("fallback")
      yield* TestClock.adjust("10 seconds")
      expect(yield* run(value)).toBe("fallback")
      expect(yield* probe.end(value)).toBe("value")
      expect(yield* run(value)).toBe("value")
    })
  )

  it.effect("stays open for its cooldown when an operation succeeds that started before it opened", () =>
    Effect.gen(function* () {
      const { lines, run, start } = yield* breakerOf(false)
      const early = yield* start
      yield* run(failed)
      expect(yield* early.end(value)).toBe("value")
      expect(yield* run(value)).toBe("fallback")
      yield* TestClock.adjust("9999 millis")
      expect(yield* run(value)).toBe("fallback")
      expect(lines).toEqual([warning])
      yield* TestClock.adjust("1 millis")
      expect(yield* run(value)).toBe("value")
      expect(lines).toEqual([warning, isBack])
    })
  )

  it.effect("lets another operation probe the store when the probe is interrupted", () =>
    Effect.gen(function* () {
      const { run, start } = yield* breakerOf(false)
      yield* run(failed)
      yield* TestClock.adjust("10 seconds")
      const probe = yield* start
      yield* probe.interrupt
      expect(yield* run(value)).toBe("value")
    })
  )

  it.effect("starts another cooldown when the probe fails", () =>
    Effect.gen(function* () {
      const { lines, run, start } = yield* breakerOf(false)
      yield* run(failed)
      yield* TestClock.adjust("10 seconds")
      const probe = yield* start
      expect(yield* probe.end(failed)).toBe("fallback")
      expect(yield* run(value)).toBe("fallback")
      expect(lines).toEqual([warning])
      yield* TestClock.adjust("10 seconds")
      expect(yield* run(value)).toBe("value")
    })
  )
})
