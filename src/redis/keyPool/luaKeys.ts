/**
 * The state of a pool's keys in Lua, with which all scripts start. It follows the transitions of `keyPool/key.ts` and
 * `keyPool/keySet.ts`; a property test compares both over random actions.
 *
 * `KEYS[1]` is a hash: `pool` holds the state of the whole pool, `key:<id>` one key, `group:<name>` the key ids of a quota group,
 * and `starts:<id>:<n>` the start times of calls on a key with a rate. `KEYS[2]` is a sorted set of calls in flight,
 * `<lease>:<sequence>:<key>`, by lease expiry. Times are in milliseconds since the epoch.
 */

/** The version of the layout of a pool's state: see `shared/layout.ts`. */
export const layoutVersion = 1

/** Reads the request, removes expired leases, and defines the functions on keys. A script ends with `save`. */
export const keys = `
local request = cjson.decode(ARGV[1])
math.randomseed(request.seed)
local function exponential() return -math.log(1 - math.random()) end

local stored = redis.call("HGET", KEYS[1], "pool")
-- Without the state of the pool its leases belong to no key.
if not stored then redis.call("DEL", KEYS[2]) end
local pool = stored and cmsgpack.unpack(stored) or { sequence = 0, served = 0, ticket = 0 }
local isPoolChanged = false
local isIdle = false
local keys = {}
local changed = {}

local function loadKey(id, packed)
  if not packed then return nil end
  local key = cmsgpack.unpack(packed)
  -- Corrects a count that lost data left too high.
  if isIdle and key.inFlight > 0 then
    key.inFlight = 0
    key.probe = nil
    changed[id] = true
  end
  keys[id] = key
  return key
end

local function keyOf(id)
  return keys[id] or loadKey(id, redis.call("HGET", KEYS[1], "key:" .. id))
end

local function rateWindow(key) return math.max(1, math.floor(key.rate)) / key.rate * 1000 end

local function availabilityOf(key)
  if key.disabled then return "disabled" end
  if key.restUntil > now then
    return (key.reason == "rate-limited" or key.reason == "resting") and "limited" or "broken"
  end
  if key.halfOpen and key.probe then return "probing" end
  if key.maxConcurrency and key.inFlight >= key.maxConcurrency then return "capped" end
  if key.oldest and key.oldest + rateWindow(key) > now then return "paced" end
  return "ready"
end

local function wakeAt(key, availability)
  if availability == "limited" or availability == "broken" then return key.restUntil end
  if availability == "paced" then return key.oldest + rateWindow(key) end
  return nil
end

local function put(id, key)
  local availability = availabilityOf(key)
  local isAway = availability == "limited" or availability == "broken" or availability == "disabled"
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

local function parseMember(member)
  local sequence, id = string.match(member, "^[^:]*:(%d+):(.*)$")
  return tonumber(sequence), id
end

-- Processes that did not renew these leases have ended.
local expired = redis.call("ZRANGEBYSCORE", KEYS[2], "-inf", string.format("%.0f", now))
for _, member in ipairs(expired) do
  local sequence, id = parseMember(member)
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

-- Loads the keys of the process, and ends cooldowns that are over. Returns false when a key is not registered.
local function fetch(ids)
  if #ids == 0 then return true end
  -- Lua limits a call to some thousands of arguments.
  for from = 1, #ids, 1000 do
    local fields = {}
    for i = from, math.min(from + 999, #ids) do fields[#fields + 1] = "key:" .. ids[i] end
    local packed = redis.call("HMGET", KEYS[1], unpack(fields))
    for i, value in ipairs(packed) do
      local id = ids[from + i - 1]
      if not value then return false end
      local key = keys[id] or loadKey(id, value)
      if key.isAway then
        local availability = availabilityOf(key)
        if availability ~= "limited" and availability ~= "broken" and availability ~= "disabled" then put(id, key) end
      end
    end
  end
  return true
end

local week = 604800000

local function extendTtl(name, ttl)
  if redis.call("PTTL", name) < ttl - 3600000 then redis.call("PEXPIRE", name, string.format("%.0f", ttl)) end
end

local function save()
  local longestCooldown = 0
  for id, _ in pairs(changed) do
    local key = keys[id]
    longestCooldown = math.max(longestCooldown, math.min(key.restUntil - now, 52 * week))
    redis.call("HSET", KEYS[1], "key:" .. id, cmsgpack.pack(key))
  end
  if isPoolChanged then redis.call("HSET", KEYS[1], "pool", cmsgpack.pack(pool)) end
  extendTtl(KEYS[1], week + longestCooldown)
  extendTtl(KEYS[2], week)
end
`

