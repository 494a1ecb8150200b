"""A store that counts what is asked of it, and fails or waits where it is told to."""

import asyncio
from collections.abc import Awaitable, Callable

from fastersession import (
    Change,
    Lease,
    MemoryStore,
    SessionStore,
    StoredSession,
    StoreUnavailable,
    Tail,
    Window,
)
from fastersession.records import DEFAULT_WINDOW
from tests.fastersession.stores import Clock


class SpyStore:
    """A SessionStore over memory or `inner`. `down` fails every call, a cleared `gate` holds loads and saves.

    By the first word of a call's name: `broken` ones fail, of `lost` ones the next answer gets lost, and what
    is in `meanwhile` somebody else does once, just before.
    """

    def __init__(self, clock: Clock | None = None, inner: SessionStore | None = None) -> None:
        self.clock = clock or Clock()
        self.memory = MemoryStore(clock=self.clock)
        self._inner = inner
        self.calls: list[str] = []
        self.down = False
        self.broken: set[str] = set()
        self.lost: set[str] = set()
        self.meanwhile: dict[str, Callable[[], Awaitable[object]]] = {}
        self.gate = asyncio.Event()
        self.gate.set()

    @property
    def inner(self) -> SessionStore:
        return self._inner or self.memory

    async def called(self, name: str) -> None:
        """Wait until it was."""

        async def was_called() -> bool:
            return name in self.calls

        await eventually(was_called)

    async def _called(self, name: str) -> None:
        self.calls.append(name)
        kind = name.partition("+")[0]
        if kind in self.meanwhile:
            await self.meanwhile.pop(kind)()
        if self.down or kind in self.broken:
            raise StoreUnavailable("the store is down for this test")

    def _answered(self, name: str) -> None:
        if name in self.lost:
            self.lost.discard(name)
            raise StoreUnavailable("the answer was lost for this test")

    async def load(
        self, session_id: str, /, *, lease: Lease | None = None, window: Window = DEFAULT_WINDOW
    ) -> StoredSession | None:
        await self._called("load" if lease is None else "load+lease")
        found = await self.inner.load(session_id, lease=lease, window=window)
        await self.gate.wait()
        return found

    async def save(
        self, session_id: str, /, change: Change, *, ttl: float, release: str | None = None
    ) -> int:
        name = "append" if change.record is None else "save"
        await self._called(name if release is None else f"{name}+release")
        await self.gate.wait()
        version = await self.inner.save(session_id, change, ttl=ttl, release=release)
        self._answered(name.partition("+")[0])
        return version

    async def read(self, session_id: str, journal: str, /, *, start: int, limit: int) -> Tail:
        await self._called("read")
        return await self.inner.read(session_id, journal, start=start, limit=limit)

    async def copy(self, session_id: str, new_id: str, /, *, ttl: float) -> int | None:
        await self._called("copy")
        version = await self.inner.copy(session_id, new_id, ttl=ttl)
        self._answered("copy")
        return version

    async def touch(self, session_id: str, /, *, ttl: float, accessed_at: float) -> None:
        await self._called("touch")
        await self.inner.touch(session_id, ttl=ttl, accessed_at=accessed_at)

    async def delete(self, session_id: str, /, *, expected_version: int | None = None) -> None:
        await self._called("delete")
        await self.inner.delete(session_id, expected_version=expected_version)
        self._answered("delete")

    async def release(self, session_id: str, owner: str, /) -> None:
        await self._called("release")
        await self.inner.release(session_id, owner)

    async def ping(self) -> None:
        await self._called("ping")

    async def aclose(self) -> None:
        await self.inner.aclose()


async def eventually(condition: Callable[[], Awaitable[bool]], *, seconds: float = 5.0) -> None:
    """Wait until `condition()` holds; fails after `seconds`."""
    async with asyncio.timeout(seconds):
        while not await condition():  # noqa: ASYNC110 (what changes may be in another process)
            await asyncio.sleep(0.01)
