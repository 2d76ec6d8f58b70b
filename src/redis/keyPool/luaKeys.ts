/**
 * The keys of a pool in Lua, which all its steps begin with. What happens to a key is what `internal/pooledKey.ts` and
 * `internal/keyRing.ts` do, under the same names; a test takes both through the same random steps and finds them equal.
 *
 * `KEYS[1]` is a hash: `pool` holds what concerns all keys, `key:<id>` one key, `group:<name>` the ids of an account, and
 * `starts:<id>:<n>` when calls were started on a key that may start only so many a second. `KEYS[2]` has the calls in flight as
 * `<lease>:<sequence>:<key>`, by the time at which they are given up for lost. Times are in milliseconds since the epoch.
 */

/** Reads the request, gives up lost leases, and has what a step does with keys. It ends with `save`. */
export const keys = `
local request = cjson.decode(ARGV[1])
math.randomseed(request.seed)
local function exponential() return -math.log(1 - math.random()) end

local stored = redis.call("HGET", KEYS[1], "pool")
-- Leases of a pool that is forgotten would be counted for none of its keys.
if not stored then redis.call("DEL", KEYS[2]) end
local pool = stored and cmsgpack.unpack(stored) or { sequence = 0, served = 0, ticket = 0 }
local isPoolChanged = false
local isIdle = false
local keys = {}
local changed = {}

local function keep(id, packed)
  if not packed then return nil end
  local key = cmsgpack.unpack(packed)
  -- Where nothing is in flight no key has anything in flight, whatever was lost.
  if isIdle and key.inFlight > 0 then
    key.inFlight = 0
    key.probe = nil
    changed[id] = true
  end
  keys[id] = key
  return key
end

local function keyOf(id)
  return keys[id] or keep(id, redis.call("HGET", KEYS[1], "key:" .. id))
end

local function duration(key) return math.max(1, math.floor(key.rate)) / key.rate * 1000 end

local function standing(key)
  if key.disabled then return "disabled" end
  if key.restUntil > now then
    return (key.reason == "rate-limited" or key.reason == "resting") and "limited" or "broken"
  end
  if key.halfOpen and key.probe then return "probing" end
  if key.maxConcurrency and key.inFlight >= key.maxConcurrency then return "capped" end
  if key.oldest and key.oldest + duration(key) > now then return "paced" end
  return "ready"
end

local function wakeAt(key, is)
  if is == "limited" or is == "broken" then return key.restUntil end
  if is == "paced" then return key.oldest + duration(key) end
  return nil
end

local function put(id, key)
  local is = standing(key)
  local isAway = is == "limited" or is == "broken" or is == "disabled"
  if key.isAway and not isAway then
    key.served = math.max(key.served, pool.served * key.weight)
    key.ticket = pool.ticket + exponential() / key.weight
  end
  key.isAway = isAway
  changed[id] = true
end

local function release(key, sequence)
  key.inFlight = math.max(0, key.inFlight - 1)
  if key.probe == sequence then key.probe = nil end
end

local function parts(member)
  local sequence, id = string.match(member, "^[^:]*:(%d+):(.*)$")
  return tonumber(sequence), id
end

-- Whoever had these is gone: they were not renewed.
local lost = redis.call("ZRANGEBYSCORE", KEYS[2], "-inf", string.format("%.0f", now))
for _, member in ipairs(lost) do
  local sequence, id = parts(member)
  local key = keyOf(id)
  if key then
    release(key, sequence)
    put(id, key)
  end
  redis.call("ZREM", KEYS[2], member)
end
isIdle = redis.call("ZCARD", KEYS[2]) == 0
if isIdle then
  for _, key in pairs(keys) do key.inFlight, key.probe = 0, nil end
end

-- Fetches the keys of the process, and lets time pass for them. Says whether all of them are known.
local function fetch(ids)
  if #ids == 0 then return true end
  -- Lua passes some thousands of arguments at the most.
  for from = 1, #ids, 1000 do
    local fields = {}
    for i = from, math.min(from + 999, #ids) do fields[#fields + 1] = "key:" .. ids[i] end
    local packed = redis.call("HMGET", KEYS[1], unpack(fields))
    for i, found in ipairs(packed) do
      local id = ids[from + i - 1]
      if not found then return false end
      local key = keys[id] or keep(id, found)
      if key.isAway then
        local is = standing(key)
        if is ~= "limited" and is ~= "broken" and is ~= "disabled" then put(id, key) end
      end
    end
  end
  return true
end

local week = 604800000

local function outlive(name, ttl)
  if redis.call("PTTL", name) < ttl - 3600000 then redis.call("PEXPIRE", name, string.format("%.0f", ttl)) end
end

local function save()
  local rest = 0
  for id, _ in pairs(changed) do
    local key = keys[id]
    rest = math.max(rest, math.min(key.restUntil - now, 52 * week))
    redis.call("HSET", KEYS[1], "key:" .. id, cmsgpack.pack(key))
  end
  if isPoolChanged then redis.call("HSET", KEYS[1], "pool", cmsgpack.pack(pool)) end
  outlive(KEYS[1], week + rest)
  outlive(KEYS[2], week)
end
`

