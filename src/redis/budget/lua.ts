/**
 * The books of budgets in Redis. Amounts are pairs of whole numbers, so many trillions and the rest, so that sums are exact above
 * 2^53 too. All times are in milliseconds, by Redis's clock.
 *
 * An account holds what each process has set aside, and what was spent by slices of time. What a process has set aside counts for
 * as long as it is registered.
 *
 * Keys: the accounts, the processes (by the end of their registration), and what was settled by this process and may be told again.
 */
import { redisTime } from "../shared/script.js"

const shared = `${redisTime}local request = cjson.decode(ARGV[1])
local ACCOUNTS, PROCESSES, SETTLED = unpack(KEYS)
local trillion = 1000000000000

local function normal(high, low)
  local carry = math.floor(low / trillion)
  local rest = low - carry * trillion
  -- A quotient just below a whole number is rounded to it.
  if rest < 0 then return { high + carry - 1, rest + trillion } end
  return { high + carry, rest }
end
local function amount(number) return normal(0, number) end
local function plus(a, b) return normal(a[1] + b[1], a[2] + b[2]) end
local function minus(a, b) return normal(a[1] - b[1], a[2] - b[2]) end
local function isLess(a, b) return a[1] < b[1] or (a[1] == b[1] and a[2] < b[2]) end
local nothing = { 0, 0 }

local function account(name)
  local packed = redis.call("HGET", ACCOUNTS, name)
  return packed and cmsgpack.unpack(packed) or { reserved = {}, slices = {} }
end

local function put(name, books)
  if next(books.reserved) == nil and #books.slices == 0 then
    redis.call("HDEL", ACCOUNTS, name)
  else
    redis.call("HSET", ACCOUNTS, name, cmsgpack.pack(books))
  end
end

-- What is forgotten, and what was set aside by processes that are gone.
local function current(books)
  local slices = {}
  for _, slice in ipairs(books.slices) do
    if slice.till < 0 or slice.till > now then slices[#slices + 1] = slice end
  end
  books.slices = slices
  for process, _ in pairs(books.reserved) do
    local till = tonumber(redis.call("ZSCORE", PROCESSES, process) or 0)
    if till <= now then books.reserved[process] = nil end
  end
  return books
end

local function reservedBy(books, process, change)
  local after = plus(books.reserved[process] or nothing, change)
  if isLess(nothing, after) then books.reserved[process] = after else books.reserved[process] = nil end
end

local function standing(name, books)
  local spent, unpriced, reserved, resets = nothing, 0, nothing, nil
  for _, slice in ipairs(books.slices) do
    spent = plus(spent, slice.spent)
    unpriced = unpriced + slice.unpriced
    if slice.till >= 0 and (not resets or slice.till < resets) then resets = slice.till end
  end
  for _, held in pairs(books.reserved) do reserved = plus(reserved, held) end
  return { account = name, spent = spent, reserved = reserved, unpriced = unpriced, resetsAt = resets }
end

local function registered()
  redis.call("ZADD", PROCESSES, string.format("%.3f", now + request.leaseTime), request.process)
end
`

/** Sets all claims aside, or none and says how the account stands that has no room. */
export const reserve = `${shared}
local all = {}
for i, claim in ipairs(request.claims) do
  local books = current(account(claim.account))
  all[i] = books
  local stands = standing(claim.account, books)
  local taken = plus(stands.spent, stands.reserved)
  local limit = amount(claim.limit)
  if not isLess(taken, limit) or isLess(limit, plus(taken, amount(claim.amount))) then
    return cjson.encode({ now = now, refused = stands })
  end
end
registered()
for i, claim in ipairs(request.claims) do
  reservedBy(all[i], request.process, amount(claim.amount))
  put(claim.account, all[i])
end
-- Accounts that stand at nothing are closed, a few at a time.
for _, name in ipairs(redis.call("HRANDFIELD", ACCOUNTS, 2)) do put(name, current(account(name))) end
return cjson.encode({ now = now })
`

/**
 * Gives back what was claimed and takes what was spent, in the period that it is now. Once: it may be told again. Says how the
 * accounts stood before and after; or the time alone, where it is in none of the slices that were told.
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
  local books = current(account(settlement.account))
  changes[i] = { before = standing(settlement.account, books) }
  reservedBy(books, request.process, minus(nothing, amount(settlement.amount)))
  local last = books.slices[#books.slices]
  if settlement.spent > 0 or settlement.unpriced > 0 then
    if last and (last.ends < 0 or now < last.ends) then
      last.spent, last.unpriced = plus(last.spent, amount(settlement.spent)), last.unpriced + settlement.unpriced
    else
      books.slices[#books.slices + 1] =
        { ends = slices[i].ends, till = slices[i].till, spent = amount(settlement.spent), unpriced = settlement.unpriced }
    end
  end
  changes[i].after = standing(settlement.account, books)
  put(settlement.account, books)
end
local reply = cjson.encode({ now = now, changes = changes })
redis.call("HSET", SETTLED, request.id, reply)
redis.call("PEXPIRE", SETTLED, 3600000)
return reply
`

/** The process goes on. It says what it has set aside where Redis has forgotten it, or may know it wrongly. */
export const renew = `${shared}
local isKnown = tonumber(redis.call("ZSCORE", PROCESSES, request.process) or 0) > now
redis.call("ZREMRANGEBYSCORE", PROCESSES, "-inf", string.format("%.3f", now))
if request.overrides or not isKnown then
  registered()
  for _, held in ipairs(request.held) do
    local books = current(account(held.account))
    books.reserved[request.process] = nil
    reservedBy(books, request.process, amount(held.amount))
    put(held.account, books)
  end
else
  registered()
end
return cjson.encode({ now = now, processes = redis.call("ZCARD", PROCESSES) })
`

/** The process ends. */
export const leave = `${shared}
redis.call("ZREM", PROCESSES, request.process)
return 1
`

export const standings = `${shared}
local all = {}
for i, name in ipairs(request.accounts) do all[i] = standing(name, current(account(name))) end
return cjson.encode({ now = now, standings = all })
`

export const accounts = `${shared}
return redis.call("HKEYS", ACCOUNTS)
`
