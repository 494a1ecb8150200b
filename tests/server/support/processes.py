"""Real processes of our command line, on ports of their own."""

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.server.support.live import PATIENCE, until

PROGRAM = Path(sys.executable).with_name("chatstream")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        assert isinstance(port, int)
        return port


class Process:
    """`lines` are what it said on standard error, JSON objects where they are."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.lines: list[str] = []
        self._reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        assert self._process.stderr is not None
        async for line in self._process.stderr:
            self.lines.append(line.decode().rstrip())

    @property
    def logs(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.lines if line.startswith("{")]

    def log(self, event: str) -> dict[str, Any] | None:
        return next((line for line in self.logs if line["event"] == event), None)

    def terminate(self) -> None:
        self._process.send_signal(signal.SIGTERM)

    async def exit_code(self) -> int:
        async with asyncio.timeout(PATIENCE):
            code = await self._process.wait()
            await self._reading
        return code

    async def clean_up(self) -> None:
        if self._process.returncode is None:
            self._process.kill()
        await self.exit_code()


@asynccontextmanager
async def running(*arguments: str, environment: Mapping[str, str] | None = None) -> AsyncIterator[Process]:
    """`chatstream` with these arguments; killed at the end where it still runs."""
    process = Process(
        await asyncio.create_subprocess_exec(
            PROGRAM,
            *arguments,
            stderr=asyncio.subprocess.PIPE,
            env={**os.environ, **(environment or {})},
        )
    )
    try:
        yield process
    finally:
        await process.clean_up()


async def listening(process: Process) -> tuple[str, str]:
    """The two URLs of `chatstream serve`, once it says them."""
    await until(lambda: process.log("listening") is not None, "the server's start")
    line = process.log("listening")
    assert line is not None
    return line["url"], line["metrics_url"]


async def port_open(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    await writer.wait_closed()
    return True
