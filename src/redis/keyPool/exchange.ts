/**
 * The one script of a pool: it takes what a process has to say, and answers whether a call may use a key and what has changed.
 *
 * `KEYS[1]` is a hash with the `token` of the state, the latest `version`, and `key:<id>` with the record of a key, which only
 * TypeScript reads. `KEYS[2]` orders the ids by the version of their record. For each key of the request follow two sorted sets of
 * leases by their expiry, of all calls in flight and of those that test the key, and the list of its latest starts.
 */
import { Schema } from "effect"
import type { Script } from "../model.js"
import * as Redis from "../model.js"
import { redisTime } from "../shared/script.js"

/** The version of the layout of a pool's state: see `shared/layout.ts`. */
export const layoutVersion = 2

/** Indices of keys count from 1, as in Lua. Times are in milliseconds. */
export interface Request {
  /** The token of the state that the process knows; empty before the first reply. */
  readonly token: string
  /** The token for an empty state. */
  readonly newToken: string
  /** The latest version that the process knows. */
  readonly since: number
  readonly leaseTime: number
  /** How long the state is kept without a process. */
  readonly ttl: number
  /** The keys that are concerned. */
  readonly ids: ReadonlyArray<string>
  /** Leases that have ended; with the start to take back where no call was made. */
  readonly ended: ReadonlyArray<readonly [key: number, lease: string, start?: string]>
  /** Leases that no longer test their key. */
  readonly accepted: ReadonlyArray<readonly [key: number, lease: string]>
  /** Leases to keep, or to restore. */
  readonly renewed: ReadonlyArray<readonly [key: number, lease: string]>
  /** Records that replace the one of a version, and whether they begin a new cooldown, to which earlier tests do not count. */
  readonly records: ReadonlyArray<readonly [key: number, version: number, record: string, isNewEpoch: boolean]>
  readonly wish?: Wish
}

/** The lease that a call needs. */
export interface Wish {
  readonly key: number
  readonly lease: string
  /** The version of the record on which the process decided. */
  readonly version: number
  readonly maxConcurrency?: number | undefined
  /** The calls that the key takes at a time after its cooldown. */
  readonly admission?: number | undefined
  /** At most `limit` starts in any `duration`. */
  readonly limit?: number | undefined
  readonly duration?: number | undefined
}

const Reply = Schema.Tuple(
  Schema.NumberFromString,
  /** The time as the script wrote it. */
  Schema.String,
  /** The token of the state. */
  Schema.String,
  /** The latest version. */
  Schema.Number,
  /** 0 for a lease that was taken, -1 for one that was refused, or the wait until a start fits into the rate. */
  Schema.Number,
  /** The keys whose records were replaced, with their versions. */
  Schema.Array(Schema.Tuple(Schema.Number, Schema.Number)),
  /** Records that have changed, with id and version. */
  Schema.Array(Schema.Tuple(Schema.String, Schema.NumberFromString, Schema.NullOr(Schema.String))),
  /** For each key of the request the calls in flight, and those of them that test it. */
  Schema.Array(Schema.Tuple(Schema.Number, Schema.Number))
)

export type Reply = typeof Reply.Type

const lua = `
local request = cjson.decode(ARGV[1])
local call = redis.call
local nowText = string.format("%.17g", now)
local deadline = string.format("%.0f", now + request.leaseTime)

local token = call("HGET", KEYS[1], "token")
local isTouched = not token or #request.renewed > 0 or #request.records > 0
if not token then
  token = request.newToken
  call("HSET", KEYS[1], "token", token)
  call("DEL", KEYS[2])
end
local since = token == request.token and request.since or 0

local function leases(i) return KEYS[3 * i] end
local function tests(i) return KEYS[3 * i + 1] end
local function starts(i) return KEYS[3 * i + 2] end
local function hold(name, lease)
  call("ZADD", name, deadline, lease)
  if call("PTTL", name) < request.leaseTime then call("PEXPIRE", name, string.format("%.0f", request.leaseTime)) end
end
local function versionOf(i) return tonumber(call("ZSCORE", KEYS[2], request.ids[i]) or 0) end

for _, ended in ipairs(request.ended) do
  call("ZREM", leases(ended[1]), ended[2])
  call("ZREM", tests(ended[1]), ended[2])
  if ended[3] then call("LREM", starts(ended[1]), 1, ended[3]) end
end
for _, accepted in ipairs(request.accepted) do call("ZREM", tests(accepted[1]), accepted[2]) end
for _, renewed in ipairs(request.renewed) do
  hold(leases(renewed[1]), renewed[2])
  if call("ZSCORE", tests(renewed[1]), renewed[2]) then hold(tests(renewed[1]), renewed[2]) end
end
-- Processes that did not renew these leases have ended.
for i = 1, #request.ids do
  call("ZREMRANGEBYSCORE", leases(i), "-inf", nowText)
  call("ZREMRANGEBYSCORE", tests(i), "-inf", nowText)
end

local news = {}
local function tell(id, version) news[#news + 1] = { id, version, call("HGET", KEYS[1], "key:" .. id) } end

local replaced, isReplaced = {}, {}
for _, record in ipairs(request.records) do
  local i = record[1]
  if versionOf(i) == record[2] then
    local version = call("HINCRBY", KEYS[1], "version", 1)
    call("HSET", KEYS[1], "key:" .. request.ids[i], record[3])
    call("ZADD", KEYS[2], version, request.ids[i])
    if record[4] then call("DEL", tests(i)) end
    replaced[#replaced + 1] = { i, version }
    isReplaced[i] = true
  else
    tell(request.ids[i], string.format("%.0f", versionOf(i)))
  end
end

local changed = call("ZRANGEBYSCORE", KEYS[2], "(" .. string.format("%.0f", since), "+inf", "WITHSCORES")
for n = 1, #changed, 2 do tell(changed[n], changed[n + 1]) end

local answer = 0
local wish = request.wish
if wish then
  local i = wish.key
  local oldest = wish.limit and tonumber(call("LINDEX", starts(i), wish.limit - 1))
  if versionOf(i) ~= wish.version and not isReplaced[i] then
    tell(request.ids[i], string.format("%.0f", versionOf(i)))
    answer = -1
  elseif wish.maxConcurrency and call("ZCARD", leases(i)) >= wish.maxConcurrency
    or wish.admission and call("ZCARD", tests(i)) >= wish.admission then
    answer = -1
  elseif oldest and oldest + wish.duration > now then
    answer = math.ceil(oldest + wish.duration - now)
  else
    hold(leases(i), wish.lease)
    if wish.admission then hold(tests(i), wish.lease) end
    if wish.limit then
      call("LPUSH", starts(i), nowText)
      call("LTRIM", starts(i), 0, wish.limit - 1)
      call("PEXPIRE", starts(i), string.format("%.0f", math.ceil(wish.duration)))
    end
  end
end

if isTouched then
  call("PEXPIRE", KEYS[1], string.format("%.0f", request.ttl))
  call("PEXPIRE", KEYS[2], string.format("%.0f", request.ttl))
end
local counts = {}
for i = 1, #request.ids do counts[i] = { call("ZCARD", leases(i)), call("ZCARD", tests(i)) } end
return { nowText, nowText, token, tonumber(call("HGET", KEYS[1], "version") or 0), answer, replaced, news, counts }
`

/** The script. `clock` is Lua code that sets `now`; tests pass one that they control. */
export const make = (clock: string): Script<Reply> =>
  Redis.script({ name: "key pool", lua: `${clock}${lua}`, reply: Reply })

/** The script with Redis's clock. */
export const script = make(redisTime)