/** What the end of a call says about a key. */
export const health = `
local remedies = request.remedies

local function rest(key, till, reason)
  if till > key.restUntil then
    key.restUntil = till
    key.reason = reason
  end
end

local function isNews(key, sequence) return sequence > key.restedAt end

local function rateLimited(key, sequence, retryAfter)
  if isNews(key, sequence) then
    key.strikes = key.strikes + 1
    key.restedAt = pool.sequence
  else
    key.strikes = math.max(1, key.strikes)
  end
  local backoff = math.min(remedies.max, remedies.base * remedies.factor ^ (key.strikes - 1))
  rest(key, now + (retryAfter or backoff), "rate-limited")
end

local function broken(key, halfOpen, wait)
  key.halfOpen = halfOpen
  key.restedAt = pool.sequence
  rest(key, now + wait, halfOpen)
end

local function suffers(key) return key.strikes > 0 or key.halfOpen ~= nil end

local function exonerated(key, sequence)
  if isNews(key, sequence) then
    key.strikes = 0
    key.halfOpen = nil
    key.probe = nil
  elseif key.probe == sequence then
    key.probe = nil
  end
end

local function measured(key, sample)
  local at = now / remedies.latencyDecay
  if not key.latency or sample >= key.latency then
    key.latency = sample
  else
    key.latency = sample + (key.latency - sample) * math.exp(key.measuredAt - at)
  end
  key.measuredAt = at
end

local function count(key, name) key[name] = key[name] + 1 end

local function settle(key, ending)
  local verdict, sequence = ending.verdict, ending.sequence
  if verdict == "Served" then
    key.inFlight = math.max(0, key.inFlight - 1)
    count(key, "succeeded")
    if ending.latency then measured(key, ending.latency) end
    if suffers(key) then exonerated(key, sequence) end
    return
  end
  release(key, sequence)
  if verdict == "RateLimited" then
    count(key, "rateLimited")
    rateLimited(key, sequence, ending.retryAfter)
  elseif verdict == "OutOfQuota" then
    count(key, "outOfQuota")
    broken(key, "out-of-quota", ending.retryAfter or remedies.quota)
  elseif verdict == "Refused" then
    count(key, "refused")
    broken(key, "refused", remedies.refused)
  elseif verdict == "Withdrawn" then
    key.calls = key.calls - 1
  end
end

local function settleKin(key, ending)
  if ending.verdict == "RateLimited" then rateLimited(key, ending.sequence, ending.retryAfter)
  elseif ending.verdict == "OutOfQuota" then broken(key, "out-of-quota", ending.retryAfter or remedies.quota)
  elseif key.halfOpen ~= "refused" then exonerated(key, ending.sequence) end
end
`
