/**
 * Mocks for tests of programs that call models: an `LLM` that follows a script, and a simulated provider over HTTP that fails on demand.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { LLM } from "effect-llm"
 * import { TestLLM } from "effect-llm/testing"
 *
 * // Answers the calls in order, without HTTP.
 * const program = LLM.chat("What is the capital of France?").pipe(Effect.provide(TestLLM.layer(["Paris."])))
 * ```
 *
 * @example
 * ```ts
 * import { Effect, Layer } from "effect"
 * import { LLM } from "effect-llm"
 * import { NodeTransport } from "effect-llm/node"
 * import { SimulatedProvider } from "effect-llm/testing"
 *
 * // Answers over HTTP: the first call fails with status 503 and is sent again.
 * const program = Effect.gen(function* () {
 *   const provider = yield* SimulatedProvider.make()
 *   yield* provider.next(SimulatedProvider.status(503))
 *   const { attempts } = yield* LLM.chat("Hello").pipe(
 *     Effect.provide(
 *       LLM.layerKeys({ provider: "openai", model: "gpt-4o", keys: ["sk-any"], baseUrl: provider.baseUrl }).pipe(
 *         Layer.provide(NodeTransport.layerUndici)
 *       )
 *     )
 *   )
 *   return attempts.length
 * }).pipe(Effect.scoped)
 * ```
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
