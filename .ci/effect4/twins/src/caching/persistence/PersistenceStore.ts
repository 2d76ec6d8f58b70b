/**
 * A cache store over a `BackingPersistence` of `effect/persistence`: Redis, an SQL database, or any other.
 * The backing removes expired values.
 *
 * @example
 * ```ts
 * import { Layer } from "effect"
 * import { ResponseCache } from "effect-llm"
 * import { PersistenceStore } from "effect-llm/persistence"
 * import { Persistence } from "effect/persistence"
 *
 * // In place of memory: `Persistence.layerBackingRedis` or `Persistence.layerBackingSql`.
 * const backing = Persistence.layerBackingMemory
 *
 * const Cache = ResponseCache.layer().pipe(Layer.provide(PersistenceStore.layer("answers")), Layer.provide(backing))
 * ```
 *
 * @since 0.1.0
 */
import type { Scope } from "effect"
import { Effect, Layer, Option } from "effect"
import { Persistence } from "effect/persistence"
import type { Store } from "../model.js"
import { CacheStore, CacheStoreError } from "../model.js"

/** The actual message is in the cause. */
const detailOf = (error: Persistence.PersistenceError): string =>
  error.cause instanceof Error ? error.cause.message : error.message

const toStoreError =
  (operation: CacheStoreError["operation"]) =>
  (error: Persistence.PersistenceError): CacheStoreError =>
    new CacheStoreError({ operation, detail: detailOf(error), cause: error })

/** A text is stored as an object that has the same JSON: a backing takes only objects, and finds the JSON of a text again. */
const textOf = (value: object | string | undefined): Option.Option<string> =>
  typeof value === "string" || typeof value?.valueOf() === "string" ? Option.some(String(value)) : Option.none()

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
          onSuccess: textOf,
          onFailure: toStoreError("get")
        }),
      set: (key, value, ttl) =>
        Effect.mapError(values.set(key, Object(value), Option.getOrUndefined(ttl)), toStoreError("set")),
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
  Layer.effect(CacheStore, make(name))
