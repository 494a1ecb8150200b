"""Random histories of several requests on one session: what was acknowledged is there, once, and stays."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fastersession import Journal, Session, SessionError, VersionConflict, Window
from tests.fastersession.redis_server import RedisServer
from tests.fastersession.spy import SpyStore
from tests.fastersession.stores import StoreUnderTest, memory_under_test, redis_under_test
from tests.fastersession.test_session import session, stored

REQUESTS = 3
Stored = tuple[dict[str, Any], list[int]]
NOTHING: Stored = ({}, [])


class Step(NamedTuple):
    name: str
    request: int
    attribute: str


NAMES = [
    *["append", "append", "append", "set", "set", "read", "lease", "again", "rotate"],
    *["save", "save", "save", "save_lost", "save_broken", "restart"],
]
STEPS = st.lists(
    st.builds(Step, st.sampled_from(NAMES), st.integers(0, REQUESTS - 1), st.sampled_from("ab")),
    min_size=20,
    max_size=40,
)


@dataclass
class History:
    """What the requests did, and what must therefore be stored."""

    store: SpyStore
    id: str
    requests: list[Session] = field(default_factory=list)
    entries: list[int] = field(default_factory=list)
    attributes: dict[str, Any] = field(default_factory=dict)
    appended: dict[int, list[int]] = field(default_factory=dict)  # by request, not acknowledged yet
    written: dict[int, dict[str, Any]] = field(default_factory=dict)
    known: dict[int, dict[str, Any]] = field(default_factory=dict)  # the attributes that a request built upon
    unsure: dict[int, list[Stored]] = field(default_factory=dict)  # what was sent without an answer
    ids: dict[int, str] = field(default_factory=dict)
    next: int = 0

    async def begin(self, request: int) -> None:
        turn = session(self.store, self.id)
        await turn.load(window=Window(entries=4))
        if request < len(self.requests):
            await self.requests[request].release()
            self.requests[request] = turn
        else:
            self.requests.append(turn)
        self.appended[request], self.written[request] = [], {}
        self.unsure.pop(request, None)
        self.known[request], self.ids[request] = dict(self.attributes), self.id

    async def take(self, step: Step) -> None:
        turn = self.requests[step.request]
        self.next += 1
        match step.name:
            case "append":
                turn.get_session()["j"].append(self.next)
                self.appended[step.request].append(self.next)
            case "set":
                turn.get_session()[step.attribute] = self.next
                self._write(step.request, step.attribute, self.next)
            case "read":
                list(turn.get_session()["j"])
            case "restart":
                await self.begin(step.request)
            case "rotate":
                turn.rotate()
            case "lease":
                await self._lease(step.request)
            case "again":
                await self._save(step.request)
                await self._save(step.request)
            case _:
                await self._save(step.request, step.name)

    def _write(self, request: int, name: str, value: object) -> None:
        self.written[request].pop(name, None)
        if self.known[request].get(name) != value:
            self.written[request][name] = value

    async def _lease(self, request: int) -> None:
        turn, before = self.requests[request], await self._stored()
        try:
            await turn.load(lease_seconds=60)
            merged = turn.id == self.id
        except SessionError:
            merged = False
        await self._accept(before, *self.unsure.pop(request, ()))  # which goes first
        self._notice(request, before)
        if turn.previous_ended:
            await self.begin(request)
        elif merged:
            self.known[request] = dict(self.attributes)
            changed = self.written[request].items()
            self.written[request] = {n: value for n, value in changed if value != self.attributes[n]}
            self.appended[request] = [e for e in self.appended[request] if e not in self.entries]

    async def _save(self, request: int, how: str = "save") -> None:
        names = {"save", "append", "copy"}
        self.store.lost = set(names) if how == "save_lost" else set()
        self.store.broken = set(names) if how == "save_broken" else set()
        before = await self._stored()
        try:
            await self.requests[request].save()
        except VersionConflict:
            moved = self.ids[request] != self.id
            leased = any(turn.has_lease for turn in self.requests)  # by another one: a failed save gave it up
            reason = moved or leased or self._conflicts(request) or self.appended[request]
            assert reason, "a conflict for no reason"
            await self._accept(before, *self.unsure.get(request, ()))
            await self.begin(request)
        except SessionError:
            await self._find_out(request, before)
        else:
            await self._acknowledge(request, before)
        self.store.lost, self.store.broken = set(), set()

    def _conflicts(self, request: int) -> bool:
        """Whether somebody else changed an attribute that the request changed too, differently."""
        known = self.known[request]
        return any(
            self.attributes.get(name) not in (known.get(name), value)
            for name, value in self.written[request].items()
        )

    async def _acknowledge(self, request: int, before: Stored) -> None:
        assert not self._conflicts(request), "a write of somebody else was overwritten"
        if self.ids[request] == self.id:
            self.id = self.ids[request] = self.requests[request].id
        else:
            lost = self.written[request] or set(self.appended[request]) - set(self.entries)
            assert not lost, "a write to an id that is dead was acknowledged"
        self.attributes |= self.written[request]
        self.entries = before[1] + [entry for entry in self.appended[request] if entry not in before[1]]
        live = self.requests[request].get_session()
        self.known[request] = {name: live[name] for name in self.attributes}
        self.appended[request], self.written[request] = [], {}
        self.unsure.pop(request, None)
        assert await self._stored() == (self.attributes, self.entries)

    async def _find_out(self, request: int, before: Stored) -> None:
        everything = (dict(self.written[request]), list(self.appended[request]))
        self.unsure.setdefault(request, []).append(everything)
        await self._accept(before, *self.unsure[request])
        self._notice(request, before)

    def _notice(self, request: int, before: Stored) -> None:
        """What it sees the request knows, and what was carried out it has not to write any more."""
        live = self.requests[request].get_session()
        for name, value in self.attributes.items():
            if value != before[0][name]:
                wanted = self.written[request].get(name, value)
                self.known[request][name] = value
                self._write(request, name, wanted)
            elif name not in self.written[request] and name in live:
                self.known[request][name] = live[name]

    async def _accept(self, before: Stored, *written: Stored) -> None:
        """Of each write all is stored, or nothing; the one that is sent again goes first."""
        self.attributes, self.entries = now = await self._stored()
        assert now in [self._with(before, each) for each in (NOTHING, *written)]

    @staticmethod
    def _with(before: Stored, written: Stored) -> Stored:
        attributes, entries = written
        return before[0] | attributes, before[1] + [e for e in entries if e not in before[1]]

    async def _stored(self) -> Stored:
        again = session(self.store, self.id)
        await again.load(window=Window())
        values = dict(again.get_session())
        return values, list(values.pop("j"))


async def _run(opened: AbstractAsyncContextManager[StoreUnderTest], steps: list[Step]) -> None:
    async with opened as under_test:
        store = SpyStore(inner=under_test.store)
        history = History(store, await stored(store, j=Journal(), a=0, b=0))
        history.attributes = {"a": 0, "b": 0}
        for request in range(REQUESTS):
            await history.begin(request)
        for step in steps:
            await history.take(step)
        for request in range(REQUESTS):
            await history.requests[request].release()


@pytest.mark.parametrize("kind", ["memory", "redis"])
def test_25_50_whatever_requests_do_nothing_acknowledged_is_lost(
    kind: str, redis_server: RedisServer
) -> None:
    def open_it() -> AbstractAsyncContextManager[StoreUnderTest]:
        return memory_under_test() if kind == "memory" else redis_under_test(redis_server)

    @settings(
        max_examples=300 if kind == "memory" else 60,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow],
    )
    @given(STEPS)
    def histories(steps: list[Step]) -> None:
        asyncio.run(_run(open_it(), steps))

    run: Callable[[], None] = histories
    run()
