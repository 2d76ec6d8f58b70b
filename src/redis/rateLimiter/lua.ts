/** The Lua scripts of a limiter. `luaState` describes the state. */
import { begin } from "./luaState.js"

/**
 * Grants the request of each call, or books it for a later time, in their order. Stops at the first call that must try again: one
 * that waits for a permit, or one that must not book yet.
 */
export const acquire = `${begin}
redis.call("ZREMRANGEBYSCORE", LEASES, "-inf", string.format("%.3f", now))

-- Counts other processes that wait for a permit, sent a request recently, and whose first call arrived earlier.
local function processesAhead(since)
  local count = 0
  for _, process in ipairs(redis.call("ZRANGEBYSCORE", LINE, "-inf", string.format("(%.3f", since))) do
    if process ~= request.process then
      local lastSeen = tonumber(redis.call("HGET", SEEN, process) or 0)
      if lastSeen > now - request.fresh then
        count = count + 1
      elseif lastSeen < now - 10 * request.fresh then
        redis.call("ZREM", LINE, process)
        redis.call("HDEL", SEEN, process)
      end
    end
  end
  return count
end

local results = {}
local isQueued = false
for i, call in ipairs(request.wishes) do
  local buckets = state.ahead or state
  local at = buckets.at
  local wait = 0
  if limits.capacity then wait = waitFor(buckets, "r", limits.rate, call.requests) end
  if limits.tokens and call.tokens > 0 then wait = math.max(wait, waitFor(buckets, "t", limits.tokenRate, call.tokens)) end
  at = at + wait
  if limits.minute then at = windowReadyAt(MINUTE, "minute", limits.minute, call.requests, at) end
  if limits.day then at = windowReadyAt(DAY, "day", limits.day, call.requests, at) end
  wait = math.max(0, at - now)
  if wait > call.allowed then
    results[i] = { tag = "late", wait = math.min(wait, 1e15) }
  elseif wait > 0 and not call.books then
    results[i] = { tag = "busy", wait = math.min(wait, 1e15) }
    break
  elseif (state.hushed or 0) > now or call.places > 0 and permits() - redis.call("ZCARD", LEASES) <= processesAhead(now - call.waited) then
    results[i] = { tag = "crowded", wait = wait }
    -- A call that cannot wait does not delay those that do.
    isQueued = call.allowed > 0
    if isQueued then
      local since = string.format("%.3f", now - call.waited)
      redis.call("ZADD", LINE, since, request.process)
      redis.call("HSET", SEEN, request.process, string.format("%.3f", now))
      setTtl(LINE, 60000)
      setTtl(SEEN, 60000)
    end
    break
  else
    results[i] = { tag = "granted", wait = wait, at = string.format("%.17g", at) }
    if limits.minute then windowTake(MINUTE, "minute", limits.minute, call.requests, at) end
    if limits.day then windowTake(DAY, "day", limits.day, call.requests, at) end
    if wait > 0 then
      if not state.ahead then state.ahead = { at = state.at, r = state.r, t = state.t } end
      redis.call("ZADD", BOOKED, string.format("%.3f", at), string.format("%s:%.17g:%.17g", call.id, call.requests, call.tokens))
    end
    local target = state.ahead or state
    advance(target, at)
    spend(target, call.requests, call.tokens)
    if call.places > 0 or call.settles then
      redis.call("ZADD", LEASES, string.format("%.3f", now + request.leaseTime), string.format("%s:%.17g", call.id, call.tokens))
    end
  end
end
if not isQueued and request.mayWait then
  redis.call("ZREM", LINE, request.process)
  redis.call("HDEL", SEEN, request.process)
end
local ttl = save()
if state.ahead then setTtl(BOOKED, ttl) end
if limits.minute then setTtl(MINUTE, ttl) end
if limits.day then setTtl(DAY, ttl) end
if redis.call("EXISTS", LEASES) == 1 then setTtl(LEASES, ttl) end
return cjson.encode({ epoch = string.format("%.3f", state.epoch), pace = state.pace, answers = results })
`

