/**
 * The virtual keys of gateways in Redis: a key created at one gateway is valid at all of them, and a revoked key is refused by
 * all within the `cacheTime`.
 *
 * A revoked key stays revoked, also when a gateway that has it configured restarts. A configured key is valid only at gateways
 * that have it configured, whichever of them stored it. Redis stores the SHA-256 of a secret instead of the secret. Nothing
 * expires by itself, so use the policy `noeviction` and persistence to disk.
 *
 * @example
 * ```ts
 * import { Layer } from "effect"
 * import { Access } from "effect-llm/gateway"
 * import { Redis, RedisAccessStore } from "effect-llm/redis"
 *
 * const Keys = Access.layer({ adminToken: "a long random text" }).pipe(
 *   Layer.provide(RedisAccessStore.layer({ name: "production" })),
 *   Layer.provide(Redis.layer({ url: "redis://localhost:6379" }))
 * )
 * ```
 *
 * @since 0.1.0
 */
import { Array, DateTime, Duration, Effect, HashMap, Layer, Option, Order, Ref, Schema } from "effect"
import type { Store } from "../gateway/AccessStore.js"
import { AccessStore, AccessStoreError } from "../gateway/AccessStore.js"
import { VirtualKey } from "../gateway/VirtualKey.js"
import * as MonotonicClock from "../internal/clock.js"
import type { StoredKey } from "./access/scripts.js"
import * as Scripts from "./access/scripts.js"
import { Redis } from "./model.js"

/**
 * @since 0.1.0
 * @category model
 */
export interface Options {
  /** All gateways of one name on one Redis with one prefix have the same keys. */
  readonly name: string
  /**
   * How long a found key is cached: for this time a revoked key can still be valid at other gateways. Misses are not cached.
   * @default "2 seconds"
   */
  readonly cacheTime?: Duration.DurationInput
  /**
   * How long a key stays valid after it was last found while Redis is away. Other keys fail with `AccessStoreError`, which the
   * gateway answers with 503. @default "5 minutes"
   */
  readonly keepTime?: Duration.DurationInput
}

/** A key that was found, and when it was requested. */
interface CachedKey {
  readonly key: VirtualKey
  readonly at: number
}

/**
 * The version of the JSON of a key. A key of another version is refused: a gateway that does not know its limits would not apply them.
 *
 * Raise it when gateways of the last release would misread a key, for example because of a new limit, and then let this store read
 * both versions. Keys of 0.1.0 have no version, which counts as 1.
 */
const keyVersion = 1

const Version = Schema.parseJson(
  Schema.Struct({ version: Schema.optionalWith(Schema.Int, { exact: true, default: () => 1 }) })
)

const decodeVersion = Schema.decodeUnknown(Version)

const encode = Schema.encode(Schema.parseJson(Schema.Struct({ ...VirtualKey.fields, version: Schema.Int })))

const decode = Schema.decodeUnknown(Schema.parseJson(VirtualKey))

const decodeTime = Schema.decodeUnknown(Schema.DateTimeUtc)

const oldestFirst: Order.Order<VirtualKey> = Order.combine(
  Order.mapInput(DateTime.Order, ({ createdAt }: VirtualKey) => createdAt),
  Order.mapInput(Order.string, ({ id }: VirtualKey) => id)
)

const storeError = (cause: Error): AccessStoreError => new AccessStoreError({ detail: cause.message, cause })

const invalidKey = (cause: Error): AccessStoreError =>
  new AccessStoreError({ detail: "a value stored in Redis is not a valid virtual key", cause })

const decodeKey = ([text, madeAt]: StoredKey): Effect.Effect<VirtualKey, AccessStoreError> =>
  Effect.flatMap(Effect.mapError(decodeVersion(text), invalidKey), ({ version }) =>
    version === keyVersion
      ? Effect.zipWith(decode(text), decodeTime(madeAt), (key, createdAt) => ({ ...key, createdAt })).pipe(
          Effect.mapError(invalidKey)
        )
      : new AccessStoreError({
          detail:
            `a virtual key in Redis has version ${version}, and this version of effect-llm reads version ${keyVersion}. ` +
            "Update this gateway, or revoke the key"
        })
  )

/**
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: Options): Effect.Effect<Store, never, Redis> =>
  Effect.gen(function* () {
    const redis = yield* Redis
    const scripts = Scripts.make(redis, options.name)
    const cacheTime = Duration.toMillis(options.cacheTime ?? "2 seconds")
    const keepTime = Duration.toMillis(options.keepTime ?? "5 minutes")
    const cache = yield* Ref.make(HashMap.empty<string, CachedKey>())

    const lookUp = (hash: string, at: number): Effect.Effect<Option.Option<VirtualKey>, AccessStoreError> =>
      Effect.flatMap(Effect.mapError(scripts.find(hash), storeError), (stored) =>
        stored === null
          ? Effect.as(Ref.update(cache, HashMap.remove(hash)), Option.none())
          : Effect.flatMap(decodeKey(stored), (key) =>
              Effect.as(Ref.update(cache, HashMap.set(hash, { key, at })), Option.some(key))
            )
      )

    const find: Store["find"] = (hash) =>
      Effect.flatMap(Effect.clock, (clock) =>
        Effect.flatMap(Ref.get(cache), (all) => {
          const now = MonotonicClock.now(clock)
          const cached = Option.getOrUndefined(HashMap.get(all, hash))
          if (cached !== undefined && now - cached.at < cacheTime) return Effect.succeed(Option.some(cached.key))
          return cached === undefined || now - cached.at >= keepTime
            ? lookUp(hash, now)
            : Effect.catchAll(lookUp(hash, now), () => Effect.succeed(Option.some(cached.key)))
        })
      )

    const forget = (id: string): Effect.Effect<void> =>
      Ref.update(
        cache,
        HashMap.filter(({ key }) => key.id !== id)
      )

    return {
      find,
      list: Effect.mapError(scripts.list, storeError).pipe(
        Effect.flatMap(Effect.forEach(decodeKey)),
        Effect.map(Array.sort(oldestFirst))
      ),
      put: (key) =>
        Effect.gen(function* () {
          const text = yield* encode({ ...key, version: keyVersion })
          const isStored = yield* scripts.put(key.hash, key.id, DateTime.formatIso(key.createdAt), text)
          yield* forget(key.id)
          if (isStored === 0)
            yield* Effect.logWarning(`The gateway key ${key.id} was not stored: it was revoked. Create another key.`)
        }).pipe(Effect.mapError(storeError)),
      remove: (id) =>
        Effect.zipLeft(
          Effect.map(Effect.mapError(scripts.remove(id), storeError), (removed) => removed > 0),
          forget(id)
        )
    }
  })

/**
 * @since 0.1.0
 * @category layers
 */
export const layer = (options: Options): Layer.Layer<AccessStore, never, Redis> =>
  Layer.effect(AccessStore, make(options))
