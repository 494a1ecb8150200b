"""What a request leaves behind, leases above all: tidied up in the background, for a while."""

import asyncio
import logging
import random
from collections.abc import Coroutine

from fastersession.bounded import bounded
from fastersession.errors import SessionError, VersionConflict
from fastersession.store import SessionStore

logger = logging.getLogger(__name__)

# Ten minutes in all: nobody gets into a session that a store has kept with its lease while it was away.
_PAUSES = (0.0, 1.0, *(5.0 for _ in range(120)))
_MAX_PENDING = 1000


class LeaseReturner:
    """Gives leases back without holding anybody up. What it does not manage, the lease's own end does.

    After a store was paused, the request that takes the lease may be carried out after the one that gives it
    back: so one acknowledgement is not believed, the second one, later, is.
    """

    def __init__(self, store: SessionStore, io_timeout: float) -> None:
        self._store = store
        self._io_timeout = io_timeout
        self._tasks: set[asyncio.Task[None]] = set()

    def give_back(self, id_: str, owner: str) -> None:
        """Start giving a lease back. Returns at once, never raises."""
        self._start(self._give_back(id_, owner))

    def forget(self, id_: str, version: int | None = None) -> None:
        """Start deleting a session whose id nobody needs any more; with `version` only as that one.

        Returns at once, never raises. What it does not manage, the session's own end does.
        """
        self._start(self._forget(id_, version))

    def _start(self, work: Coroutine[None, None, None]) -> None:
        if len(self._tasks) >= _MAX_PENDING:
            work.close()
            return
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _forget(self, id_: str, version: int | None) -> None:
        for pause in _PAUSES:
            await _pause(pause)
            try:
                await bounded(self._store.delete(id_, expected_version=version), self._io_timeout)
            except VersionConflict:
                return  # it is gone, or somebody lives on in it
            except SessionError:
                continue
            return
        logger.warning("the former record of a session could not be deleted; it ends by itself")

    async def _give_back(self, id_: str, owner: str) -> None:
        acknowledged = 0
        for pause in _PAUSES:
            await _pause(pause)
            acknowledged += await self._try(id_, owner)
            if acknowledged == 2:
                return
        if not acknowledged:
            logger.warning("a session's lease could not be given back; it ends by itself")

    async def _try(self, id_: str, owner: str) -> bool:
        try:
            await bounded(self._store.release(id_, owner), self._io_timeout)
        except SessionError:
            return False
        return True


async def _pause(seconds: float) -> None:
    await asyncio.sleep(seconds * random.uniform(0.75, 1.25))  # noqa: S311 (spread, no secret)