/** The changes of a key when a call ends. */
export const health = `
local durations = request.remedies

local function coolDown(key, endsAt, reason)
  if endsAt > key.restUntil then
    key.restUntil = endsAt
    key.reason = reason
  end
end

local function startedAfterCooldown(key, sequence) return sequence > key.restedAt end

local function rateLimited(key, sequence, retryAfter)
  if startedAfterCooldown(key, sequence) then
    key.strikes = key.strikes + 1
    key.restedAt = pool.sequence
  else
    key.strikes = math.max(1, key.strikes)
  end
  local backoff = math.min(durations.max, durations.base * durations.factor ^ (key.strikes - 1))
  coolDown(key, now + (retryAfter or backoff), "rate-limited")
end

local function breakKey(key, halfOpen, wait)
  key.halfOpen = halfOpen
  key.restedAt = pool.sequence
  coolDown(key, now + wait, halfOpen)
end

local function isUnhealthy(key) return key.strikes > 0 or key.halfOpen ~= nil end

local function markHealthy(key, sequence)
  if startedAfterCooldown(key, sequence) then
    key.strikes = 0
    key.halfOpen = nil
    key.probe = nil
  elseif key.probe == sequence then
    key.probe = nil
  end
end

local function recordLatency(key, sample)
  local at = now / durations.latencyDecay
  if not key.latency or sample >= key.latency then
    key.latency = sample
  else
    key.latency = sample + (key.latency - sample) * math.exp(key.measuredAt - at)
  end
  key.measuredAt = at
end

local function increment(key, name) key[name] = key[name] + 1 end

local function settle(id, key, settlement)
  local verdict, sequence = settlement.verdict, settlement.sequence
  if verdict == "Served" then
    key.inFlight = math.max(0, key.inFlight - 1)
    increment(key, "succeeded")
    if settlement.latency then recordLatency(key, settlement.latency) end
    if isUnhealthy(key) then markHealthy(key, sequence) end
    return
  end
  release(key, sequence)
  if verdict == "RateLimited" then
    increment(key, "rateLimited")
    rateLimited(key, sequence, settlement.retryAfter)
  elseif verdict == "OutOfQuota" then
    increment(key, "outOfQuota")
    breakKey(key, "out-of-quota", settlement.retryAfter or durations.quota)
  elseif verdict == "Refused" then
    increment(key, "refused")
    breakKey(key, "refused", durations.refused)
  elseif verdict == "Withdrawn" then
    key.calls = key.calls - 1
    key.served = math.max(0, key.served - 1)
    -- A start with later ones after it stays counted.
    if key.rate and key.startedBy == sequence then
      key.starts = key.starts - 1
      key.oldest = nil
      redis.call("HDEL", KEYS[1], "starts:" .. id .. ":" .. key.starts % math.max(1, math.floor(key.rate)))
    end
  end
end

local function settleQuotaGroup(key, settlement)
  if settlement.verdict == "RateLimited" then rateLimited(key, settlement.sequence, settlement.retryAfter)
  elseif settlement.verdict == "OutOfQuota" then breakKey(key, "out-of-quota", settlement.retryAfter or durations.quota)
  elseif key.halfOpen ~= "refused" then markHealthy(key, settlement.sequence) end
end
`
