/**
 * Where virtual keys are kept: in memory, or with several gateways in a store that they share. An `Access` takes the store in
 * context, and without one keeps its keys to itself.
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
import { Context, Effect, Layer, Option, Ref, Schema } from "effect"
import type { VirtualKey } from "./VirtualKey.js"

/**
 * @since 0.1.0
 * @category model
 */
export interface Store {
  /** The key whose secret has this SHA-256. */
  readonly find: (hash: string) => Effect.Effect<Option.Option<VirtualKey>, AccessStoreError>
  /** All keys, oldest first. */
  readonly list: Effect.Effect<ReadonlyArray<VirtualKey>, AccessStoreError>
  /** Adds a key, or puts it in the place of the one with its hash. A store that remembers which it removed leaves those out. */
  readonly put: (key: VirtualKey) => Effect.Effect<void, AccessStoreError>
  /** Removes a key by its id, and says whether it was there. */
  readonly remove: (id: string) => Effect.Effect<boolean, AccessStoreError>
}

/**
 * A store could not do what it was asked to.
 *
 * @since 0.1.0
 * @category errors
 */
export class AccessStoreError extends Schema.TaggedError<AccessStoreError>()("AccessStoreError", {
  /** What happened, in the store's words. */
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
  /** The hashes of keys that were removed. */
  readonly removed: ReadonlySet<string>
}

/**
 * A store in memory. It remembers which keys it removed, so that a reload does not bring them back.
 *
 * @since 0.1.0
 * @category constructors
 */
export const memory: Effect.Effect<Store> = Effect.map(
  Ref.make<Memory>({ keys: new Map(), removed: new Set() }),
  (state): Store => ({
    find: (hash) => Effect.map(Ref.get(state), ({ keys }) => Option.fromNullable(keys.get(hash))),
    list: Effect.map(Ref.get(state), ({ keys }) => [...keys.values()]),
    put: (key) =>
      Ref.update(state, ({ keys, removed }) =>
        removed.has(key.hash) ? { keys, removed } : { keys: new Map(keys).set(key.hash, key), removed }
      ),
    remove: (id) =>
      Ref.modify(state, ({ keys, removed }): readonly [boolean, Memory] => {
        const hashes = [...keys.values()].filter((key) => key.id === id).map(({ hash }) => hash)
        return [
          hashes.length > 0,
          {
            keys: new Map([...keys].filter(([, key]) => key.id !== id)),
            removed: new Set([...removed, ...hashes])
          }
        ]
      })
  })
)

/**
 * @since 0.1.0
 * @category layers
 */
export const layerMemory: Layer.Layer<AccessStore> = Layer.effect(AccessStore, memory)
