/** The Lua scripts of a key pool. */
import { health, keys } from "./luaKeys.js"

/** Registers keys, or applies changed settings to registered ones. */
export const register = `${keys}
local function configure(key, settings)
  key.maxConcurrency = settings.maxConcurrency
  -- A weight that was set by hand stays until the configured weight changes.
  if key.configuredWeight ~= settings.weight then
    key.served = key.served / key.weight * settings.weight
    key.weight = settings.weight
    key.configuredWeight = settings.weight
  end
  if key.rate ~= settings.requestsPerSecond then
    key.rate = settings.requestsPerSecond
    key.starts = 0
    key.oldest = nil
  end
  key.group = settings.quotaGroup
end

local unavailable = {}
for _, key in ipairs(request.resting) do unavailable[key.key] = key end

for _, settings in ipairs(request.keys) do
  local key = keyOf(settings.id)
  if not key then
    key = {
      inFlight = 0, weight = settings.weight, configuredWeight = settings.weight,
      served = pool.served * settings.weight, ticket = pool.ticket + exponential() / settings.weight,
      lastServed = 0, measuredAt = 0, starts = 0, calls = 0, succeeded = 0, rateLimited = 0, outOfQuota = 0, refused = 0,
      disabled = false, restUntil = 0, reason = "resting", restedAt = -1, strikes = 0, isAway = false
    }
    keys[settings.id] = key
    local previous = unavailable[settings.id]
    if previous then
      key.disabled = previous.disabled
      key.restUntil = previous.rest > 0 and now + previous.rest or 0
    end
  end
  configure(key, settings)
  put(settings.id, key)
  if settings.quotaGroup then
    local field = "group:" .. settings.quotaGroup
    local packed = redis.call("HGET", KEYS[1], field)
    local members = packed and cmsgpack.unpack(packed) or {}
    members[settings.id] = true
    redis.call("HSET", KEYS[1], field, cmsgpack.pack(members))
  end
end
isPoolChanged = true
save()
return 1
`

/** Gives keys to calls, in the order of the request. */
export const acquire = `${keys}
if not fetch(request.ids) then return false end

local function decayedCost(key)
  if not key.latency then return key.inFlight == 0 and -math.huge or math.huge end
  return math.log(math.max(key.latency, 0.001) * (key.inFlight + 1) / key.weight) + key.measuredAt
end

local scores = {
  ["failover"] = function() return 0, 0, 0 end,
  ["weighted"] = function(key) return key.served / key.weight, 0, 0 end,
  ["least-loaded"] = function(key) return key.inFlight / key.weight, key.served / key.weight, 0 end,
  ["round-robin"] = function(key) return key.lastServed, 0, 0 end,
  ["latency"] = function(key) return decayedCost(key), key.inFlight / key.weight, key.served / key.weight end,
  ["random"] = function(key) return key.ticket, 0, 0 end
}
local score = scores[request.strategy]

local function reserve(id, key)
  pool.sequence = pool.sequence + 1
  pool.served = key.served / key.weight
  pool.ticket = key.ticket
  isPoolChanged = true
  key.inFlight = key.inFlight + 1
  key.served = key.served + 1
  key.lastServed = pool.sequence
  key.ticket = key.ticket + exponential() / key.weight
  key.calls = key.calls + 1
  if key.halfOpen then key.probe = pool.sequence end
  if key.rate then
    -- The starts are a ring buffer: the slot after the latest start holds the oldest one.
    local limit = math.max(1, math.floor(key.rate))
    local slots = "starts:" .. id .. ":"
    redis.call("HSET", KEYS[1], slots .. key.starts % limit, string.format("%.17g", now))
    key.starts = key.starts + 1
    key.startedBy = pool.sequence
    key.oldest = key.starts >= limit and tonumber(redis.call("HGET", KEYS[1], slots .. key.starts % limit)) or nil
  end
  put(id, key)
end

local function choose(excluded)
  local notReady = { busy = 0, limited = 0, awaited = 0 }
  local soonest, winner, first, second, third
  for _, id in ipairs(request.ids) do
    if not excluded[id] then
      local key = keys[id]
      local availability = availabilityOf(key)
      if availability == "ready" then
        local a, b, c = score(key)
        if not winner or a < first or (a == first and (b < second or (b == second and c < third))) then
          winner, first, second, third = id, a, b, c
        end
      end
      if availability == "capped" or availability == "probing" then notReady.awaited = notReady.awaited + 1 end
      if availability == "capped" or availability == "paced" then notReady.busy = notReady.busy + 1 end
      if availability == "limited" then notReady.limited = notReady.limited + 1 end
      local at = wakeAt(key, availability)
      if at and (not soonest or at < soonest) then soonest = at end
    end
  end
  if soonest then notReady.readyIn = soonest - now end
  return winner, notReady
end

local replies = {}
local unrestrictedReply
for i, call in ipairs(request.wishes) do
  local excluded = {}
  for _, id in ipairs(call.exclude) do excluded[id] = true end
  local isUnrestricted = next(excluded) == nil
  if isUnrestricted and unrestrictedReply then
    replies[i] = unrestrictedReply
  else
    local winner, notReady = choose(excluded)
    if winner then
      reserve(winner, keys[winner])
      redis.call("ZADD", KEYS[2], string.format("%.0f", now + request.leaseTime),
        call.lease .. ":" .. string.format("%d", pool.sequence) .. ":" .. winner)
      replies[i] = cjson.encode({ key = winner, sequence = pool.sequence })
    else
      replies[i] = cjson.encode(notReady)
      if isUnrestricted then unrestrictedReply = replies[i] end
    end
  end
end
save()
return replies
`

