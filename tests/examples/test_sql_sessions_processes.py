"""The example application as it is run: real processes on one file, one of which dies."""

import asyncio
import os
import socket
import sys
from asyncio.subprocess import DEVNULL, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp

EXAMPLES = Path(__file__).parents[2] / "examples"
KEY = "only-for-tests-0123456789"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


class Server:
    """The application in a process of its own."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}/notes"
        self.process: Process | None = None

    async def start(self) -> None:
        """Start it and wait until it answers."""
        program = ["uvicorn", "--factory", "sql_sessions.app:make_app", "--app-dir", str(EXAMPLES)]
        self.process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", *program, "--port", str(self.port)),
            env={**os.environ, "SECRET_KEY": KEY, "SESSIONS_FILE": str(self.file)},
            stdout=DEVNULL,
            stderr=DEVNULL,
        )
        async with asyncio.timeout(30), aiohttp.ClientSession() as client:
            while not await answers(client, self.url):  # noqa: ASYNC110 (another process)
                await asyncio.sleep(0.05)

    async def kill(self) -> None:
        """SIGKILL: no chance to finish anything."""
        if self.process is not None:
            self.process.kill()
            await self.process.wait()
            self.process = None


@asynccontextmanager
async def running(file: Path) -> AsyncIterator[Server]:
    server = Server(file)
    try:
        await server.start()
        yield server
    finally:
        await server.kill()


async def answers(client: aiohttp.ClientSession, url: str) -> bool:
    try:
        async with client.get(url) as response:
            return response.status == 200
    except aiohttp.ClientConnectionError:
        return False


@asynccontextmanager
async def a_browser(server: Server) -> AsyncIterator[aiohttp.ClientSession]:
    """A client whose session has begun. Cookies know no ports: both processes get it."""
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as client:
        async with client.post(server.url, json={"text": "first"}) as response:
            assert (response.status, await response.json()) == (200, 1)
        yield client


async def notes(client: aiohttp.ClientSession, server: Server) -> list[str]:
    async with client.get(server.url) as response:
        assert response.status == 200
        found: list[str] = await response.json()
        return found


async def test_two_processes_on_one_file_lose_nothing(tmp_path: Path) -> None:
    file = tmp_path / "sessions.sqlite3"
    async with running(file) as one, running(file) as two, a_browser(one) as client:

        async def write(writer: int) -> None:
            for n in range(10):
                url = (one, two)[(writer + n) % 2].url
                async with client.post(url, json={"text": f"{writer}-{n}"}) as response:
                    assert response.status == 200

        await asyncio.gather(*(write(writer) for writer in range(6)))
        kept = await notes(client, one)
        assert kept == await notes(client, two)
        assert sorted(kept) == sorted(["first", *(f"{w}-{n}" for w in range(6) for n in range(10))])
        for writer in range(6):  # each writer waited for its answers: its notes are in their order
            own = [note for note in kept if note.startswith(f"{writer}-")]
            assert own == [f"{writer}-{n}" for n in range(10)]


async def test_what_was_acknowledged_outlives_the_process(tmp_path: Path) -> None:
    async with running(tmp_path / "sessions.sqlite3") as server, a_browser(server) as client:
        acknowledged, enough = ["first"], asyncio.Event()

        async def write(writer: int) -> None:
            for n in range(1000):
                note = f"{writer}-{n}"
                try:
                    async with client.post(server.url, json={"text": note}) as response:
                        assert response.status == 200
                except aiohttp.ClientError:
                    return  # the process is dead
                acknowledged.append(note)
                if len(acknowledged) > 40:
                    enough.set()

        writers = [asyncio.create_task(write(writer)) for writer in range(4)]
        async with asyncio.timeout(30):
            await enough.wait()
        await server.kill()
        await asyncio.gather(*writers)
        await server.start()
        kept = await notes(client, server)
        assert len(kept) == len(set(kept))
        assert set(acknowledged) <= set(kept)
        assert len(kept) <= len(acknowledged) + len(writers)  # at most those whose answer was cut off


async def test_a_session_that_is_ended_is_gone(tmp_path: Path) -> None:
    async with running(tmp_path / "sessions.sqlite3") as server, a_browser(server) as client:
        async with client.delete(server.url) as response:
            assert response.status == 204
        assert await notes(client, server) == []
