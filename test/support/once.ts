/** What is dear to make and serves all tests of a file. */
import { afterAll } from "@effect/vitest"
import { Effect, Exit, Scope } from "effect"

/** Makes it at the first use and releases it when the tests of the file are over. Called at the top level of the file. */
export const once = <A, E>(make: Effect.Effect<A, E, Scope.Scope>): Effect.Effect<A, E> => {
  const scope = Effect.runSync(Scope.make())
  afterAll(() => Effect.runPromise(Scope.close(scope, Exit.void)))
  return Effect.runSync(Effect.cached(Scope.extend(make, scope)))
}
