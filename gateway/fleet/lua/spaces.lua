-- KEYS: life, the space's entries by key, each with the end of its time before it, and these ends in order.

local function remove(keys)
  if #keys > 0 then
    redis.call('HDEL', KEYS[2], unpack(keys))
    redis.call('ZREM', KEYS[3], unpack(keys))
  end
end

-- The value of an entry; nil where there is none, or its time is over.
local function value(entry)
  local over, rest = string.match(entry or '', '^(%d+):()')
  if over and number(over) and now < number(over) then
    return string.sub(entry, rest)
  end
end

-- put(channel, me, space, key, value, lasts, most)
verbs.put = function()
  local key, given, lasts = ARGV[7], ARGV[8], tonumber(ARGV[9])
  local known = value(redis.call('HGET', KEYS[2], key))
  redis.call('HSET', KEYS[2], key, text(now + lasts) .. ':' .. given)
  redis.call('ZADD', KEYS[3], text(now + lasts), key)
  remove(redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', text(now), 'LIMIT', 0, 16))
  local most = tonumber(ARGV[10])
  if redis.call('ZCARD', KEYS[3]) > most then
    remove(redis.call('ZRANGE', KEYS[3], 0, 0))
  end
  local left = math.max(lasts, redis.call('PTTL', KEYS[2]) * 1000)
  expire(KEYS[2], left)
  expire(KEYS[3], left)
  -- Who returns after an absence puts all it knows: only what is new is news.
  if known ~= given then
    tell(ARGV[4], ARGV[5], ARGV[6], now, key, given)
  end
  return 1
end

-- get(key)
verbs.get = function()
  return value(redis.call('HGET', KEYS[2], ARGV[4])) or false
end

-- load(cursor, count): the next cursor, then keys and values in turn.
verbs.load = function()
  local found = redis.call('HSCAN', KEYS[2], ARGV[4], 'COUNT', ARGV[5])
  local told = {found[1]}
  for place = 1, #found[2], 2 do
    local given = value(found[2][place + 1])
    if given then
      table.insert(told, found[2][place])
      table.insert(told, given)
    end
  end
  return told
end
