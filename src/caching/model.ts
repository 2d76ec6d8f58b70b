/** The contract of a cache and of its store. */
import type { Duration, Effect, Option } from "effect"
import { Context, Schema } from "effect"
import type { Middleware, ModelInfo } from "../call/model.js"

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

/** Options of every cache. */
export interface CacheOptions {
  /** How long an entry is valid. @default "1 hour" */
  readonly ttl?: Duration.DurationInput
  /** Separates entries that must not be shared over one store, such as those of tenants. @default "" */
  readonly scope?: string
  /** The longest wait of a call for one operation of the store. @default "500 millis" */
  readonly storeTimeout?: Duration.DurationInput
  /** How long a store is not used after it failed. @default "10 seconds" */
  readonly storeRest?: Duration.DurationInput
}

/** Statistics of every cache. */
export interface CacheStats {
  /** Lookups that the store answered: calls of a `ResponseCache`, texts of an `EmbeddingCache`. */
  readonly hits: number
  /** Lookups that the provider answered. */
  readonly misses: number
  /** The share of lookups for which no provider was called; 0 before the first one. */
  readonly hitRate: number
  /** How often the store failed or was too slow. */
  readonly storeFailures: number
  /** Number of entries in the store. Absent when the store does not count them. */
  readonly entries?: number
  /** Size of the store in bytes. Absent when the store does not count them. */
  readonly bytes?: number
}

/** A cache of the answers to a kind of request. */
export interface CacheService<Request, Stats extends CacheStats> {
  /** The middleware. One cache can serve several `LLM`s: their entries are kept apart. */
  readonly middleware: Middleware
  /** Counted since the cache was made, or since the last `clear`. */
  readonly stats: Effect.Effect<Stats>
  /** Removes every entry in the store, prevents calls in flight from adding theirs, and resets the statistics. */
  readonly clear: Effect.Effect<void, CacheStoreError>
  /** Removes the entries of one `LLM` for one request. */
  readonly invalidate: (llm: { readonly info: ModelInfo }, request: Request) => Effect.Effect<void, CacheStoreError>
}

/**
 * How a call uses the caches that it passes through.
 *
 * @since 0.1.0
 * @category model
 */
export interface Wish {
  /** `use`; `bypass`: neither look up nor store; `refresh`: store without a lookup. */
  readonly mode: "use" | "bypass" | "refresh"
  /** How long the answer is valid. @default the `ttl` of the cache */
  readonly ttl?: Duration.DurationInput
}

/**
 * How the calls within use caches; for streams, set it with `Stream.provideService`. Read by `ResponseCache` and `EmbeddingCache`.
 *
 * @since 0.1.0
 * @category tags
 */
export class CacheWish extends Context.Reference<CacheWish>()("effect-llm/CacheWish", {
  defaultValue: (): Wish => ({ mode: "use" })
}) {}
