/**
 * The steps of a limiter in Redis. All times are in milliseconds, by Redis's clock.
 *
 * `state` has the buckets as they are, without those who wait. Who must wait is booked: the moment at which it may go is fixed
 * when it comes, after that of everybody who came before, and `state.ahead` has the buckets as they will be at the last of these
 * moments. A booking that is due is taken from the buckets; one that is given back was never there.
 *
 * Keys: state, bookings (by their moment), the last minute, the last day, leases (by their end), processes (by the end of their
 * registration), the line (processes that wait for a place, by the moment at which the first of their calls came), and when
 * each of these was last there.
 */

const shared = `
local time = redis.call("TIME")
local now = time[1] * 1000 + time[2] / 1000
local request = cjson.decode(ARGV[1])
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

/**
 * Takes what each call wishes, or books it, in their order. It ends with the first that gets nothing but may still get it:
 * who waits for a place, and who lets others pass and would not be the next.
 */
export const acquire = `${shared}
redis.call("ZREMRANGEBYSCORE", LEASES, "-inf", string.format("%.3f", now))

-- Processes that wait for a place and have asked not long ago, of which the first calls came before this one.
local function ahead(since)
  local count = 0
  for _, process in ipairs(redis.call("ZRANGEBYSCORE", LINE, "-inf", string.format("(%.3f", since))) do
    if process ~= request.process then
      local seen = tonumber(redis.call("HGET", SEEN, process) or 0)
      if seen > now - request.fresh then
        count = count + 1
      elseif seen < now - 10 * request.fresh then
        redis.call("ZREM", LINE, process)
        redis.call("HDEL", SEEN, process)
      end
    end
  end
  return count
end

local answers = {}
local isWaiting = false
for i, wish in ipairs(request.wishes) do
  local point = state.ahead or state
  local at = point.at
  local wait = 0
  if limits.capacity then wait = waitFor(point, "r", limits.rate, wish.requests) end
  if limits.tokens and wish.tokens > 0 then wait = math.max(wait, waitFor(point, "t", limits.tokenRate, wish.tokens)) end
  at = at + wait
  if limits.minute then at = windowAt(MINUTE, "minute", limits.minute, wish.requests, at) end
  if limits.day then at = windowAt(DAY, "day", limits.day, wish.requests, at) end
  wait = math.max(0, at - now)
  if wait > wish.allowed then
    answers[i] = { tag = "late", wait = math.min(wait, 1e15) }
  elseif wait > 0 and not wish.books then
    answers[i] = { tag = "busy", wait = math.min(wait, 1e15) }
    break
  elseif (state.hushed or 0) > now or wish.places > 0 and places() - redis.call("ZCARD", LEASES) <= ahead(now - wish.waited) then
    answers[i] = { tag = "crowded", wait = wait }
    isWaiting = true
    local since = string.format("%.3f", now - wish.waited)
    redis.call("ZADD", LINE, since, request.process)
    redis.call("HSET", SEEN, request.process, string.format("%.3f", now))
    keep(LINE, 60000)
    keep(SEEN, 60000)
    break
  else
    answers[i] = { tag = "granted", wait = wait }
    if limits.minute then windowTake(MINUTE, "minute", limits.minute, wish.requests, at) end
    if limits.day then windowTake(DAY, "day", limits.day, wish.requests, at) end
    if wait > 0 then
      if not state.ahead then state.ahead = { at = state.at, r = state.r, t = state.t } end
      redis.call("ZADD", BOOKED, string.format("%.3f", at), string.format("%s:%.17g:%.17g", wish.id, wish.requests, wish.tokens))
    end
    local taken = state.ahead or state
    advance(taken, at)
    spend(taken, wish.requests, wish.tokens)
    if wish.places > 0 or wish.settles then
      redis.call("ZADD", LEASES, string.format("%.3f", now + request.leaseTime), string.format("%s:%.17g", wish.id, wish.tokens))
    end
  end
