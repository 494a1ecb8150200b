"""redis-py's client and pool by the shortest way to an answer: a session asks Redis twice in every request.

Their own way spends more time on events, metrics, retries (RedisLink has them) and on packing commands in
Python than the kernel and Redis need together.
"""

import asyncio
import math
from inspect import isawaitable
from typing import Any

from hiredis import pack_command
from redis.asyncio import ConnectionPool, Redis
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import TimeoutError as RedisTimeoutError


class QuickPool(ConnectionPool):
    """Connections as redis-py's pool gives them: connected, alive, and with nothing left to read."""

    async def get_connection(self, *_: Any, **__: Any) -> AbstractConnection:  # noqa: ANN401 (redis-py's)
        """See ConnectionPool. Nothing waits before the connection is ours, so there is nothing to lock."""
        connection: AbstractConnection = self.get_available_connection()  # type: ignore[no-untyped-call]
        try:
            if not connection.is_connected or await connection.can_read():
                await self.ensure_connection(connection)
        except BaseException:
            await self.release(connection)
            raise
        return connection

    async def release(self, connection: AbstractConnection) -> None:
        """See ConnectionPool."""
        self._in_use_connections.remove(connection)
        try:
            if connection.should_reconnect():  # type: ignore[no-untyped-call]
                await connection.disconnect()
        finally:
            self._available_connections.append(connection)


class QuickRedis(Redis):
    """Sends a command once. The whole of it, but for connecting, ends within `answer_timeout` seconds."""

    def __init__(self, pool: ConnectionPool, answer_timeout: float) -> None:
        super().__init__(connection_pool=pool)
        self.auto_close_connection_pool = True
        self._answer_timeout = answer_timeout

    async def execute_command(self, *args: Any, **_: Any) -> Any:  # noqa: ANN401 (redis-py's)
        """See Redis. A connection that was left in the middle of an answer is closed, whatever the cause."""
        pool = self.connection_pool
        connection = await pool.get_connection()  # type: ignore[no-untyped-call]
        try:
            answer = await self._answer(connection, args)
        finally:
            await pool.release(connection)
        callback = self.response_callbacks.get(args[0])
        if callback is None:
            return answer
        result = callback(answer)
        return await result if isawaitable(result) else result

    async def _answer(self, connection: AbstractConnection, args: tuple[Any, ...]) -> Any:  # noqa: ANN401
        try:
            async with asyncio.timeout(self._answer_timeout):
                await connection.send_packed_command(pack_command(args), check_health=False)
                return await connection.read_response(timeout=math.inf)
        except TimeoutError as error:
            raise RedisTimeoutError(f"no answer within {self._answer_timeout:g} s") from error
