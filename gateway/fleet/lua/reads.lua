-- The moment before which no answer counts; one in the future is of a clock that was set back.
local function forgot(key)
  local value = number(redis.call('GET', key)) or 0
  return value <= now + SECOND and value or 0
end

-- look(me, lease); KEYS: life, read, lead, forgot. Answer and its age, or whether this gateway leads.
verbs.look = function()
  local me, lease = ARGV[4], tonumber(ARGV[5])
  local before = forgot(KEYS[4])
  local kept = redis.call('HMGET', KEYS[2], 'answer', 'sent', 'until')
  local sent, over = number(kept[2]), number(kept[3])
  if kept[1] and sent and over and sent > before and sent <= now + SECOND and now < over then
    return {kept[1], text(math.max(0, now - sent)), 0}
  end
  local by, at = holder(KEYS[3])
  if by and by ~= me and at > before then
    return {false, '0', 0}
  end
  take(KEYS[3], me, lease)
  return {false, '0', 1}
end

-- publish(channel, me, age, lasts, key, answer); KEYS: life, read, lead.
verbs.publish = function()
  local me, lasts = ARGV[5], tonumber(ARGV[7])
  local sent = now - tonumber(ARGV[6])
  local known = number(redis.call('HGET', KEYS[2], 'sent')) or 0
  if lasts > 0 and (sent >= known or known > now + SECOND) then
    redis.call('HSET', KEYS[2], 'answer', ARGV[9], 'sent', text(sent), 'until', text(now + lasts))
    expire(KEYS[2], lasts)
  end
  if redis.call('HGET', KEYS[3], 'by') == me then
    redis.call('DEL', KEYS[3])
  end
  tell(ARGV[4], me, 'read', sent, ARGV[8], ARGV[9])
  return 1
end

-- release(channel, me, key); KEYS: life, lead.
verbs.release = function()
  if redis.call('HGET', KEYS[2], 'by') == ARGV[5] then
    redis.call('DEL', KEYS[2])
    tell(ARGV[4], ARGV[5], 'released', now, ARGV[6], '')
  end
  return 1
end

-- forget(channel, me); KEYS: life, forgot.
verbs.forget = function()
  redis.call('SET', KEYS[2], text(now))
  expire(KEYS[2], 2 * 3600 * SECOND)
  tell(ARGV[4], ARGV[5], 'forget', now, '', '')
  return 1
end
