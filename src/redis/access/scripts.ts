/**
 * The gateway's keys in Redis, by the SHA-256 of their secrets. When a key was first put is kept beside it, since it is put again at
 * each start of a gateway that has it configured; and of one that was removed, that it was.
 *
 * Keys: the keys as JSON, when they were made, the hashes by the ids, and the hashes that were removed.
 */
import type { Effect } from "effect"
import { Schema } from "effect"
import type * as Redis from "../model.js"
import { script } from "../model.js"

const shared = `local KEYS_OF, MADE, IDS, REMOVED = unpack(KEYS)
local function kept(hash) return { redis.call("HGET", KEYS_OF, hash) or "", redis.call("HGET", MADE, hash) or "" } end
`

/** The key as JSON, and when it was made. */
const Kept = Schema.Tuple(Schema.String, Schema.String)

export type Kept = typeof Kept.Type

const find = script({
  name: "access: find",
  lua: `${shared}
if redis.call("HEXISTS", KEYS_OF, ARGV[1]) == 0 then return nil end
return kept(ARGV[1])`,
  reply: Schema.NullOr(Kept)
})

const list = script({
  name: "access: list",
  lua: `${shared}
local all = {}
for i, hash in ipairs(redis.call("HKEYS", KEYS_OF)) do all[i] = kept(hash) end
return all`,
  reply: Schema.Array(Kept)
})

const put = script({
  name: "access: put",
  lua: `${shared}
local hash, id, madeAt, text = unpack(ARGV)
if redis.call("SISMEMBER", REMOVED, hash) == 1 then return 0 end
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
redis.call("SADD", REMOVED, hash)
redis.call("HDEL", KEYS_OF, hash)
redis.call("HDEL", MADE, hash)
redis.call("HDEL", IDS, ARGV[1])
return 1`,
  reply: Schema.Number
})

type Run<A> = Effect.Effect<A, Redis.RedisError>

export interface Steps {
  readonly find: (hash: string) => Run<Kept | null>
  readonly list: Run<ReadonlyArray<Kept>>
  /** Says 0 where it was removed before. */
  readonly put: (hash: string, id: string, madeAt: string, text: string) => Run<number>
  /** Says 0 where there is none of that id. */
  readonly remove: (id: string) => Run<number>
}

export const make = (redis: Redis.Service, name: string): Steps => {
  const keys = ["keys", "made", "ids", "removed"].map((part) => redis.key("access", name, part))
  return {
    find: (hash) => redis.run(find, keys, [hash]),
    list: redis.run(list, keys, []),
    put: (hash, id, madeAt, text) => redis.run(put, keys, [hash, id, madeAt, text]),
    remove: (id) => redis.run(remove, keys, [id])
  }
}
