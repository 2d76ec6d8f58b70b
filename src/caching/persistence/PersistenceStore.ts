/**
 * A cache store over a `BackingPersistence` of `@effect/experimental`: Redis (with `ioredis`), LMDB (with `lmdb`), or any other.
 * The backing removes expired values.
 *
 * @example
 * ```ts
 * import { Persistence } from "@effect/experimental"
 * import { Layer } from "effect"
 * import { ResponseCache } from "effect-llm"
 * import { PersistenceStore } from "effect-llm/persistence"
 *
 * // In place of memory: `layer` of "@effect/experimental/Persistence/Redis" or "@effect/experimental/Persistence/Lmdb".
 * const backing = Persistence.layerMemory
 *
 * const Cache = ResponseCache.layer().pipe(Layer.provide(PersistenceStore.layer("answers")), Layer.provide(backing))
 * ```
 *
 * @since 0.1.0
 */
import * as Persistence from "@effect/experimental/Persistence"
import type { Scope } from "effect"
import { Effect, Layer, Option } from "effect"
import type { Store } from "../model.js"
import { CacheStore, CacheStoreError } from "../model.js"

/** A `BackingError` has the actual message in its cause. */
const detailOf = (error: Persistence.PersistenceError): string =>
  error.reason === "BackingError" && error.cause instanceof Error ? error.cause.message : error.message

const toStoreError =
  (operation: CacheStoreError["operation"]) =>
  (error: Persistence.PersistenceError): CacheStoreError =>
    new CacheStoreError({ operation, detail: detailOf(error), cause: error })

/**
 * Makes the store with this name. Names do not share entries, `clear` removes the entries of this name, and `size` is absent.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (name: string): Effect.Effect<Store, never, Persistence.BackingPersistence | Scope.Scope> =>
  Effect.gen(function* () {
    const backing = yield* Persistence.BackingPersistence
    const values = yield* backing.make(name)
    return {
      get: (key) =>
        Effect.mapBoth(values.get(key), {
          onSuccess: Option.filter((value) => typeof value === "string"),
          onFailure: toStoreError("get")
        }),
      set: (key, value, ttl) => Effect.mapError(values.set(key, value, ttl), toStoreError("set")),
      remove: (key) => Effect.mapError(values.remove(key), toStoreError("remove")),
      clear: Effect.mapError(values.clear, toStoreError("clear"))
    }
  })

/**
 * Provides the store with this name. See {@link make}.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (name: string): Layer.Layer<CacheStore, never, Persistence.BackingPersistence> =>
  Layer.scoped(CacheStore, make(name))
