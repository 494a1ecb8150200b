"""A real Redis, and the two stores that one suite of tests runs against."""

from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest
from hypothesis import settings

from tests.fastersession.redis_server import RedisServer
from tests.fastersession.stores import StoreUnderTest, memory_under_test, redis_under_test

settings.register_profile("fastersession", deadline=None)  # a loaded machine is no failure
settings.load_profile("fastersession")


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """One Redis for all tests that leave it running."""
    yield from _running(tmp_path_factory.mktemp("redis"))


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[RedisServer]:
    """A Redis for one test, which may do to it what it likes."""
    yield from _running(tmp_path)


def _running(folder: Path) -> Iterator[RedisServer]:
    server = RedisServer(folder)
    server.start()
    try:
        yield server
    finally:
        server.kill()


@pytest.fixture(params=["memory", "redis"])
async def under_test(request: pytest.FixtureRequest) -> AsyncIterator[StoreUnderTest]:
    """Each store in turn, empty."""
    opened: AbstractAsyncContextManager[StoreUnderTest] = (
        memory_under_test()
        if request.param == "memory"
        else redis_under_test(request.getfixturevalue("redis_server"))
    )
    async with opened as ready:
        yield ready
