"""What runs inside Redis: each script is one atomic step and one round trip.

A record is a hash: `record` (JSON), `version`, `accessed` (unix seconds), `writer` (its last write's mark).
A lease is a string, its owner, that ends by itself. Every script may be sent again after an answer was lost.
"""

# KEYS record, lease. ARGV owner or "", lease ms, until when somebody waits for it (ms, 0: not known).
# -> {"ok", record, version, accessed, now} | {"held", ms left, now} | {"late", now}
# A Redis that was paused carries out what lies in its sockets although nobody waits for it any more: a lease
# that is taken then would shut its session out.
LOAD = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if ARGV[1] ~= '' then
  if tonumber(ARGV[3]) > 0 and now > tonumber(ARGV[3]) then
    return {'late', now}
  end
  local owner = redis.call('GET', KEYS[2])
  if owner and owner ~= ARGV[1] then
    return {'held', redis.call('PTTL', KEYS[2]), now}
  end
  redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[2])
  local left = redis.call('PTTL', KEYS[1])
  if left >= 0 and left < tonumber(ARGV[2]) then
    redis.call('PEXPIRE', KEYS[1], ARGV[2])
  end
end
local found = redis.call('HMGET', KEYS[1], 'record', 'version', 'accessed')
return {'ok', found[1], found[2], found[3], now}
"""

# KEYS record, lease. ARGV record, accessed, ttl ms, expected version, owner or "", mark.
# -> {"ok"} | {"version", actual} | {"lease"}
SAVE = """
local found = redis.call('HMGET', KEYS[1], 'version', 'writer')
local version = tonumber(found[1] or '0')
if found[2] ~= ARGV[6] then
  if version ~= tonumber(ARGV[4]) then
    return {'version', version}
  end
  if ARGV[5] ~= '' then
    local owner = redis.call('GET', KEYS[2])
    if owner and owner ~= ARGV[5] then
      return {'lease'}
    end
  end
  redis.call('HSET', KEYS[1], 'record', ARGV[1], 'accessed', ARGV[2])
  redis.call('HSET', KEYS[1], 'version', version + 1, 'writer', ARGV[6])
  redis.call('PEXPIRE', KEYS[1], ARGV[3])
end
if ARGV[5] ~= '' and redis.call('GET', KEYS[2]) == ARGV[5] then
  redis.call('DEL', KEYS[2])
end
return {'ok'}
"""

# KEYS record. ARGV accessed, ttl ms.
TOUCH = """
if redis.call('EXISTS', KEYS[1]) == 1 then
  redis.call('HSET', KEYS[1], 'accessed', ARGV[1])
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
end
return 1
"""

# KEYS record. ARGV expected version or "", "again" after a lost answer (then: gone is what was asked for).
# -> {"ok"} | {"version", actual}
DELETE = """
local version = tonumber(redis.call('HGET', KEYS[1], 'version') or '0')
if ARGV[1] ~= '' and version ~= tonumber(ARGV[1]) and not (version == 0 and ARGV[2] == 'again') then
  return {'version', version}
end
redis.call('DEL', KEYS[1])
return {'ok'}
"""

# KEYS lease. ARGV owner.
RELEASE = """
if redis.call('GET', KEYS[1]) == ARGV[1] then
  redis.call('DEL', KEYS[1])
end
return 1
"""
