/**
 * The Lua scripts of a limiter. All times are in milliseconds, by Redis's clock.
 *
 * Each rate is one number, its theoretical arrival time: the time at which its bucket is full again, so that a bucket that is full
 * now has a time in the past. Grants that are booked ahead are a list, in the order of their times, and join the number when their time
 * has come: one that is given back before leaves the others as they would be without it. A window is a sorted set of what was granted, by the time at which it expires, and the sum of it. Slots
 * are leases by the time at which they expire.
 *
 * `KEYS`: state, leases, processes (by expiry of their registration), processes that wait for a slot, and a window each.
 */
import { redisTime } from "../shared/script.js"

/** The version of the layout of a limiter's state: see `shared/layout.ts`. */
export const layoutVersion = 2

const begin = `${redisTime}local request = cjson.decode(ARGV[1])
local limits = request.limits
local STATE, LEASES, PROCESSES, WAITING = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local function exact(number) return string.format("%.17g", number) end
local function amountOf(member) return tonumber(string.match(member, "[^:]*$")) end

local packed = redis.call("GET", STATE)
local state = packed and cmsgpack.unpack(packed)
-- A clock that was set back contradicts every stored time: the state counts as lost.
if not state or now < state.at - 1000 then
  -- No slot is granted until the processes that know an earlier state have sent their leases.
  state = { epoch = exact(now), quiet = request.epoch ~= "" and now + request.recovery or 0 }
  if #KEYS > 4 then redis.call("DEL", unpack(KEYS, 5)) end
end
now = math.max(now, state.at or 0)
state.at = now
local function spend(rate, amount, at)
  state[rate.name] = math.min(now + 1e15, math.max(state[rate.name], at) + amount / rate.perMilli)
end

local booked = {}
for _, rate in ipairs(limits.rates) do state[rate.name] = state[rate.name] or now end
for _, grant in ipairs(state.booked or {}) do
  if grant.at > now then booked[#booked + 1] = grant
  else
    for _, rate in ipairs(limits.rates) do
      if (grant[rate.name] or 0) > 0 then spend(rate, grant[rate.name], grant.at) end
    end
  end
end
state.booked = booked
for _, rate in ipairs(limits.rates) do state[rate.name] = math.max(state[rate.name], now) end

-- The theoretical arrival time with all that is booked.
local function arrivalOf(rate)
  local arrival = state[rate.name]
  for _, grant in ipairs(booked) do
    local amount = grant[rate.name] or 0
    if amount > 0 then arrival = math.max(arrival, grant.at) + amount / rate.perMilli end
  end
  return arrival
end

local function book(grant)
  local place = #booked + 1
  while place > 1 and booked[place - 1].at > grant.at do place = place - 1 end
  table.insert(booked, place, grant)
end

local function unbook(id)
  for place, grant in ipairs(booked) do
    if grant.id == id then return table.remove(booked, place) end
  end
end

redis.call("ZREMRANGEBYSCORE", LEASES, "-inf", exact(now))
for i, window in ipairs(limits.windows) do
  window.key = KEYS[4 + i]
  local used = state[window.name] or 0
  for _, member in ipairs(redis.call("ZRANGEBYSCORE", window.key, "-inf", exact(now))) do used = used - amountOf(member) end
  redis.call("ZREMRANGEBYSCORE", window.key, "-inf", exact(now))
  state[window.name] = redis.call("EXISTS", window.key) == 1 and used or 0
end

local function expiryOf(window, at)
  local expiry = at + window.duration
  return string.format("%.3f", window.grain > 0 and math.ceil(expiry / window.grain) * window.grain or expiry)
end

-- What was taken with the same expiry is one member. What is given back after its expiry changes nothing.
local function change(window, expiry, amount)
  local member = redis.call("ZRANGEBYSCORE", window.key, expiry, expiry)[1]
  local before = member and amountOf(member) or 0
  local after = math.max(0, before + amount)
  if member then redis.call("ZREM", window.key, member) end
  if after > 1e-9 then redis.call("ZADD", window.key, expiry, expiry .. ":" .. exact(after)) end
  state[window.name] = state[window.name] + after - before
end

local function windowWait(window, amount)
  local missing, from = state[window.name] + math.min(amount, window.limit) - window.limit, 0
  while missing > 1e-9 do
    local members = redis.call("ZRANGE", window.key, from, from + 49, "WITHSCORES")
    if #members == 0 then return 0 end
    for i = 1, #members, 2 do
      missing = missing - amountOf(members[i])
      if missing <= 1e-9 then return tonumber(members[i + 1]) - now end
    end
    from = from + 50
  end
  return 0
end

local function isFull(ahead)
  return limits.slots and (now < state.quiet or redis.call("ZCARD", LEASES) + ahead >= limits.slots)
end

-- The wait until windows and slots admit one more request.
local function closedFor(ahead)
  local closed = isFull(ahead) and request.poll or 0
  for _, window in ipairs(limits.windows) do closed = math.max(closed, windowWait(window, 1)) end
  return closed
end

local function reply(fields)
  local ttl = math.max(60000, limits.longest, 2 * request.leaseTime)
  for _, rate in ipairs(limits.rates) do
    local arrival = arrivalOf(rate)
    fields[rate.name] = rate.capacity - math.max(0, arrival - now) * rate.perMilli
    ttl = math.max(ttl, 60000 + arrival - now)
  end
  fields.epoch = state.epoch
  ttl = string.format("%.0f", math.min(ttl, 1e13))
  redis.call("SET", STATE, cmsgpack.pack(state), "PX", ttl)
  for i = 2, #KEYS do redis.call("PEXPIRE", KEYS[i], ttl) end
  return cjson.encode(fields)
end
`

