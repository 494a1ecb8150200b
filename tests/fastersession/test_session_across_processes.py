"""Many clients in several processes on one session: what was acknowledged is there, once, in order."""

import asyncio
import json
import random
import sys
from asyncio.subprocess import PIPE, Process
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from fastersession import RedisStore
from tests.fastersession.apps import session_id
from tests.fastersession.redis_proxy import RedisProxy, proxy_before
from tests.fastersession.redis_server import RedisServer
from tests.fastersession.session_clients import Client

ROOT = Path(__file__).parents[2]
PROGRAM = "tests.fastersession.session_clients"
PROCESSES, KILLED = 4, 2
DONE, REFUSED, UNKNOWN = 200, 409, (503, None)
Told = dict[str, Any]  # a write, as its client printed it


@dataclass
class Outcome:
    """What the clients were told of each write, by client in the order of time, and what is stored."""

    told: dict[str, list[Told]]
    entries: list[list[Any]]
    attributes: dict[str, Any]

    def writes(self) -> Iterator[Told]:
        for told in self.told.values():
            yield from told


async def start(proxy: RedisProxy, cookie: str, name: str, seed: int) -> Process:
    arguments = ("-m", PROGRAM, proxy.url, proxy.password, cookie, name, str(seed))
    return await asyncio.create_subprocess_exec(sys.executable, *arguments, stdout=PIPE, cwd=ROOT)


async def listen(process: Process, kill_after: int | None) -> dict[str, list[Told]]:
    """What a process prints; it is killed after so many lines."""
    told: dict[str, dict[int, Told]] = defaultdict(dict)
    assert process.stdout is not None
    lines = 0
    while line := await process.stdout.readline():
        if line.endswith(b"\n"):  # a killed one may have printed a half
            write = json.loads(line)
            told[write["client"]][write["number"]] = write
        lines += 1
        if lines == kill_after:
            process.kill()
    status = await process.wait()
    assert status == (0 if kill_after is None else -9)
    return {client: list(writes.values()) for client, writes in told.items()}


async def run(proxy: RedisProxy, cookies: dict[str, str], rng: random.Random) -> dict[str, list[Told]]:
    """All processes to their ends."""
    names = "abcdefgh"[:PROCESSES]
    deaths = [rng.randrange(20, 120) if n < KILLED else None for n in range(PROCESSES)]
    seed = rng.randrange(2**32)
    processes = [await start(proxy, json.dumps(cookies), name, seed) for name in names]
    try:
        told = await asyncio.gather(*map(listen, processes, deaths))
    finally:
        for process in processes:
            if process.returncode is None:
                process.kill()
    return {client: writes for each in told for client, writes in each.items()}


async def outcome(server: RedisServer, seed: int) -> Outcome:
    """Of one random history: answers are lost, processes die."""
    rng = random.Random(seed)
    store = RedisStore.from_url(server.url, password=server.password)
    browser = Client(store).browser
    assert (await browser.ask("/begin")).status == 200
    async with proxy_before(server) as proxy:
        proxy.lose_some(rng, 0.1)
        told = await run(proxy, browser.cookies, rng)
    assert proxy.lost > 10
    found = await store.load(session_id(browser))
    assert found is not None
    (journal,) = found.journals
    tail = await store.read(session_id(browser), journal, start=0, limit=100_000)
    await store.aclose()
    return Outcome(told, [json.loads(entry) for entry in tail.entries], json.loads(found.attributes))


def written_by(result: Outcome, write: Told) -> list[int]:
    """Which of a write's entries are stored, where they stand together."""
    at = [n for n, (*by, _) in enumerate(result.entries) if by == [write["client"], write["number"]]]
    assert at == list(range(at[0], at[0] + len(at))) if at else True, "others stand between a write's entries"
    return [result.entries[n][2] for n in at]


def check_entries(result: Outcome) -> None:
    """Each append whole and once where it was acknowledged, not at all where it was refused."""
    for write in result.writes():
        kept, whole = written_by(result, write), list(range(write["entries"]))
        if write["status"] == DONE:
            assert kept == whole, f"acknowledged: {write}"
        elif write["status"] == REFUSED:
            assert kept == [], f"refused: {write}"
        else:
            assert write["status"] in UNKNOWN, write
            assert kept in ([], whole), f"neither whole nor not at all: {write}"


def check_order(result: Outcome) -> None:
    """A client sees its own appends in the order in which it made them."""
    for client in result.told:
        numbers = [number for by, number, _ in result.entries if by == client]
        assert numbers == sorted(numbers), client


def check_own(result: Outcome) -> None:
    """An attribute that only one client writes is what this one wrote last."""
    for client, told in result.told.items():
        possible: list[int | None] = [None]
        for write in told:
            if write["own"] and write["status"] == DONE:
                possible = []
            if write["own"] and write["status"] != REFUSED:
                possible.append(write["number"])
        assert result.attributes.get(f"own {client}") in possible, client


def check_shared(result: Outcome) -> None:
    """Of all writes to one attribute each acknowledged one was read by the next."""
    shared = [write for write in result.writes() if write["shared"]]
    done = [write for write in shared if write["status"] == DONE]
    unknown = [write for write in shared if write["status"] in UNKNOWN]
    count, by = result.attributes["shared"]["count"], result.attributes["shared"]["by"]
    assert len(done) <= count <= len(done) + len(unknown)
    assert by in [[write["client"], write["number"]] for write in done + unknown]


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_25_70_nothing_acknowledged_is_lost(own_redis: RedisServer, seed: int) -> None:
    result = await outcome(own_redis, seed)
    statuses = [write["status"] for write in result.writes()]
    assert statuses.count(DONE) > len(statuses) / 2
    assert REFUSED in statuses
    check_entries(result)
    check_order(result)
    check_own(result)
    check_shared(result)