end
if not isWaiting and request.mayWait then
  redis.call("ZREM", LINE, request.process)
  redis.call("HDEL", SEEN, request.process)
end
local lasting = save()
if state.ahead then keep(BOOKED, lasting) end
if limits.minute then keep(MINUTE, lasting) end
if limits.day then keep(DAY, lasting) end
if redis.call("EXISTS", LEASES) == 1 then keep(LEASES, lasting) end
return cjson.encode({ epoch = string.format("%.3f", state.epoch), pace = state.pace, answers = answers })
`

/** Calls are over: leases end, and true usage takes the place of estimates. What was settled before is not settled again. */
export const settle = `${shared}
local isChanged = false
for _, ending in ipairs(request.endings) do
  local member = string.format("%s:%.17g", ending.id, ending.tokens)
  if redis.call("ZREM", LEASES, member) == 1 and limits.tokens and ending.actual ~= ending.tokens then
    state.t = math.min(limits.tokens, state.t - (ending.actual - ending.tokens))
    isChanged = true
  end
end
if isChanged then reckon() end
save()
return 1
`

/** Who was booked does not come. What is due by now is spent. */
export const withdraw = `${shared}
for _, wish in ipairs(request.wishes) do
  local member = string.format("%s:%.17g:%.17g", wish.id, wish.requests, wish.tokens)
  local at = tonumber(redis.call("ZSCORE", BOOKED, member) or 0)
  if at > now then
    redis.call("ZREM", BOOKED, member)
    if limits.minute then windowReturn(MINUTE, "minute", limits.minute, wish.requests, at) end
    if limits.day then windowReturn(DAY, "day", limits.day, wish.requests, at) end
  end
  local isHeld = redis.call("ZREM", LEASES, string.format("%s:%.17g", wish.id, wish.tokens)) == 1
  -- Its request is spent, its tokens are not.
  if isHeld and at <= now and limits.tokens then state.t = math.min(limits.tokens, state.t + wish.tokens) end
end
reckon()
save()
return 1
`

/**
 * The calls of a process go on, and so does it; also to a Redis that has forgotten them. What the process let through while
 * Redis was away is taken from what is there.
 */
export const renew = `${shared}
redis.call("ZREMRANGEBYSCORE", LEASES, "-inf", string.format("%.3f", now))
local till = string.format("%.3f", now + request.leaseTime)
for _, held in ipairs(request.held) do
  redis.call("ZADD", LEASES, "GT", till, string.format("%s:%.17g", held.id, held.tokens))