/** Ends leases, and replaces estimates by actual usage. A lease is settled once. */
export const settle = `${begin}
local isChanged = false
for _, settlement in ipairs(request.endings) do
  local member = string.format("%s:%.17g", settlement.id, settlement.tokens)
  if redis.call("ZREM", LEASES, member) == 1 and limits.tokens and settlement.actual ~= settlement.tokens then
    state.t = math.min(limits.tokens, state.t - (settlement.actual - settlement.tokens))
    isChanged = true
  end
end
if isChanged then replayBookings() end
save()
return 1
`

/** Cancels bookings. A booking that is due by now counts as spent. */
export const withdraw = `${begin}
for _, call in ipairs(request.wishes) do
  local member = string.format("%s:%.17g:%.17g", call.id, call.requests, call.tokens)
  local at = tonumber(redis.call("ZSCORE", BOOKED, member) or 0)
  if at > now then
    redis.call("ZREM", BOOKED, member)
    if limits.minute then windowReturn(MINUTE, "minute", limits.minute, call.requests, at) end
    if limits.day then windowReturn(DAY, "day", limits.day, call.requests, at) end
  end
  local wasInFlight = redis.call("ZREM", LEASES, string.format("%s:%.17g", call.id, call.tokens)) == 1
  -- The request counts as spent, its tokens do not.
  if wasInFlight and at <= now and limits.tokens then state.t = math.min(limits.tokens, state.t + call.tokens) end
end
replayBookings()
save()
return 1
`

/**
 * Undoes grants of which nothing was used, the requests included. A grant of a state that was lost since is not in the buckets of
 * this one.
 */
export const giveBack = `${begin}
for _, call in ipairs(request.wishes) do
  local at = tonumber(call.at)
  redis.call("ZREM", LEASES, string.format("%s:%.17g", call.id, call.tokens))
  if at >= state.epoch then
    if limits.minute then windowReturn(MINUTE, "minute", limits.minute, call.requests, at) end
    if limits.day then windowReturn(DAY, "day", limits.day, call.requests, at) end
    if redis.call("ZREM", BOOKED, string.format("%s:%.17g:%.17g", call.id, call.requests, call.tokens)) == 0 then
      if limits.capacity then state.r = math.min(limits.capacity, state.r + call.requests) end
      if limits.tokens then state.t = math.min(limits.tokens, state.t + call.tokens) end
    end
  end
end
replayBookings()
save()
return 1
`

/**
 * Renews the registration and the leases of a process, and restores them when Redis has lost them. Counts the calls that the
 * process granted while Redis was away.
 */
export const renew = `${begin}
redis.call("ZREMRANGEBYSCORE", LEASES, "-inf", string.format("%.3f", now))
local expiresAt = string.format("%.3f", now + request.leaseTime)
for _, held in ipairs(request.held) do
  redis.call("ZADD", LEASES, "GT", expiresAt, string.format("%s:%.17g", held.id, held.tokens))
end
redis.call("ZREMRANGEBYSCORE", PROCESSES, "-inf", string.format("%.3f", now))
redis.call("ZADD", PROCESSES, expiresAt, request.process)
setTtl(PROCESSES, math.ceil(request.leaseTime))
local function restoreWindow(key, field, window, ends)
  if not window or not ends or #ends == 0 then return end
  local all = {}
  for _, entry in ipairs(redis.call("LRANGE", key, 0, -1)) do
    local expiresAt, amount = parseEntry(entry)
    all[#all + 1] = { expiresAt, amount }
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
-- After a loss of state the recalled windows include the missed calls; otherwise only the missed calls are new.
local missed = request.missed
local countedAt = math.max(now, state.ahead and state.ahead.at or now)
local isStateLost = request.recalled and request.told ~= "" and request.told ~= string.format("%.3f", state.epoch)
if isStateLost then
  restoreWindow(MINUTE, "minute", limits.minute, request.recalled.minute)
  restoreWindow(DAY, "day", limits.day, request.recalled.day)
elseif missed.requests > 0 then
  if limits.minute then windowTake(MINUTE, "minute", limits.minute, missed.requests, countedAt) end
  if limits.day then windowTake(DAY, "day", limits.day, missed.requests, countedAt) end
end
if missed.requests > 0 then
  spend(state, missed.requests, missed.tokens)
  replayBookings()
end
local ttl = save()
for _, key in ipairs({ BOOKED, MINUTE, DAY, LEASES }) do
  if redis.call("EXISTS", key) == 1 then setTtl(key, ttl) end
end
return cjson.encode({ epoch = string.format("%.3f", state.epoch), pace = state.pace, processes = redis.call("ZCARD", PROCESSES) })
`

