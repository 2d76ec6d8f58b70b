/** The contract of both caches: options, statistics, service, and their control by a call. */
import type { Duration, Effect } from "effect"
import { Context } from "effect"
import type { Middleware, ModelInfo } from "../call/model.js"
import type { CacheStoreError } from "./model.js"

/** Options of every cache. */
export interface CacheOptions {
  /** How long an entry is valid. @default "1 hour" */
  readonly ttl?: Duration.DurationInput
  /** Separates entries that must not be shared over one store, such as those of tenants. @default "" */
  readonly scope?: string
  /** The longest wait of a call for one operation of the store. @default "500 millis" */
  readonly storeTimeout?: Duration.DurationInput
  /** How long a store is not used after a failure (cooldown of its circuit breaker). @default "10 seconds" */
  readonly storeCooldown?: Duration.DurationInput
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
 * @since 0.2.0
 * @category model
 */
export interface CacheControl {
  /** `use`; `bypass`: neither look up nor store; `refresh`: store without a lookup. */
  readonly mode: "use" | "bypass" | "refresh"
  /** How long the answer is valid. @default the `ttl` of the cache */
  readonly ttl?: Duration.DurationInput
}

/**
 * How the calls within use a `ResponseCache` and an `EmbeddingCache`. For streams, set it with `Stream.provideService`.
 *
 * @since 0.2.0
 * @category tags
 */
export class CurrentCacheControl extends Context.Reference<CurrentCacheControl>()("effect-llm/CurrentCacheControl", {
  defaultValue: (): CacheControl => ({ mode: "use" })
}) {}
