"""The way to Redis: a bounded pool, limits on every wait, retries that end, errors that name the cause."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from redis.asyncio import BlockingConnectionPool, Redis
from redis.exceptions import AuthenticationError, AuthorizationError, RedisError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from fastersession.bounded import within
from fastersession.errors import StoreUnavailable
from fastersession.redis_script import RedisScript

T = TypeVar("T")

_FIRST_PAUSE, _LONGEST_PAUSE = 0.02, 0.25


class RedisLink:
    """Runs calls on one Redis. Each ends within `io_timeout` seconds, with its result or StoreUnavailable."""

    def __init__(self, pool: BlockingConnectionPool, *, io_timeout: float, retries: int) -> None:
        self.client: Redis = Redis.from_pool(pool)
        self._address = _address(pool.connection_kwargs)
        self.io_timeout = io_timeout
        self._retries = retries
        self._closed = False

    async def call(self, attempt: Callable[[bool], Awaitable[T]]) -> T:
        """The result of `attempt(again)`; `again` says that a former attempt may have been carried out."""
        if self._closed:
            raise self._unavailable("the store is closed")
        try:
            return await within(self._with_retries(attempt), self.io_timeout)
        except TimeoutError as error:
            raise self._unavailable(f"no answer within {self.io_timeout:g} s") from error
        except RedisError as error:
            raise self._unavailable(describe(error)) from error

    def script(self, source: str) -> RedisScript:
        """A script that runs on this Redis: await it with keys and arguments inside an attempt of `call`."""
        return RedisScript(self.client, source)

    async def aclose(self) -> None:
        """Close every connection; later calls are refused."""
        self._closed = True
        await self.client.aclose(close_connection_pool=True)

    async def _with_retries(self, attempt: Callable[[bool], Awaitable[T]]) -> T:
        for failures in range(self._retries):
            try:
                return await attempt(failures > 0)
            except (AuthenticationError, AuthorizationError):
                raise
            except (RedisConnectionError, RedisTimeoutError):
                pause = min(_FIRST_PAUSE * 2**failures, _LONGEST_PAUSE)
                await asyncio.sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311 (spread, no secret)
        return await attempt(self._retries > 0)

    def _unavailable(self, cause: str) -> StoreUnavailable:
        return StoreUnavailable(f"Redis at {self._address}: {cause}")


def describe(error: RedisError) -> str:
    """The cause in words for people who run the service; never a password."""
    if isinstance(error, (AuthenticationError, AuthorizationError)):
        return f"the password was refused ({error})"
    return str(error) or type(error).__name__


def _address(kwargs: dict[str, Any]) -> str:
    return str(kwargs.get("path") or f"{kwargs.get('host', 'localhost')}:{kwargs.get('port', 6379)}")
