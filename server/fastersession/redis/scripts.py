"""What runs inside Redis: each script is one atomic step and one round trip.

A session is one hash: `record` (JSON of the head), `version`, `accessed` (unix seconds), `writer` (the
marks of the last writes), `journals` (a line "<key> <number> <first>
<next>" for each) and a field "<index>:<number of its journal>" for each entry, its value "<mark of its
write> RS <JSON>". A lease is a string, its owner, that ends by itself.

Every script may be sent again after an answer was lost: a write finds its own mark, in `writer` or,
however many wrote meanwhile, at its entries. What is no session of ours is answered by "invalid" before
anything is changed; HLEN tells in O(1) whether every entry is there, and nothing else. Calls with many
fields go in chunks, since Lua's stack is small.
"""

_PRELUDE = """
local CHUNK, RS, DIGITS = 1000, '\\30', {'0', '1', '2', '3', '4', '5', '6', '7', '8', '9'}

local function refusal(why)
  if type(why) == 'table' and not string.find(why.err, 'WRONGTYPE', 1, true) then
    return why
  end
  return {'invalid', type(why) == 'table' and 'another type of key' or why}
end

local function whole(text)
  return text and #text <= 14 and string.find(text, '^%d+$') and tonumber(text)
end

-- The session without its entries; or nil and the refusal. Of none: version 0.
local function read_head(key)
  local found = redis.pcall('HMGET', key, 'record', 'version', 'accessed', 'writer', 'journals')
  if found.err then return nil, refusal(found) end
  local head = {record = found[1], accessed = found[3], writer = found[4] or '', order = {}, journals = {}}
  local length, fields = redis.call('HLEN', key), 0
  if length == 0 then
    head.version = 0
    return head
  end
  for i = 1, 5 do
    if found[i] then fields = fields + 1 end
  end
  head.version = whole(found[2])
  local accessed = head.accessed and tonumber(head.accessed)
  if not (head.record and head.version and accessed and math.abs(accessed) < 1e15) or head.version == 0 then
    return nil, refusal('no head')
  end
  for line in string.gmatch(found[5] or '', '[^\\n]+') do
    local name, number, first, after = string.match(line, '^(%S+) (%d+) (%d+) (%d+)$')
    first, after = whole(first), whole(after)
    if not (first and after) or after < first then return nil, refusal('no counters') end
    fields = fields + after - first
    head.order[#head.order + 1] = name
    head.journals[name] = {number = number, first = first, after = after}
  end
  if fields ~= length then return nil, refusal('fields that are missing or not ours') end
  return head
end

-- The fields of entries. Ten share the text of their tens, since Lua is slow at writing numbers.
local function names(number, from, to)
  local list, tens, suffix = {}, nil, ':' .. number
  for index = from, to - 1 do
    local digit = index % 10
    if digit == 0 or not tens then tens = index > 9 and string.format('%.0f', (index - digit) / 10) or '' end
    list[index - from + 1] = tens .. DIGITS[digit + 1] .. suffix
  end
  return list
end

-- The stored entries of one chunk; or nil and the refusal.
local function read_entries(key, journal, from, to)
  local values = redis.call('HMGET', key, unpack(names(journal.number, from, to)))
  for i = 1, to - from do
    if not values[i] then return nil, refusal('an entry is missing') end
  end
  return values
end

-- Whoever has the lease counts on the session until that ends.
local function live(ttl, may_be_leased)
  if may_be_leased then ttl = math.max(ttl, redis.call('PTTL', KEYS[2])) end
  redis.call('PEXPIRE', KEYS[1], ttl)
end

local function holder(key)
  local owner = redis.pcall('GET', key)
  if type(owner) == 'table' then return nil, refusal(owner) end
  return owner or nil
end
"""

