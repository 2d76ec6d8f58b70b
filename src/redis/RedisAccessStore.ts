/**
 * The virtual keys of gateways in Redis: one that is made at one of them is good at all, and one that is revoked is good at none
 * within the `cacheTime`.
 *
 * A key that was revoked is so for good: also where a gateway has it among its configured keys and starts anew. A configured key is
 * good only at gateways that have it configured, whichever of them has put it here. What is kept is
 * not the secrets but their SHA-256. Nothing expires by itself, so give Redis the policy `noeviction` and a disk.
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
import type { Kept } from "./access/scripts.js"
import * as Steps from "./access/scripts.js"
import { Redis } from "./model.js"

/**
 * @since 0.1.0
 * @category model
 */
export interface Options {
  /** Gateways under one name on one Redis, with one prefix, have the same keys. */
  readonly name: string
  /**
   * For how long a key that was found is not looked for again: for so long a revoked key may still be good at other gateways. Of
   * secrets that were not found nothing is remembered. @default "2 seconds"
   */
  readonly cacheTime?: Duration.DurationInput
  /**
   * While Redis is away: for how long after it was last found a key is good. Other keys fail with `AccessStoreError`, which the
   * gateway answers with 503. @default "5 minutes"
   */
  readonly keepTime?: Duration.DurationInput
}

/** A key that was found, and when it was asked for. */
interface Found {
  readonly key: VirtualKey
  readonly at: number
}

const encode = Schema.encode(Schema.parseJson(VirtualKey))

const decode = Schema.decodeUnknown(Schema.parseJson(VirtualKey))

const decodeTime = Schema.decodeUnknown(Schema.DateTimeUtc)

const oldestFirst: Order.Order<VirtualKey> = Order.combine(
  Order.mapInput(DateTime.Order, ({ createdAt }: VirtualKey) => createdAt),
  Order.mapInput(Order.string, ({ id }: VirtualKey) => id)
)

const failed = (cause: Error): AccessStoreError => new AccessStoreError({ detail: cause.message, cause })

const keyIn = ([text, madeAt]: Kept): Effect.Effect<VirtualKey, AccessStoreError> =>
  Effect.zipWith(decode(text), decodeTime(madeAt), (key, createdAt) => ({ ...key, createdAt })).pipe(
    Effect.mapError((cause) => new AccessStoreError({ detail: "a key in Redis is not as a key must be", cause }))
  )

/**
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: Options): Effect.Effect<Store, never, Redis> =>
  Effect.gen(function* () {
    const redis = yield* Redis
    const steps = Steps.make(redis, options.name)
    const cacheTime = Duration.toMillis(options.cacheTime ?? "2 seconds")
    const keepTime = Duration.toMillis(options.keepTime ?? "5 minutes")
    const found = yield* Ref.make(HashMap.empty<string, Found>())

    const looked = (hash: string, at: number): Effect.Effect<Option.Option<VirtualKey>, AccessStoreError> =>
      Effect.flatMap(Effect.mapError(steps.find(hash), failed), (kept) =>
        kept === null
          ? Effect.as(Ref.update(found, HashMap.remove(hash)), Option.none())
          : Effect.flatMap(keyIn(kept), (key) =>
              Effect.as(Ref.update(found, HashMap.set(hash, { key, at })), Option.some(key))
            )
      )

    const find: Store["find"] = (hash) =>
      Effect.flatMap(Effect.clock, (clock) =>
        Effect.flatMap(Ref.get(found), (all) => {
          const now = MonotonicClock.now(clock)
          const known = Option.getOrUndefined(HashMap.get(all, hash))
          if (known !== undefined && now - known.at < cacheTime) return Effect.succeed(Option.some(known.key))
          return known === undefined || now - known.at >= keepTime
            ? looked(hash, now)
            : Effect.catchAll(looked(hash, now), () => Effect.succeed(Option.some(known.key)))
        })
      )

    return {
      find,
      list: Effect.mapError(steps.list, failed).pipe(
        Effect.flatMap(Effect.forEach(keyIn)),
        Effect.map(Array.sort(oldestFirst))
      ),
      put: (key) =>
        Effect.gen(function* () {
          const text = yield* encode(key)
          const isKept = yield* steps.put(key.hash, key.id, DateTime.formatIso(key.createdAt), text)
          yield* Ref.update(found, HashMap.remove(key.hash))
          if (isKept === 0) yield* Effect.logWarning(`The gateway's key ${key.id} was revoked, and stays so.`)
        }).pipe(Effect.mapError(failed)),
      remove: (id) =>
        Effect.zipLeft(
          Effect.map(Effect.mapError(steps.remove(id), failed), (removed) => removed > 0),
          Ref.update(
            found,
            HashMap.filter(({ key }) => key.id !== id)
          )
        )
    }
  })

/**
 * @since 0.1.0
 * @category layers
 */
export const layer = (options: Options): Layer.Layer<AccessStore, never, Redis> =>
  Layer.effect(AccessStore, make(options))
