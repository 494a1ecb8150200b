"""Clients that all work on one session. `python -m … URL PASSWORD COOKIE NAME SEED`.

Each client is a browser before a middleware of its own. It prints a line of JSON before each write and one
after it: what it writes, and the status of the answer (null before).
"""

import asyncio
import json
import random
import sys
from dataclasses import asdict, dataclass
from typing import Any

from fastersession import FasterSessionMiddleware, Journal, RedisStore, Session, Window
from fastersession.asgi import Receive, Scope, Send
from tests.fastersession.apps import the_session
from tests.fastersession.browser import KEY, Browser, reply_with

CLIENTS, REQUESTS, ATTEMPTS = 5, 20, 3


@dataclass(frozen=True, slots=True)
class Write:
    """What a client saves at once; its number is in everything that it writes."""

    client: str
    number: int
    entries: int = 0
    own: bool = False  # writes an attribute that only this client writes
    shared: bool = False  # counts up an attribute that all write

    def apply(self, session: Session) -> None:
        attributes = session.get_session()
        log: Journal = attributes["log"]
        log.extend([[self.client, self.number, n] for n in range(self.entries)])
        if self.own:
            attributes[f"own {self.client}"] = self.number
        if self.shared:
            by = [self.client, self.number]
            attributes["shared"] = {"count": attributes["shared"]["count"] + 1, "by": by}

    def say(self, status: int | None) -> None:
        sys.stdout.write(json.dumps({**asdict(self), "status": status}) + "\n")
        sys.stdout.flush()


@dataclass(frozen=True, slots=True)
class Request:
    """Writes with a save after each, the last of which may be the middleware's."""

    writes: tuple[Write, ...]
    lease: bool


def plan(rng: random.Random, client: str, number: int) -> Request:
    """Something to ask for."""
    writes = []
    for part in range(rng.choice([1, 1, 2])):
        entries, own, shared = rng.choice([0, 1, 1, 2, 3]), rng.random() < 0.4, rng.random() < 0.3
        writes.append(Write(client, 2 * number + part, entries or int(not own), own, shared))
    return Request(tuple(writes), rng.random() < 0.25)


class Client:
    """A browser that knows what it asks for, before an application that finds it there."""

    def __init__(self, store: RedisStore) -> None:
        app = FasterSessionMiddleware(self.answer, secret_key=KEY, store=store, window=Window(entries=7))
        self.browser = Browser(app)
        self._request = Request((), lease=False)
        self._done: set[Write] = set()

    async def answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The application."""
        session = the_session(scope)
        if scope["path"] == "/begin":
            session.get_session().update(log=Journal(), shared={"count": 0, "by": []})
        if self._request.lease:
            await session.load(lease_seconds=1.0)
        await asyncio.sleep(0)  # others go between
        for write in self._request.writes:
            write.apply(session)
            if self._request.lease or write is not self._request.writes[-1]:
                await session.save()
                self._tell(write, 200)
        await reply_with(send)

    async def ask(self, request: Request) -> None:
        """What was refused was not done: it is asked for again, unless a part of it was done."""
        self._request = request
        for write in request.writes:
            write.say(None)
        for _ in range(ATTEMPTS):
            status = (await self.browser.ask("/")).status
            if status != 409 or not self._done.isdisjoint(request.writes):
                break
            await asyncio.sleep(random.uniform(0, 0.02))
        for write in request.writes:
            self._tell(write, status)

    def _tell(self, write: Write, status: int) -> None:
        if write not in self._done:
            write.say(status)
        if status == 200:
            self._done.add(write)


async def work(store: RedisStore, cookies: dict[str, str], name: str, rng: random.Random) -> None:
    """One client, from its first request to its last."""
    client = Client(store)
    client.browser.cookies.update(cookies)
    for number in range(REQUESTS):
        await client.ask(plan(rng, name, number))
    assert client.browser.cookies == cookies


async def main(url: str, password: str, cookie: str, name: str, seed: str) -> None:
    rng = random.Random(f"{seed} {name}")
    store = RedisStore.from_url(url, password=password, socket_timeout=0.5)
    cookies: dict[str, Any] = json.loads(cookie)
    clients = [work(store, cookies, f"{name}{n}", random.Random(rng.random())) for n in range(CLIENTS)]
    async with asyncio.timeout(45):
        await asyncio.gather(*clients)
    await store.aclose()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
