"""The Redis of a ChatStream's own, from within its pod: what it holds, and its process on this machine."""

import json
from pathlib import Path

from harness.cluster import Chat, Pod

DUMP = """
local found = {}
for _, key in ipairs(redis.call('KEYS', ARGV[1])) do
  local kind = redis.call('TYPE', key).ok
  local values = kind == 'hash' and redis.call('HGETALL', key) or {redis.call('GET', key)}
  found[#found + 1] = cjson.encode({key, values})
end
return found
"""


async def redis_cli(chat: Chat, *words: str) -> str:
    """What redis-cli prints in the pod, which knows the password."""
    pod = f"{chat.name}-redis-0"
    return await chat.cluster.kube("exec", pod, "-n", chat.namespace, "--", "redis-cli", *words)


async def dump(chat: Chat, pattern: str = "*") -> dict[str, str]:
    """Every key of this pattern with all that is stored under it, as one text; nothing is compressed."""
    lines = (await redis_cli(chat, "--raw", "eval", DUMP, "0", pattern)).splitlines()
    return {key: "\n".join(values) for key, values in (json.loads(line) for line in lines if line)}


async def on_the_volume(chat: Chat, text: str) -> int:
    """In how many lines of the files on the volume of Redis the text stands."""
    pod, script = f"{chat.name}-redis-0", 'cat $(find /data -type f) | grep -acF -- "$1" || test $? = 1'
    where = ["-n", chat.namespace, "--", "sh", "-c", script, "sh", text]
    return int(await chat.cluster.kube("exec", pod, *where))


def redis_processes(pod: Pod) -> list[int]:
    """The host's process numbers of the pod's Redis, found by its control group."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            inside = pod.uid in (folder / "cgroup").read_text().replace("_", "-")
            if inside and (folder / "comm").read_text().startswith("redis-server"):
                found.append(int(folder.name))
        except (FileNotFoundError, ProcessLookupError):
            continue  # it ended while it was looked at
    return found
