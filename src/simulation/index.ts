/**
 * A capacity planner: runs a workload on an `LLM` in virtual time and reports throughput, waits, refusals and the limit that binds.
 *
 * @example
 * ```ts
 * import { Effect, Layer } from "effect"
 * import { ChatCompletionsClient, KeyPool, LLM, RateLimiter } from "effect-llm"
 * import { Simulation } from "effect-llm/simulation"
 *
 * const OpenAI = LLM.layer({ model: "gpt-4o" }).pipe(
 *   Layer.provide(ChatCompletionsClient.layer()),
 *   Layer.provide(KeyPool.layer({ provider: "openai", keys: ["sk-one", "sk-two"] })),
 *   Layer.provide(RateLimiter.layer({ requestsPerMinute: 120 }))
 * )
 *
 * // Three calls a second for an hour: more than the limit.
 * const program = Effect.map(
 *   Simulation.run(OpenAI, { workload: { rate: 3, duration: "1 hour" } }),
 *   ({ answered, bindingLimit }) => ({ answered, limit: bindingLimit?.limit })
 * )
 * ```
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