# KEYS record, lease.
# ARGV owner or "", lease ms, entries, bytes, until when somebody waits for the lease (ms, 0: not known).
# -> {"ok", now, record, version, accessed, then for each journal: key, index of the first entry, how many,
#   they in chunks} | {"none", now} | {"held", now, ms left} | {"late", now} | {"invalid", now, why}
# The last chunk is the oldest. In a chunk RS divides the entries too: one text is read faster than many.
# A Redis that was paused carries out what lies in its sockets although nobody waits for it any more: a lease
# that is taken then would shut its session out.
LOAD = (
    _PRELUDE
    + """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local function refused(answer)
  if not answer.err then table.insert(answer, 2, now) end
  return answer
end

-- Where a journal's newest entries begin, and they, in chunks of which the last is the oldest. A chunk is
-- as long as the mean length suggests: of large entries few are read in vain.
local function newest(journal, most, bytes)
  local first, count, size, chunk, chunks = journal.after, 0, 0, 40, {}
  local last = math.max(journal.first, journal.after - most)
  while first > last do
    local from = math.max(last, first - chunk)
    local values, problem = read_entries(KEYS[1], journal, from, first)
    if problem then return nil, problem end
    local over = #values
    while over > 0 and (count == 0 or size + #values[over] - 9 <= bytes) do
      size, count, over = size + #values[over] - 9, count + 1, over - 1
    end
    first = from + over
    if over < #values then chunks[#chunks + 1] = table.concat(values, RS, over + 1) end
    if over > 0 then break end
    chunk = math.min(chunk * 2, CHUNK, math.max(0, math.floor((bytes - size) / (size + 1) * count)) + 1)
  end
  return first, chunks
end

local function busy()
  if tonumber(ARGV[5]) > 0 and now > tonumber(ARGV[5]) then return {'late', now} end
  local owner, problem = holder(KEYS[2])
  if problem then return refused(problem) end
  if not owner or owner == ARGV[1] then return end
  local left = redis.call('PTTL', KEYS[2])
  if left < 0 then return refused(refusal('a lease without an end')) end
  return {'held', now, left}
end

local function read(head)
  if head.version == 0 then return {'none', now} end
  local answer = {'ok', now, head.record, head.version, head.accessed}
  for _, journal in ipairs(head.order) do
    local first, chunks = newest(head.journals[journal], tonumber(ARGV[3]), tonumber(ARGV[4]))
    if not first then return nil, chunks end
    local at = #answer
    answer[at + 1], answer[at + 2] = journal, first
    answer[at + 3], answer[at + 4] = head.journals[journal].after - first, chunks
  end
  return answer
end

local head, problem = read_head(KEYS[1])
if problem then return refused(problem) end
local other = ARGV[1] ~= '' and busy()
if other then return other end
local answer
answer, problem = read(head)
if problem then return refused(problem) end
if ARGV[1] ~= '' then
  redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[2])
  local left = redis.call('PTTL', KEYS[1])
  if left >= 0 and left < tonumber(ARGV[2]) then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
end
return answer
"""
)

# KEYS record, lease. ARGV mark (8 bytes), expected version, accessed, ttl ms, owner or "", record or "",
# the journals that it refers to (divided by spaces), then for each append: key, after, limit, how many,
# the entries.
# -> {"ok", version} | {"version", actual} | {"lease"} | {"journal"} | {"invalid", why}
SAVE = (
    _PRELUDE
    + """
local MARKS = 512  -- bytes of them that are kept
local mark, expected, owner, record = ARGV[1], tonumber(ARGV[2]), ARGV[5], ARGV[6]

local function read_appends()
  local list, at = {}, 8
  while ARGV[at] do
    local after, limit, count = tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2]), tonumber(ARGV[at + 3])
    list[#list + 1] = {journal = ARGV[at], after = after, limit = limit, count = count, at = at + 4}
    at = at + 4 + count
  end
  return list
end

-- Whether this write was carried out before; or nil and the refusal.
local function is_repeated(head, appends)
  if string.find(head.writer, ' ' .. mark .. ' ', 1, true) then return true end
  for _, append in ipairs(appends) do
    local journal = head.journals[append.journal]
    local from = journal and math.max(journal.first, append.after)
    while journal and append.count > 0 and from < journal.after do
      local to = math.min(journal.after, from + CHUNK)
      local values, problem = read_entries(KEYS[1], journal, from, to)
      if problem then return nil, problem end
      for i = 1, #values do
        if string.sub(values[i], 1, 8) == mark then return true end
      end
      from = to
    end
  end
  return false
end

local function refused(head, appends)
  if head.version == 0 and expected ~= 0 or record ~= '' and head.version ~= expected then
    return {'version', head.version}
  end
  if owner ~= '' then
    local other, problem = holder(KEYS[2])
    if problem then return problem end
    if other and other ~= owner or not other and head.version ~= expected then return {'lease'} end
  end
  for _, append in ipairs(appends) do
    local known = head.journals[append.journal]
    if record == '' and not known or append.after > (known and known.after or 0) then return {'journal'} end
  end
end

local function drop(journal, from, to)
  while from < to do
    local past = math.min(to, from + CHUNK)
    redis.call('HDEL', KEYS[1], unpack(names(journal.number, from, past)))
    from = past
  end
end

local function add(journal, append)
  local skipped = math.max(0, append.count - append.limit)
  local past = journal.after + append.count
  local from = journal.after + skipped
  while from < past do
    local to = math.min(past, from + CHUNK / 2)
    local parts = {}
    for i, name in ipairs(names(journal.number, from, to)) do
      parts[2 * i - 1] = name
      parts[2 * i] = mark .. RS .. ARGV[append.at + from - journal.after + i - 1]
    end
    redis.call('HSET', KEYS[1], unpack(parts))
    from = to
  end
  local first = math.max(journal.first, past - append.limit)
  drop(journal, journal.first, math.min(first, journal.after))
  journal.first, journal.after = first, past
end

local function arrange(head, appends)
  local wanted, order, used, free = {}, {}, {}, 0
  local function want(name)
    if not wanted[name] then order[#order + 1] = name end
    wanted[name] = true
  end
  for name in string.gmatch(ARGV[7], '%S+') do want(name) end
  for _, append in ipairs(appends) do want(append.journal) end
  for name, journal in pairs(head.journals) do
    used[journal.number] = true
    if not wanted[name] then drop(journal, journal.first, journal.after) end
  end
  for _, name in ipairs(order) do
    if not head.journals[name] then
      while used[tostring(free)] do free = free + 1 end
      used[tostring(free)] = true
      head.journals[name] = {number = tostring(free), first = 0, after = 0}
    end
  end
  head.order = order
end

local function write(head, appends)
  local former = string.sub(head.writer, -1) == ' ' and head.writer or ' '
  local marks = string.sub(former .. mark .. ' ', -MARKS)
  redis.call('HSET', KEYS[1], 'version', head.version + 1, 'accessed', ARGV[3], 'writer', marks)
  if record ~= '' then
    redis.call('HSET', KEYS[1], 'record', record)
    arrange(head, appends)
  end
  for _, append in ipairs(appends) do add(head.journals[append.journal], append) end
  local lines = {}
  for _, journal in ipairs(head.order) do
    local known = head.journals[journal]
    lines[#lines + 1] = table.concat({journal, known.number, known.first, known.after}, ' ')
  end
  if record ~= '' or #lines > 0 then redis.call('HSET', KEYS[1], 'journals', table.concat(lines, '\\n')) end
  live(tonumber(ARGV[4]), owner == '')
end

local head, problem = read_head(KEYS[1])
if problem then return problem end
local appends = read_appends()
local repeated
repeated, problem = is_repeated(head, appends)
problem = problem or not repeated and refused(head, appends)
if problem then return problem end
if not repeated then write(head, appends) end
if owner ~= '' and holder(KEYS[2]) == owner then redis.call('UNLINK', KEYS[2]) end
if record ~= '' then return {'ok', expected + 1} end
return {'ok', head.version + (repeated and 0 or 1)}
"""
)

