/**
 * The state of a limiter in Redis. All times are in milliseconds, by Redis's clock.
 *
 * `state` has the buckets as they are, without those who wait. Who must wait is booked: the moment at which it may go is fixed
 * when it comes, after that of everybody who came before, and `state.ahead` has the buckets as they will be at the last of these
 * moments. A booking that is due is taken from the buckets; one that is given back was never there.
 *
 * Keys: state, bookings (by their moment), the last minute, the last day, leases (by their end), processes (by the end of their
 * registration), the line (processes that wait for a place, by the moment at which the first of their calls came), and when
 * each of these was last there.
 */
import { redisTime } from "../shared/script.js"

/** What every step begins with. */
export const begin = `${redisTime}local request = cjson.decode(ARGV[1])
local limits = request.limits
local STATE, BOOKED, MINUTE, DAY, LEASES, PROCESSES, LINE, SEEN = unpack(KEYS)

local state
local packed = redis.call("GET", STATE)
if packed then
  state = cmsgpack.unpack(packed)
else
  -- Somebody who knew of an earlier state says that it is lost: what was in it may have been spent.
  local isLost = request.epoch ~= ""
  state = { at = now, r = isLost and 0 or limits.capacity or 0, t = isLost and 0 or limits.tokens or 0,
    pace = 1, slowed = -1, changed = -1, minute = 0, day = 0, epoch = now, sequence = 0 }
  redis.call("DEL", BOOKED, MINUTE, DAY)
  -- Until the others have said what they hold and what they had, nobody is let through.
  if isLost then state.hushed = now + request.hush end
end

local function gained(kind, rate, from, to)
  rate = rate * state.pace
  local lull = state[kind .. "Lull"]
  if not lull or from >= lull.till then return (to - from) * rate end
  local turn = math.min(to, lull.till)
  return (turn - from) * math.min(rate, lull.rate) + (to - turn) * rate
end

local function advance(point, to)
  if to <= point.at then return end
  if limits.capacity then
    point.r = math.min(limits.capacity, point.r + gained("r", limits.rate, point.at, to))
  end
  if limits.tokens then
    point.t = math.min(limits.tokens, point.t + gained("t", limits.tokenRate, point.at, to))
  end
  point.at = to
end

local function waitFor(point, kind, rate, amount)
  local missing = amount - point[kind]
  if missing <= 1e-9 then return 0 end
  rate = rate * state.pace
  local lull = state[kind .. "Lull"]
  if not lull or point.at >= lull.till then return missing / rate end
  local length = lull.till - point.at
  local slow = math.min(rate, lull.rate)
  if length * slow >= missing then return missing / slow end
  return length + (missing - length * slow) / rate
end

-- A window holds the ends of what was taken, the first one first, as "end:amount".
local function parts(entry)
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
    local till, amount = parts(first)
    if till > now then return end
    redis.call("LPOP", key)
    state[field] = state[field] - amount
  end
end

local function windowEnd(window, at)
  local till = at + window.duration
  return string.format("%.3f", window.grain > 0 and math.ceil(till / window.grain) * window.grain or till)
end

local function windowAt(key, field, window, amount, at)
  local missing = state[field] + amount - window.limit
  if missing <= 1e-9 then return at end
  local from = 0
  while true do
    local entries = redis.call("LRANGE", key, from, from + 49)
    if #entries == 0 then return math.huge end
    for _, entry in ipairs(entries) do
      local till, held = parts(entry)
      missing = missing - held
      if missing <= 1e-9 then return math.max(at, till) end
    end
    from = from + 50
  end
end

local function windowTake(key, field, window, amount, at)
  local till = windowEnd(window, at)
  local last = redis.call("LINDEX", key, -1)
  state[field] = state[field] + amount
  if last then
    local lastEnd, held = parts(last)
    -- The order stands, also where a limit was made smaller.
    if lastEnd >= tonumber(till) then
      redis.call("LSET", key, -1, string.sub(last, 1, string.find(last, ":", 1, true)) .. string.format("%.17g", held + amount))
      return
    end
  end
  redis.call("RPUSH", key, till .. ":" .. string.format("%.17g", amount))
end

local function windowReturn(key, field, window, amount, at)
  local till = tonumber(windowEnd(window, at))
  local length = redis.call("LLEN", key)
  for index = length - 1, 0, -1 do
    local entry = redis.call("LINDEX", key, index)
    local ending, held = parts(entry)
    if ending <= till then
      local back = math.min(held, amount)
      redis.call("LSET", key, index, string.sub(entry, 1, string.find(entry, ":", 1, true)) .. string.format("%.17g", held - back))
      state[field] = state[field] - back
      return
    end
  end
end

-- Bookings are "lease:requests:tokens".
local function booking(member)
  local _, requests, tokens = string.match(member, "^([^:]*):([^:]*):([^:]*)$")
  return tonumber(requests), tonumber(tokens)
end

local function spend(point, requests, tokens)
  if limits.capacity then point.r = point.r - requests end
  if limits.tokens then point.t = point.t - tokens end
end

local function replay(point, bookings)
  for i = 1, #bookings, 2 do
    local requests, tokens = booking(bookings[i])
    advance(point, tonumber(bookings[i + 1]))
    spend(point, requests, tokens)
  end
end

-- A clock that was set back: who is booked has gone.
if now < state.at - 1000 then
  state.at, state.ahead = now, nil
  for _, member in ipairs(redis.call("ZRANGE", BOOKED, 0, -1)) do spend(state, booking(member)) end
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

-- Something has changed that those who are booked did not know of.
local function reckon()
  if not state.ahead then return end
  local bookings = redis.call("ZRANGE", BOOKED, 0, -1, "WITHSCORES")
  if #bookings == 0 then
    state.ahead = nil
    return
  end
  local point = { at = state.at, r = state.r, t = state.t }
  replay(point, bookings)
  state.ahead = point
end

local function places() return math.max(1, math.floor(limits.places * state.pace)) end

local function save()
  local lasting = math.max(60000, limits.lasting, 2 * request.leaseTime)
  if limits.capacity and state.r < 0 then lasting = lasting - state.r / limits.rate end
  if limits.tokens and state.t < 0 then lasting = lasting - state.t / limits.tokenRate end
  lasting = string.format("%.0f", lasting + math.max(0, (state.ahead and state.ahead.at or now) - now))
  redis.call("SET", STATE, cmsgpack.pack(state), "PX", lasting)
  return lasting
end

local function keep(key, lasting) redis.call("PEXPIRE", key, lasting) end
`