/** Takes keys back from calls with their verdicts. A lease that does not exist has been settled or has expired. */
export const settle = `${keys}${health}
-- A lease whose reply was lost is identified by its name only.
local byLease
local function memberOf(lease)
  if not byLease then
    byLease = {}
    for _, member in ipairs(redis.call("ZRANGE", KEYS[2], 0, -1)) do byLease[string.match(member, "^[^:]*")] = member end
  end
  return byLease[lease]
end

local settledCount = 0
for _, settlement in ipairs(request.endings) do
  local member = settlement.key and settlement.lease .. ":" .. string.format("%d", settlement.sequence) .. ":" .. settlement.key
    or memberOf(settlement.lease)
  if member and redis.call("ZREM", KEYS[2], member) == 1 then
    local sequence, id = parseMember(member)
    settlement.sequence = sequence
    settledCount = settledCount + 1
    local key = keyOf(id)
    if key then
      local affectsGroup = key.group and (settlement.verdict == "RateLimited" or settlement.verdict == "OutOfQuota"
        or (settlement.verdict == "Served" and isUnhealthy(key)))
      settle(id, key, settlement)
      put(id, key)
      local members = affectsGroup and redis.call("HGET", KEYS[1], "group:" .. key.group)
      if members then
        for otherId, _ in pairs(cmsgpack.unpack(members)) do
          local other = otherId ~= id and keyOf(otherId)
          if other and other.group == key.group then
            settleQuotaGroup(other, settlement)
            put(otherId, other)
          end
        end
      end
    end
  end
end
save()
return settledCount
`

/** Renews the leases of calls, restores those that Redis has lost, and returns the unavailable keys. */
export const renew = `${keys}
if not fetch(request.ids) then return false end
for _, member in ipairs(request.members) do
  if not redis.call("ZSCORE", KEYS[2], member) then
    local sequence, id = parseMember(member)
    local key = keyOf(id)
    if key then
      key.inFlight = key.inFlight + 1
      put(id, key)
    end
    if sequence > pool.sequence then
      pool.sequence = sequence
      isPoolChanged = true
    end
  end
  redis.call("ZADD", KEYS[2], string.format("%.0f", now + request.leaseTime), member)
end
save()
local unavailable = {}
for _, id in ipairs(request.ids) do
  local key = keys[id]
  if key.disabled or key.restUntil > now then
    unavailable[#unavailable + 1] = cjson.encode({ key = id, disabled = key.disabled, rest = math.max(0, key.restUntil - now) })
  end
end
return unavailable
`

/** Changes a key by hand. */
export const change = `${keys}
local key = keyOf(request.key)
if not key then return false end
if request.change == "enable" then
  key.disabled, key.restUntil, key.reason, key.strikes, key.halfOpen, key.probe = false, 0, "resting", 0, nil, nil
elseif request.change == "disable" then
  key.disabled = true
elseif request.change == "rest" then
  if now + request.amount > key.restUntil then key.restUntil, key.reason = now + request.amount, "resting" end
elseif request.change == "reweight" then
  key.served = key.served / key.weight * request.amount
  key.ticket = pool.ticket + exponential() / request.amount
  key.weight = request.amount
end
put(request.key, key)
save()
return 1
`

/** Returns the state of the keys. */
export const status = `${keys}
if not fetch(request.ids) then return false end
save()

-- Starts that still count towards the rate; the ring buffer holds as many as the limit allows.
local function recentStarts(id, key)
  if not key.rate then return nil end
  local limit = math.max(1, math.floor(key.rate))
  local count = 0
  for slot = 0, math.min(key.starts, limit) - 1 do
    local start = tonumber(redis.call("HGET", KEYS[1], "starts:" .. id .. ":" .. slot))
    if start and start + rateWindow(key) > now then count = count + 1 end
  end
  return count
end

local all = {}
for i, id in ipairs(request.ids) do
  local key = keys[id]
  all[i] = cjson.encode({
    standing = availabilityOf(key), reason = key.reason, rest = key.restUntil - now, restUntil = key.restUntil,
    isHalfOpen = key.halfOpen ~= nil, weight = key.weight, inFlight = key.inFlight, latency = key.latency,
    recentStarts = recentStarts(id, key),
    served = key.calls, succeeded = key.succeeded, rateLimited = key.rateLimited, outOfQuota = key.outOfQuota,
    refused = key.refused
  })
end
return all
`
