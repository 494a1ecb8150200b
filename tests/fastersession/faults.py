"""What the tests of Redis' faults share: calls that must fail by name and in time, and then recover."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from fastersession import Lease, RedisStore, StoredSession, StoreUnavailable
from fastersession.records import Change
from tests.fastersession.redis_server import PASSWORD
from tests.fastersession.spy import eventually

IO_TIMEOUT = 0.6
SLACK = 0.6  # of a busy machine
RECOVERY = 15.0
START = 1_800_000_000.0
A = Lease("owner-a", 30)

Call = Callable[[RedisStore], Awaitable[object]]
Kinds = type[StoreUnavailable] | tuple[type[StoreUnavailable], ...]


async def write(
    store: RedisStore, value: int, *, version: int = 0, id_: str = "s", release: str | None = None
) -> int:
    """Store a session that holds one number upon `version`; the new version."""
    head = StoredSession(json.dumps({"n": value}), START, START, 3600.0)
    return await store.save(id_, Change(version, START, head), ttl=60, release=release)


async def read(store: RedisStore, id_: str = "s") -> int | None:
    """The number in a session, None where there is no session."""
    loaded = await store.load(id_)
    return None if loaded is None else int(json.loads(loaded.attributes)["n"])


CALLS: dict[str, Call] = {
    "load": lambda store: store.load("s"),
    "lease": lambda store: store.load("s", lease=A),
    "save": lambda store: write(store, 1),
    "touch": lambda store: store.touch("s", ttl=60, accessed_at=1.0),
    "delete": lambda store: store.delete("s"),
    "release": lambda store: store.release("s", "owner"),
    "ping": lambda store: store.ping(),
}


@asynccontextmanager
async def opened(
    url: str,
    *,
    password: str | None = PASSWORD,
    ca_file: Path | None = None,
    retries: int = 2,
    max_connections: int = 50,
) -> AsyncIterator[RedisStore]:
    """A store with short limits, closed at the end."""
    store = RedisStore.from_url(
        url,
        password=password,
        ca_file=ca_file,
        socket_timeout=0.25,
        connect_timeout=0.25,
        io_timeout=IO_TIMEOUT,
        retries=retries,
        max_connections=max_connections,
    )
    try:
        yield store
    finally:
        await store.aclose()


async def fails(store: RedisStore, call: Call, kind: Kinds = StoreUnavailable) -> str:
    """The error's text. The call must end in time, with this very error; no text tells a secret."""
    began = time.monotonic()
    with pytest.raises(StoreUnavailable) as error:
        await call(store)
    assert time.monotonic() - began < IO_TIMEOUT + SLACK
    assert isinstance(error.value, kind), f"{type(error.value).__name__}: {error.value}"
    text = str(error.value)
    assert PASSWORD not in text
    assert "chatstream:session" not in text
    return text


async def recovers(store: RedisStore, *, seconds: float = RECOVERY) -> None:
    """Wait until a ping succeeds: the circuit closes, a failover is followed. Fails after `seconds`."""

    async def answers() -> bool:
        try:
            async with asyncio.timeout(IO_TIMEOUT + SLACK):
                await store.ping()
        except StoreUnavailable:
            return False
        return True

    await eventually(answers, seconds=seconds)
    assert not store.circuit_open
