/**
 * The tests of Effect 3 over those of Effect 4: `it.scoped` and `it.scopedLive`, which `it.effect` and `it.live` are now, and properties
 * over the generators of fast-check.
 */
import type { Vitest } from "@effect/vitest"
import { it as it4 } from "@effect/vitest"
import type { Scope } from "effect"
import { Cause, Effect, Exit, Layer } from "effect"
import { TestClock, TestConsole } from "effect/testing"
import * as fc from "fast-check"
import type { TestContext, TestOptions } from "vitest"

export { afterAll, afterEach, beforeAll, beforeEach, describe, expect, expectTypeOf } from "vitest"

type Arbitraries = ReadonlyArray<fc.Arbitrary<unknown>> | { readonly [name: string]: fc.Arbitrary<unknown> }

type Values<Arbs extends Arbitraries> = {
  -readonly [K in keyof Arbs]: Arbs[K] extends fc.Arbitrary<infer A> ? A : never
}

type PropertyOptions = number | (TestOptions & { readonly fastCheck?: fc.Parameters<unknown> })

const timeoutOf = (options: PropertyOptions | undefined): TestOptions => {
  if (options === undefined) return {}
  if (typeof options === "number") return { timeout: options }
  const { fastCheck: _, ...rest } = options
  return rest
}

const parametersOf = (options: PropertyOptions | undefined): fc.Parameters<unknown> =>
  typeof options === "object" ? (options.fastCheck ?? {}) : {}

/** One generator of all values, whose counterexamples fast-check shrinks together. */
const together = (arbitraries: Arbitraries): fc.Arbitrary<unknown> =>
  isList(arbitraries) ? fc.tuple(...arbitraries) : fc.record({ ...arbitraries })

const isList = (arbitraries: Arbitraries): arbitraries is ReadonlyArray<fc.Arbitrary<unknown>> =>
  Array.isArray(arbitraries)

type Run = (effect: Effect.Effect<unknown, unknown, Scope.Scope>) => Promise<unknown>

const runLive: Run = (effect) =>
  Effect.runPromiseExit(Effect.scoped(effect)).then((exit) => {
    if (Exit.isSuccess(exit)) return exit.value
    throw Cause.prettyErrors(exit.cause)[0] ?? new Error(String(exit))
  })

const testEnvironment = Layer.mergeAll(TestClock.layer(), TestConsole.layer)

const runInTest: Run = (effect) => runLive(Effect.provide(effect, testEnvironment))

/** Adds properties over generators of fast-check to a tester. */
const withProperties = <T extends Vitest.Tester<Scope.Scope>>(base: T, run: Run) =>
  Object.assign(base, {
    prop: <const Arbs extends Arbitraries, A, E>(
      name: string,
      arbitraries: Arbs,
      self: (values: Values<Arbs>, context: TestContext) => Effect.Effect<A, E, Scope.Scope>,
      options?: PropertyOptions
    ): void => {
      it4(name, timeoutOf(options), (context: TestContext) =>
        fc.assert(
          fc.asyncProperty(together(arbitraries), (values) =>
            // The tuple, or the record, of the values.
            run(Effect.suspend(() => self(values as Values<Arbs>, context))).then(() => {})
          ),
          parametersOf(options)
        )
      )
    }
  })

const prop = <const Arbs extends Arbitraries>(
  name: string,
  arbitraries: Arbs,
  self: (values: Values<Arbs>, context: TestContext) => unknown,
  options?: PropertyOptions
): void => {
  it4(name, timeoutOf(options), (context: TestContext) =>
    fc.assert(
      fc.property(together(arbitraries), (values) => {
        // A property fails by its answer `false`, too.
        const answer = self(values as Values<Arbs>, context)
        return answer !== false
      }),
      parametersOf(options)
    )
  )
}

const effect = withProperties(it4.effect, runInTest)

const live = withProperties(it4.live, runLive)

const own = { effect, scoped: effect, live, scopedLive: live, prop }

type It = typeof own & Omit<typeof it4, keyof typeof own> & ((name: string, ...rest: ReadonlyArray<unknown>) => void)

/** `it` of vitest, some of whose methods need it as their object. */
export const it: It = new Proxy(it4, {
  get: (target, key) => Reflect.get(key in own ? own : target, key)
}) as never
