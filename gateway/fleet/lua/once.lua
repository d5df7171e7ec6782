-- hold(me, lease); KEYS: life, lock. Who holds the lock now.
verbs.hold = function()
  local by = holder(KEYS[2])
  if by and by ~= ARGV[4] then
    return by
  end
  take(KEYS[2], ARGV[4], tonumber(ARGV[5]))
  return ARGV[4]
end

-- drop(me); KEYS: life, lock.
verbs.drop = function()
  if redis.call('HGET', KEYS[2], 'by') == ARGV[4] then
    redis.call('DEL', KEYS[2])
  end
  return 1
end

-- claim(me); KEYS: life, done keys. How many of them are this gateway's, all of which nobody had before included.
verbs.claim = function()
  local won = 0
  for place = 2, #KEYS do
    local by = redis.call('GET', KEYS[place])
    if not by then
      redis.call('SET', KEYS[place], ARGV[4])
      expire(KEYS[place], JOB)
      by = ARGV[4]
    end
    if by == ARGV[4] then
      won = won + 1
    end
  end
  return won
end
