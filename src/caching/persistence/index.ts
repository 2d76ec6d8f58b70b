/**
 * Cache stores over the `Persistence` of `@effect/experimental` (an optional peer dependency), which has Redis and LMDB.
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
