-- The transitions of ../machine.ts and ../books.ts, shared by the scripts beside this file: each script is LIMITS
-- (generated from ../types.ts) + this + its own file. Read those first; names and order are the same, and the simulation
-- compares every reply of the two.
--
-- Keys, all of one organisation, all with its hash tag, hence on one Redis Cluster slot. PREFIX is "weir:{acme}:".
--   PREFIX budget:<budget key>   string, 80 bytes: BUDGET below.   PEXPIREAT keep while no lease is open on it
--   PREFIX lease:<lease id>      string: LEASE below, then one ENTRY per budget.   PEXPIREAT forget once it has ended
--   PREFIX expiries              zset  open leases: lease id by expiry
--   PREFIX windows               zset  budget key by its first keep; for people only, cut two days after
--   PREFIX journal               list  JSON, newest last
--   PREFIX untold                zset  notices that nobody has told: their ids (../types.ts, noticeIdOf) by time
-- Leases that are found dead touch keys that KEYS does not name: of the same organisation, so of the same slot.
--
-- A record is one packed string because a field of a hash costs Redis ten times as much as a number in it: both to read
-- and to write, and again in the AOF. `weir ledger show` is what people read. Numbers are big-endian, 8 bytes, signed;
-- texts end with a zero byte.
--
--   BUDGET  start stop limit max spent out debt leases told keep
--   LEASE   n ttl wend seq usable expires forget | state policy edge subject
--   ENTRY   granted spent charged returned remaining | budget key
--
-- A script that fails half-way is not undone. So everything is read and computed first, and written at the end, by `flush`,
-- when nothing is left that can fail but a command that was renamed or taken from its user meanwhile (ready.lua asks). Hence
-- budgets and leases come last, all by the same command: neither changes without the other. In Redis Cluster a slot that moves
-- is on two nodes for a while, and a key that is not here yet looks like one that is nowhere. Redis refuses commands that name
-- several keys, some of which are not here (TRYAGAIN): hence budgets are read together with their lease, and logs are looked
-- at together before they are begun.
--
-- A lease keeps its budgets alive. If somebody deletes keys by hand, what is gone counts as nothing and the rest goes on.
--
-- Times are Redis' own milliseconds (TIME), amounts integers up to 2^53-1: exact in Lua's doubles and in the packed form;
-- as arguments of commands they are written with %.0f. Every sum is checked before it is made.

local BUDGET = '>i8i8i8i8i8i8i8i8i8i8'
local LEASE = '>i8i8i8i8i8i8i8ssss'
local ENTRY = 'i8i8i8i8i8s'

local PREFIX = ARGV[1]
local EXPIRIES, WINDOWS, JOURNAL = PREFIX .. 'expiries', PREFIX .. 'windows', PREFIX .. 'journal'
local UNTOLD = PREFIX .. 'untold'

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local notices, writes, logs = {}, {}, false

