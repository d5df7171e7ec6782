-- One script for all verbs: either all are known to the store or none, so that calls never overtake each other.
-- KEYS[1] is the key `life`. ARGV: the verb, now in microseconds (empty: the store's own clock), the life that
-- the caller knows, then the verb's own. All moments and durations are microseconds.

local verb, life = ARGV[1], ARGV[3]
local now = tonumber(ARGV[2])
if not now then
  local time = redis.call('TIME')
  now = time[1] * 1000000 + time[2]
end

local SECOND = 1000000
local DAY = 86400 * SECOND
-- Longer than a job can be seen.
local JOB = 8 * DAY
local LONGEST_PAUSE = 300 * SECOND
local verbs = {}

-- The number in a text; nil where there is none that can be a moment or a duration.
local function number(text)
  local value = tonumber(text or nil)
  if value and value > -1e16 and value < 1e16 then
    return value
  end
end

-- Lua's own way to write large numbers loses digits.
local function text(value)
  return string.format('%.0f', value)
end

local function expire(key, duration)
  redis.call('PEXPIRE', key, text(math.max(1, math.ceil(duration / 1000))))
end

-- Tells all gateways; `sent` is the moment the news is about.
local function tell(channel, me, topic, sent, key, payload)
  redis.call('PUBLISH', channel, table.concat({me, topic, text(sent), text(#key), key .. payload}, '\n'))
end

-- Who has a lease: nobody where it is over, or lies in the future because the store's clock was set back.
local function holder(key)
  local kept = redis.call('HMGET', key, 'by', 'at', 'until')
  local at, over = number(kept[2]), number(kept[3])
  if kept[1] and at and over and at <= now + SECOND and now < over then
    return kept[1], at
  end
end

local function take(key, me, lease)
  redis.call('HSET', key, 'by', me, 'at', text(now), 'until', text(now + lease))
  expire(key, lease)
end
