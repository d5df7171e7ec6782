-- begin(fresh): the life of the store's data, which ends when they are lost, its age, and the store's clock.
verbs.begin = function()
  redis.call('SET', KEYS[1], ARGV[4] .. ':' .. text(now), 'NX')
  expire(KEYS[1], JOB)
  local kept = redis.call('GET', KEYS[1])
  local since = number(string.match(kept, ':(%d+)$')) or now
  return {kept, text(math.max(0, now - since)), text(now)}
end

-- tell(channel, me, topic, key, payload)
verbs.tell = function()
  tell(ARGV[4], ARGV[5], ARGV[6], now, ARGV[7], ARGV[8])
  return 1
end
