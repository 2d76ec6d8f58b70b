/** Tests of a shutdown that hangs. */
import { describe, expect, it } from "@effect/vitest"
import { Duration, Effect, Exit, Logger, LogLevel, Ref, Scope, TestClock } from "effect"
import * as LastResort from "../../src/cli/gateway/forcedExit.js"

const begin = Effect.gen(function* () {
  const exits = yield* Ref.make(0)
  const scope = yield* Scope.make()
  const start = yield* Scope.extend(
    LastResort.make(
      Duration.seconds(30),
      Ref.update(exits, (count) => count + 1)
    ),
    scope
  )
  return { exits: Ref.get(exits), scope, start }
})

describe("forced exit after the grace period", () => {
  it.effect("exits the process within two seconds after the grace period when a finalizer hangs", () =>
    Effect.gen(function* () {
      const { exits, scope, start } = yield* begin
      yield* Scope.addFinalizer(scope, Effect.never)
      yield* TestClock.adjust("1 hour")
      yield* start
      yield* Effect.fork(Scope.close(scope, Exit.void))
      yield* TestClock.adjust("31 seconds")
      expect(yield* exits).toBe(0)
      yield* TestClock.adjust("1 second")
      expect(yield* exits).toBe(1)
    }).pipe(Logger.withMinimumLogLevel(LogLevel.None))
  )

  it.effect("does not exit the process when the shutdown ends in time", () =>
    Effect.gen(function* () {
      const { exits, scope, start } = yield* begin
      yield* Scope.addFinalizer(scope, Effect.sleep("31 seconds"))
      yield* start
      yield* Effect.fork(Scope.close(scope, Exit.void))
      yield* TestClock.adjust("1 hour")
      expect(yield* exits).toBe(0)
    })
  )
})
