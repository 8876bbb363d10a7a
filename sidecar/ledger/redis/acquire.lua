-- Acquire: debits every budget, or none.
--   KEYS  the lease, then the budgets
--   ARGV  prefix, lease id, edge, subject, ttl ms, policy, number of budgets,
--         then per budget: identity, window start, window end, limit, need, want
--   The caller computes the windows for its guess of Redis' time; if the guess is off, nothing happens and it learns
--   the time.
--   → stale now | conflict | granted usable (granted remaining)×n notices…
--     | denied index used reset_ms never busy notices…

local id, edge, subject, ttl, policy = ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5]), ARGV[6]
local count = tonumber(ARGV[7])
local function argument(i, n) return ARGV[7 + (i - 1) * 6 + n] end

for i = 1, count do
  if tonumber(argument(i, 2)) > now or tonumber(argument(i, 3)) <= now then return { 'stale', int(now) } end
end

sweep()

local function granted(lease)
  local out = { 'granted', int(usable_ms(lease)) }
  for _, entry in ipairs(lease.entries) do
    out[#out + 1] = int(entry.granted)
    out[#out + 1] = int(entry.remaining)
  end
  return reply(unpack(out))
end

local known = load_lease(id)
if known then
  local same = #known.entries == count
  for i, entry in ipairs(known.entries) do
    same = same and string.match(entry.budget, '^(.*)|[^|]*$') == argument(i, 1)
  end
  if not same then return { 'conflict' } end
  expire_if_due(known)
  return granted(known)
end

local records, grants, fresh = {}, {}, {}
local wend = math.huge
for i = 1, count do
  local start, stop, limit = argument(i, 2), tonumber(argument(i, 3)), tonumber(argument(i, 4))
  local need, want = tonumber(argument(i, 5)), tonumber(argument(i, 6))
  local record = load_budget(argument(i, 1) .. '|' .. start)
  if not record then
    record = {
      key = argument(i, 1) .. '|' .. start, stop = stop, limit = limit, max = limit,
      spent = 0, out = 0, debt = 0, leases = 0, told = 0, keep = stop,
    }
    fresh[i] = true
  end
  local left = limit - (record.spent + record.out)
  if need > left then
    local never = need > limit
    local busy = need <= limit - record.spent
    if not never and not busy and notify(record, true) then save_budget(record) end
    return reply('denied', int(i - 1), int(record.spent + record.out), int(record.stop - now), never and '1' or '0',
      busy and '1' or '0')
  end
  grants[i] = math.max(need, math.min(want, math.floor(left / LIMITS.shareDivisor)))
  records[i] = record
  wend = math.min(wend, record.stop)
end

local lease = { id = id, state = 'open', usable = usable_until(ttl, wend), entries = {} }
local fields = {}
for i, record in ipairs(records) do
  local limit, key = tonumber(argument(i, 4)), PREFIX .. 'budget:' .. record.key
  record.limit = limit
  record.max = math.max(record.max, limit)
  record.out = record.out + grants[i]
  record.leases = record.leases + 1
  notify(record, false)
  if fresh[i] then
    -- A forgotten record may still lie here, with a lifetime of its own.
    redis.call('DEL', key)
    redis.call('HSET', key, 'start', argument(i, 2), 'end', int(record.stop))
    redis.call('ZADD', WINDOWS, int(record.stop), record.key)
    redis.call('ZREMRANGEBYSCORE', WINDOWS, '-inf', int(now - 2 * LIMITS.unsettledRetentionMs))
  elseif record.leases == 1 then
    redis.call('PERSIST', key)
  end
  save_budget(record)
  local remaining = limit - record.spent - record.out
  lease.entries[i] = { granted = grants[i], remaining = remaining }
  for name, value in pairs({
    b = record.key, g = int(grants[i]), s = '0', c = '0', r = '0', m = int(remaining),
  }) do
    fields[#fields + 1] = name .. i
    fields[#fields + 1] = value
  end
end
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'edge', edge, 'subject', subject, 'ttl', int(ttl), 'policy', policy, 'wend', int(wend),
  'state', 'open', 'seq', '0', 'usable', int(lease.usable), 'expires', int(now + ttl), 'forget', '0',
  'n', int(count), unpack(fields))
redis.call('ZADD', EXPIRIES, int(now + ttl), id)
return granted(lease)
