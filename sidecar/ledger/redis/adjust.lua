-- Adjust: a person changes what counts as spent. Kept as a lease that is closed from the start; see ../machine.ts.
--   KEYS  the adjustment's lease, the budget
--   ARGV  prefix, adjustment id, who, subject, amount, reason
--   → conflict | other amount budget (the id is a lease's, or that adjustment's) | status spent notices…

local id, who, subject, amount, reason = ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5]), ARGV[6]
local key = string.sub(KEYS[2], #PREFIX + #'budget:' + 1)

sweep()
local record = load_budget(key)
local known = load_lease(id)
if known then
  local entry = known.entries[1]
  if known.seq ~= LIMITS.amount then return reply('conflict') end
  if entry.budget ~= key or entry.charged ~= amount then return reply('other', int(entry.charged), entry.budget) end
  return reply('repeated', record and record.spent or 0)
end
if not record then return reply('unknown_budget', 0) end
local spent = record.spent + amount
if spent < 0 or spent > LIMITS.amount - record.out then return reply('invalid', record.spent) end

local lease = {
  id = id, edge = who, subject = subject, ttl = 0, policy = 'charge_reported', wend = record.stop, state = 'closed',
  seq = LIMITS.amount, usable = now, expires = now, forget = now + LIMITS.unsettledRetentionMs,
  entries = { {
    budget = key, granted = 0, spent = amount, charged = amount, returned = math.max(0, -amount), remaining = 0,
  } },
}
record.spent = spent
record.debt = record.debt + math.max(0, amount)
record.keep = math.max(record.keep, lease.forget)
note('adjusted', key, lease, amount, reason)
if amount < 0 then again_below(record) end
notify(record, false, id)
save_budget(record)
save_lease(lease)
return reply('applied', spent)
