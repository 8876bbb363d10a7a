-- Ready: whether the other scripts could run to their end now. Changes nothing.
--   KEYS  one that is never there
--   ARGV  prefix
--   → what Redis does when its memory is full (its maxmemory-policy; empty if it does not say), or the error of a write
-- Redis undoes nothing of a script that fails at a command its user may not run, so all of them are asked about here.

-- A Redis before 7 cannot be asked.
local may = redis.acl_check_cmd or function() return true end
for _, command in ipairs({
  'EXISTS', 'GET', 'LTRIM', 'MGET', 'PEXPIREAT', 'RPUSH', 'SET', 'ZADD', 'ZCARD', 'ZRANGEBYSCORE', 'ZREM',
  'ZREMRANGEBYRANK', 'ZREMRANGEBYSCORE',
}) do
  if not may(command, KEYS[1], KEYS[1], KEYS[1], KEYS[1]) then
    return redis.error_reply('NOPERM the user of the ledger may not run ' .. command)
  end
end
-- Refused where every write is: by a replica, with a full memory or disk, or without the replicas that must follow.
redis.call('SET', KEYS[1], '', 'XX')
local info = redis.pcall('INFO', 'memory')
return { type(info) == 'string' and string.match(info, 'maxmemory_policy:(%S+)') or '' }
