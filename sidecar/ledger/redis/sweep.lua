-- Sweep: resolves dead leases of an organisation that nobody asks for.
--   KEYS  the organisation's expiries
--   ARGV  prefix
--   → number notices…

return reply(sweep())
