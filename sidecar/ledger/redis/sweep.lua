-- Sweep: resolves dead leases of an organisation that nobody asks for.
--   KEYS  the organisation's expiries
--   ARGV  prefix
--   → number untold notices…

local expired = sweep()
flush()
return reply(expired, redis.call('ZCARD', UNTOLD))
