"""How a session's changes get into its store: whole, once, and merged with what others wrote meanwhile."""

import asyncio
import logging
from dataclasses import dataclass

from fastersession.attributes import Attributes
from fastersession.bounded import bounded
from fastersession.codec import Snapshot, join, registry
from fastersession.context import SessionContext
from fastersession.cookies import new_id
from fastersession.errors import InvalidSessionData, StoreUnavailable, VersionConflict
from fastersession.head import Head
from fastersession.journal import Fresh
from fastersession.records import Append, Change, StoredSession, Window

logger = logging.getLogger(__name__)

_ATTEMPTS = 5
_COPY_TTL = 60.0  # seconds: the life of a copy that nobody comes to write to


@dataclass(frozen=True, slots=True)
class _Write:
    """A change, and what is stored once it is carried out."""

    id: str
    change: Change
    ttl: float
    owner: str | None
    texts: dict[str, str] | None
    entries: list[Fresh]


class Writer:
    """Writes one session's attributes and journals for its `Session`, which lets one call in at a time."""

    def __init__(self, context: SessionContext, attributes: Attributes, window: Window) -> None:
        self.window = window
        self._context = context
        self._attributes = attributes
        self._unsure: _Write | None = None  # sent, and no answer came

    def differs(self, head: Head) -> bool:
        """Whether there is anything to write. Raises InvalidSessionData."""
        snapshot = self._attributes.encode()
        return (
            head.moved_from is not None
            or self._needs_record(head, snapshot)
            or bool(self._attributes.pending(snapshot))
        )

    @property
    def is_unsure(self) -> bool:
        """Whether something was sent, and nobody knows whether it was carried out."""
        return self._unsure is not None

    async def write(self, head: Head, owner: str | None, *, alone: bool) -> bool:
        """Write what changed, and give the lease of `owner` back with it. Whether there was anything.

        `alone`: the session was leased, so entries that somebody else appended are a conflict. Raises
        StoreUnavailable, VersionConflict, InvalidSessionData; a repetition then carries nothing out twice.
        """
        await self.repeat(head)
        if head.moved_from is not None:
            await self._move(head, alone=alone)
            return False
        sent = await self._sent(head, owner, alone=alone)
        if sent is None:
            return False
        self._settle(head, *sent)
        return True

    async def found(self, head: Head, owner: str | None) -> None:
        """Store the session without attributes, and give the lease of `owner` back with it."""
        nothing = Snapshot({}, {}, ())
        write = self._draft(head, owner, nothing, with_record=True)
        self._settle(head, write, await self._send(write))

    # --- one write -----------------------------------------------------------------------------------

    def _needs_record(self, head: Head, snapshot: Snapshot) -> bool:
        if not head.version:
            return bool(snapshot.texts) or head.owes_record  # nothing is stored until something is written
        return self._attributes.differ(snapshot) or head.interval != head.stored_interval

    async def _sent(
        self, head: Head, owner: str | None, *, alone: bool, whole: bool = False
    ) -> tuple[_Write, int] | None:
        """The write that was carried out and the version that it made, None where there was nothing."""
        for attempts_left in reversed(range(_ATTEMPTS)):
            snapshot = self._attributes.encode()
            with_record = whole or self._needs_record(head, snapshot)
            if not with_record and not self._attributes.pending(snapshot):
                return None
            write = self._draft(head, owner, snapshot, with_record=with_record)
            try:
                return write, await self._send(write)
            except VersionConflict:
                if not (head.version and attempts_left and await self._take_over(head, alone=alone)):
                    raise
        raise AssertionError("the last attempt returned or raised")

    def _draft(self, head: Head, owner: str | None, snapshot: Snapshot, *, with_record: bool) -> _Write:
        self._attributes.claim(snapshot)
        now, pending = self._context.clock(), self._attributes.pending(snapshot)
        appends = {key: self._append(snapshot, key, entries) for key, entries in pending.items()}
        record = None
        if with_record:
            record = StoredSession(join(snapshot.texts), head.created_at, now, head.interval)
        return _Write(
            head.id,
            Change(head.version, now, record, snapshot.keys if with_record else (), appends),
            head.ttl(self._context, now),
            owner,
            snapshot.texts if with_record else None,
            [entry for entries in pending.values() for entry in entries],
        )

    @staticmethod
    def _append(snapshot: Snapshot, key: str, pending: list[Fresh]) -> Append:
        journal = snapshot.journals[key]
        texts = tuple(entry.encoded(registry.encode_entry) for entry in pending)
        return Append(journal.log.known(), texts, journal.limit)

    async def _send(self, write: _Write) -> int:
        self._unsure = write
        try:
            version = await self._context.store.save(
                write.id, write.change, ttl=write.ttl, release=write.owner
            )
        except (VersionConflict, InvalidSessionData):
            self._unsure = None
            raise
        self._unsure = None
        return version

    def _settle(self, head: Head, write: _Write, version: int) -> None:
        """It is carried out: what it wrote is known to be stored."""
        change = write.change
        for entry in write.entries:
            entry.is_stored = True
        ends = {key: append.after + len(append.entries) for key, append in change.appends.items()}
        self._attributes.stored(write.texts, ends)
        head.kept_alive = True
        if change.record is not None:
            head.stored_interval = change.record.max_inactive_interval
        elif version != change.expected_version + 1:
            return  # others wrote meanwhile, and what was not read: for attributes the old version counts
        if write.id == head.id:
            head.version = version
        elif head.moved_from is not None:
            head.moved_from = (write.id, version)

    async def repeat(self, head: Head) -> None:
        """Send again what no answer came to: it may have been carried out, and must not be twice.

        Before anything is read: it would look like somebody else's. Raises StoreUnavailable.
        """
        write = self._unsure
        if write is None:
            return
        try:
            version = await self._send(write)
        except VersionConflict:
            return  # it was not, or others wrote since; whatever follows finds that out
        self._settle(head, write, version)

    async def _take_over(self, head: Head, *, alone: bool, whatever_version: bool = False) -> bool:
        """Merge what is stored now. False where that would lose something, or where it is gone."""
        newer = await self._context.store.load(head.id, window=self.window)
        if newer is None or (newer.version == head.version and not whatever_version):
            return False
        if not self._attributes.merge(newer, alone=alone):
            return False
        head.version = newer.version
        return True

    # --- to another id -------------------------------------------------------------------------------

    async def _move(self, head: Head, *, alone: bool) -> None:
        for _ in range(_ATTEMPTS):
            if await self._moved(head, alone=alone):
                return
        raise VersionConflict("the session is written to all the time: its id cannot be changed")

    async def _moved(self, head: Head, *, alone: bool) -> bool:
        """Copy, write, delete the old one. False, and all as before, where that was written meanwhile."""
        limit = self._context.io_timeout
        try:
            write, version = await bounded(self._copied(head, alone=alone), limit * 0.7)
        except BaseException:
            self._abandon(head)
            raise
        try:
            await self._end_old(head, limit * 0.25)
        except VersionConflict:
            self._abandon(head)
            return False
        except asyncio.CancelledError:
            self._arrive(head, write, version)  # the old one may be gone: the new one is all that there is
            raise
        self._arrive(head, write, version)
        return True

    async def _copied(self, head: Head, *, alone: bool) -> tuple[_Write, int]:
        assert head.moved_from is not None
        old_id, known = head.moved_from
        copied = await self._context.store.copy(old_id, head.id, ttl=_COPY_TTL)
        if copied is None:
            raise VersionConflict("the session was ended by another request meanwhile")
        head.version = known
        if copied != known and not await self._take_over(head, alone=alone, whatever_version=True):
            raise VersionConflict("the session was changed by another request meanwhile")
        head.moved_from = (old_id, copied)
        sent = await self._sent(head, None, alone=alone, whole=True)
        assert sent is not None  # a whole write is never empty
        return sent

    async def _end_old(self, head: Head, seconds: float) -> None:
        assert head.moved_from is not None
        old_id, version = head.moved_from
        try:
            await bounded(self._context.store.delete(old_id, expected_version=version), seconds)
        except StoreUnavailable as error:
            logger.warning("the former record of a session is deleted later: %s", error)
            self._context.returner.forget(old_id, version)

    def _arrive(self, head: Head, write: _Write, version: int) -> None:
        head.moved_from = None
        self._settle(head, write, version)

    def _abandon(self, head: Head) -> None:
        """Nobody knows the new id, whatever is there: another attempt takes another one."""
        self._unsure = None
        self._context.returner.forget(head.id)
        head.id, head.version = new_id(), 0
