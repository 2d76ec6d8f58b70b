/** The steps of a limiter in Redis. See `luaState` for what they take them on. */
import { begin } from "./luaState.js"

/**
 * Takes what each call wishes, or books it, in their order. It ends with the first that gets nothing but may still get it:
 * who waits for a place, and who lets others pass and would not be the next.
 */
export const acquire = `${begin}
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
export const settle = `${begin}
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
export const withdraw = `${begin}
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
export const renew = `${begin}
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
export const leave = `${begin}
redis.call("ZREM", PROCESSES, request.process)
redis.call("ZREM", LINE, request.process)
redis.call("HDEL", SEEN, request.process)
for _, held in ipairs(request.held) do redis.call("ZREM", LEASES, string.format("%s:%.17g", held.id, held.tokens)) end
save()
return 1
`

/** How it stands. */
export const status = `${begin}
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
export const adjust = `${begin}
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