# KEYS record. ARGV journal, index to start at, how many at most.
# -> {"ok", index of the first, how many, they in chunks as LOAD gives them} | {"invalid", why}
READ = (
    _PRELUDE
    + """
local head, problem = read_head(KEYS[1])
if problem then return problem end
local journal = head.journals[ARGV[1]] or {first = 0, after = 0}
local first = math.max(journal.first, tonumber(ARGV[2]))
local past = math.min(journal.after, first + tonumber(ARGV[3]))
local chunks, to = {}, past
while to > first do
  local from = math.max(first, to - CHUNK)
  local values
  values, problem = read_entries(KEYS[1], journal, from, to)
  if problem then return problem end
  chunks[#chunks + 1] = table.concat(values, RS)
  to = from
end
return {'ok', first, math.max(0, past - first), chunks}
"""
)

# KEYS record. -> {"ok", version, its fields and values} | {"none"} | {"invalid", why}
SNAPSHOT = (
    _PRELUDE
    + """
local head, problem = read_head(KEYS[1])
if problem then return problem end
if head.version == 0 then return {'none'} end
return {'ok', head.version, redis.call('HGETALL', KEYS[1])}
"""
)

# KEYS record that shall be. ARGV `writer`, by which this write knows itself, ttl ms, fields and values.
# -> {"ok"} | {"taken"}
PLANT = """
if redis.call('EXISTS', KEYS[1]) == 1 then
  return {redis.pcall('HMGET', KEYS[1], 'writer')[1] == ARGV[1] and 'ok' or 'taken'}
end
for from = 3, #ARGV, 2000 do
  redis.call('HSET', KEYS[1], unpack(ARGV, from, math.min(#ARGV, from + 1999)))
end
redis.call('HSET', KEYS[1], 'writer', ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return {'ok'}
"""

# KEYS record, lease. ARGV accessed, ttl ms. -> {"ok"} | {"invalid", why}
TOUCH = (
    _PRELUDE
    + """
local head, problem = read_head(KEYS[1])
if problem then return problem end
if head.version > 0 then
  redis.call('HSET', KEYS[1], 'accessed', ARGV[1])
  live(tonumber(ARGV[2]), true)
end
return {'ok'}
"""
)

# KEYS record. ARGV expected version or "", "again" after a lost answer (then: gone is what was asked for).
# -> {"ok"} | {"version", actual} | {"invalid", why}
# Without a version everything under this name goes, whatever it is.
DELETE = (
    _PRELUDE
    + """
if ARGV[1] ~= '' then
  local head, problem = read_head(KEYS[1])
  if problem then return problem end
  if head.version ~= tonumber(ARGV[1]) and not (head.version == 0 and ARGV[2] == 'again') then
    return {'version', head.version}
  end
end
redis.call('UNLINK', KEYS[1])
return {'ok'}
"""
)

# KEYS lease. ARGV owner.
RELEASE = """
if redis.pcall('GET', KEYS[1]) == ARGV[1] then
  redis.call('UNLINK', KEYS[1])
end
return {'ok'}
"""
