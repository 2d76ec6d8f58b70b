/**
 * The shared health of deployments in Redis. All times are in milliseconds, by Redis's clock.
 *
 * `KEYS`: notices and probes, each by deployment id, and the revision, which differs after each change of the notices. Notices
 * merge by the rules of `routing/balance/memoryHealth.ts`.
 */
import { redisTime } from "../shared/script.js"

/** The version of the layout of the shared health: see `shared/layout.ts`. */
export const layoutVersion = 1

/** The time after which the state of an unused deployment expires: a week. */
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

local function takeProbe(id, author)
  put(PROBES, id, { author = author, till = now + request.leaseTime })
end

local function isHeld(probe) return probe and probe.till > now end
`

/** Merges the messages of a process, renews its probes, and returns the notices when the revision differs. */
export const exchange = `${shared}
local function merged(before, after)
  if not before then return after end
  if before.state == "Closed" or after.state == "Closed" then
    -- A delayed message about an earlier time changes nothing.
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
  if not isHeld(probe) or probe.author == held.author then takeProbe(held.id, held.author) end
end

if isChanged then
  -- The time instead of a count, which would start again after a loss of data.
  redis.call("SET", REVISION, string.format("%.3f", now), "PX", ${memory})
end
local revision = redis.call("GET", REVISION) or ""
if revision == request.revision then return cjson.encode({ now = now, revision = revision }) end
local notices, all = {}, redis.call("HGETALL", NOTICES)
for i = 1, #all, 2 do notices[all[i]] = all[i + 1] end
return cjson.encode({ now = now, revision = revision, notices = notices })
`

/** Takes the probe of a deployment, unless the deployment is in a cooldown or another balance has the probe. */
export const probe = `${shared}
local notice = entry(NOTICES, request.id)
if notice and notice.state ~= "Closed" and notice.till > now then return cjson.encode({ rest = notice.till - now }) end
local probe = entry(PROBES, request.id)
if isHeld(probe) and probe.author ~= request.author then return cjson.encode({ held = probe.till - now }) end
takeProbe(request.id, request.author)
return "{}"
`
