/**
 * A cache store in Redis, on the connection that pools and limits use. While Redis is away it fails at once, so that calls
 * continue as if nothing were cached.
 *
 * For a cache alone, `PersistenceStore` of `effect-llm/persistence` over the Redis of `@effect/experimental` is an alternative.
 * It has its own connection, waits for a lost one, does not report its size, and clears by scanning all keys of Redis.
 *
 * @example
 * ```ts
 * import { Layer } from "effect"
 * import { ResponseCache } from "effect-llm"
 * import { Redis, RedisCacheStore } from "effect-llm/redis"
 *
 * const Cache = ResponseCache.layer({ ttl: "1 day" }).pipe(
 *   Layer.provide(RedisCacheStore.layer({ name: "answers" })),
 *   Layer.provide(Redis.layer({ url: "redis://localhost:6379" }))
 * )
 * ```
 *
 * @since 0.1.0
 */
import { Duration, Effect, Layer, Option, Schema } from "effect"
import type { Store } from "../caching/model.js"
import { CacheStore, CacheStoreError } from "../caching/model.js"
import { keyOf } from "./shared/layout.js"
import { redisTime } from "./shared/script.js"
import type { Script, Service } from "./model.js"
import { Redis, script } from "./model.js"

/**
 * @since 0.1.0
 * @category model
 */
export interface Options {
  /** Stores of different names share nothing. All entries of one name are on one node of a cluster. */
  readonly name: string
}

/** The version of the layout of index and values: see `shared/layout.ts`. The values have a version of their own. */
const layoutVersion = 1

/** The first key is the index: a sorted set of entry names by expiry time. */
const scripts = {
  get: script({
    name: "cache: get",
    lua: `return redis.call("GET", KEYS[1])`,
    reply: Schema.NullOr(Schema.String)
  }),
  set: script({
    name: "cache: set",
    lua: `${redisTime}
local ttl = tonumber(ARGV[3])
if ttl == 0 then
  redis.call("SET", KEYS[2], ARGV[2])
  redis.call("ZADD", KEYS[1], "+inf", ARGV[1])
else
  redis.call("SET", KEYS[2], ARGV[2], "PX", ttl)
  redis.call("ZADD", KEYS[1], string.format("%.3f", now + ttl), ARGV[1])
end
-- Redis expires values by itself; their names leave the index here, a few at a time.
for _, name in ipairs(redis.call("ZRANGEBYSCORE", KEYS[1], "-inf", string.format("%.3f", now), "LIMIT", 0, 4)) do
  redis.call("ZREM", KEYS[1], name)
end
return 1`,
    reply: Schema.Number
  }),
  remove: script({
    name: "cache: remove",
    lua: `
for i, name in ipairs(ARGV) do
  redis.call("DEL", KEYS[i + 1])
  redis.call("ZREM", KEYS[1], name)
end
return #ARGV`,
    reply: Schema.Number
  }),
  some: script({
    name: "cache: some",
    lua: `return redis.call("ZRANGE", KEYS[1], 0, 999)`,
    reply: Schema.Array(Schema.String)
  }),
  size: script({
    name: "cache: size",
    lua: `${redisTime}
redis.call("ZREMRANGEBYSCORE", KEYS[1], "-inf", string.format("%.3f", now))
return redis.call("ZCARD", KEYS[1])`,
    reply: Schema.Number
  })
}

const makeStore = (redis: Service, { name }: Options): Store => {
  const partKey = keyOf(redis, { kind: "cache", name, layoutVersion })
  const index = partKey("index")
  const value = (key: string): string => partKey(`value:${key}`)
  const run = <A>(
    operation: CacheStoreError["operation"],
    command: Script<A>,
    keys: ReadonlyArray<string>,
    args: ReadonlyArray<string | number> = []
  ): Effect.Effect<A, CacheStoreError> =>
    Effect.mapError(
      redis.run(command, keys, args),
      (cause) => new CacheStoreError({ operation, detail: cause.message, cause })
    )
  const removeNames = (operation: CacheStoreError["operation"], names: ReadonlyArray<string>) =>
    run(operation, scripts.remove, [index, ...names.map(value)], names)
  const clear: Store["clear"] = Effect.flatMap(run("clear", scripts.some, [index]), (names) =>
    names.length === 0 ? Effect.void : Effect.zipRight(removeNames("clear", names), clear)
  )
  return {
    get: (key) => Effect.map(run("get", scripts.get, [value(key)]), Option.fromNullable),
    set: (key, text, ttl) => {
      const millis = Option.match(ttl, { onNone: () => Infinity, onSome: Duration.toMillis })
      return millis < 1
        ? Effect.void
        : Effect.asVoid(
            run("set", scripts.set, [index, value(key)], [key, text, millis === Infinity ? 0 : Math.round(millis)])
          )
    },
    remove: (key) => Effect.asVoid(removeNames("remove", [key])),
    clear,
    size: Effect.map(run("size", scripts.size, [index]), (entries) => ({ entries }))
  }
}

/**
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: Options): Effect.Effect<Store, never, Redis> =>
  Effect.map(Redis, (redis) => makeStore(redis, options))

/**
 * @since 0.1.0
 * @category layers
 */
export const layer = (options: Options): Layer.Layer<CacheStore, never, Redis> =>
  Layer.effect(CacheStore, make(options))
