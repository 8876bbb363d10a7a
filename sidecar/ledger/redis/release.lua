-- Release: ends one lease with what was last reported.
--   KEYS  the lease
--   ARGV  prefix, lease id
--   → status usable_ms notices…

sweep()
local lease = load_lease(ARGV[2])
if not lease then return reply('unknown_lease', 0) end
expire_if_due(lease)
if lease.state ~= 'open' then return reply('closed', 0) end
change(lease, 'released', map(lease.entries, return_rest))
return reply('applied', 0)
