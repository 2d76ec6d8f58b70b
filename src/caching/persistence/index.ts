/**
 * Cache stores over the `Persistence` of `@effect/experimental` (an optional peer dependency), which has backings for Redis and LMDB.
 *
 * @example
 * ```ts
 * import { Persistence } from "@effect/experimental"
 * import { Layer } from "effect"
 * import { LLM, ResponseCache } from "effect-llm"
 * import { PersistenceStore } from "effect-llm/persistence"
 *
 * // In place of memory: `layer` of "@effect/experimental/Persistence/Redis" or "@effect/experimental/Persistence/Lmdb".
 * const Store = PersistenceStore.layer("answers").pipe(Layer.provide(Persistence.layerMemory))
 *
 * const Cached = LLM.layerConfig().pipe(
 *   LLM.withMiddleware(ResponseCache.middleware()),
 *   Layer.provide(ResponseCache.layer()),
 *   Layer.provide(Store)
 * )
 * ```
 *
 * @since 0.1.0
 */
export * as PersistenceStore from "./PersistenceStore.js"
