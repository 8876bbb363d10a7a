-- Acquire: debits every budget, or none.
--   KEYS  the lease, then the budgets, each with the window that the caller takes for the current one
--   ARGV  prefix, lease id, edge, subject, ttl ms, policy,
--         packed numbers per budget, 8 bytes each: window start, window end, limit, need, want
--   The caller computes the windows for its guess of Redis' time; if the guess is off, nothing happens and it learns
--   the time.
--   → stale now | conflict | granted usable place percent reset_ms (granted remaining)×n notices…
--     | denied index used reset_ms never busy notices…

local id, edge, subject, ttl, policy = ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5]), ARGV[6]
local count = #KEYS - 1
local requests = {}
for i = 1, count do
  local start, stop, limit, need, want = struct.unpack('>i8i8i8i8i8', ARGV[7], (i - 1) * 40 + 1)
  if start > now or stop <= now then return { 'stale', now } end
  local key = string.sub(KEYS[i + 1], #PREFIX + #'budget:' + 1)
  requests[i] = { key = key, start = start, stop = stop, limit = limit, need = need, want = want }
end

sweep()

local function granted(lease)
  local out = { 'granted', usable_ms(lease), warning(lease) }
  for _, entry in ipairs(lease.entries) do
    out[#out + 1] = entry.granted
    out[#out + 1] = entry.remaining
  end
  return reply(unpack(out))
end

local function identity(key) return string.match(key, '^(.*)|[^|]*$') end

local values = redis.call('MGET', unpack(KEYS))
local known = leases[id] or values[1] and parse_lease(id, values[1])
if known then
  local same = #known.entries == count
  for i, entry in ipairs(known.entries) do
    same = same and identity(entry.budget) == identity(requests[i].key)
  end
  if not same then return reply('conflict') end
  expire_if_due(known)
  return granted(known)
end

local records, grants, fresh = {}, {}, {}
local wend = math.huge
for i, request in ipairs(requests) do
  local limit, need = request.limit, request.need
  local record = budgets[request.key] or values[i + 1] and keep_budget(request.key, values[i + 1])
  local keep = request.stop + (request.stop - request.start)
  if not record then
    record = {
      key = request.key, start = request.start, stop = request.stop, limit = limit, max = limit,
      spent = 0, out = 0, debt = 0, leases = 0, told = 0, keep = keep,
    }
    fresh[i] = true
  elseif record.stop ~= request.stop then
    -- Another time zone or billing day may begin a window with the same instant and end it with another.
    record.stop, record.keep = request.stop, math.max(record.keep, keep)
    save_budget(record)
  end
  local used = math.max(0, record.spent + record.out)
  if need > 0 and need > limit - used then
    local never, busy = need > limit, need <= limit - math.max(0, record.spent)
    if not never and not busy and notify(record, true, id) then save_budget(record) end
    return reply('denied', i - 1, used, record.stop - now, never and 1 or 0, busy and 1 or 0)
  end
  grants[i] = math.max(need, math.min(request.want, math.floor((limit - used) / LIMITS.shareDivisor)))
  records[i] = record
  wend = math.min(wend, record.stop)
end

local lease = {
  id = id, edge = edge, subject = subject, ttl = ttl, policy = policy, wend = wend, state = 'open', seq = 0,
  usable = usable_until(ttl, wend), expires = now + ttl, forget = 0, entries = {},
}
for i, record in ipairs(records) do
  local limit = requests[i].limit
  local remaining = math.max(0, limit - math.max(0, record.spent + record.out) - grants[i])
  record.limit = limit
  if limit > record.max then
    record.max = limit
    again_below(record)
  end
  record.out = record.out + grants[i]
  record.leases = record.leases + 1
  notify(record, false, id)
  if fresh[i] then
    write('ZADD', WINDOWS, int(record.keep), record.key)
    write('ZREMRANGEBYSCORE', WINDOWS, '-inf', int(now - 2 * LIMITS.unsettledRetentionMs))
  end
  save_budget(record)
  lease.entries[i] = {
    budget = record.key, granted = grants[i], spent = 0, charged = 0, returned = 0, remaining = remaining,
  }
end
save_lease(lease)
return granted(lease)
