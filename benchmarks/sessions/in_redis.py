"""What the smaller benchmarks share: their options, a Redis of their own, and the line of JSON at the end."""

from __future__ import annotations

import argparse
import asyncio
import json
import platform
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from tests.fastersession.redis_server import RedisServer

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Row = TypeVar("Row")
Compare = Callable[[str, str, int, int], Awaitable[list[Row]]]
"""Takes the URL and password of a Redis, how many runs, and how many rounds each has."""


def compared(compare: Compare[Row], *, description: str | None, rounds: int, what: str) -> list[Row]:
    """The rows that `compare` measured, as the command line asks; `rounds` of `what` a run by default."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--rounds", type=int, default=rounds)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        server = RedisServer(Path(folder))
        server.start()
        try:
            rows = asyncio.run(_all(compare(server.url, server.password, options.runs, options.rounds)))
        finally:
            server.kill()
    print(f"Python {platform.python_version()}, {options.runs} runs of {options.rounds} {what}")
    return rows


def print_json(rows: Sequence[DataclassInstance]) -> None:
    """All of it on one line, for programs."""
    print(json.dumps({"python": platform.python_version(), "rows": [asdict(row) for row in rows]}))


async def _all(rows: Awaitable[list[Row]]) -> list[Row]:
    return await rows
