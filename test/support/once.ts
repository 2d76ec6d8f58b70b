/** Expensive resources that all tests of a file share. */
import { afterAll } from "@effect/vitest"
import { Effect, Exit, Scope } from "effect"

/** Makes a resource at its first use and releases it after the tests of the file. Must be called at the top level of the file. */
export const once = <A, E>(make: Effect.Effect<A, E, Scope.Scope>): Effect.Effect<A, E> => {
  const scope = Effect.runSync(Scope.make())
  afterAll(() => Effect.runPromise(Scope.close(scope, Exit.void)))
  return Effect.runSync(Effect.cached(Scope.extend(make, scope)))
}
