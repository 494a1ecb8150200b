"""The seam between sessions and whatever keeps them."""

from typing import Protocol

from fastersession.records import DEFAULT_WINDOW, Change, Lease, StoredSession, Tail, Window


class SessionStore(Protocol):
    """Keeps sessions and leases, each under a session's id. Every method may raise StoreUnavailable.

    A session is its head and its journals; they live, move and end together. Session and lease of one id are
    independent: a lease can be taken where there is no session yet, and deleting a session leaves a lease
    alone. Each method is atomic, across processes too where the store is shared. What is stored under an id
    and is no session of ours raises InvalidSessionData and stays as it is.
    """

    async def load(
        self, session_id: str, /, *, lease: Lease | None = None, window: Window = DEFAULT_WINDOW
    ) -> StoredSession | None:
        """Read the head and of each journal what is in the window, None where there is no session (any more).

        With `lease`, take that first. Raises LeaseHeld, and reads nothing, while another owner has it. The
        same owner renews its own. A session that is leased lives at least as long as the lease.
        """
        ...

    async def save(
        self, session_id: str, /, change: Change, *, ttl: float, release: str | None = None
    ) -> int:
        """Carry out one write, keep the session for `ttl` seconds, give the lease of owner `release` back.

        Returns the new version; every write counts it up by 1. Raises VersionConflict, and changes nothing:
        - with a record, where the stored version (0: none) is not `expected_version`;
        - without one, where there is no session, or it has not (any more) a journal that is appended to;
          entries go to the journals' ends whatever others appended since;
        - where a journal has fewer entries than the writer knew of: it is another one, or some were lost;
        - with `release`, where another owner has the lease, or where nobody has it and the stored version is
          not `expected_version`: the lease was lost and somebody wrote.

        A change whose `mark` was carried out already, as the last write (or an earlier one, where the store
        remembers more) or by entries that stand at `after` or later, is not carried out again, whatever
        others wrote between: the lease is given back, and the
        answer is `expected_version` + 1 with a record, and without one the version that the session has now.
        """
        ...

    async def read(self, session_id: str, journal: str, /, *, start: int, limit: int) -> Tail:
        """At most `limit` entries of a journal, ascending from number `start` or the oldest that is kept.

        Without entries where there is no such session, no such journal, or nothing from there on.
        """
        ...

    async def copy(self, session_id: str, new_id: str, /, *, ttl: float) -> int | None:
        """Keep head and journals under `new_id` too, for `ttl` seconds; the lease is not copied.

        Returns the version that was copied (the copy's own may be another one), None where there is no such
        session. Raises VersionConflict where there is a session under `new_id`.
        """
        ...

    async def touch(self, session_id: str, /, *, ttl: float, accessed_at: float) -> None:
        """Let an unchanged session live `ttl` seconds from now; nothing where there is none.

        Neither this nor a save ends a session before the lease that somebody keeps on it.
        """
        ...

    async def delete(self, session_id: str, /, *, expected_version: int | None = None) -> None:
        """Remove head and journals, if any. Raises VersionConflict where the version (0: none) is another."""
        ...

    async def release(self, session_id: str, owner: str, /) -> None:
        """Give the lease back. Nothing where `owner` does not hold it."""
        ...

    async def ping(self) -> None:
        """Nothing where the store could load and save now, else StoreUnavailable."""
        ...

    async def aclose(self) -> None:
        """Close connections. The store is not used afterwards."""
        ...
