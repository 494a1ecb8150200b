"""A session within one request: its attributes, its lease, its way into the store and back."""

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator, MutableMapping
from typing import Any, NamedTuple

from fastersession.attributes import Attributes
from fastersession.bounded import bounded, shielded
from fastersession.codec import registry
from fastersession.context import SessionContext
from fastersession.errors import LeaseHeld, SessionError, SessionNotLoaded, StoreUnavailable, VersionConflict
from fastersession.head import Head
from fastersession.journal import Journal
from fastersession.records import Lease, StoredSession, Window
from fastersession.writer import Writer

logger = logging.getLogger(__name__)

_PAGE = 500  # entries that are read at once


class _Held(NamedTuple):
    id: str
    owner: str
    seconds: float


class Session:
    """`request.state.session`. A request's tasks may share it: its loads and saves take turns."""

    def __init__(
        self,
        context: SessionContext,
        *presented_ids: str | None,
        plain_http_with_secure_cookie: bool = False,
    ) -> None:
        """`presented_ids`: what the client brought; of several the first one that is stored counts."""
        ids = [one for one in presented_ids if one is not None]
        presented_id = ids[0] if ids else None
        self.plain_http_with_secure_cookie = plain_http_with_secure_cookie
        """The cookie is Secure but the request came by http: the browser will not send the cookie back."""
        self._context = context
        self._lock = asyncio.Lock()
        self._attributes = Attributes()
        self._writer = Writer(context, self._attributes, context.window)
        self._head = Head.begin(context, presented_id)
        self._lease: _Held | None = None
        self._guard: _Held | None = None  # the lease that changes were made under, given up or not
        self._ended: set[str] = set()  # ids to delete at save
        self._loaded = False
        self._load_error: SessionError | None = None
        self._was_seen = False  # nobody can have changed what nobody got
        self._invalidated = False
        self._previous_ended = False
        self._response_started = False
        self._known_id = presented_id  # by the client, once the response has begun
        self._told_of_loss = False
        self._presented = presented_id
        self._others = ids[1:]

    # --- what programs see ---------------------------------------------------------------------------

    @property
    def id(self) -> str:
        """The id, a secret. Before `load()` it is what the client brought, which may turn out unknown."""
        return self._head.id

    @property
    def is_new(self) -> bool:
        """Whether the session begins with this request."""
        return self._head.is_new

    @property
    def previous_ended(self) -> bool:
        """Whether this one began because the client's is not stored any more: it ended, or it was lost."""
        return self._previous_ended

    @property
    def created_at(self) -> float:
        """When the session began, unix seconds."""
        return self._head.created_at

    @property
    def last_accessed_at(self) -> float:
        """When the request before this one came, unix seconds; of a new session, when it began."""
        return self._head.last_accessed_at

    @property
    def max_inactive_interval(self) -> float:
        """After how many seconds without a request the session ends."""
        return self._head.interval

    @max_inactive_interval.setter
    def max_inactive_interval(self, seconds: float) -> None:
        if not 0 < seconds < float("inf"):
            raise ValueError("max_inactive_interval must be a number of seconds above 0")
        self._head.interval = float(seconds)

    @property
    def loaded(self) -> bool:
        """Whether the attributes are there."""
        return self._loaded

    def get_session(self) -> MutableMapping[str, Any]:
        """The live attributes: JSON values, journals, and instances of registered types.

        Raises SessionNotLoaded before `load()`, and what loading failed with where the middleware did it.
        """
        if not self._loaded:
            raise self._load_error or SessionNotLoaded("await session.load() first (autoload=False)")
        self._was_seen = True
        return self._attributes.live

    async def load(self, *, lease_seconds: float | None = None, window: Window | None = None) -> None:
        """Read the session, in one round trip; with `lease_seconds` take its lease in the same one.

        `window` says how much of each journal, else the middleware's does. The lease is the caller's from
        here to `save()` or `release()`; a forgotten one the middleware gives back. Loading again is free;
        with a lease or a window it reads again and keeps what was changed here.
        Raises LeaseHeld, StoreUnavailable, InvalidSessionData, VersionConflict (both sides changed the same).
        """
        if lease_seconds is not None and not lease_seconds > 0:
            raise ValueError("lease_seconds must be above 0")
        async with self._lock:
            if window is not None:
                self._writer.window = window
            if lease_seconds is not None:
                await self._load(Lease(self._owner(), lease_seconds))
            elif window is not None or not self._loaded:
                await self._load(None)

    async def save(self) -> None:
        """Write what changed and give the lease back, in one round trip; nothing where there is neither.

        Ends within the middleware's io_timeout. When the caller is cancelled the write goes on to its end.
        A write of somebody else that came between is merged: attribute by attribute, and of a journal their
        entries come first. Whatever happens, the lease is given up. A save that failed can be repeated,
        nothing is appended twice. Raises StoreUnavailable, VersionConflict, InvalidSessionData.
        """
        if self._lock.locked() or self._lease is not None or self.has_changes():
            await shielded(self._save())

    async def release(self) -> None:
        """Give the lease up without writing. Idempotent, raises nothing; its end frees it in any case.

        A save that is under way, of a caller who was cancelled, keeps the lease until it is done.
        """
        if self._lease is not None:
            await shielded(self._release())

    def invalidate(self) -> None:
        """End the session at the next save: its record goes, its id is dead. A new one begins.

        Further sessions of which the client brought the cookies go too: none of them shall turn up again.
        """
        head = self._head
        if head.version or head.moved_from or head.id == self._presented or self._writer.is_unsure:
            self._ended.add(head.stored_id)
        self._ended.update(self._others)
        self._others.clear()
        self._invalidated, self._loaded = True, True
        self._begin_anew()

    def rotate(self) -> None:
        """Give the session a new id at the next save, as at log-in. Only before the response begins."""
        if self._response_started:
            raise SessionError("rotate() after the response began: the cookie can no longer be changed")
        self.get_session()
        self._head.move()

    async def entries(self, journal: Journal) -> AsyncIterator[Any]:
        """All entries of a journal, oldest first: those that `load()` left are read page by page.

        Raises StoreUnavailable, InvalidSessionData, and VersionConflict where the session ends meanwhile.
        """
        here, end = list(journal), journal.log.start
        at = end - journal.skipped
        while at < end:
            reading = self._context.store.read(
                self._head.stored_id, journal.key, start=at, limit=min(_PAGE, end - at)
            )
            tail = await bounded(reading, self._context.io_timeout)
            if not tail.entries:
                raise VersionConflict("the session was ended by another request meanwhile")
            for text in tail.entries[: max(0, end - tail.start)]:
                yield registry.decode_entry(text)
            at = tail.start + len(tail.entries)
        for entry in here:
            yield entry

    # --- what the middleware sees --------------------------------------------------------------------

    @property
    def ended(self) -> bool:
        """Whether `invalidate()` was called."""
        return self._invalidated

    @property
    def has_lease(self) -> bool:
        """Whether this request holds the session's lease."""
        return self._lease is not None

    @property
    def was_read(self) -> bool:
        """Whether anybody asked for the attributes: the response may show them."""
        return self._was_seen

    def is_kept(self) -> bool:
        """Whether this id is stored or is about to be: then the client must know it."""
        leased = self._lease is not None and self._lease.id == self._head.id
        return self._loaded and (self._head.version > 0 or leased)

    def has_changes(self) -> bool:
        """Whether a save would change anything in the store. Raises InvalidSessionData."""
        return self._may_have_changes() and (bool(self._ended) or self._writer.differs(self._head))

    async def before_response(self) -> None:
        """Store what must be stored before the client learns of the id.

        A lease says that somebody is at work on the session, and will save it when that is done: until then
        only a new id is stored, to which the lease moves. Raises as `save()` and `load()` do.
        """
        lease, head = self._lease, self._head
        if lease is None:
            await self.save()
        elif head.moved_from is not None or lease.id != head.id:
            await self.save()
            await self._lease_again(lease.seconds)

    async def _lease_again(self, seconds: float) -> None:
        """Under a new id, which nobody else knows yet."""
        try:
            await self.load(lease_seconds=seconds)
        except StoreUnavailable as error:
            # The old id is dead already: without this response the client would lose its session.
            logger.warning("a session goes on under its new id without its lease: %s", error)

    def response_started(self, *, cookie_sent: bool) -> None:
        """The headers are gone: from here the cookie stays as it is, and what it names must exist."""
        self._response_started = True
        if cookie_sent:
            self._known_id = self._head.id
        self._head.is_owed = cookie_sent and not self._head.version

    async def autoload(self) -> None:
        """Load; what that fails with is kept for whoever asks for the attributes."""
        try:
            await self.load()
        except SessionError as error:
            self._load_error = error

    async def touch(self) -> None:
        """Let an unchanged session live on: its idle time begins again. Raises StoreUnavailable."""
        head, context = self._head, self._context
        if not self._loaded or not head.version or head.kept_alive:
            return
        head.kept_alive = True
        now = context.clock()
        touch = context.store.touch(head.id, ttl=head.ttl(context, now), accessed_at=now)
        await bounded(touch, context.io_timeout)

    # --- loading -------------------------------------------------------------------------------------

    def _begin_anew(self) -> None:
        """What is under way goes on with the former session's parts: none of it gets into the new one."""
        self._attributes = self._attributes.successor()
        self._writer = Writer(self._context, self._attributes, self._writer.window)
        self._head = Head.begin(self._context)

    def _owner(self) -> str:
        return secrets.token_hex(16) if self._lease is None else self._lease.owner

    async def _load(self, lease: Lease | None) -> None:
        if lease is None and self._head.id != self._presented:
            self._loaded = True
            return
        await bounded(self._load_stored(lease), self._context.io_timeout)

    async def _load_stored(self, lease: Lease | None) -> None:
        if self._writer.is_unsure:
            await self._writer.repeat(self._head)
        id_ = self._head.id
        record = await self._read(lease)
        if self._head.id != id_:
            return  # it was ended or moved meanwhile: what was read is not this session any more
        if record is not None:
            self._adopt(record)
        elif id_ == self._presented:
            await self._replace_unknown(lease)
        self._loaded = True

    async def _read(self, lease: Lease | None) -> StoredSession | None:
        context, held, id_ = self._context, self._lease, self._head.id
        try:
            record = await context.store.load(id_, lease=lease, window=self._writer.window)
        except LeaseHeld:
            raise
        except BaseException:
            # Failed or cancelled, the lease may have been taken all the same.
            if lease is not None and held is None:
                context.returner.give_back(id_, lease.owner)
            raise
        if lease is not None:
            self._lease = self._guard = _Held(id_, lease.owner, lease.seconds)
        return None if record is None or self._is_over(record) else record

    def _adopt(self, record: StoredSession) -> None:
        if not self._loaded:
            self._attributes.reset(record)
        elif record.version == self._head.version:
            self._attributes.show(record)
        elif not self._attributes.merge(record):
            raise VersionConflict("the session was changed by another request meanwhile")
        self._head.adopt(record)

    async def _replace_unknown(self, lease: Lease | None) -> None:
        """What the client brought is unknown: it is never adopted, a session under an id of ours begins."""
        if self._loaded and self.has_changes():
            raise VersionConflict("the session was ended by another request meanwhile")
        if self._lease is not None:
            self._context.returner.give_back(self._lease.id, self._lease.owner)
            self._lease = self._guard = None
        if self._others and not self._loaded:
            self._presented = self._known_id = self._others.pop(0)
            self._head = Head.begin(self._context, self._presented)
            await self._load_stored(lease)
            return
        self._previous_ended = True
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
                    self._context.returner.give_back(lease.id, lease.owner)

    def _may_have_changes(self) -> bool:
        head = self._head
        touched = self._was_seen or head.interval != head.stored_interval
        return self._loaded and (touched or head.owes_record or bool(self._ended))

    async def _store_all(self) -> None:
        if self._may_have_changes():
            await self._write()
        self._guard = None
        lease = self._lease
        if lease is not None and lease.id == self._head.id:
            await self._context.store.release(lease.id, lease.owner)
            self._lease = None
        # That of a former id locks nobody out any more: to wait for its end could only fail what is stored.

    async def _write(self) -> None:
        guard, head = self._guard, self._head
        owner = guard.owner if guard is not None and guard.id == head.id else None
        if self._response_started and head.id != self._known_id:
            self._tell_of_loss()
        elif await self._writer.write(head, owner, alone=guard is not None) and owner is not None:
            self._lease = None  # it went back with the write
        for id_ in list(self._ended):
            await self._context.store.delete(id_)
            self._ended.discard(id_)

    def _tell_of_loss(self) -> None:
        """What no client could ever come back to is not stored."""
        if not self._told_of_loss and self._writer.differs(self._head):
            self._told_of_loss = True
            logger.warning("a new session was written to after the response began: it cannot be kept")

    async def _release(self) -> None:
        async with self._lock:
            lease, self._lease, self._guard = self._lease, None, None
            if lease is not None:
                await self._give_back(lease)

    async def _give_back(self, lease: _Held) -> None:
        head, context = self._head, self._context
        if head.owes_record and lease.id == head.id:
            releasing = self._writer.found(head, lease.owner)
        else:
            releasing = context.store.release(lease.id, lease.owner)
        try:
            await bounded(releasing, context.io_timeout)
        except SessionError as error:
            logger.warning("a session's lease was not given back, it ends by itself: %s", error)
            context.returner.give_back(lease.id, lease.owner)
