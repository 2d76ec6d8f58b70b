/**
 * The accounts of budgets in Redis. An amount is a pair of integers, trillions and the remainder, so that sums are exact above
 * 2^53. All times are in milliseconds, by Redis's clock.
 *
 * An account holds the reserved amount of each process, and the spending by slices of time. Reservations count while their
 * process is registered.
 *
 * `KEYS`: accounts, processes (by expiry of their registration), and the replies of settlements that this process may send again.
 */
import { redisTime } from "../shared/script.js"

/**
 * The version of the layout of accounts: see `shared/layout.ts`. A new version discards the recorded spending: change an account so that the
 * scripts read both layouts where that is possible.
 */
export const layoutVersion = 1

const shared = `${redisTime}local request = cjson.decode(ARGV[1])
local ACCOUNTS, PROCESSES, SETTLED = unpack(KEYS)
local trillion = 1000000000000

local function normalized(high, low)
  local carry = math.floor(low / trillion)
  local rest = low - carry * trillion
  -- The division rounds a quotient just below an integer up to it.
  if rest < 0 then return { high + carry - 1, rest + trillion } end
  return { high + carry, rest }
end
local function amount(number) return normalized(0, number) end
local function plus(a, b) return normalized(a[1] + b[1], a[2] + b[2]) end
local function minus(a, b) return normalized(a[1] - b[1], a[2] - b[2]) end
local function isLess(a, b) return a[1] < b[1] or (a[1] == b[1] and a[2] < b[2]) end
local zero = { 0, 0 }

local function loadAccount(name)
  local packed = redis.call("HGET", ACCOUNTS, name)
  return packed and cmsgpack.unpack(packed) or { reserved = {}, slices = {} }
end

local function put(name, account)
  if next(account.reserved) == nil and #account.slices == 0 then
    redis.call("HDEL", ACCOUNTS, name)
  else
    redis.call("HSET", ACCOUNTS, name, cmsgpack.pack(account))
  end
end

-- Removes expired slices, and the reservations of processes whose registration has expired.
local function withoutExpired(account)
  local slices = {}
  for _, slice in ipairs(account.slices) do
    if slice.till < 0 or slice.till > now then slices[#slices + 1] = slice end
  end
  account.slices = slices
  for process, _ in pairs(account.reserved) do
    local till = tonumber(redis.call("ZSCORE", PROCESSES, process) or 0)
    if till <= now then account.reserved[process] = nil end
  end
  return account
end

local function changeReserved(account, process, change)
  local after = plus(account.reserved[process] or zero, change)
  if isLess(zero, after) then account.reserved[process] = after else account.reserved[process] = nil end
end

local function summary(name, account)
  local spent, unpriced, reserved, resets = zero, 0, zero, nil
  for _, slice in ipairs(account.slices) do
    spent = plus(spent, slice.spent)
    unpriced = unpriced + slice.unpriced
    if slice.till >= 0 and (not resets or slice.till < resets) then resets = slice.till end
  end
  for _, processReserved in pairs(account.reserved) do reserved = plus(reserved, processReserved) end
  return { account = name, spent = spent, reserved = reserved, unpriced = unpriced, resetsAt = resets }
end

local function register()
  redis.call("ZADD", PROCESSES, string.format("%.3f", now + request.leaseTime), request.process)
end
`

/** Reserves all claims, or none: then replies with the state of the account that lacks room. */
export const reserve = `${shared}
local all = {}
for i, claim in ipairs(request.claims) do
  local account = withoutExpired(loadAccount(claim.account))
  all[i] = account
  local state = summary(claim.account, account)
  local taken = plus(state.spent, state.reserved)
  local limit = amount(claim.limit)
  if not isLess(taken, limit) or isLess(limit, plus(taken, amount(claim.amount))) then
    return cjson.encode({ now = now, refused = state })
  end
end
register()
for i, claim in ipairs(request.claims) do
  changeReserved(all[i], request.process, amount(claim.amount))
  put(claim.account, all[i])
end
-- Removes empty accounts, a few at a time.
for _, name in ipairs(redis.call("HRANDFIELD", ACCOUNTS, 2)) do put(name, withoutExpired(loadAccount(name))) end
return cjson.encode({ now = now })
`

/**
 * Releases claims and records spending in the current period. Idempotent by settlement id. Replies with the accounts before and
 * after, or only with the time when that is in none of the given slices.
 */
export const settle = `${shared}
local function sliceOf(period)
  if period.rolling then
    local start = math.floor(now / period.step) * period.step
    return { ends = start + period.step, till = start + period.step + period.rolling }
  end
  if period.slices then
    for _, slice in ipairs(period.slices) do
      if slice[1] <= now and now < slice[2] then return { ends = slice[2], till = slice[3] } end
    end
    return nil
  end
  return { ends = -1, till = -1 }
end

for _, id in ipairs(request.told) do redis.call("HDEL", SETTLED, id) end
local before = redis.call("HGET", SETTLED, request.id)
if before then return before end

local slices = {}
for i, settlement in ipairs(request.settlements) do
  slices[i] = sliceOf(settlement.period)
  if not slices[i] then return cjson.encode({ now = now }) end
end

local changes = {}
for i, settlement in ipairs(request.settlements) do
  local account = withoutExpired(loadAccount(settlement.account))
  changes[i] = { before = summary(settlement.account, account) }
  changeReserved(account, request.process, minus(zero, amount(settlement.amount)))
  local last = account.slices[#account.slices]
  if settlement.spent > 0 or settlement.unpriced > 0 then
    if last and (last.ends < 0 or now < last.ends) then
      last.spent, last.unpriced = plus(last.spent, amount(settlement.spent)), last.unpriced + settlement.unpriced
    else
      account.slices[#account.slices + 1] =
        { ends = slices[i].ends, till = slices[i].till, spent = amount(settlement.spent), unpriced = settlement.unpriced }
    end
  end
  changes[i].after = summary(settlement.account, account)
  put(settlement.account, account)
end
local reply = cjson.encode({ now = now, changes = changes })
redis.call("HSET", SETTLED, request.id, reply)
redis.call("PEXPIRE", SETTLED, 3600000)
return reply
`

/** Renews the registration of a process, and restores its reservations when Redis has lost them or can have wrong ones. */
export const renew = `${shared}
local isKnown = tonumber(redis.call("ZSCORE", PROCESSES, request.process) or 0) > now
redis.call("ZREMRANGEBYSCORE", PROCESSES, "-inf", string.format("%.3f", now))
if request.overrides or not isKnown then
  register()
  for _, held in ipairs(request.held) do
    local account = withoutExpired(loadAccount(held.account))
    account.reserved[request.process] = nil
    changeReserved(account, request.process, amount(held.amount))
    put(held.account, account)
  end
else
  register()
end
return cjson.encode({ now = now, processes = redis.call("ZCARD", PROCESSES) })
`

/** Removes a process and with it its reservations. */
export const leave = `${shared}
redis.call("ZREM", PROCESSES, request.process)
return 1
`

export const statuses = `${shared}
local all = {}
for i, name in ipairs(request.accounts) do all[i] = summary(name, withoutExpired(loadAccount(name))) end
return cjson.encode({ now = now, statuses = all })
`

export const accounts = `${shared}
return redis.call("HKEYS", ACCOUNTS)
`
