"""A session's head: its id, its times, and which version of it is stored."""

from dataclasses import dataclass

from fastersession.context import SessionContext
from fastersession.cookies import new_id
from fastersession.records import StoredSession


@dataclass(slots=True)
class Head:
    """Times: unix seconds, `interval` seconds. `version` 0: nothing is stored under this id (yet)."""

    id: str
    created_at: float
    last_accessed_at: float
    interval: float
    stored_interval: float
    version: int = 0
    is_new: bool = True
    is_owed: bool = False
    """The client was given this id."""
    kept_alive: bool = False
    """In this request, by a write or a touch."""
    moved_from: tuple[str, int] | None = None
    """The id that is stored, and its version, while a rotation waits for the next save."""

    @classmethod
    def begin(cls, context: SessionContext, presented_id: str | None = None) -> "Head":
        """A new session's, or of one that the client brought and that is not read yet."""
        now, idle = context.clock(), context.idle_timeout
        if presented_id is None:
            return cls(new_id(), now, now, idle, idle)
        return cls(presented_id, now, now, idle, idle, is_new=False)

    @property
    def stored_id(self) -> str:
        """Under which id it is stored now."""
        return self.id if self.moved_from is None else self.moved_from[0]

    @property
    def owes_record(self) -> bool:
        """The client was given the id of a session that is not stored yet."""
        return self.is_owed and not self.version

    def adopt(self, record: StoredSession) -> None:
        """Take over what was read."""
        self.version = record.version
        self.created_at, self.last_accessed_at = record.created_at, record.last_accessed_at
        if self.interval == self.stored_interval:
            self.interval = record.max_inactive_interval
        self.stored_interval = record.max_inactive_interval

    def move(self) -> None:
        """Give it a new id, under which the next save stores it."""
        if self.version:
            self.moved_from = (self.id, self.version)
        self.id, self.version = new_id(), 0

    def ttl(self, context: SessionContext, now: float) -> float:
        """Seconds: idle or absolute, whichever ends first; never 0, which stores refuse.

        Until the client has shown that it keeps the cookie, not more than the time for that.
        """
        longest = self.created_at + context.absolute_timeout - now
        if self.is_new:
            longest = min(longest, context.unconfirmed_timeout)
        return max(1.0, min(self.interval, longest))
