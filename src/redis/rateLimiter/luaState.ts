/**
 * The state of a limiter in Redis. All times are in milliseconds, by Redis's clock.
 *
 * `state` holds the current buckets without waiting calls. A call that must wait is booked: its start time is fixed when it
 * arrives, after all earlier bookings, and `state.ahead` holds the buckets at the time of the last booking. A booking that is due
 * is taken from the buckets; a cancelled one leaves no trace.
 *
 * `KEYS`: state, bookings (by start time), the last minute, the last day, leases (by expiry), processes (by expiry of their
 * registration), the queue of processes that wait for a permit (by arrival of their first waiting call), and the time of the last
 * request of each process in it.
 */
import { redisTime } from "../shared/script.js"

/** The version of the layout of a limiter's state: see `shared/layout.ts`. */
export const layoutVersion = 1

/** The start of every script. */
export const begin = `${redisTime}local request = cjson.decode(ARGV[1])
local limits = request.limits
local STATE, BOOKED, MINUTE, DAY, LEASES, PROCESSES, LINE, SEEN = unpack(KEYS)

local state
local packed = redis.call("GET", STATE)
if packed then
  state = cmsgpack.unpack(packed)
else
  -- A process that has seen an earlier state shows that the state was lost: its buckets may have been spent.
  local isStateLost = request.epoch ~= ""
  state = { at = now, r = isStateLost and 0 or limits.capacity or 0, t = isStateLost and 0 or limits.tokens or 0,
    pace = 1, slowed = -1, changed = -1, minute = 0, day = 0, epoch = now, sequence = 0 }
  redis.call("DEL", BOOKED, MINUTE, DAY)
  -- Nothing is granted until the other processes have restored their leases and windows.
  if isStateLost then state.hushed = now + request.hush end
end

local function refill(kind, rate, from, to)
  rate = rate * state.pace
  local slowdown = state[kind .. "Lull"]
  if not slowdown or from >= slowdown.till then return (to - from) * rate end
  local slowEnd = math.min(to, slowdown.till)
  return (slowEnd - from) * math.min(rate, slowdown.rate) + (to - slowEnd) * rate
end

local function advance(buckets, to)
  if to <= buckets.at then return end
  if limits.capacity then
    buckets.r = math.min(limits.capacity, buckets.r + refill("r", limits.rate, buckets.at, to))
  end
  if limits.tokens then
    buckets.t = math.min(limits.tokens, buckets.t + refill("t", limits.tokenRate, buckets.at, to))
  end
  buckets.at = to
end

local function waitFor(buckets, kind, rate, amount)
  local shortage = amount - buckets[kind]
  if shortage <= 1e-9 then return 0 end
  rate = rate * state.pace
  local slowdown = state[kind .. "Lull"]
  if not slowdown or buckets.at >= slowdown.till then return shortage / rate end
  local duration = slowdown.till - buckets.at
  local slow = math.min(rate, slowdown.rate)
  if duration * slow >= shortage then return shortage / slow end
  return duration + (shortage - duration * slow) / rate
end

-- A window is a list of grants by expiry, as "end:amount".
local function parseEntry(entry)
  local colon = string.find(entry, ":", 1, true)
  return tonumber(string.sub(entry, 1, colon - 1)), tonumber(string.sub(entry, colon + 1))
end

local function expire(key, field)
  while true do
    local first = redis.call("LINDEX", key, 0)
    if not first then
      state[field] = 0
      return
    end
    local expiresAt, amount = parseEntry(first)
    if expiresAt > now then return end
    redis.call("LPOP", key)
    state[field] = state[field] - amount
  end
end

local function windowEnd(window, at)
  local expiresAt = at + window.duration
  return string.format("%.3f", window.grain > 0 and math.ceil(expiresAt / window.grain) * window.grain or expiresAt)
end

local function windowReadyAt(key, field, window, amount, at)
  local shortage = state[field] + amount - window.limit
  if shortage <= 1e-9 then return at end
  local from = 0
  while true do
    local entries = redis.call("LRANGE", key, from, from + 49)
    if #entries == 0 then return math.huge end
    for _, entry in ipairs(entries) do
      local expiresAt, entryAmount = parseEntry(entry)
      shortage = shortage - entryAmount
      if shortage <= 1e-9 then return math.max(at, expiresAt) end
    end
    from = from + 50
  end
end

local function windowTake(key, field, window, amount, at)
  local expiresAt = windowEnd(window, at)
  local last = redis.call("LINDEX", key, -1)
  state[field] = state[field] + amount
  if last then
    local lastEnd, lastAmount = parseEntry(last)
    -- Keeps the list in order, also after a change of limits.
    if lastEnd >= tonumber(expiresAt) then
      redis.call("LSET", key, -1, string.sub(last, 1, string.find(last, ":", 1, true)) .. string.format("%.17g", lastAmount + amount))
      return
    end
  end
  redis.call("RPUSH", key, expiresAt .. ":" .. string.format("%.17g", amount))
end

local function windowReturn(key, field, window, amount, at)
  local expiresAt = tonumber(windowEnd(window, at))
  local count = redis.call("LLEN", key)
  for index = count - 1, 0, -1 do
    local entry = redis.call("LINDEX", key, index)
    local entryEnd, entryAmount = parseEntry(entry)
    if entryEnd <= expiresAt then
      local returned = math.min(entryAmount, amount)
      redis.call("LSET", key, index, string.sub(entry, 1, string.find(entry, ":", 1, true)) .. string.format("%.17g", entryAmount - returned))
      state[field] = state[field] - returned
      return
    end
  end
end

-- Bookings are "lease:requests:tokens".
local function parseBooking(member)
  local _, requests, tokens = string.match(member, "^([^:]*):([^:]*):([^:]*)$")
  return tonumber(requests), tonumber(tokens)
end

local function spend(buckets, requests, tokens)
  if limits.capacity then buckets.r = buckets.r - requests end
  if limits.tokens then buckets.t = buckets.t - tokens end
end

local function replay(buckets, bookings)
  for i = 1, #bookings, 2 do
    local requests, tokens = parseBooking(bookings[i])
    advance(buckets, tonumber(bookings[i + 1]))
    spend(buckets, requests, tokens)
  end
end

-- The clock was set back: all bookings count as spent.
if now < state.at - 1000 then
  state.at, state.ahead = now, nil
  for _, member in ipairs(redis.call("ZRANGE", BOOKED, 0, -1)) do spend(state, parseBooking(member)) end
  redis.call("DEL", BOOKED)
end

if state.ahead then
  local due = redis.call("ZRANGEBYSCORE", BOOKED, "-inf", string.format("%.3f", now), "WITHSCORES")
  if #due > 0 then
    replay(state, due)
    redis.call("ZREMRANGEBYRANK", BOOKED, 0, #due / 2 - 1)
  end
  if redis.call("ZCARD", BOOKED) == 0 then state.ahead = nil end
end
advance(state, now)
if limits.minute then expire(MINUTE, "minute") end
if limits.day then expire(DAY, "day") end

-- Computes the buckets after all bookings again, after a change that the bookings do not include.
local function replayBookings()
  if not state.ahead then return end
  local bookings = redis.call("ZRANGE", BOOKED, 0, -1, "WITHSCORES")
  if #bookings == 0 then
    state.ahead = nil
    return
  end
  local buckets = { at = state.at, r = state.r, t = state.t }
  replay(buckets, bookings)
  state.ahead = buckets
end

local function permits() return math.max(1, math.floor(limits.places * state.pace)) end

local function save()
  local ttl = math.max(60000, limits.lasting, 2 * request.leaseTime)
  if limits.capacity and state.r < 0 then ttl = ttl - state.r / limits.rate end
  if limits.tokens and state.t < 0 then ttl = ttl - state.t / limits.tokenRate end
  ttl = string.format("%.0f", ttl + math.max(0, (state.ahead and state.ahead.at or now) - now))
  redis.call("SET", STATE, cmsgpack.pack(state), "PX", ttl)
  return ttl
end

local function setTtl(key, ttl) redis.call("PEXPIRE", key, ttl) end
`
