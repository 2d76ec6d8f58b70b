/**
 * Stores the answers of `/v1/responses`, so that clients can refer to them: by `previous_response_id`, by `item_reference`, by
 * `GET /v1/responses/{id}`, and by polling for those with `background: true`. A gateway uses the store in context, or else one in memory
 * of its own. Several gateways, or the workers of one, need a store that they share.
 *
 * @example
 * ```ts
 * import { Layer } from "effect"
 * import { Gateway, ResponseStore } from "effect-llm/gateway"
 *
 * const Live = Gateway.layer().pipe(
 *   Layer.provide(ResponseStore.layerMemory({ ttl: "1 day", maxBytes: 256 * 1024 * 1024 }))
 * )
 * ```
 *
 * @since 0.2.0
 */
import { Context, Duration, Effect, Layer, Option, Schema } from "effect"
import * as LruMap from "../caching/lru.js"
import * as Checks from "../internal/optionChecks.js"

/**
 * A map from keys to texts, each of which expires when it was not read or written for the lifetime of the store.
 *
 * @since 0.2.0
 * @category model
 */
export interface Service {
  /** Reads a text and renews its lifetime. */
  readonly get: (key: string) => Effect.Effect<Option.Option<string>, ResponseStoreError>
  /** Stores a text, and succeeds when it is stored. */
  readonly set: (key: string, text: string) => Effect.Effect<void, ResponseStoreError>
  /**
   * Stores a text on the side: at once, or soon where that takes an effect. `get` of this process returns it from now on. A store that
   * cannot store it logs that.
   */
  readonly unsafeSet: (key: string, text: string) => void
  /** Removes a text; false if there was none. */
  readonly remove: (key: string) => Effect.Effect<boolean, ResponseStoreError>
  /** Whether other processes read what this one stores. */
  readonly isShared: boolean
}

/**
 * An operation of the store failed.
 *
 * @since 0.2.0
 * @category errors
 */
export class ResponseStoreError extends Schema.TaggedError<ResponseStoreError>()("ResponseStoreError", {
  operation: Schema.Literal("get", "set", "remove"),
  /** The message of the store. */
  detail: Schema.String,
  cause: Schema.optionalWith(Schema.Defect, { exact: true })
}) {
  override get message(): string {
    return `The store of responses failed (${this.operation}): ${this.detail}`
  }
}

/**
 * @since 0.2.0
 * @category tags
 */
export class ResponseStore extends Context.Tag("effect-llm/gateway/ResponseStore")<ResponseStore, Service>() {}

/**
 * @since 0.2.0
 * @category constructors
 */
export interface MemoryOptions {
  /** How long a text is kept after it was last used. @default "1 hour" */
  readonly ttl?: Duration.DurationInput
  /** The most texts; those that were used least recently make room. An answer takes one, and one for each of its items. @default 50,000 */
  readonly maxEntries?: number
  /** The most bytes of all texts; a larger text is not stored. @default 64 MiB */
  readonly maxBytes?: number
}

/**
 * Makes a store in memory.
 *
 * @throws TypeError when an option is invalid
 * @since 0.2.0
 * @category constructors
 */
export const makeMemory = (options: MemoryOptions = {}): Effect.Effect<Service> => {
  const { maxBytes = 64 * 1024 * 1024, maxEntries = 50_000 } = options
  const ttl = Checks.valid("ResponseStore", ({ millis, number }) => {
    number("maxEntries", maxEntries, maxEntries >= 0, "a number of at least 0")
    number("maxBytes", maxBytes, maxBytes >= 0, "a number of at least 0")
    return Duration.millis(millis("ttl", options.ttl ?? "1 hour", Checks.positive))
  })
  return Effect.map(Effect.clock, (clock) => {
    const texts = LruMap.make(maxEntries, maxBytes)
    const unsafeSet = (key: string, text: string): void => {
      const now = clock.unsafeCurrentTimeMillis()
      LruMap.set(texts, key, text, LruMap.expiry(now, Option.some(ttl)), now)
    }
    const read = (key: string): string | undefined => LruMap.get(texts, key, clock.unsafeCurrentTimeMillis())
    return {
      get: (key) =>
        Effect.sync(() => {
          const text = read(key)
          if (text !== undefined) unsafeSet(key, text)
          return Option.fromNullable(text)
        }),
      set: (key, text) => Effect.sync(() => unsafeSet(key, text)),
      unsafeSet,
      remove: (key) =>
        Effect.sync(() => {
          const isStored = read(key) !== undefined
          LruMap.remove(texts, key)
          return isStored
        }),
      isShared: false
    }
  })
}

/**
 * @since 0.2.0
 * @category layers
 */
export const layerMemory = (options?: MemoryOptions): Layer.Layer<ResponseStore> =>
  Layer.effect(ResponseStore, makeMemory(options))
