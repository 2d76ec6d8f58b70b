/**
 * The scripts of gateway keys, which are stored by the SHA-256 of their secrets. The creation time is stored separately, because
 * each start of a gateway stores its configured keys again. Hashes and ids of removed keys are kept, so that they stay revoked.
 *
 * `KEYS`: hash of keys as JSON, hash of creation times, hash from id to secret hash, and set of the removed hashes and ids.
 */
import type { Effect } from "effect"
import { Schema } from "effect"
import type * as Redis from "../model.js"
import { script } from "../model.js"
import { keyOf } from "../shared/layout.js"

/**
 * The version of the layout of the hashes and the set: see `shared/layout.ts`. A new version discards all keys and revocations:
 * change the scripts so that they read both layouts where that is possible. The JSON of a key has a version of its own.
 */
export const layoutVersion = 1

const shared = `local KEYS_OF, MADE, IDS, REMOVED = unpack(KEYS)
local function stored(hash) return { redis.call("HGET", KEYS_OF, hash) or "", redis.call("HGET", MADE, hash) or "" } end
`

/** The key as JSON, and its creation time. */
const StoredKey = Schema.Tuple(Schema.String, Schema.String)

export type StoredKey = typeof StoredKey.Type

const find = script({
  name: "access: find",
  lua: `${shared}
if redis.call("HEXISTS", KEYS_OF, ARGV[1]) == 0 then return nil end
return stored(ARGV[1])`,
  reply: Schema.NullOr(StoredKey)
})

const list = script({
  name: "access: list",
  lua: `${shared}
local all = {}
for i, hash in ipairs(redis.call("HKEYS", KEYS_OF)) do all[i] = stored(hash) end
return all`,
  reply: Schema.Array(StoredKey)
})

const put = script({
  name: "access: put",
  lua: `${shared}
local hash, id, madeAt, text = unpack(ARGV)
if redis.call("SISMEMBER", REMOVED, hash) == 1 or redis.call("SISMEMBER", REMOVED, id) == 1 then return 0 end
local replaced = redis.call("HGET", IDS, id)
if replaced and replaced ~= hash then
  redis.call("SADD", REMOVED, replaced)
  redis.call("HDEL", KEYS_OF, replaced)
  redis.call("HDEL", MADE, replaced)
end
redis.call("HSET", KEYS_OF, hash, text)
redis.call("HSETNX", MADE, hash, madeAt)
redis.call("HSET", IDS, id, hash)
return 1`,
  reply: Schema.Number
})

const remove = script({
  name: "access: remove",
  lua: `${shared}
local hash = redis.call("HGET", IDS, ARGV[1])
if not hash then return 0 end
redis.call("SADD", REMOVED, hash, ARGV[1])
redis.call("HDEL", KEYS_OF, hash)
redis.call("HDEL", MADE, hash)
redis.call("HDEL", IDS, ARGV[1])
return 1`,
  reply: Schema.Number
})

type Run<A> = Effect.Effect<A, Redis.RedisError>

export interface Scripts {
  readonly find: (hash: string) => Run<StoredKey | null>
  readonly list: Run<ReadonlyArray<StoredKey>>
  /** Removes another secret of this id. Replies 0 when this one or the id was removed earlier. */
  readonly put: (hash: string, id: string, madeAt: string, text: string) => Run<number>
  /** Replies 0 when there is no key of this id. */
  readonly remove: (id: string) => Run<number>
}

export const make = (redis: Redis.Service, name: string): Scripts => {
  const keys = ["keys", "made", "ids", "removed"].map(keyOf(redis, { kind: "access", name, layoutVersion }))
  return {
    find: (hash) => redis.run(find, keys, [hash]),
    list: redis.run(list, keys, []),
    put: (hash, id, madeAt, text) => redis.run(put, keys, [hash, id, madeAt, text]),
    remove: (id) => redis.run(remove, keys, [id])
  }
}
