/**
 * Stores virtual keys: in memory, or in a store that several gateways share. An `Access` uses the store in context, or else a
 * store in memory of its own.
 *
 * @example
 * ```ts
 * import { Layer } from "effect"
 * import { Access, AccessStore } from "effect-llm/gateway"
 *
 * const Keys = Access.layer({ adminToken: "a long random text" }).pipe(Layer.provide(AccessStore.layerMemory))
 * ```
 *
 * @since 0.1.0
 */
import { Context, Effect, Layer, MutableRef, Option, Schema } from "effect"
import type { VirtualKey } from "./VirtualKey.js"

/**
 * @since 0.1.0
 * @category model
 */
export interface Store {
  /** The key whose secret has this SHA-256. */
  readonly find: (hash: string) => Effect.Effect<Option.Option<VirtualKey>, AccessStoreError>
  /**
   * The same in plain code, for a store in memory. Every request uses it. @default `find`
   *
   * @since 0.2.0
   */
  readonly unsafeFind?: (hash: string) => VirtualKey | undefined
  /** All keys, oldest first. */
  readonly list: Effect.Effect<ReadonlyArray<VirtualKey>, AccessStoreError>
  /**
   * Adds a key, or replaces the one with its id, whose secret is then removed if it is another one. A store that records removed
   * secrets and ids does not add those again.
   */
  readonly put: (key: VirtualKey) => Effect.Effect<void, AccessStoreError>
  /** Removes a key by its id; false if there was none. */
  readonly remove: (id: string) => Effect.Effect<boolean, AccessStoreError>
}

/**
 * An operation of the store failed.
 *
 * @since 0.1.0
 * @category errors
 */
export class AccessStoreError extends Schema.TaggedError<AccessStoreError>()("AccessStoreError", {
  /** The message of the store. */
  detail: Schema.String,
  cause: Schema.optionalWith(Schema.Defect, { exact: true })
}) {
  override get message(): string {
    return `The store of the gateway's keys failed: ${this.detail}`
  }
}

/**
 * @since 0.1.0
 * @category tags
 */
export class AccessStore extends Context.Tag("effect-llm/gateway/AccessStore")<AccessStore, Store>() {}

interface Memory {
  readonly keys: ReadonlyMap<string, VirtualKey>
  /** The hashes and the ids of removed keys, and the hashes of replaced secrets. */
  readonly removed: ReadonlySet<string>
}

/**
 * A store in memory. It records removed keys, so that a reload does not add them again.
 *
 * @since 0.2.0
 * @category constructors
 */
export const makeMemory: Effect.Effect<Store> = Effect.sync((): Store => {
  const state = MutableRef.make<Memory>({ keys: new Map(), removed: new Set() })
  const unsafeFind = (hash: string): VirtualKey | undefined => MutableRef.get(state).keys.get(hash)
  return {
    find: (hash) => Effect.sync(() => Option.fromNullable(unsafeFind(hash))),
    unsafeFind,
    list: Effect.sync(() => [...MutableRef.get(state).keys.values()]),
    put: (key) =>
      Effect.sync(() => {
        const { keys, removed } = MutableRef.get(state)
        if (removed.has(key.hash) || removed.has(key.id)) return
        const replaced = [...keys.values()]
          .filter(({ hash, id }) => id === key.id && hash !== key.hash)
          .map(({ hash }) => hash)
        const others = [...keys].filter(([hash]) => !replaced.includes(hash))
        MutableRef.set(state, {
          keys: new Map(others).set(key.hash, key),
          removed: new Set([...removed, ...replaced])
        })
      }),
    remove: (id) =>
      Effect.sync(() => {
        const { keys, removed } = MutableRef.get(state)
        const hashes = [...keys.values()].filter((key) => key.id === id).map(({ hash }) => hash)
        MutableRef.set(state, {
          keys: new Map([...keys].filter(([, key]) => key.id !== id)),
          removed: new Set([...removed, ...(hashes.length > 0 ? [id, ...hashes] : [])])
        })
        return hashes.length > 0
      })
  }
})

/**
 * @since 0.1.0
 * @category layers
 */
export const layerMemory: Layer.Layer<AccessStore> = Layer.effect(AccessStore, makeMemory)
