/**
 * A capacity planner: workloads on an `LLM` in virtual time.
 *
 * @example
 * ```ts
 * import { Effect, Layer } from "effect"
 * import { LLM } from "effect-llm"
 * import { Simulation } from "effect-llm/simulation"
 *
 * const OpenAI = LLM.layerKeys({
 *   provider: "openai",
 *   model: "gpt-4o",
 *   keys: ["sk-one", "sk-two"],
 *   limits: { requestsPerMinute: 240 }
 * })
 *
 * const program = Simulation.run(OpenAI, {
 *   workload: { rate: 5, duration: "1 hour", inputTokens: 800, outputTokens: 300 },
 *   provider: { latency: "1 second" }
 * }).pipe(Effect.map(({ answered, bindingLimit }) => ({ answered, limit: bindingLimit?.limit })))
 * ```
 *
 * @since 0.2.0
 */
export * as Simulation from "./Simulation.js"
