-- KEYS[2]: `turns`, with the moment of the next turn (due), the end of a pause, and when both were written.

-- due, paused; due is nil where the past is not known.
local function turns(horizon)
  local kept = redis.call('HMGET', KEYS[2], 'due', 'paused', 'at')
  local due, paused, at = number(kept[1]), number(kept[2]) or 0, number(kept[3])
  if at and now < at then
    -- The clock was set back: what lay ahead lies as far ahead as it did.
    due, paused = due and due - (at - now), paused - (at - now)
  end
  paused = math.min(paused, now + LONGEST_PAUSE)
  if not at or (due and due > math.max(now, paused) + horizon) then
    due = nil
  end
  return due, paused
end

local function keep(due, paused)
  redis.call('HSET', KEYS[2], 'due', text(due), 'paused', text(paused), 'at', text(now))
  expire(KEYS[2], math.max(0, due - now) + DAY)
end

-- reserve(interval, saved): microseconds until the turn that is reserved.
verbs.reserve = function()
  local interval, saved = tonumber(ARGV[4]), tonumber(ARGV[5])
  local due, paused = turns(3600 * SECOND + 10000 * interval)
  -- Where the past is not known, a turn may just have been used.
  due = math.max(due or now + interval, now - saved, paused)
  keep(due + interval, paused)
  return text(math.max(0, due - now))
end

-- pause(duration, channel, me)
verbs.pause = function()
  local due, paused = turns(1e16)
  paused = math.max(paused, now + math.min(tonumber(ARGV[4]), LONGEST_PAUSE))
  keep(due or now, paused)
  tell(ARGV[5], ARGV[6], 'pause', now, '', string.format('%.3f', tonumber(ARGV[4]) / SECOND))
  return 1
end
