/** The contract of a store for cached answers. */
import type { Duration, Effect, Option } from "effect"
import { Context, Schema } from "effect"

/**
 * What keeps texts under keys. All of its failures are `CacheStoreError`s, which the caches count and get over.
 *
 * @since 0.1.0
 * @category model
 */
export interface Store {
  /** The value under a key, unless it has expired. */
  readonly get: (key: string) => Effect.Effect<Option.Option<string>, CacheStoreError>
  /** Puts a value in the place of what is there. A store that cannot let values expire by itself may ignore `ttl`. */
  readonly set: (
    key: string,
    value: string,
    ttl: Option.Option<Duration.Duration>
  ) => Effect.Effect<void, CacheStoreError>
  /** Removes the value under a key; does nothing where there is none. */
  readonly remove: (key: string) => Effect.Effect<void, CacheStoreError>
  /** Removes everything that the store holds. */
  readonly clear: Effect.Effect<void, CacheStoreError>
  /** How much the store holds. Absent where it cannot tell. */
  readonly size?: Effect.Effect<Size, CacheStoreError>
  /** Whether it answers at once and never fails, as memory does: it is not timed then. @default false */
  readonly immediate?: boolean
}

/**
 * How much a store holds.
 *
 * @since 0.1.0
 * @category model
 */
export interface Size {
  readonly entries: number
  /** Keys and values, as UTF-8. Absent where the store does not count them. */
  readonly bytes?: number
}

/**
 * A store could not do what it was asked to.
 *
 * @since 0.1.0
 * @category errors
 */
export class CacheStoreError extends Schema.TaggedError<CacheStoreError>()("CacheStoreError", {
  operation: Schema.Literal("get", "set", "remove", "clear", "size"),
  /** What happened, in the store's words. */
  detail: Schema.String,
  cause: Schema.optionalWith(Schema.Defect, { exact: true })
}) {
  override get message(): string {
    return `The cache's store failed (${this.operation}): ${this.detail}`
  }
}

/**
 * The store that `ResponseCache` and `EmbeddingCache` keep their values in.
 *
 * @since 0.1.0
 * @category tags
 */
export class CacheStore extends Context.Tag("effect-llm/CacheStore")<CacheStore, Store>() {}

/**
 * How much a store in memory may hold.
 *
 * @since 0.1.0
 * @category model
 */
export interface MemoryOptions {
  /** The most values that are held. @default 1000 */
  readonly maxEntries?: number
  /** The most bytes that keys and values have together, as UTF-8. @default 67108864 (64 MiB) */
  readonly maxBytes?: number
}
