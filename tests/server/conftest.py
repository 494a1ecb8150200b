"""A real Redis for one test, which may do to it what it likes."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.fastersession.redis_server import RedisServer

settings.register_profile("server", deadline=None)  # a loaded machine is no failure
settings.load_profile("server")


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path)
    server.start()
    try:
        yield server
    finally:
        server.kill()
