/**
 * The HTTP transport for Node: undici with connections of its own. Needs the optional peer dependency `@effect/platform-node`.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { LLM } from "effect-llm"
 * import { NodeTransport } from "effect-llm/node"
 *
 * const program = LLM.chat("Hello").pipe(Effect.provide(LLM.layerConfig()), Effect.provide(NodeTransport.layerUndici))
 * ```
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