/**
 * Grants a request, or says how long it must wait. A grant can be for a time up to \`lead\` ahead. Processes that wait for a slot are
 * served in the order of the arrival of their first call, when these are further apart than \`fair\`.
 */
export const acquire = `${begin}
if request.epoch ~= "" and request.epoch ~= state.epoch then return reply({ tag = "lost" }) end
local wait = 0
for _, rate in ipairs(limits.rates) do
  local amount = math.min(request[rate.name], rate.capacity)
  if amount > 0 then wait = math.max(wait, arrivalOf(rate) - now + (amount - rate.capacity) / rate.perMilli) end
end
for _, window in ipairs(limits.windows) do wait = math.max(wait, windowWait(window, request.requests)) end
if wait < 1e-3 then wait = 0 end
local ahead = 0
if request.slots > 0 and limits.slots then
  local waiting = redis.call("HGETALL", WAITING)
  for i = 1, #waiting, 2 do
    local since, seen = string.match(waiting[i + 1], "(.*):(.*)")
    if tonumber(seen) < now - request.fresh then redis.call("HDEL", WAITING, waiting[i])
    elseif waiting[i] ~= request.process and tonumber(since) < now - request.waited - request.fair then ahead = ahead + 1 end
  end
end
local crowded = request.slots > 0 and isFull(ahead)
if crowded and request.lead > 0 then
  redis.call("HSET", WAITING, request.process, exact(now - request.waited) .. ":" .. exact(now))
else
  redis.call("HDEL", WAITING, request.process)
end
local granted = not crowded and wait <= request.lead
local at = now + wait
if granted then
  if wait > 0 then
    local grant = { id = request.id, at = at }
    for _, rate in ipairs(limits.rates) do grant[rate.name] = request[rate.name] end
    book(grant)
  else
    for _, rate in ipairs(limits.rates) do if request[rate.name] > 0 then spend(rate, request[rate.name], at) end end
  end
  for _, window in ipairs(limits.windows) do change(window, expiryOf(window, at), request.requests) end
  if request.holds then redis.call("ZADD", LEASES, exact(at + request.leaseTime), request.id .. ":" .. exact(request.tokens)) end
end
return reply({ tag = granted and "granted" or crowded and "crowded" or "busy", wait = wait, closed = closedFor(ahead), at = exact(at) })
`

/** Ends a lease and replaces its estimate by the actual tokens, once. */
export const settle = `${begin}
local isHeld = redis.call("ZREM", LEASES, request.id .. ":" .. exact(request.tokens)) == 1
for _, rate in ipairs(limits.rates) do
  if isHeld and rate.name == "tokens" then spend(rate, request.actual - request.tokens, 0) end
end
return reply({})
`

/** Undoes a grant of which nothing was used, unless the state of the grant was lost. */
export const giveBack = `${begin}
redis.call("ZREM", LEASES, request.id .. ":" .. exact(request.tokens))
local at = tonumber(request.at)
if at >= tonumber(state.epoch) then
  if at <= now then
    for _, rate in ipairs(limits.rates) do spend(rate, -request[rate.name], 0) end
  else unbook(request.id) end
  for _, window in ipairs(limits.windows) do change(window, expiryOf(window, at), -request.requests) end
end
return reply({})
`

/**
 * Registers a process, makes its leases those that it holds, and counts what it was granted without Redis. With \`remaining\` nothing
 * more than that is left. Without \`recalls\`, a process that knows an earlier state is asked to send what it recalls of it.
 */
export const sync = `${begin}
if request.epoch ~= "" and request.epoch ~= state.epoch and not request.recalls then return reply({ tag = "lost" }) end
local kept = {}
for _, id in ipairs(request.pending) do kept[id] = true end
for _, lease in ipairs(request.held) do
  kept[lease.id] = true
  redis.call("ZADD", LEASES, exact(now + request.leaseTime), lease.id .. ":" .. exact(lease.tokens))
end
for _, member in ipairs(redis.call("ZRANGE", LEASES, 0, -1)) do
  local id = string.match(member, "(.*):")
  if string.sub(id, 1, #request.process) == request.process and not kept[id] then redis.call("ZREM", LEASES, member) end
end
for _, rate in ipairs(limits.rates) do
  spend(rate, request.debts[rate.name] or 0, 0)
  local remaining = request.remaining[rate.name]
  local arrival = remaining and now + (rate.capacity - math.max(0, remaining)) / rate.perMilli
  if arrival and arrivalOf(rate) < arrival then state[rate.name] = arrival end
end
for _, window in ipairs(limits.windows) do
  for _, entry in ipairs(request.entries[window.name] or {}) do
    if entry[1] > 0 then change(window, string.format("%.3f", now + entry[1]), entry[2]) end
  end
end
redis.call("ZREMRANGEBYSCORE", PROCESSES, "-inf", exact(now))
redis.call("ZREM", PROCESSES, request.process)
if not request.leaves then redis.call("ZADD", PROCESSES, exact(now + request.leaseTime), request.process) end
return reply({
  tag = "synced", processes = redis.call("ZCARD", PROCESSES), recovery = limits.slots and math.max(0, state.quiet - now) or 0
})
`

/** Fills the buckets and empties the windows. */
export const reset = `${begin}
booked = {}
state.booked = booked
for _, rate in ipairs(limits.rates) do state[rate.name] = now end
for _, window in ipairs(limits.windows) do
  state[window.name] = 0
  redis.call("DEL", window.key)
end
return reply({})
`

/** Returns the status. */
export const status = `${begin}
local reserved = 0
for _, member in ipairs(redis.call("ZRANGE", LEASES, 0, -1)) do reserved = reserved + amountOf(member) end
return reply({
  minute = state.minute, day = state.day, inFlight = redis.call("ZCARD", LEASES), reserved = reserved, closed = closedFor(0)
})
`