local function write(...) writes[#writes + 1] = { ... } end

local function int(n) return string.format('%.0f', n) end

local function note(kind, budget, lease, amount, reason)
  logs = true
  write('RPUSH', JOURNAL, cjson.encode({
    at = int(now), kind = kind, budget = budget, amount = int(amount),
    leaseId = lease and lease.id or '', edge = lease and lease.edge or '', reason = reason or '',
  }))
  write('LTRIM', JOURNAL, -LIMITS.journal, -1)
end

-- What this script has read, the budgets it has changed and the leases it saves: read once, written once, by `flush`.
local budgets, leases, changed, saved = {}, {}, {}, {}

-- What somebody else wrote in a record's place is told with its key: a person has to take it away.
local function no_record(key) error({ err = 'NORECORD ' .. key }) end

local function unpacked(key, ok, ...)
  if not ok then no_record(key) end
  return ...
end

local function get(key)
  local value = redis.pcall('GET', key)
  if type(value) ~= 'table' then return value end
  if string.sub(value.err, 1, 9) == 'WRONGTYPE' then no_record(key) end
  error(value)
end

local function keep_budget(key, value)
  local record = { key = key }
  record.start, record.stop, record.limit, record.max, record.spent, record.out, record.debt, record.leases,
    record.told, record.keep = unpacked(PREFIX .. 'budget:' .. key, pcall(struct.unpack, BUDGET, value))
  if record.leases == 0 and record.keep <= now then return nil end
  budgets[key] = record
  return record
end

local function load_budget(key)
  if budgets[key] then return budgets[key] end
  local value = get(PREFIX .. 'budget:' .. key)
  return value and keep_budget(key, value)
end

local function save_budget(record)
  budgets[record.key] = record
  if record.dirty then return end
  record.dirty = true
  changed[#changed + 1] = record
end

local function flush()
  if logs then redis.call('EXISTS', JOURNAL, UNTOLD) end
  for _, command in ipairs(writes) do redis.call(unpack(command)) end
  for _, r in ipairs(changed) do
    local key = PREFIX .. 'budget:' .. r.key
    local value = struct.pack(BUDGET, r.start, r.stop, r.limit, r.max, r.spent, r.out, r.debt, r.leases, r.told, r.keep)
    if r.leases > 0 then redis.call('SET', key, value) else redis.call('SET', key, value, 'PXAT', int(r.keep)) end
  end
  for _, lease in ipairs(saved) do redis.call(unpack(lease)) end
  writes, changed, saved, logs = {}, {}, {}, false
end

-- 100, 80 or 0: how much of it is spent.
local function reached(record)
  if record.spent >= record.limit then return 100 end
  if record.limit - record.spent <= math.floor(record.limit / 5) then return 80 end
  return 0
end

-- Keeps a notice until it is told; the oldest make room, and those that are too old to matter.
local function keep_notice(id)
  write('ZADD', UNTOLD, int(now), id)
  write('ZREMRANGEBYSCORE', UNTOLD, '-inf', int(now - LIMITS.untoldRetentionMs))
  write('ZREMRANGEBYRANK', UNTOLD, 0, -LIMITS.untold - 1)
  write('PEXPIREAT', UNTOLD, int(now + LIMITS.untoldRetentionMs))
end

-- What a refund, or a limit higher than any before it in the window, brings back under a mark may cross it again, and is told again.
local function again_below(record) record.told = math.min(record.told, reached(record)) end

-- Notices once per window that 80 % or all of a budget is spent, because of `cause`. True if it did.
local function notify(record, exhausted, cause)
  if record.limit == 0 then return false end
  local percent = exhausted and 100 or reached(record)
  if percent <= record.told then return false end
  record.told = percent
  local id = int(now) .. '|' .. percent .. '|' .. cause .. '|' .. record.key
  notices[#notices + 1] = id
  keep_notice(id)
  note('notice', record.key, nil, percent)
  return true
end

local function parse_lease(id, value)
  local lease = { id = id, entries = {} }
  local key, n, at = PREFIX .. 'lease:' .. id
  n, lease.ttl, lease.wend, lease.seq, lease.usable, lease.expires, lease.forget, lease.state, lease.policy, lease.edge,
    lease.subject, at = unpacked(key, pcall(struct.unpack, LEASE, value))
  if lease.state ~= 'open' and lease.forget <= now then return nil end
  if n < 1 or n > LIMITS.budgetsPerAcquire then no_record(key) end
  local flat = { unpacked(key, pcall(struct.unpack, '>' .. string.rep(ENTRY, n), value, at)) }
  for i = 1, n do
    local j = (i - 1) * 6
    lease.entries[i] = {
      granted = flat[j + 1], spent = flat[j + 2], charged = flat[j + 3], returned = flat[j + 4],
      remaining = flat[j + 5], budget = flat[j + 6],
    }
  end
  leases[id] = lease
  return lease
end

local function load_lease(id)
  if leases[id] then return leases[id] end
  local value = get(PREFIX .. 'lease:' .. id)
  return value and parse_lease(id, value)
end

-- Reads the budgets of a lease, before it is changed.
local function load_budgets(lease)
  local keys = { EXPIRIES, PREFIX .. 'lease:' .. lease.id }
  for i, entry in ipairs(lease.entries) do keys[i + 2] = PREFIX .. 'budget:' .. entry.budget end
  local values = redis.call('MGET', unpack(keys))
  for i, entry in ipairs(lease.entries) do
    if values[i + 2] and not budgets[entry.budget] then keep_budget(entry.budget, values[i + 2]) end
  end
end

local function save_lease(lease)
  local key, flat = PREFIX .. 'lease:' .. lease.id, {}
  for i, entry in ipairs(lease.entries) do
    local j = (i - 1) * 6
    flat[j + 1], flat[j + 2], flat[j + 3], flat[j + 4], flat[j + 5], flat[j + 6] =
      entry.granted, entry.spent, entry.charged, entry.returned, entry.remaining, entry.budget
  end
  local n = #lease.entries
  local value = struct.pack(LEASE .. string.rep(ENTRY, n), n, lease.ttl, lease.wend, lease.seq, lease.usable,
    lease.expires, lease.forget, lease.state, lease.policy, lease.edge, lease.subject, unpack(flat))
  if lease.state == 'open' then
    saved[#saved + 1] = { 'SET', key, value }
    write('ZADD', EXPIRIES, int(lease.expires), lease.id)
  else
    saved[#saved + 1] = { 'SET', key, value, 'PXAT', int(lease.forget) }
  end
end

local function usable_until(ttl, wend) return math.min(now + math.floor(ttl / 2), wend) end

local function usable_ms(lease)
  if lease.state ~= 'open' then return 0 end
  return math.max(0, math.min(lease.usable - now, math.floor(lease.ttl / 2)))
end

-- The fullest budget of an open lease while at least 80 % of it are spent: its place from 0 (-1: none), percent, reset.
local function warning(lease)
  local worst, most, reset = -1, 0, 0
  if lease.state ~= 'open' then return worst, most, reset end
  for i, entry in ipairs(lease.entries) do
    local record = load_budget(entry.budget)
    local least = 0
    if record and record.limit ~= 0 and record.stop > now then least = reached(record) end
    if least > 0 then
      local percent = math.max(least, math.floor((record.spent / record.limit) * 100))
      if percent > most then worst, most, reset = i - 1, percent, record.stop - now end
    end
  end
  return worst, most, reset
end

-- What a lease in this state adds to the budget of this entry: spent, outstanding, debt.
local function contribution(state, entry)
  local out = 0
  if state == 'open' then out = math.max(0, entry.granted - entry.charged) end
  return entry.charged, out, math.max(0, entry.charged - (entry.granted - entry.returned))
end

local function with(entry, spent, charged, returned)
  return {
    budget = entry.budget, granted = entry.granted, remaining = entry.remaining,
    spent = spent, charged = charged, returned = returned,
  }
end

-- Whether every sum stays exact after the change.
local function fits(lease, state, entries)
  for i, entry in ipairs(entries) do
    local record = load_budget(entry.budget)
    local spent, out = contribution(lease.state, lease.entries[i])
    local will_spent, will_out = contribution(state, entry)
    local used = record and record.spent - spent + (record.out - out) or 0
    if used + will_spent + will_out > LIMITS.amount then return false end
  end
  return true
end

-- Moves one budget along with its lease. The only place where budgets are charged.
local function charge(record, lease, i, state, entry, ends)
  local spent, out, debt = contribution(lease.state, lease.entries[i])
  local will_spent, will_out, will_debt = contribution(state, entry)
  -- Else the record was deleted, and begun anew by others: what it never had out cannot come back to it.
  local has = record.leases > 0 and record.out >= out
  record.spent = record.spent + (will_spent - spent)
  if has then record.out = record.out + (will_out - out) end
  record.debt = record.debt + (will_debt - debt)
  if ends then
    if has then record.leases = record.leases - 1 end
    record.keep = math.max(record.keep, lease.forget)
  end
  notify(record, false, lease.id)
  save_budget(record)
end

-- Gives a lease its new state and entries.
local function change(lease, state, entries)
  local ends = lease.state == 'open' and state ~= 'open'
  if ends then
    lease.forget = now + (state == 'closed' and LIMITS.closedRetentionMs or LIMITS.unsettledRetentionMs)
    write('ZREM', EXPIRIES, lease.id)
  end
  for i, entry in ipairs(entries) do
    local record = load_budget(entry.budget)
    if record then charge(record, lease, i, state, entry, ends) end
  end
  lease.entries = entries
  lease.state = state
  if state == 'open' then
    lease.expires = now + lease.ttl
    lease.usable = usable_until(lease.ttl, lease.wend)
  end
  save_lease(lease)
end

-- What of the grant was not charged, returned …
local function return_rest(entry)
  return with(entry, entry.spent, entry.charged, math.max(0, entry.granted - entry.charged))
end

-- … or charged all the same.
local function charge_rest(entry)
  return with(entry, entry.spent, math.max(entry.granted, entry.charged), entry.returned)
end

local function map(entries, f)
  local out = {}
  for i, entry in ipairs(entries) do out[i] = f(entry) end
  return out
end

local function expire_if_due(lease)
  if lease.state ~= 'open' or lease.expires > now then return end
  load_budgets(lease)
  local entries = map(lease.entries, lease.policy == 'charge_all' and charge_rest or return_rest)
  for _, entry in ipairs(entries) do
    if entry.charged > entry.spent then
      note('charged_unseen', entry.budget, lease, entry.charged - entry.spent)
    end
  end
  change(lease, 'expired', entries)
end

-- Resolves dead leases, the longest dead first. Returns how many.
local function sweep()
  local due = redis.call('ZRANGEBYSCORE', EXPIRIES, '-inf', int(now), 'LIMIT', 0, LIMITS.sweepPerCommand)
  for _, id in ipairs(due) do
    local lease = load_lease(id)
    if lease then
      expire_if_due(lease)
    else
      redis.call('EXISTS', EXPIRIES, PREFIX .. 'lease:' .. id)
      write('ZREM', EXPIRIES, id)
    end
  end
  return #due
end

-- Writes what was changed; every way out leads through here, except where nothing can have changed.
local function reply(...)
  flush()
  local out = { ... }
  -- As text where the client's library, which reads an integer by its digits, would be one off.
  for i, cell in ipairs(out) do
    if type(cell) == 'number' and cell > 2 ^ 52 then out[i] = int(cell) end
  end
  for _, notice in ipairs(notices) do out[#out + 1] = notice end
  return out
end

-- The answer to a report of a lease (nil: there is none), or to its release.
--   → status usable_ms warning (place percent reset_ms) notices…
local function answer(status, lease)
  if not lease then return reply(status, 0, -1, 0, 0) end
  return reply(status, usable_ms(lease), warning(lease))
end
