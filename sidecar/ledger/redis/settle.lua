-- Settle: one report of one lease.
--   KEYS  the lease
--   ARGV  prefix, lease id, sequence, final (1 or 0), number of amounts, then the cumulative amounts
--   → status usable_ms place percent reset_ms notices…

local id, sequence, final, count = ARGV[2], tonumber(ARGV[3]), ARGV[4] == '1', tonumber(ARGV[5])

sweep()
local lease = load_lease(id)
if not lease then return answer('unknown_lease') end
expire_if_due(lease)
if sequence <= lease.seq then return answer('stale', lease) end
if count ~= #lease.entries then return answer('invalid', lease) end

load_budgets(lease)
local was_open = lease.state == 'open'
-- A dead lease that was charged whole stays so until its last report says what it really was.
local charged_whole = lease.state == 'expired' and lease.policy == 'charge_all'
local state = final and 'closed' or lease.state
local returns = final and (was_open or charged_whole)
local entries = {}
for i, entry in ipairs(lease.entries) do
  local spent = math.max(entry.spent, tonumber(ARGV[5 + i]))
  local charged = spent
  if charged_whole and not final then charged = math.max(entry.granted, spent) end
  entries[i] = with(entry, spent, charged, returns and math.max(0, entry.granted - spent) or entry.returned)
end
if not fits(lease, state, entries) then return answer('invalid', lease) end

if not was_open then
  for i, entry in ipairs(entries) do
    local delta = entry.charged - lease.entries[i].charged
    if delta ~= 0 then note('corrected', entry.budget, lease, delta) end
  end
end
lease.seq = sequence
change(lease, state, entries)
return answer(was_open and 'applied' or 'closed', lease)
