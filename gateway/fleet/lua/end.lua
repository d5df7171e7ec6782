if verb ~= 'begin' and redis.call('GET', KEYS[1]) ~= life then
  return redis.error_reply('ADTLIFE the store has lost its data')
end
return verbs[verb]()
