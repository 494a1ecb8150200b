"""A process of its own that takes leases on one session. `python lease_contender.py MODE URL PASSWORD`.

hold: take a lease of two seconds, say so, keep it until killed.
contend: take the lease and give it back again and again, and print how many were seen inside at most.
"""

import asyncio
import os
import sys

from redis.asyncio import Redis

from fastersession import Change, Lease, LeaseHeld, RedisStore

TURNS = 40


async def hold(store: RedisStore) -> None:
    await store.load("s", lease=Lease(f"process-{os.getpid()}", 2.0))
    print("held", flush=True)
    await asyncio.Event().wait()


async def contend(store: RedisStore, client: Redis) -> None:
    most, won = 0, 0
    owner = f"process-{os.getpid()}"
    while won < TURNS:
        try:
            found = await store.load("s", lease=Lease(owner, 30))
        except LeaseHeld:
            continue
        assert found is not None
        won += 1
        most = max(most, await client.incr("inside"))
        await client.decr("inside")
        change = Change(found.version, found.last_accessed_at, found)
        await store.save("s", change, ttl=60, release=owner)
    print(most, flush=True)


async def main(mode: str, url: str, password: str) -> None:
    store = RedisStore.from_url(url, password=password)
    client = Redis.from_url(url, password=password)
    async with asyncio.timeout(50):
        await (hold(store) if mode == "hold" else contend(store, client))
    await store.aclose()
    await client.aclose()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