/** Removes a process and its leases. */
export const leave = `${begin}
redis.call("ZREM", PROCESSES, request.process)
redis.call("ZREM", LINE, request.process)
redis.call("HDEL", SEEN, request.process)
for _, held in ipairs(request.held) do redis.call("ZREM", LEASES, string.format("%s:%.17g", held.id, held.tokens)) end
save()
return 1
`

/** Returns the status of the limiter. */
export const status = `${begin}
redis.call("ZREMRANGEBYSCORE", LEASES, "-inf", string.format("%.3f", now))
local inFlight, reserved = 0, 0
for _, member in ipairs(redis.call("ZRANGE", LEASES, 0, -1)) do
  local _, tokens = parseEntry(string.gsub(member, "^[^:]*", "0", 1))
  inFlight = inFlight + 1
  reserved = reserved + tokens
end
save()
local function rate(kind, full)
  full = full * state.pace
  local slowdown = state[kind .. "Lull"]
  return slowdown and now < slowdown.till and math.min(full, slowdown.rate) or full
end
return cjson.encode({
  requests = limits.capacity and state.r or 0, tokens = limits.tokens and state.t or 0,
  requestRate = limits.capacity and rate("r", limits.rate) or 0, tokenRate = limits.tokens and rate("t", limits.tokenRate) or 0,
  minute = state.minute, day = state.day, inFlight = inFlight, reserved = reserved, pace = state.pace,
  booked = redis.call("ZCARD", BOOKED), places = limits.places and permits() or 0
})
`

/** Refills or lowers the buckets, or changes the pace. */
export const adjust = `${begin}
local function lower(kind, left)
  if left and left < state[kind] then state[kind] = math.min(state[kind], math.max(0, left)) end
end
local function applyHeader(kind, left, reset, full)
  if not left then return end
  lower(kind, left)
  state[kind .. "Lull"] = nil
  if reset and reset > 0 then
    local rate = math.max(full * state.pace * request.pacing.minimum, left / reset)
    if rate < full * state.pace and rate > 0 then state[kind .. "Lull"] = { till = now + reset, rate = rate } end
  end
end
local function setPace(share)
  local factor = math.min(1, share / state.pace)
  if state.r > 0 then state.r = state.r * factor end
  if state.t > 0 then state.t = state.t * factor end
  state.pace, state.changed = share, now
end

local pacing = request.pacing
if request.change == "reset" then
  state.r, state.t, state.minute, state.day = limits.capacity or 0, limits.tokens or 0, 0, 0
  redis.call("DEL", MINUTE, DAY)
elseif request.change == "lower" then
  if limits.capacity then lower("r", request.requests) end
  if limits.tokens then lower("t", request.tokens) end
elseif request.change == "headers" then
  if limits.capacity then applyHeader("r", request.requests, request.resetRequests, limits.rate) end
  if limits.tokens then applyHeader("t", request.tokens, request.resetTokens, limits.tokenRate) end
elseif request.change == "refused" then
  if now - request.elapsed > state.slowed then
    setPace(math.max(pacing.minimum, state.pace * (1 - (1 - pacing.decrease) * request.share)))
    state.slowed = now
  end
elseif request.change == "served" then
  if state.pace < 1 and now - state.changed >= pacing.every then
    local share = state.pace + pacing.increase
    setPace(share > 1 - 1e-9 and 1 or share)
  end
end
replayBookings()
save()
return cjson.encode({ epoch = string.format("%.3f", state.epoch), pace = state.pace })
`
