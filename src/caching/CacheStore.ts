/**
 * The store of a cache: a map from keys to strings, in memory, on disk, or behind any implementation of `Store`.
 *
 * A store can fail or be slow: caches use it with a time limit, and calls go on without it.
 *
 * @example
 * ```ts
 * import { NodeKeyValueStore } from "@effect/platform-node"
 * import { Layer } from "effect"
 * import { CacheStore } from "effect-llm"
 *
 * const memory = CacheStore.layerMemory({ maxEntries: 10_000 })
 *
 * const disk = CacheStore.layerKeyValueStore.pipe(Layer.provide(NodeKeyValueStore.layerFileSystem(".cache/llm")))
 * ```
 *
 * @since 0.1.0
 */
import { KeyValueStore } from "@effect/platform"
import type { Clock } from "effect"
import { Effect, Layer, Option } from "effect"
import * as Checks from "../internal/optionChecks.js"
import * as LruMap from "./lru.js"
import type { MemoryOptions, Store } from "./model.js"
import { CacheStore, CacheStoreError } from "./model.js"
import * as UnsafeGet from "./unsafeGet.js"

export * from "./model.js"

/**
 * Makes a store in memory that evicts the least recently used entries. A value that is larger than `maxBytes` is not stored.
 *
 * @throws TypeError when an option is invalid
 * @since 0.2.0
 * @category constructors
 */
export const makeMemory = (options: MemoryOptions = {}): Effect.Effect<Store> => {
  const { maxBytes = 64 * 1024 * 1024, maxEntries = 1000 } = options
  Checks.valid("CacheStore", ({ number }) => {
    number("maxEntries", maxEntries, maxEntries >= 0, "a number of at least 0")
    number("maxBytes", maxBytes, maxBytes >= 0, "a number of at least 0")
  })
  return Effect.sync(() => {
    const values = LruMap.make(maxEntries, maxBytes)
    const at = <A>(use: (now: number) => A): Effect.Effect<A> =>
      Effect.map(Effect.clock, (clock: Clock.Clock) => use(clock.unsafeCurrentTimeMillis()))
    const unsafeGet: UnsafeGet.UnsafeGet = (key, now) => Option.fromNullable(LruMap.get(values, key, now))
    return {
      get: UnsafeGet.add((key) => at((now) => unsafeGet(key, now)), unsafeGet),
      set: (key, value, ttl) => at((now) => LruMap.set(values, key, value, LruMap.expiry(now, ttl), now)),
      remove: (key) => Effect.sync(() => LruMap.remove(values, key)),
      clear: Effect.sync(() => LruMap.clear(values)),
      size: at((now) => {
        LruMap.purge(values, now)
        return { entries: values.entries.size, bytes: values.bytes }
      }),
      immediate: true
    }
  })
}

/**
 * Makes a store over a `KeyValueStore` of `@effect/platform`, such as a directory of files or the browser's storage.
 *
 * Use a `KeyValueStore` that holds nothing else: `clear` removes everything in it, whatever its prefix. Its size is not bounded.
 * Expired answers are removed when they are next looked up; expired vectors stay until they are replaced.
 *
 * @since 0.2.0
 * @category constructors
 */
export const makeKeyValueStore = (values: KeyValueStore.KeyValueStore): Store => {
  const toStoreError =
    (operation: CacheStoreError["operation"]) =>
    (cause: { readonly message: string }): CacheStoreError =>
      new CacheStoreError({ operation, detail: cause.message, cause })
  return {
    get: (key) => Effect.mapError(values.get(key), toStoreError("get")),
    set: (key, value) => Effect.mapError(values.set(key, value), toStoreError("set")),
    remove: (key) =>
      Effect.mapError(
        Effect.flatMap(values.has(key), (exists) => (exists ? values.remove(key) : Effect.void)),
        toStoreError("remove")
      ),
    clear: Effect.mapError(values.clear, toStoreError("clear")),
    size: Effect.mapBoth(values.size, { onSuccess: (entries) => ({ entries }), onFailure: toStoreError("size") })
  }
}

/**
 * Provides a store in memory. Each build of the layer makes a new one.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerMemory = (options: MemoryOptions = {}): Layer.Layer<CacheStore> =>
  Layer.effect(CacheStore, makeMemory(options))

/**
 * Provides a store over the `KeyValueStore` in context. See {@link makeKeyValueStore}.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerKeyValueStore: Layer.Layer<CacheStore, never, KeyValueStore.KeyValueStore> = Layer.effect(
  CacheStore,
  Effect.map(KeyValueStore.KeyValueStore, makeKeyValueStore)
)
