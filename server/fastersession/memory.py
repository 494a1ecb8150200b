"""Sessions in this process: for one pod, for development, for tests."""

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from fastersession.errors import LeaseHeld, VersionConflict
from fastersession.lru import SegmentedLru
from fastersession.memory_session import KeptSession, check, check_version
from fastersession.records import DEFAULT_WINDOW, Change, Lease, StoredSession, Tail, Window

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class _Held:
    owner: str
    expires_at: float


class MemoryStore:
    """A bounded store: beyond `max_sessions` the least recently used go; expired ones go by themselves.

    Sessions that never came back go before those that did: clients that keep no cookie push out each other.
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
        self._sessions: SegmentedLru[KeptSession] = SegmentedLru(max_sessions)
        self._leases: dict[str, _Held] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._evicted = False

    def __len__(self) -> int:
        """How many sessions and leases are in memory."""
        return len(self._sessions) + len(self._leases)

    async def load(
        self, session_id: str, /, *, lease: Lease | None = None, window: Window = DEFAULT_WINDOW
    ) -> StoredSession | None:
        """See SessionStore.load."""
        now = self._clock()
        kept = self._live(session_id, now)
        if lease is not None:
            self._take(session_id, lease, now)
            if kept is not None:
                kept.expires_at = max(kept.expires_at, now + lease.seconds)
        if kept is None:
            return None
        self._sessions.came_back(session_id)
        self._shrink()
        return kept.within(window)

    async def save(
        self, session_id: str, /, change: Change, *, ttl: float, release: str | None = None
    ) -> int:
        """See SessionStore.save."""
        now = self._clock()
        kept, holder = self._live(session_id, now), self._holder(session_id, now)
        if kept is None or not kept.has(change):
            check(kept, change)
            if release is not None:
                _check_lease(holder, release, kept, change)
            kept = self._carry_out(session_id, kept, change, _end(now + ttl, holder, release))
        if holder is not None and holder.owner == release:
            del self._leases[session_id]
        return kept.record.version if change.record is None else change.expected_version + 1

    def _carry_out(
        self, session_id: str, kept: KeptSession | None, change: Change, expires_at: float
    ) -> KeptSession:
        if kept is None:
            assert change.record is not None  # or `check` would have found no session
            kept = KeptSession(replace(change.record, version=0), expires_at)
            self._sessions.add(session_id, kept)
        kept.carry_out(change)
        kept.expires_at = expires_at
        self._shrink()
        return kept

    async def read(self, session_id: str, journal: str, /, *, start: int, limit: int) -> Tail:
        """See SessionStore.read."""
        kept = self._live(session_id, self._clock())
        if kept is None or journal not in kept.journals:
            return Tail(start, ())
        return kept.journals[journal].part(start, limit)

    async def copy(self, session_id: str, new_id: str, /, *, ttl: float) -> int | None:
        """See SessionStore.copy."""
        now = self._clock()
        kept = self._live(session_id, now)
        if kept is None:
            return None
        check_version(self._live(new_id, now), 0)
        self._sessions.add(new_id, kept.copy(now + ttl), known=self._sessions.is_known(session_id))
        self._shrink()
        return kept.record.version

    async def touch(self, session_id: str, /, *, ttl: float, accessed_at: float) -> None:
        """See SessionStore.touch."""
        now = self._clock()
        kept = self._live(session_id, now)
        if kept is not None:
            kept.record = kept.record.touched(accessed_at)
            kept.expires_at = _end(now + ttl, self._holder(session_id, now))

    async def delete(self, session_id: str, /, *, expected_version: int | None = None) -> None:
        """See SessionStore.delete."""
        kept = self._live(session_id, self._clock())
        if expected_version is not None:
            check_version(kept, expected_version)
        self._sessions.pop(session_id)

    async def release(self, session_id: str, owner: str, /) -> None:
        """See SessionStore.release."""
        holder = self._holder(session_id, self._clock())
        if holder is not None and holder.owner == owner:
            del self._leases[session_id]

    async def ping(self) -> None:
        """Memory is always there."""

    async def aclose(self) -> None:
        """Forget everything."""
        self._sessions = SegmentedLru(self._max_sessions)
        self._leases.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _live(self, session_id: str, now: float) -> KeptSession | None:
        kept = self._sessions.get(session_id)
        if kept is not None and kept.expires_at <= now:
            self._sessions.pop(session_id)
            return None
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
        if self._sessions.shrink() and not self._evicted:
            self._evicted = True
            logger.warning("over %d sessions: the least recently used go", self._max_sessions)

    def _sweep(self) -> None:
        now = self._clock()
        for id_ in [i for i, kept in self._sessions if kept.expires_at <= now]:
            self._sessions.pop(id_)
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
        if len(self):
            self._arm()


def _check_lease(holder: _Held | None, owner: str, kept: KeptSession | None, change: Change) -> None:
    if holder is not None and holder.owner != owner:
        raise VersionConflict("another request took the session's lease over")
    if holder is None:
        check_version(kept, change.expected_version)  # it was lost: did somebody write meanwhile?


def _end(expires_at: float, holder: _Held | None, release: str | None = None) -> float:
    """When a session ends: not before the lease of whoever keeps it, who counts on the session."""
    if holder is None or holder.owner == release:
        return expires_at
    return max(expires_at, holder.expires_at)
