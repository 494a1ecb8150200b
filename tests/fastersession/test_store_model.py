"""Random histories of a store against a model of its contract: memory and Redis give the same answers."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fastersession import Lease, LeaseHeld, VersionConflict
from tests.fastersession.redis_server import RedisServer
from tests.fastersession.stores import (
    START,
    StoreUnderTest,
    memory_under_test,
    record,
    redis_under_test,
)

Answer = object
Operation = tuple[str, str, str, int, int]  # name, id, owner, seconds, expected version

# Times that end are 3 modulo 10, times that pass 0 modulo 10: nothing ends within a test's own milliseconds.
OPERATIONS = st.lists(
    st.tuples(
        st.sampled_from(
            ["load", "lease", "lease", "save", "save", "save+release", "touch", "delete", "release", "elapse"]
        ),
        st.sampled_from(["s", "t"]),
        st.sampled_from(["a", "b"]),
        st.sampled_from([13, 33, 63]),
        st.integers(0, 3),
    ),
    max_size=25,
)


@dataclass
class Model:
    """The contract, as plainly as possible."""

    now: int = 0
    records: dict[str, tuple[int, int, int]] = field(default_factory=dict)  # version, end, accessed
    leases: dict[str, tuple[str, int]] = field(default_factory=dict)  # owner, end

    def apply(self, operation: Operation) -> Answer:
        name, id_, owner, seconds, expected = operation
        self.records = {key: value for key, value in self.records.items() if value[1] > self.now}
        self.leases = {key: value for key, value in self.leases.items() if value[1] > self.now}
        match name:
            case "load":
                return self.records.get(id_, (None, 0, None))[::2]
            case "lease":
                return self._lease(id_, owner, seconds)
            case "save" | "save+release":
                return self._save(id_, owner if name == "save+release" else None, seconds, expected)
            case "touch" if id_ in self.records:
                self.records[id_] = (self.records[id_][0], self.now + seconds, self.now)
            case "delete":
                return self._delete(id_, expected)
            case "release" if self.leases.get(id_, ("", 0))[0] == owner:
                del self.leases[id_]
            case "elapse":
                self.now += seconds - 3
        return None

    def _lease(self, id_: str, owner: str, seconds: int) -> Answer:
        holder = self.leases.get(id_)
        if holder is not None and holder[0] != owner:
            return ("held", holder[1] - self.now)
        self.leases[id_] = (owner, self.now + seconds)
        if id_ in self.records:
            version, end, accessed = self.records[id_]
            self.records[id_] = (version, max(end, self.now + seconds), accessed)
        return self.records.get(id_, (None, 0, None))[::2]

    def _save(self, id_: str, release: str | None, seconds: int, expected: int) -> Answer:
        holder = self.leases.get(id_)
        taken_over = release is not None and holder is not None and holder[0] != release
        if self.records.get(id_, (0,))[0] != expected or taken_over:
            return "conflict"
        self.records[id_] = (expected + 1, self.now + seconds, self.now)
        if release is not None:
            self.leases.pop(id_, None)
        return expected + 1

    def _delete(self, id_: str, expected: int) -> Answer:
        if self.records.get(id_, (0,))[0] != expected:
            return "conflict"
        self.records.pop(id_, None)
        return None


async def ask(under_test: StoreUnderTest, operation: Operation, now: int) -> Answer:
    """What the store answers, in the model's words."""
    try:
        return await _ask(under_test, operation, now)
    except LeaseHeld as held:
        return ("held", round(held.retry_after + 0.4))
    except VersionConflict:
        return "conflict"


async def _ask(under_test: StoreUnderTest, operation: Operation, now: int) -> Answer:
    (name, id_, owner, seconds, expected), store = operation, under_test.store
    written = record(accessed=START + now)
    match name:
        case "load" | "lease":
            found = await store.load(id_, lease=Lease(owner, seconds) if name == "lease" else None)
            return (None, None) if found is None else (found.version, found.last_accessed_at - START)
        case "save" | "save+release":
            release = owner if name == "save+release" else None
            return await store.save(id_, written, ttl=seconds, expected_version=expected, release=release)
        case "touch":
            await store.touch(id_, ttl=seconds, accessed_at=START + now)
        case "delete":
            await store.delete(id_, expected_version=expected)
        case "release":
            await store.release(id_, owner)
        case "elapse":
            await under_test.elapse(seconds - 3)
    return None


async def _compare(opened: AbstractAsyncContextManager[StoreUnderTest], operations: list[Operation]) -> None:
    model = Model()
    async with opened as under_test:
        for operation in operations:
            now = model.now
            expected = model.apply(operation)
            assert await ask(under_test, operation, now) == expected, operation


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
