"""Sessions in this process: for one pod, for development, for tests."""

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace

from fastersession.errors import LeaseHeld, VersionConflict
from fastersession.records import Lease, StoredSession

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class _Kept:
    record: StoredSession
    expires_at: float


@dataclass(slots=True)
class _Held:
    owner: str
    expires_at: float


class MemoryStore:
    """A bounded store: beyond `max_sessions` the least recently used goes; expired ones go by themselves.

    `clock` gives unix seconds; what has expired leaves memory within `sweep_interval` seconds. Nothing here
    waits, so every method is atomic within its event loop.
    """

    def __init__(
        self,
        max_sessions: int = 10_000,
        clock: Callable[[], float] = time.time,
        *,
        sweep_interval: float = 30.0,
    ) -> None:
        if max_sessions < 1:
            raise ValueError("max_sessions must be at least 1")
        self._max_sessions = max_sessions
        self._clock = clock
        self._sweep_interval = sweep_interval
        self._records: OrderedDict[str, _Kept] = OrderedDict()
        self._leases: dict[str, _Held] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._evicted = False

    def __len__(self) -> int:
        """How many records and leases are in memory."""
        return len(self._records) + len(self._leases)

    async def load(self, session_id: str, /, *, lease: Lease | None = None) -> StoredSession | None:
        """See SessionStore.load."""
        now = self._clock()
        kept = self._live(session_id, now)
        if lease is not None:
            self._take(session_id, lease, now)
            if kept is not None:
                kept.expires_at = max(kept.expires_at, now + lease.seconds)
        return None if kept is None else kept.record

    async def save(
        self,
        session_id: str,
        /,
        record: StoredSession,
        *,
        ttl: float,
        expected_version: int,
        release: str | None = None,
    ) -> int:
        """See SessionStore.save."""
        now = self._clock()
        kept, holder = self._live(session_id, now), self._holder(session_id, now)
        _check_version(kept, expected_version)
        if release is not None and holder is not None and holder.owner != release:
            raise VersionConflict("another request took the session's lease over")
        self._records[session_id] = _Kept(replace(record, version=expected_version + 1), now + ttl)
        self._records.move_to_end(session_id)
        if holder is not None and holder.owner == release:
            del self._leases[session_id]
        self._shrink()
        return expected_version + 1

    async def touch(self, session_id: str, /, *, ttl: float, accessed_at: float) -> None:
        """See SessionStore.touch."""
        now = self._clock()
        kept = self._live(session_id, now)
        if kept is not None:
            kept.record, kept.expires_at = kept.record.touched(accessed_at), now + ttl

    async def delete(self, session_id: str, /, *, expected_version: int | None = None) -> None:
        """See SessionStore.delete."""
        kept = self._live(session_id, self._clock())
        if expected_version is not None:
            _check_version(kept, expected_version)
        self._records.pop(session_id, None)

    async def release(self, session_id: str, owner: str, /) -> None:
        """See SessionStore.release."""
        holder = self._holder(session_id, self._clock())
        if holder is not None and holder.owner == owner:
            del self._leases[session_id]

    async def ping(self) -> None:
        """Memory is always there."""

    async def aclose(self) -> None:
        """Forget everything."""
        self._records.clear()
        self._leases.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _live(self, session_id: str, now: float) -> _Kept | None:
        kept = self._records.get(session_id)
        if kept is None:
            return None
        if kept.expires_at <= now:
            del self._records[session_id]
            return None
        self._records.move_to_end(session_id)
        return kept

    def _holder(self, session_id: str, now: float) -> _Held | None:
        held = self._leases.get(session_id)
        if held is not None and held.expires_at <= now:
            del self._leases[session_id]
            return None
        return held

    def _take(self, session_id: str, lease: Lease, now: float) -> None:
        holder = self._holder(session_id, now)
        if holder is not None and holder.owner != lease.owner:
            raise LeaseHeld(holder.expires_at - now)
        self._leases[session_id] = _Held(lease.owner, now + lease.seconds)
        self._arm()

    def _shrink(self) -> None:
        self._arm()
        while len(self._records) > self._max_sessions:
            self._records.popitem(last=False)
            if not self._evicted:
                self._evicted = True
                logger.warning("over %d sessions: the least recently used go", self._max_sessions)

    def _sweep(self) -> None:
        now = self._clock()
        for id_ in [i for i, kept in self._records.items() if kept.expires_at <= now]:
            del self._records[id_]
        for id_ in [i for i, held in self._leases.items() if held.expires_at <= now]:
            del self._leases[id_]

    def _arm(self) -> None:
        """Keep a timer while there is something that can expire, so that it goes without traffic too."""
        loop = asyncio.get_running_loop()
        if self._timer is None or self._loop is not loop:
            self._loop = loop
            self._timer = loop.call_later(self._sweep_interval, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        self._sweep()
        if self._records or self._leases:
            self._arm()


def _check_version(kept: _Kept | None, expected: int) -> None:
    actual = 0 if kept is None else kept.record.version
    if actual != expected:
        raise VersionConflict(f"the session is at version {actual}, not {expected}")