end
redis.call("ZREMRANGEBYSCORE", PROCESSES, "-inf", string.format("%.3f", now))
redis.call("ZADD", PROCESSES, till, request.process)
keep(PROCESSES, math.ceil(request.leaseTime))
local function recall(key, field, window, ends)
  if not window or not ends or #ends == 0 then return end
  local all = {}
  for _, entry in ipairs(redis.call("LRANGE", key, 0, -1)) do
    local till, held = parts(entry)
    all[#all + 1] = { till, held }
  end
  for _, entry in ipairs(ends) do
    if entry[1] > 0 then
      all[#all + 1] = { now + entry[1], entry[2] }
      state[field] = state[field] + entry[2]
    end
  end
  table.sort(all, function(a, b) return a[1] < b[1] end)
  redis.call("DEL", key)
  for _, entry in ipairs(all) do redis.call("RPUSH", key, string.format("%.3f:%.17g", entry[1], entry[2])) end
end
-- What was let through is in what the process recalls, and where nothing was forgotten it is only what Redis did not hear of.
local missed = request.missed
local moment = math.max(now, state.ahead and state.ahead.at or now)
local isForgotten = request.recalled and request.told ~= "" and request.told ~= string.format("%.3f", state.epoch)
if isForgotten then
  recall(MINUTE, "minute", limits.minute, request.recalled.minute)
  recall(DAY, "day", limits.day, request.recalled.day)
elseif missed.requests > 0 then
  if limits.minute then windowTake(MINUTE, "minute", limits.minute, missed.requests, moment) end
  if limits.day then windowTake(DAY, "day", limits.day, missed.requests, moment) end
end
if missed.requests > 0 then
  spend(state, missed.requests, missed.tokens)
  reckon()
end
local lasting = save()
for _, key in ipairs({ BOOKED, MINUTE, DAY, LEASES }) do
  if redis.call("EXISTS", key) == 1 then keep(key, lasting) end
end
return cjson.encode({ epoch = string.format("%.3f", state.epoch), pace = state.pace, processes = redis.call("ZCARD", PROCESSES) })
`

/** The process ends. */
export const leave = `${shared}
redis.call("ZREM", PROCESSES, request.process)
redis.call("ZREM", LINE, request.process)
redis.call("HDEL", SEEN, request.process)
for _, held in ipairs(request.held) do redis.call("ZREM", LEASES, string.format("%s:%.17g", held.id, held.tokens)) end
save()
return 1
`

/** How it stands. */
export const status = `${shared}
redis.call("ZREMRANGEBYSCORE", LEASES, "-inf", string.format("%.3f", now))
local inFlight, reserved = 0, 0
for _, member in ipairs(redis.call("ZRANGE", LEASES, 0, -1)) do
  local _, tokens = parts(string.gsub(member, "^[^:]*", "0", 1))
  inFlight = inFlight + 1
  reserved = reserved + tokens
end
save()
local function rate(kind, full)
  full = full * state.pace
  local lull = state[kind .. "Lull"]
  return lull and now < lull.till and math.min(full, lull.rate) or full
end
return cjson.encode({
  requests = limits.capacity and state.r or 0, tokens = limits.tokens and state.t or 0,
  requestRate = limits.capacity and rate("r", limits.rate) or 0, tokenRate = limits.tokens and rate("t", limits.tokenRate) or 0,
  minute = state.minute, day = state.day, inFlight = inFlight, reserved = reserved, pace = state.pace,
  booked = redis.call("ZCARD", BOOKED), places = limits.places and places() or 0
})
`

/** Fills the buckets, lowers them, or changes the pace. */
export const adjust = `${shared}
local function lowered(kind, left)
  if left and left < state[kind] then state[kind] = math.min(state[kind], math.max(0, left)) end
end
local function heed(kind, left, reset, full)
  if not left then return end
  lowered(kind, left)
  state[kind .. "Lull"] = nil
  if reset and reset > 0 then
    local rate = math.max(full * state.pace * request.pacing.minimum, left / reset)
    if rate < full * state.pace and rate > 0 then state[kind .. "Lull"] = { till = now + reset, rate = rate } end
  end
end
local function paced(share)
  local kept = math.min(1, share / state.pace)
  if state.r > 0 then state.r = state.r * kept end
  if state.t > 0 then state.t = state.t * kept end
  state.pace, state.changed = share, now
end

local pacing = request.pacing
if request.change == "reset" then
  state.r, state.t, state.minute, state.day = limits.capacity or 0, limits.tokens or 0, 0, 0
  redis.call("DEL", MINUTE, DAY)
elseif request.change == "lower" then
  if limits.capacity then lowered("r", request.requests) end
  if limits.tokens then lowered("t", request.tokens) end
elseif request.change == "headers" then
  if limits.capacity then heed("r", request.requests, request.resetRequests, limits.rate) end
  if limits.tokens then heed("t", request.tokens, request.resetTokens, limits.tokenRate) end
elseif request.change == "refused" then
  if now - request.elapsed > state.slowed then
    paced(math.max(pacing.minimum, state.pace * (1 - (1 - pacing.decrease) * request.share)))
    state.slowed = now
  end
elseif request.change == "served" then
  if state.pace < 1 and now - state.changed >= pacing.every then
    local share = state.pace + pacing.increase
    paced(share > 1 - 1e-9 and 1 or share)
  end
end
reckon()
save()
return cjson.encode({ epoch = string.format("%.3f", state.epoch), pace = state.pace })
`
