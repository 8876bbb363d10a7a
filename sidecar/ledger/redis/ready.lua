-- Ready: whether the other scripts could run to their end now, and what is sent beside them. Changes nothing. It stands alone:
-- common.lua asks for the time, and a user who may not would be told so in words that do not name it.
--   KEYS  one that is never there, of the node that is asked
--   → what Redis does when its memory is full (its maxmemory-policy; empty if it does not say) and its time in ms, or the error of a write
-- Redis undoes nothing of a script that fails at a command its user may not run, so all of them are asked about here.

if not redis.acl_check_cmd then
  -- It could not say which commands its user may run, nor why it stopped a script.
  local version = string.match(redis.call('INFO', 'server'), 'redis_version:(%S+)')
  return redis.error_reply('TOOOLD version ' .. version .. ': expected 7 or newer')
end
for _, command in ipairs({
  'EXISTS', 'GET', 'LRANGE', 'LTRIM', 'MGET', 'PEXPIREAT', 'RPUSH', 'SADD', 'SET', 'SMEMBERS', 'TIME', 'ZADD', 'ZCARD',
  'ZRANGE', 'ZRANGEBYSCORE', 'ZREM', 'ZREMRANGEBYRANK', 'ZREMRANGEBYSCORE',
}) do
  if not redis.acl_check_cmd(command, KEYS[1], KEYS[1], KEYS[1], KEYS[1]) then
    return redis.error_reply('NOPERM the user of the ledger may not run ' .. command)
  end
end
-- Refused where every write is: by a replica, with a full memory or disk, or without the replicas that must follow.
redis.call('SET', KEYS[1], '', 'XX')
local info = redis.pcall('INFO', 'memory')
local time = redis.call('TIME')
return {
  type(info) == 'string' and string.match(info, 'maxmemory_policy:(%S+)') or '', time[1] * 1000 + math.floor(time[2] / 1000),
}
