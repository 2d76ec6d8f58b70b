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
 * @example
 * ```ts
 * import { Persistence } from "@effect/experimental"
 * import { Layer } from "effect"
 * import { ResponseCache } from "effect-llm"
 * import { PersistenceStore } from "effect-llm/persistence"
 *
 * const Cache = ResponseCache.layer({ ttl: "1 day" }).pipe(
 *   Layer.provide(PersistenceStore.layer("answers")),
 *   Layer.provide(Persistence.layerMemory)
 * )
 * ```
 *
 * @since 0.1.0
 */
export * as PersistenceStore from "./PersistenceStore.js"
