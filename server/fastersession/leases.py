"""Leases that may have been taken although no answer came: given back in the background, for a while."""

import asyncio
import logging
import random

from fastersession.bounded import bounded
from fastersession.errors import SessionError
from fastersession.store import SessionStore

logger = logging.getLogger(__name__)

_PAUSES = (0.0, 1.0, 4.0, 15.0)
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
        if len(self._tasks) >= _MAX_PENDING:
            return
        task = asyncio.get_running_loop().create_task(self._give_back(id_, owner))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _give_back(self, id_: str, owner: str) -> None:
        acknowledged = 0
        for pause in _PAUSES:
            await asyncio.sleep(pause * random.uniform(0.75, 1.25))  # noqa: S311 (spread, no secret)
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
