"""Random histories of a store against a model of its contract: memory and Redis give the same answers."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fastersession import Append, Change, Lease, LeaseHeld, VersionConflict, Window
from tests.fastersession.redis_server import RedisServer
from tests.fastersession.stores import START, StoreUnderTest, memory_under_test, record, redis_under_test

Answer = object


class Operation(NamedTuple):
    name: str
    id: str
    owner: str
    seconds: int
    expected: int
    limit: int
    journals: tuple[str, ...]  # that a head refers to
    appends: dict[str, int]  # how many entries, by journal


NAMES = [
    *["load", "lease", "lease", "save", "save", "save+release", "append", "append", "append+release"],
    *["again", "again", "read", "copy", "touch", "delete", "release", "elapse"],
]
JOURNALS = st.sampled_from(["j", "k"])

# Times that end are 3 modulo 10, times that pass 0 modulo 10: nothing ends within a test's own milliseconds.
OPERATIONS = st.lists(
    st.builds(
        Operation,
        st.sampled_from(NAMES),
        st.sampled_from(["s", "s", "t"]),
        st.sampled_from(["a", "b"]),
        st.sampled_from([13, 33, 63]),
        st.integers(0, 4),
        st.integers(1, 5),
        st.sets(JOURNALS).map(tuple),
        st.dictionaries(JOURNALS, st.integers(0, 3), max_size=2),
    ),
    max_size=30,
)


@dataclass
class Kept:
    """A session: all entries that ever were, each with its write's number, and the oldest that is kept."""

    version: int
    end: int
    accessed: int
    writers: list[int] = field(default_factory=list)
    entries: dict[str, list[tuple[str, int]]] = field(default_factory=dict)
    first: dict[str, int] = field(default_factory=dict)

    def tail(self, journal: str, limit: int) -> tuple[int, list[str]]:
        entries = self.entries[journal]
        start = max(self.first[journal], len(entries) - limit)
        return start, [text for text, _ in entries[start:]]

    def copy(self, end: int) -> "Kept":
        entries = {key: list(each) for key, each in self.entries.items()}
        return replace(self, end=end, entries=entries, first=dict(self.first), writers=list(self.writers))


class Sent(NamedTuple):
    """A save, and what makes it another one than all others."""

    operation: Operation
    number: int
    now: int
    after: dict[str, int]

    @property
    def change(self) -> Change:
        _, _, _, _, expected, limit, journals, appends = self.operation
        texts = {key: tuple(f'"{self.number}.{n}"' for n in range(count)) for key, count in appends.items()}
        return Change(
            expected,
            START + self.now,
            record(accessed=START + self.now) if self.operation.name.startswith("save") else None,
            journals,
            {key: Append(self.after[key], texts[key], limit) for key in appends},
            f"mark-{self.number}",
        )

    @property
    def release(self) -> str | None:
        return self.operation.owner if self.operation.name.endswith("release") else None


