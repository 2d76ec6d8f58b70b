/** The interfaces of caches and of their stores. */
import type { Duration, Effect, Option } from "effect"
import { Context, Schema } from "effect"

/**
 * A map from keys to strings. Failures are `CacheStoreError`s: caches count them, and calls go on without the store.
 *
 * @since 0.1.0
 * @category model
 */
export interface Store {
  /** The value of a key; none when there is none or it has expired. */
  readonly get: (key: string) => Effect.Effect<Option.Option<string>, CacheStoreError>
  /** Stores or replaces a value. A store that cannot expire values can ignore `ttl`: entries carry their own expiry. */
  readonly set: (
    key: string,
    value: string,
    ttl: Option.Option<Duration.Duration>
  ) => Effect.Effect<void, CacheStoreError>
  /** Removes the value of a key; does nothing when there is none. */
  readonly remove: (key: string) => Effect.Effect<void, CacheStoreError>
  /** Removes every value. */
  readonly clear: Effect.Effect<void, CacheStoreError>
  /** Number and bytes of the values. Absent when the store does not count them. */
  readonly size?: Effect.Effect<Size, CacheStoreError>
  /** Whether the store answers at once and never fails, like memory: no time limit and no cooldown. @default false */
  readonly immediate?: boolean
}

/**
 * Number and bytes of the values in a store.
 *
 * @since 0.1.0
 * @category model
 */
export interface Size {
  readonly entries: number
  /** Size of keys and values as UTF-8. Absent when the store does not count it. */
  readonly bytes?: number
}

/**
 * An operation of a store failed.
 *
 * @since 0.1.0
 * @category errors
 */
export class CacheStoreError extends Schema.TaggedError<CacheStoreError>()("CacheStoreError", {
  operation: Schema.Literal("get", "set", "remove", "clear", "size"),
  /** The message of the store's own error. */
  detail: Schema.String,
  cause: Schema.optionalWith(Schema.Defect, { exact: true })
}) {
  override get message(): string {
    return `The cache's store failed (${this.operation}): ${this.detail}`
  }
}

/**
 * The store in which `ResponseCache` and `EmbeddingCache` keep their entries.
 *
 * @since 0.1.0
 * @category tags
 */
export class CacheStore extends Context.Tag("effect-llm/CacheStore")<CacheStore, Store>() {}

/**
 * Capacity of a store in memory.
 *
 * @since 0.1.0
 * @category model
 */
export interface MemoryOptions {
  /** The maximum number of values. @default 1000 */
  readonly maxEntries?: number
  /** The maximum size of keys and values together, in bytes of UTF-8. @default 67108864 (64 MiB) */
  readonly maxBytes?: number
}
