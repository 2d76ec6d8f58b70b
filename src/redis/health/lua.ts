/**
 * What balances say of deployments, in Redis. All times are in milliseconds, by Redis's clock.
 *
 * Keys: the notices and the probes, each by the id of the deployment, and the revision, which is another one after each change of
 * the notices. The rules by which one notice follows another are those of `internal/balanceHealth.ts`.
 */
import { redisTime } from "../shared/script.js"

/** What nobody has said anything of for a week is forgotten. */
const memory = 7 * 24 * 60 * 60 * 1000

const shared = `${redisTime}local request = cjson.decode(ARGV[1])
local NOTICES, PROBES, REVISION = unpack(KEYS)

local function entry(key, id)
  local text = redis.call("HGET", key, id)
  return text and cjson.decode(text)
end

local function put(key, id, value)
  redis.call("HSET", key, id, cjson.encode(value))
  redis.call("PEXPIRE", key, ${memory})
end

local function hold(id, author)
  put(PROBES, id, { author = author, till = now + request.leaseTime })
end

local function isHeld(probe) return probe and probe.till > now end
`

/** Says what there is to say, and hears what others have said where that is not known yet. */
export const exchange = `${shared}
local function merged(before, after)
  if not before then return after end
  if before.state == "Closed" or after.state == "Closed" then
    -- What was found out before and is told late changes nothing.
    return after.at < before.at and before or after
  end
  local state = before.state == "Open" and "Open" or after.state
  local till, openings = math.max(before.till, after.till), math.max(before.openings, after.openings)
  local function isSame(one) return one.state == state and one.till == till and one.openings == openings end
  if isSame(before) then return before end
  if isSame(after) then return after end
  return { state = state, till = till, openings = openings, at = math.max(before.at, after.at), author = "" }
end

local isChanged = false
for _, message in ipairs(request.messages) do
  local notice = message.notice
  if notice then
    local before = entry(NOTICES, message.id)
    local after = merged(before, {
      state = notice.state,
      till = now + notice.rest,
      openings = notice.openings,
      at = now - notice.age,
      author = message.author
    })
    if after ~= before then
      put(NOTICES, message.id, after)
      isChanged = true
    end
  end
  if message.isOver then
    local probe = entry(PROBES, message.id)
    if probe and probe.author == message.author then redis.call("HDEL", PROBES, message.id) end
  end
end
for _, held in ipairs(request.held) do
  local probe = entry(PROBES, held.id)
  if not isHeld(probe) or probe.author == held.author then hold(held.id, held.author) end
end

if isChanged then
  -- A count would begin anew in a Redis that has lost it.
  redis.call("SET", REVISION, string.format("%.3f", now), "PX", ${memory})
end
local revision = redis.call("GET", REVISION) or ""
if revision == request.revision then return cjson.encode({ now = now, revision = revision }) end
local notices, all = {}, redis.call("HGETALL", NOTICES)
for i = 1, #all, 2 do notices[all[i]] = all[i + 1] end
return cjson.encode({ now = now, revision = revision, notices = notices })
`

/** Takes the probe of a deployment, unless that rests or another has it. */
export const probe = `${shared}
local notice = entry(NOTICES, request.id)
if notice and notice.state ~= "Closed" and notice.till > now then return cjson.encode({ rest = notice.till - now }) end
local probe = entry(PROBES, request.id)
if isHeld(probe) and probe.author ~= request.author then return cjson.encode({ held = probe.till - now }) end
hold(request.id, request.author)
return "{}"
`
