/**
 * HTTP for Node. Needs the optional peer dependency `@effect/platform-node`.
 *
 * @example
 * ```ts
 * import { Effect, Layer } from "effect"
 * import { LLM } from "effect-llm"
 * import { NodeTransport } from "effect-llm/node"
 *
 * const OpenAI = LLM.layerConfig().pipe(Layer.provide(NodeTransport.layerUndici))
 *
 * const program = LLM.chat("Name a river.").pipe(Effect.provide(OpenAI))
 * ```
 *
 * @since 0.2.0
 */
export * as NodeTransport from "./NodeTransport.js"
