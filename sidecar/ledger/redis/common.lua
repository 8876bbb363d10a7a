-- The transitions of ../machine.ts, shared by the scripts beside this file: each script is LIMITS (generated from
-- ../types.ts) + this + its own file. Read machine.ts first; names and order are the same, and the simulation compares
-- every reply of the two.
--
-- Keys, all of one organisation, all with its hash tag, hence on one Redis Cluster slot. PREFIX is "weir:{acme}:".
--   PREFIX lease:<lease id>      hash  edge subject ttl policy wend state seq usable expires forget n,
--                                      and per budget i = 1 … n: b (budget key) g (granted) s (spent) c (charged)
--                                      r (returned) m (remaining at the grant).   PEXPIREAT forget once it has ended
--   PREFIX budget:<budget key>   hash  start end limit max spent out debt leases told keep
--                                      PEXPIREAT keep while no lease is open on it
--   PREFIX expiries              zset  open leases: lease id by expiry
--   PREFIX windows               zset  budget key by window end; for people only, cut two days after
--   PREFIX journal               list  JSON, newest last
-- Leases that are found dead touch keys that KEYS does not name: of the same organisation, so of the same slot.
--
-- A lease keeps its budgets alive. If somebody deletes keys by hand, what is gone counts as nothing and the rest goes on.
--
-- Times are Redis' own milliseconds (TIME), amounts integers up to 2^53-1: exact in Lua's doubles as long as they are
-- written with %.0f, and every sum is checked before it is made.

local PREFIX = ARGV[1]
local EXPIRIES, WINDOWS, JOURNAL = PREFIX .. 'expiries', PREFIX .. 'windows', PREFIX .. 'journal'

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local notices = {}

local function int(n) return string.format('%.0f', n) end

local function note(kind, budget, lease, amount)
  redis.call('RPUSH', JOURNAL, cjson.encode({
    at = int(now), kind = kind, budget = budget, amount = int(amount),
    leaseId = lease and lease.id or '', edge = lease and lease.edge or '',
  }))
  redis.call('LTRIM', JOURNAL, -LIMITS.journal, -1)
end

local function load_budget(key)
  local v = redis.call('HMGET', PREFIX .. 'budget:' .. key,
    'end', 'limit', 'max', 'spent', 'out', 'debt', 'leases', 'told', 'keep')
  if not v[1] then return nil end
  local record = {
    key = key, stop = tonumber(v[1]), limit = tonumber(v[2]), max = tonumber(v[3]), spent = tonumber(v[4]),
    out = tonumber(v[5]), debt = tonumber(v[6]), leases = tonumber(v[7]), told = tonumber(v[8]), keep = tonumber(v[9]),
  }
  if record.leases == 0 and record.keep <= now then return nil end
  return record
end

local function save_budget(record)
  redis.call('HSET', PREFIX .. 'budget:' .. record.key, 'limit', int(record.limit), 'max', int(record.max),
    'spent', int(record.spent), 'out', int(record.out), 'debt', int(record.debt), 'leases', int(record.leases),
    'told', int(record.told), 'keep', int(record.keep))
end

-- Tells once per window that 80 % or all of a budget is spent. True if it did.
local function notify(record, exhausted)
  if record.limit == 0 then return false end
  local reached = 0
  if exhausted or record.spent >= record.limit then reached = 100
  elseif record.limit - record.spent <= math.floor(record.limit / 5) then reached = 80 end
  if reached <= record.told then return false end
  record.told = reached
  notices[#notices + 1] = record.key
  notices[#notices + 1] = int(reached)
  note('notice', record.key, nil, reached)
  return true
end

local function load_lease(id)
  local flat = redis.call('HGETALL', PREFIX .. 'lease:' .. id)
  if #flat == 0 then return nil end
  local h = {}
  for i = 1, #flat, 2 do h[flat[i]] = flat[i + 1] end
  local lease = {
    id = id, edge = h.edge, ttl = tonumber(h.ttl), policy = h.policy, wend = tonumber(h.wend), state = h.state,
    seq = tonumber(h.seq), usable = tonumber(h.usable), expires = tonumber(h.expires), forget = tonumber(h.forget),
    entries = {},
  }
  if lease.state ~= 'open' and lease.forget <= now then return nil end
  for i = 1, tonumber(h.n) do
    lease.entries[i] = {
      budget = h['b' .. i], granted = tonumber(h['g' .. i]), spent = tonumber(h['s' .. i]),
      charged = tonumber(h['c' .. i]), returned = tonumber(h['r' .. i]), remaining = tonumber(h['m' .. i]),
    }
  end
  return lease
end

local function usable_until(ttl, wend) return math.min(now + math.floor(ttl / 2), wend) end

local function usable_ms(lease)
  if lease.state ~= 'open' then return 0 end
  return math.max(0, lease.usable - now)
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
  record.spent = record.spent + (will_spent - spent)
  record.out = record.out + (will_out - out)
  record.debt = record.debt + (will_debt - debt)
  if ends then
    record.leases = record.leases - 1
    record.keep = math.max(record.keep, lease.forget)
  end
  notify(record, false)
  save_budget(record)
  if ends and record.leases == 0 then
    redis.call('PEXPIREAT', PREFIX .. 'budget:' .. record.key, int(record.keep))
  end
end

-- Gives a lease its new state and entries.
local function change(lease, state, entries)
  local key = PREFIX .. 'lease:' .. lease.id
  local ends = lease.state == 'open' and state ~= 'open'
  if ends then
    lease.forget = now + (state == 'closed' and LIMITS.closedRetentionMs or LIMITS.unsettledRetentionMs)
  end
  local fields = {}
  for i, entry in ipairs(entries) do
    local record = load_budget(entry.budget)
    if record then charge(record, lease, i, state, entry, ends) end
    for name, value in pairs({ s = entry.spent, c = entry.charged, r = entry.returned }) do
      fields[#fields + 1] = name .. i
      fields[#fields + 1] = int(value)
    end
  end
  lease.entries = entries
  lease.state = state
  if state == 'open' then
    lease.expires = now + lease.ttl
    lease.usable = usable_until(lease.ttl, lease.wend)
    redis.call('ZADD', EXPIRIES, int(lease.expires), lease.id)
  end
  redis.call('HSET', key, 'state', state, 'seq', int(lease.seq), 'usable', int(lease.usable),
    'expires', int(lease.expires), 'forget', int(lease.forget), unpack(fields))
  if ends then
    redis.call('ZREM', EXPIRIES, lease.id)
    redis.call('PEXPIREAT', key, int(lease.forget))
  end
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
    if lease then expire_if_due(lease) else redis.call('ZREM', EXPIRIES, id) end
  end
  return #due
end

local function reply(...)
  local out = { ... }
  for _, notice in ipairs(notices) do out[#out + 1] = notice end
  return out
end
