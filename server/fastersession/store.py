"""The seam between sessions and whatever keeps them."""

from typing import Protocol

from fastersession.records import Lease, StoredSession


class SessionStore(Protocol):
    """Keeps records and leases, each under a session's id. Every method may raise StoreUnavailable.

    Record and lease of one id are independent: a lease can be taken where there is no record yet, and
    deleting a record leaves a lease alone. Each method is atomic, across processes too where it is shared.
    """

    async def load(self, session_id: str, /, *, lease: Lease | None = None) -> StoredSession | None:
        """Read the record, None where there is none (any more); with `lease`, take that first.

        Raises LeaseHeld, and reads nothing, while another owner has it. The same owner renews its own. A
        record that is leased lives at least as long as the lease.
        """
        ...

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
        """Write the record for `ttl` seconds, give the lease of owner `release` back, return the new version.

        `expected_version` is the version that was read, 0 for none. Raises VersionConflict, and changes
        nothing, where the record has another version or is gone, or (with `release`) the lease has gone over.
        """
        ...

    async def touch(self, session_id: str, /, *, ttl: float, accessed_at: float) -> None:
        """Let an unchanged record live `ttl` seconds from now; nothing where there is none."""
        ...

    async def delete(self, session_id: str, /, *, expected_version: int | None = None) -> None:
        """Remove the record, if any. Raises VersionConflict where its version (0: none) is another one."""
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
