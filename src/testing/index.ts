/**
 * Tools for tests of programs that call models: a scripted `LLM`, and a simulated provider that fails on demand.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { LLM } from "effect-llm"
 * import { TestLLM } from "effect-llm/testing"
 *
 * const program = Effect.gen(function* () {
 *   const answer = yield* LLM.chat("Greet Ada.")
 *   return [answer.text, yield* TestLLM.calls] as const
 * }).pipe(Effect.provide(TestLLM.layer(["Hello, Ada!"])))
 * ```
 *
 * @since 0.1.0
 */
export * as SimulatedProvider from "./SimulatedProvider.js"
export * as TestLLM from "./TestLLM.js"
