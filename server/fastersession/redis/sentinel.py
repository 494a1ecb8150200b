"""Redis behind sentinels: which server is the master is asked of all of them at once."""

import asyncio
import contextlib
import time
from collections.abc import Sequence
from typing import Any

from redis.asyncio import ConnectionPool, Redis
from redis.asyncio.sentinel import MasterNotFoundError, Sentinel, SentinelConnectionPool
from redis.exceptions import AuthenticationError, NoPermissionError, RedisError

Address = tuple[str, int]

CHECK_PERIOD, CHECK_WAIT = 1.0, 0.25
"""Seconds between two questions who is the master, and for how long a call waits for the answer."""


class Sentinels(Sentinel):
    """Asks each of them at the same time; the first that knows a working master is believed.

    redis-py's own asks one after the other: two that are silent would use up the time of every call.
    """

    def __init__(self, hosts: Sequence[Address], options: dict[str, Any]) -> None:
        super().__init__([])  # type: ignore[no-untyped-call]
        self.sentinels = [
            Redis.from_pool(ConnectionPool(host=host, port=port, **options)) for host, port in hosts
        ]

    async def discover_master(self, service_name: str) -> Address:
        """The master's address. Raises RedisError of the kind that says why there is none."""
        pending = {asyncio.ensure_future(self._ask(sentinel, service_name)) for sentinel in self.sentinels}
        failures: list[RedisError] = []
        try:
            while pending:
                done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
                answers = [task.result() for task in done]
                for answer in answers:
                    if not isinstance(answer, RedisError):
                        return answer
                    failures.append(answer)
        finally:
            for task in pending:
                task.cancel()
        raise _worst(failures, service_name)

    async def _ask(self, sentinel: Redis, service_name: str) -> Address | RedisError:
        try:
            state: Any = await sentinel.sentinel_master(service_name)
        except RedisError as error:
            return error
        if not self.check_master_state(state, service_name):
            return MasterNotFoundError("the master is down")
        return state["ip"], state["port"]


class MasterPool(SentinelConnectionPool):
    """Connections to the master of the moment. When that changes, none to the one before stays in use.

    A master that was replaced may take writes, which are lost, for ten seconds more until the sentinels tell
    it. So they are asked every second, not only for a new connection.
    """

    def __init__(self, service_name: str, sentinels: Sentinels, **options: Any) -> None:  # noqa: ANN401 (redis-py's)
        super().__init__(service_name, sentinels, **options)  # type: ignore[no-untyped-call]
        self._check: asyncio.Task[None] | None = None
        self._next_check = 0.0

    async def get_connection(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 (redis-py's)
        """See ConnectionPool."""
        now = time.monotonic()
        if now >= self._next_check and (self._check is None or self._check.done()):
            self._next_check = now + CHECK_PERIOD
            self._check = asyncio.ensure_future(self._follow())
            await asyncio.wait({self._check}, timeout=CHECK_WAIT)
        return await super().get_connection(*args, **kwargs)  # type: ignore[no-untyped-call]

    async def get_master_address(self) -> Address:
        """The address that the sentinels name."""
        before = self.master_address
        address: Address = await super().get_master_address()  # type: ignore[no-untyped-call]
        if before not in (None, address):
            await self.update_active_connections_for_reconnect()  # type: ignore[no-untyped-call]
        return address

    async def aclose(self) -> None:
        """See ConnectionPool."""
        if self._check is not None:
            self._check.cancel()
            await asyncio.wait({self._check}, timeout=CHECK_WAIT)
        await super().aclose()

    async def _follow(self) -> None:
        # Without sentinels what is open works on; who opens a connection is told.
        with contextlib.suppress(RedisError):
            await self.get_master_address()


def _worst(failures: list[RedisError], service_name: str) -> RedisError:
    """What somebody has to mend comes before what may pass."""
    for error in failures:
        if isinstance(error, AuthenticationError | NoPermissionError):
            return error
    causes = ", ".join(sorted({str(error) or type(error).__name__ for error in failures}))
    return MasterNotFoundError(f"no sentinel knows a working master {service_name!r} ({causes})")