@dataclass
class Model:
    """The contract, as plainly as possible."""

    now: int = 0
    sessions: dict[str, Kept] = field(default_factory=dict)
    leases: dict[str, tuple[str, int]] = field(default_factory=dict)  # owner, end
    sent: list[Sent] = field(default_factory=list)

    def expire(self) -> None:
        self.sessions = {key: value for key, value in self.sessions.items() if value.end > self.now}
        self.leases = {key: value for key, value in self.leases.items() if value[1] > self.now}

    def send(self, operation: Operation) -> Sent:
        """A new save, or one of this session's that was sent before."""
        mine = [sent for sent in self.sent if sent.operation.id == operation.id]
        if operation.name == "again" and mine:
            return mine[-1 - operation.expected % len(mine)]
        if operation.name == "again":
            operation = operation._replace(name="save")
        if operation.name.startswith("save"):
            operation = operation._replace(journals=(*{*operation.journals, *operation.appends},))
        if operation.name.startswith("append"):
            operation = operation._replace(expected=max(1, operation.expected))
        kept = self.sessions.get(operation.id)
        after = {key: len(kept.entries.get(key, ())) if kept else 0 for key in operation.appends}
        self.sent.append(Sent(operation, len(self.sent), self.now, after))
        return self.sent[-1]

    def save(self, sent: Sent, *, accepted: bool) -> Answer:
        """`accepted`: the store's answer was no conflict, which a store that remembers more may give."""
        operation, kept = sent.operation, self.sessions.get(sent.operation.id)
        is_done = kept is not None and accepted and sent.number in kept.writers
        if kept is None or not (is_done or self._is_done(kept, sent)):
            if self._is_refused(kept, sent):
                return "conflict"
            kept = self._carry_out(kept, sent)
        if sent.release is not None and self.leases.get(operation.id, ("", 0))[0] == sent.release:
            del self.leases[operation.id]
        return operation.expected + 1 if sent.change.record else kept.version

    @staticmethod
    def _is_done(kept: Kept, sent: Sent) -> bool:
        return kept.writers[-1] == sent.number or any(
            (writer == sent.number) and at >= max(sent.after[key], kept.first[key])
            for key in sent.operation.appends
            for at, (_, writer) in enumerate(kept.entries.get(key, ()))
        )

    def _is_refused(self, kept: Kept | None, sent: Sent) -> bool:
        operation, version = sent.operation, kept.version if kept else 0
        journals = kept.entries if kept else {}
        refused = any(sent.after[key] > len(journals.get(key, ())) for key in operation.appends)
        if sent.change.record is None:
            refused = refused or kept is None or not operation.appends.keys() <= journals.keys()
        else:
            refused = refused or version != operation.expected
        holder = self.leases.get(operation.id, (None, 0))[0]
        if sent.release is not None and holder != sent.release:
            refused = refused or holder is not None or version != operation.expected
        return refused

    def _carry_out(self, kept: Kept | None, sent: Sent) -> Kept:
        operation, change = sent.operation, sent.change
        kept = kept or Kept(0, 0, 0)
        if change.record is not None:
            kept.entries = {key: kept.entries.get(key, []) for key in operation.journals}
            kept.first = {key: kept.first.get(key, 0) for key in operation.journals}
        for key, append in change.appends.items():
            kept.entries[key] += [(text, sent.number) for text in append.entries]
            kept.first[key] = max(kept.first[key], len(kept.entries[key]) - append.limit)
        kept.version, kept.end = kept.version + 1, self._end(operation, sent.release)
        kept.writers.append(sent.number)
        kept.accessed = sent.now if change.record else max(kept.accessed, sent.now)
        self.sessions[operation.id] = kept
        return kept

    def apply(self, operation: Operation) -> Answer:
        """What a store must answer to anything but a save."""
        id_, kept = operation.id, self.sessions.get(operation.id)
        match operation.name:
            case "load":
                return self._shown(kept, operation.limit)
            case "lease":
                return self._lease(operation, kept)
            case "read" if kept is not None and "j" in kept.entries:
                at = max(kept.first["j"], operation.expected)
                return [text for text, _ in kept.entries["j"][at : at + operation.limit]]
            case "read":
                return []
            case "copy" if kept is not None:
                if "u" in self.sessions:
                    return "conflict"
                self.sessions["u"] = kept.copy(self.now + operation.seconds)
                return kept.version
            case "touch" if kept is not None:
                kept.end, kept.accessed = self._end(operation), self.now
            case "delete":
                if (kept.version if kept else 0) != operation.expected:
                    return "conflict"
                self.sessions.pop(id_, None)
            case "release" if self.leases.get(id_, ("", 0))[0] == operation.owner:
                del self.leases[id_]
            case "elapse":
                self.now += operation.seconds - 3
        return None

    def _end(self, operation: Operation, release: str | None = None) -> int:
        owner, end = self.leases.get(operation.id, (release, 0))
        return max(self.now + operation.seconds, end if owner != release else 0)

    def _lease(self, operation: Operation, kept: Kept | None) -> Answer:
        holder = self.leases.get(operation.id)
        if holder is not None and holder[0] != operation.owner:
            return ("held", holder[1] - self.now)
        self.leases[operation.id] = (operation.owner, self.now + operation.seconds)
        if kept is not None:
            kept.end = max(kept.end, self.now + operation.seconds)
        return self._shown(kept, operation.limit)

    @staticmethod
    def _shown(kept: Kept | None, limit: int) -> Answer:
        if kept is None:
            return None
        tails = {key: kept.tail(key, limit) for key in kept.entries}
        return kept.version, kept.accessed, {key: tail for key, tail in tails.items() if tail[1]}


async def ask(under_test: StoreUnderTest, operation: Operation, sent: Sent | None, now: int) -> Answer:
    """What the store answers, in the model's words."""
    try:
        if sent is not None:
            return await under_test.store.save(
                operation.id, sent.change, ttl=sent.operation.seconds, release=sent.release
            )
        return await _ask(under_test, operation, now)
    except LeaseHeld as held:
        return ("held", round(held.retry_after + 0.4))
    except VersionConflict:
        return "conflict"


async def _ask(under_test: StoreUnderTest, operation: Operation, now: int) -> Answer:
    store, id_, seconds = under_test.store, operation.id, operation.seconds
    match operation.name:
        case "load" | "lease" as name:
            lease = Lease(operation.owner, seconds) if name == "lease" else None
            found = await store.load(id_, lease=lease, window=Window(operation.limit))
            if found is None:
                return None
            tails = {key: (tail.start, list(tail.entries)) for key, tail in found.journals.items()}
            accessed = found.last_accessed_at - START
            return found.version, accessed, {key: tail for key, tail in tails.items() if tail[1]}
        case "read":
            tail = await store.read(id_, "j", start=operation.expected, limit=operation.limit)
            return list(tail.entries)
        case "copy":
            return await store.copy(id_, "u", ttl=seconds)
        case "touch":
            await store.touch(id_, ttl=seconds, accessed_at=START + now)
        case "delete":
            await store.delete(id_, expected_version=operation.expected)
        case "release":
            await store.release(id_, operation.owner)
        case "elapse":
            await under_test.elapse(seconds - 3)
    return None


SAVES = ("save", "append", "again")


async def _compare(opened: AbstractAsyncContextManager[StoreUnderTest], operations: list[Operation]) -> None:
    model = Model()
    async with opened as under_test:
        for operation in operations:
            now = model.now
            model.expire()
            sent = model.send(operation) if operation.name.startswith(SAVES) else None
            answer = await ask(under_test, operation, sent, now)
            expected = model.save(sent, accepted=answer != "conflict") if sent else model.apply(operation)
            assert answer == expected, (operation, sent)
            for id_ in "su":
                look = operation._replace(name="load", id=id_, limit=100)
                model.expire()
                assert await ask(under_test, look, None, now) == model.apply(look), (operation, sent)


@pytest.mark.parametrize("kind", ["memory", "redis"])
def test_17w_any_history_goes_as_in_the_model(kind: str, redis_server: RedisServer) -> None:
    def open_it() -> AbstractAsyncContextManager[StoreUnderTest]:
        return memory_under_test() if kind == "memory" else redis_under_test(redis_server)

    @settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(OPERATIONS)
    def histories(operations: list[Operation]) -> None:
        asyncio.run(_compare(open_it(), operations))

    run: Callable[[], None] = histories
    run()
