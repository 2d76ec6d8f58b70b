/**
 * Where caches keep what they know: a few operations on texts under keys, in memory, on disk, or in whatever is made to
 * behave so.
 *
 * A store may fail and be slow: caches ask it under a time limit and go on without it.
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

export * from "./model.js"

/**
 * A store in memory. Of what does not fit, that goes first which was not used for the longest time; a value that does not
 * fit by itself is not kept.
 *
 * @throws TypeError where an option makes no sense
 * @since 0.1.0
 * @category constructors
 */
export const memory = (options: MemoryOptions = {}): Effect.Effect<Store> => {
  const { maxBytes = 64 * 1024 * 1024, maxEntries = 1000 } = options
  Checks.valid("CacheStore", ({ number }) => {
    number("maxEntries", maxEntries, maxEntries >= 0, "a number of at least 0")
    number("maxBytes", maxBytes, maxBytes >= 0, "a number of at least 0")
  })
  return Effect.sync(() => {
    const values = LruMap.make(maxEntries, maxBytes)
    const at = <A>(use: (now: number) => A): Effect.Effect<A> =>
      Effect.map(Effect.clock, (clock: Clock.Clock) => use(clock.unsafeCurrentTimeMillis()))
    return {
      get: (key) => at((now) => Option.fromNullable(LruMap.get(values, key, now))),
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
 * A store over a `KeyValueStore` of `@effect/platform`: a directory of files, the browser's storage, or another.
 *
 * Give it one of its own: `clear` removes all that is in it, whatever its prefix. It is not bounded, and what has expired is
 * removed when it is next asked for.
 *
 * @since 0.1.0
 * @category constructors
 */
export const fromKeyValueStore = (values: KeyValueStore.KeyValueStore): Store => {
  const failing =
    (operation: CacheStoreError["operation"]) =>
    (cause: { readonly message: string }): CacheStoreError =>
      new CacheStoreError({ operation, detail: cause.message, cause })
  return {
    get: (key) => Effect.mapError(values.get(key), failing("get")),
    set: (key, value) => Effect.mapError(values.set(key, value), failing("set")),
    remove: (key) =>
      Effect.mapError(
        Effect.if(values.has(key), { onTrue: () => values.remove(key), onFalse: () => Effect.void }),
        failing("remove")
      ),
    clear: Effect.mapError(values.clear, failing("clear")),
    size: Effect.mapBoth(values.size, { onSuccess: (entries) => ({ entries }), onFailure: failing("size") })
  }
}

/**
 * A store in memory, of its own for each time the layer is built.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerMemory = (options: MemoryOptions = {}): Layer.Layer<CacheStore> =>
  Layer.effect(CacheStore, memory(options))

/**
 * A store over the `KeyValueStore` in context. See {@link fromKeyValueStore}.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerKeyValueStore: Layer.Layer<CacheStore, never, KeyValueStore.KeyValueStore> = Layer.effect(
  CacheStore,
  Effect.map(KeyValueStore.KeyValueStore, fromKeyValueStore)
)
