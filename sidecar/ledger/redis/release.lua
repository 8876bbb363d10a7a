-- Release: ends one lease with what was last reported.
--   KEYS  the lease
--   ARGV  prefix, lease id
--   → as settle.lua

sweep()
local lease = load_lease(ARGV[2])
if not lease then return answer('unknown_lease') end
expire_if_due(lease)
if lease.state ~= 'open' then return answer('closed', lease) end
load_budgets(lease)
change(lease, 'released', map(lease.entries, return_rest))
return answer('applied', lease)
