"""A session within one request: its attributes, its lease, its way into the store and back."""

import asyncio
import logging
import secrets
from collections.abc import Callable, MutableMapping
from dataclasses import dataclass
from typing import Any

from fastersession.attributes import Attributes, Encoded
from fastersession.bounded import bounded, shielded
from fastersession.codec import join
from fastersession.cookies import new_id
from fastersession.errors import LeaseHeld, SessionError, SessionNotLoaded, StoreUnavailable, VersionConflict
from fastersession.leases import LeaseReturner
from fastersession.records import Lease, StoredSession
from fastersession.store import SessionStore

logger = logging.getLogger(__name__)

_MERGE_ATTEMPTS = 5


@dataclass(frozen=True, slots=True)
class SessionContext:
    """What all sessions of one middleware share. Times in seconds; `clock` gives unix seconds."""

    store: SessionStore
    returner: LeaseReturner
    clock: Callable[[], float]
    io_timeout: float
    idle_timeout: float
    absolute_timeout: float


class Session:
    """`request.state.session`. A request's tasks may share it: its loads and saves take turns."""

    def __init__(
        self,
        context: SessionContext,
        presented_id: str | None,
        *,
        plain_http_with_secure_cookie: bool = False,
    ) -> None:
        self.plain_http_with_secure_cookie = plain_http_with_secure_cookie
        """The cookie is Secure but the request came by http: the browser will not send the cookie back."""
        self._context = context
        self._lock = asyncio.Lock()
        self._attributes = Attributes()
        self._lease: tuple[str, str] | None = None  # (id, owner)
        self._version = 0  # of the record under this id; 0: there is none
        self._retired: dict[str, int | None] = {}  # ids to delete at save, with the version each must have
        self._loaded = False
        self._load_error: SessionError | None = None
        self._invalidated = False
        self._response_started = False
        self._kept_alive = False  # in this request, by a write or a touch
        self._begin_anew()
        self._presented = presented_id
        if presented_id is not None:
            self._id, self._is_new = presented_id, False

    # --- what programs see ---------------------------------------------------------------------------

    @property
    def id(self) -> str:
        """The id, a secret. Before `load()` it is what the client brought, which may turn out unknown."""
        return self._id

    @property
    def is_new(self) -> bool:
        """Whether the session begins with this request."""
        return self._is_new

    @property
    def created_at(self) -> float:
        """When the session began, unix seconds."""
        return self._created_at

    @property
    def last_accessed_at(self) -> float:
        """When the request before this one came, unix seconds; of a new session, when it began."""
        return self._last_accessed_at

    @property
    def max_inactive_interval(self) -> float:
        """After how many seconds without a request the session ends."""
        return self._interval

    @max_inactive_interval.setter
    def max_inactive_interval(self, seconds: float) -> None:
        if not 0 < seconds < float("inf"):
            raise ValueError("max_inactive_interval must be a number of seconds above 0")
        self._interval = float(seconds)

    @property
    def loaded(self) -> bool:
        """Whether the attributes are there."""
        return self._loaded

    def get_session(self) -> MutableMapping[str, Any]:
        """The live attributes: JSON values and instances of registered types.

        Raises SessionNotLoaded before `load()`, and what loading failed with where the middleware did it.
        """
        if not self._loaded:
            raise self._load_error or SessionNotLoaded("await session.load() first (autoload=False)")
        return self._attributes.live

    async def load(self, *, lease_seconds: float | None = None) -> None:
        """Read the session, in one round trip; with `lease_seconds` take its lease in the same one.

        The lease is the caller's from here to `save()` or `release()`; a forgotten one the middleware gives
        back. Loading again is free, with a lease it reads again and keeps what was changed here.
        Raises LeaseHeld, StoreUnavailable, InvalidSessionData, VersionConflict (both sides changed the same).
        """
        if lease_seconds is not None and not lease_seconds > 0:
            raise ValueError("lease_seconds must be above 0")
        async with self._lock:
            if lease_seconds is not None:
                await self._load(Lease(self._owner(), lease_seconds))
            elif not self._loaded:
                await self._load(None)

    async def save(self) -> None:
        """Write what changed and give the lease back, in one round trip; nothing where there is neither.

        Ends within the middleware's io_timeout. When the caller is cancelled the write goes on to its end.
        A write of somebody else that came between is merged, attribute by attribute. Whatever happens, the
        lease is given up. Raises StoreUnavailable, VersionConflict, InvalidSessionData.
        """
        await shielded(self._save())

    async def release(self) -> None:
        """Give the lease up without writing. Idempotent, raises nothing; its end frees it in any case."""
        lease, self._lease = self._lease, None
        if lease is not None:
            await shielded(self._release(*lease))

    def invalidate(self) -> None:
        """End the session at the next save: its record goes, its id is dead. A new one begins."""
        if self._version or self._id == self._presented:
            self._retired[self._id] = None
        self._retired = dict.fromkeys(self._retired)
        self._invalidated, self._loaded = True, True
        self._attributes.reset(None)
        self._begin_anew()

    def rotate(self) -> None:
        """Give the session a new id at the next save, as at log-in. Only before the response begins."""
        if self._response_started:
            raise SessionError("rotate() after the response began: the cookie can no longer be changed")
        self.get_session()
        if self._version:
            self._retired[self._id] = self._version
        self._id, self._version = new_id(), 0
        self._attributes.stored = {}

    # --- what the middleware sees --------------------------------------------------------------------

    @property
    def ended(self) -> bool:
        """Whether `invalidate()` was called."""
        return self._invalidated

    @property
    def has_lease(self) -> bool:
        """Whether this request holds the session's lease."""
        return self._lease is not None

    def is_kept(self) -> bool:
        """Whether this id is stored or is about to be: then the client must know it."""
        leased = self._lease is not None and self._lease[0] == self._id
        return self._loaded and (self._version > 0 or leased or bool(self._attributes.live))

    def has_changes(self) -> bool:
        """Whether a save would change anything in the store. Raises InvalidSessionData."""
        return self._loaded and (bool(self._retired) or self._differs(self._attributes.encode()))

    def response_started(self) -> None:
        """The headers are gone: from here the cookie stays as it is."""
        self._response_started = True

    async def autoload(self) -> None:
        """Load; what that fails with is kept for whoever asks for the attributes."""
        try:
            await self.load()
        except SessionError as error:
            self._load_error = error

    async def touch(self) -> None:
        """Let an unchanged session live on: its idle time begins again. Raises StoreUnavailable."""
        if not self._loaded or not self._version or self._kept_alive:
            return
        self._kept_alive = True
        now = self._context.clock()
        touch = self._context.store.touch(self._id, ttl=self._ttl(now), accessed_at=now)
        await shielded(bounded(touch, self._context.io_timeout))

    # --- loading -------------------------------------------------------------------------------------

    def _begin_anew(self) -> None:
        now = self._context.clock()
        self._id, self._is_new, self._version = new_id(), True, 0
        self._created_at = self._last_accessed_at = now
        self._interval = self._stored_interval = self._context.idle_timeout

    def _owner(self) -> str:
        return secrets.token_hex(16) if self._lease is None else self._lease[1]

    async def _load(self, lease: Lease | None) -> None:
        if lease is None and self._id != self._presented:
            self._loaded = True
            return
        record = await self._read(lease)
        if record is not None:
            self._adopt(record)
        elif self._id == self._presented:
            await self._abandon(lease)
        self._loaded = True

    async def _read(self, lease: Lease | None) -> StoredSession | None:
        store, held = self._context.store, self._lease
        try:
            record = await bounded(store.load(self._id, lease=lease), self._context.io_timeout)
        except LeaseHeld:
            raise
        except BaseException:
            # Failed or cancelled, the lease may have been taken all the same.
            if lease is not None and held is None:
                self._context.returner.give_back(self._id, lease.owner)
            raise
        if lease is not None:
            self._lease = (self._id, lease.owner)
        return None if record is None or self._is_over(record) else record

    def _adopt(self, record: StoredSession) -> None:
        if not self._loaded:
            self._attributes.reset(record.attributes)
        elif record.version != self._version and not self._attributes.merge(record.attributes):
            raise VersionConflict("the session was changed by another request meanwhile")
        self._version = record.version
        self._created_at, self._last_accessed_at = record.created_at, record.last_accessed_at
        if self._interval == self._stored_interval:
            self._interval = record.max_inactive_interval
        self._stored_interval = record.max_inactive_interval

    async def _abandon(self, lease: Lease | None) -> None:
        """What the client brought is unknown: it is never adopted, a session under an id of ours begins."""
        if self._loaded and self.has_changes():
            raise VersionConflict("the session was ended by another request meanwhile")
        if self._lease is not None:
            self._context.returner.give_back(*self._lease)
            self._lease = None
        self._attributes.reset(None)
        self._begin_anew()
        if lease is not None:
            await self._read(lease)

    def _is_over(self, record: StoredSession) -> bool:
        now = self._context.clock()
        idle = now - record.last_accessed_at >= record.max_inactive_interval
        return idle or now - record.created_at >= self._context.absolute_timeout

    # --- saving --------------------------------------------------------------------------------------

    async def _save(self) -> None:
        async with self._lock:
            try:
                await bounded(self._store_all(), self._context.io_timeout)
            finally:
                lease, self._lease = self._lease, None
                if lease is not None:
                    self._context.returner.give_back(*lease)

    async def _store_all(self) -> None:
        if self._loaded:
            encoded = self._attributes.encode()
            if self._differs(encoded):
                await self._write(encoded)
            await self._delete_retired()
        if self._lease is not None:
            await self._context.store.release(*self._lease)
            self._lease = None

    def _differs(self, encoded: Encoded) -> bool:
        if not self._version:
            return bool(encoded)  # nothing is stored until something is written
        return encoded != self._attributes.stored or self._interval != self._stored_interval

    async def _write(self, encoded: Encoded) -> None:
        for attempt in range(_MERGE_ATTEMPTS):
            try:
                await self._put(encoded)
            except VersionConflict:
                if attempt + 1 == _MERGE_ATTEMPTS or not await self._take_over_newer():
                    raise
                encoded = self._attributes.encode()
            else:
                return

    async def _put(self, encoded: Encoded) -> None:
        now = self._context.clock()
        record = StoredSession(join(encoded), self._created_at, now, self._interval)
        owner = self._lease[1] if self._lease is not None and self._lease[0] == self._id else None
        self._version = await self._context.store.save(
            self._id, record, ttl=self._ttl(now), expected_version=self._version, release=owner
        )
        self._attributes.stored, self._stored_interval, self._kept_alive = encoded, self._interval, True
        if owner is not None:
            self._lease = None

    async def _take_over_newer(self) -> bool:
        """After a conflict: merge what is stored now. False where both changed the same, or it is gone."""
        newer = await self._context.store.load(self._id, lease=None) if self._version else None
        if newer is None or newer.version == self._version or not self._attributes.merge(newer.attributes):
            return False
        self._version = newer.version
        return True

    async def _delete_retired(self) -> None:
        for id_, version in list(self._retired.items()):
            try:
                await self._context.store.delete(id_, expected_version=version)
            except VersionConflict:
                await self._context.store.delete(
                    self._id
                )  # the old one was written meanwhile: undo the rotation
                self._version = 0
                raise
            del self._retired[id_]

    def _ttl(self, now: float) -> float:
        """Seconds: idle or absolute, whichever ends first; never 0, which stores refuse."""
        return max(1.0, min(self._interval, self._created_at + self._context.absolute_timeout - now))

    async def _release(self, id_: str, owner: str) -> None:
        try:
            await bounded(self._context.store.release(id_, owner), self._context.io_timeout)
        except StoreUnavailable as error:
            logger.warning("a session's lease was not given back, it ends by itself: %s", error)
            self._context.returner.give_back(id_, owner)
