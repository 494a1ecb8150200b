"""A conversation in a session: written entry by entry, read by its newest part, never changed by it."""

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chatstream import ChatPrompt
from chatstream.errors import NothingToRegenerate
from chatstream.metrics import Metrics
from chatstream.prompts.fold import folded
from chatstream.turns.history import SessionHistory
from chatstream.turns.session_access import SESSION_KEY, conversation_in
from fastersession import (
    Change,
    EncryptedStore,
    Journal,
    MemoryStore,
    RedisStore,
    Session,
    SessionStore,
    StoredSession,
    Window,
)
from fastersession.context import SessionContext
from fastersession.leases import LeaseReturner
from tests.fastersession.redis_server import RedisServer
from tests.server.support.conversations import OPERATIONS, Model, Operation, apply, lines
from tests.server.test_conversation_fold import VERSION_1

Turns = list[tuple[list[Operation], Window]]
WHOLE = Window(100_000, 100_000_000)


def session_in(store: SessionStore, id_: str | None) -> Session:
    return Session(SessionContext(store, LeaseReturner(store, 2.0), time.time, 2.0, 1e5, 1e6), id_)


@asynccontextmanager
async def turn(
    store: SessionStore, id_: str | None, window: Window
) -> AsyncIterator[tuple[Session, ChatPrompt]]:
    """One turn, as a request makes it: the copy that it works on is what is saved."""
    session = session_in(store, id_)
    await session.load(lease_seconds=60, window=window)
    stored = conversation_in(session) or ChatPrompt()
    prompt = stored.configured("chatml", stored.system, None)
    yield session, prompt
    session.get_session()[SESSION_KEY] = prompt
    await session.save()


def both(prompt: ChatPrompt, model: Model, operation: Operation) -> None:
    """Where so little was read that there is nothing to make again, the model leaves it too."""
    if operation == ("regenerate",):
        try:
            if prompt.regenerate() is None:
                return
        except NothingToRegenerate:
            assert prompt.turns == 0
            return
    else:
        apply(prompt, operation)
    model.apply(operation)


async def play(store: SessionStore, turns: Turns) -> None:
    model, id_ = Model(), None
    for operations, window in turns:
        async with turn(store, id_, window) as (session, prompt):
            id_ = session.id
            shown = lines(prompt.get_contents())
            newest = shown[len(model.examples) :]
            assert shown[: len(model.examples)] == model.examples
            assert newest == model.lines[len(model.lines) - len(newest) :]
            for operation in operations:
                both(prompt, model, operation)
        whole = session_in(store, id_)
        await whole.load(window=WHOLE)
        stored = conversation_in(whole)
        assert stored is not None
        assert lines(stored.get_contents()) == model.examples + model.lines
        assert stored.system == model.system
        paged = session_in(store, id_)
        await paged.load(window=window)
        found = conversation_in(paged)
        assert found is not None
        entries = [entry async for entry in paged.entries(found.journal)]
        assert lines(folded(entries)) == model.lines
    await store.aclose()


WINDOWS = st.builds(Window, st.integers(1, 12), st.integers(1, 800))


TURNS = st.lists(st.tuples(OPERATIONS, WINDOWS), min_size=1, max_size=5)


@given(TURNS)
def test_23u_through_a_store_and_any_window_it_is_the_plain_list(turns: Turns) -> None:
    asyncio.run(play(MemoryStore(), turns))


@given(TURNS)
@settings(max_examples=30)
def test_23x_through_an_encrypted_one_too(turns: Turns) -> None:
    asyncio.run(play(EncryptedStore(MemoryStore(), "an encryption key for tests"), turns))


@given(TURNS)
@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_23y_through_a_real_redis_too(redis: RedisServer, turns: Turns) -> None:
    asyncio.run(play(RedisStore.from_url(redis.url, password=redis.password), turns))


@contextmanager
def calls() -> Iterator[Callable[[], int]]:
    """How many functions of Python were called meanwhile."""
    count = 0

    def note(frame: Any, event: str, argument: Any) -> None:  # noqa: ANN401 - as sys wants it
        nonlocal count
        count += event == "call"

    sys.setprofile(note)
    try:
        yield lambda: count
    finally:
        sys.setprofile(None)


async def work_to_save(read: int) -> int:
    """Function calls of a turn's end, after so many messages were read."""
    store, id_ = MemoryStore(), None
    async with turn(store, id_, WHOLE) as (session, prompt):
        id_ = session.id
        for number in range(read):
            (prompt.add_responder_msg if number % 2 else prompt.add_requester_msg)(f"message {number}")
    session = session_in(store, id_)
    await session.load(lease_seconds=60, window=WHOLE)
    stored = conversation_in(session)
    assert stored is not None
    assert len(stored.journal) == read
    prompt = stored.copy()
    prompt.add_requester_msg("hi")
    prompt.add_responder_msg("hello")
    session.get_session()[SESSION_KEY] = prompt
    with calls() as counted:
        await session.save()
        work = counted()
    await store.aclose()
    return work


async def test_28p_a_save_does_nothing_for_each_old_message() -> None:
    few, many = await work_to_save(2), await work_to_save(2_000)
    assert 0 < few < 1_000
    assert many <= few + 20


async def of_version_1() -> tuple[MemoryStore, str]:
    store, id_, now = MemoryStore(), "v" * 43, time.time()
    old = json.dumps({SESSION_KEY: {"$type": "chatstream.ChatPrompt", "$data": VERSION_1}})
    await store.save(id_, Change(0, now, StoredSession(old, now, now, 1e5)), ttl=1e5)
    return store, id_


async def test_23v_version_1_is_rewritten_once_and_then_added_to() -> None:
    store, id_ = await of_version_1()
    heads = []
    for number in range(3):
        async with turn(store, id_, WHOLE) as (_, prompt):
            assert prompt.get_contents()[0].example
            prompt.add_requester_msg(f"question {number}")
            prompt.add_responder_msg(f"answer {number}")
        record = await store.load(id_, window=WHOLE)
        assert record is not None
        heads.append(json.loads(record.attributes)[SESSION_KEY]["$data"])
        [tail] = record.journals.values()
        assert [json.loads(entry)["text"] for entry in tail.entries][:2] == ["hi", "hel"]
        assert len(tail.entries) == 2 + 2 * (number + 1)
    assert heads[0]["version"] == 2
    assert heads[0] == heads[1] == heads[2]
    await store.aclose()


async def test_23v_who_only_looks_at_version_1_is_in_nobodys_way() -> None:
    store, id_ = await of_version_1()
    async with turn(store, id_, WHOLE) as (_, prompt):
        looking = session_in(store, id_)
        await looking.load()
        seen = conversation_in(looking)
        assert seen is not None
        await looking.save()
        prompt.add_requester_msg("and now?")
        prompt.add_responder_msg("now it is written")
    added = session_in(store, id_)
    await added.load()
    again = conversation_in(added)
    assert again is not None
    assert again.turns == 2
    await store.aclose()


@pytest.mark.parametrize("change", ["add_requester_msg", "set_system"])
async def test_23v_version_1_can_be_changed_in_its_place(change: str) -> None:
    store, id_ = await of_version_1()
    session = session_in(store, id_)
    await session.load()
    prompt = conversation_in(session)
    assert prompt is not None
    getattr(prompt, change)("new")
    await session.save()
    async with turn(store, id_, WHOLE) as (_, stored):
        assert stored.get_contents() == prompt.get_contents()
        assert stored.system == prompt.system
    await store.aclose()


async def test_23z_what_another_request_added_is_there_when_it_is_loaded_again() -> None:
    """An application may load and look before the turn takes the lease."""
    store = MemoryStore()
    async with turn(store, None, WHOLE) as (session, prompt):
        id_ = session.id
        prompt.add_requester_msg("one")
        prompt.add_responder_msg("first")
    early = session_in(store, id_)
    await early.load()
    seen = conversation_in(early)
    assert seen is not None
    assert seen.turns == 1
    async with turn(store, id_, WHOLE) as (_, prompt):
        prompt.add_requester_msg("two")
        prompt.add_responder_msg("second")
    await early.load(lease_seconds=60, window=Window(2, 1_000))
    now = conversation_in(early)
    assert now is not None
    assert [message.text for message in now.get_contents()] == ["two", "second"]
    again = now.copy()
    again.regenerate()
    again.add_responder_msg("third")
    early.get_session()[SESSION_KEY] = again
    await early.save()
    await early.load(lease_seconds=60, window=WHOLE)
    whole = conversation_in(early)
    assert whole is not None
    assert [message.text for message in whole.get_contents()] == ["one", "first", "two", "third"]
    await early.release()
    await store.aclose()


async def test_20g_replies_that_two_requests_made_again_both_answer_the_one_input() -> None:
    store = MemoryStore()
    async with turn(store, None, WHOLE) as (first, prompt):
        prompt.add_requester_msg("one")
        prompt.add_responder_msg("first")
    sessions = [session_in(store, first.id) for _ in range(2)]
    for number, session in enumerate(sessions):
        await session.load()
        found = conversation_in(session)
        assert found is not None
        found.regenerate()
        found.add_responder_msg(f"again {number}")
    for session in sessions:
        await session.save()
    async with turn(store, first.id, WHOLE) as (_, prompt):
        assert [message.text for message in prompt.get_contents()] == ["one", "again 0", "again 1"]
        prompt.regenerate()
        assert [message.text for message in prompt.get_contents()] == ["one", "again 0"]
    await store.aclose()


async def test_20h_a_last_turn_that_is_longer_than_the_window_is_read_all_the_same() -> None:
    store, window = MemoryStore(), Window(16, 2_000)
    async with turn(store, None, WHOLE) as (session, prompt):
        for number in range(20):
            prompt.add_requester_msg(f"question {number}")
            prompt.add_responder_msg("-" * 10_000)
    for _ in range(2):
        history = SessionHistory(session_in(store, session.id), Metrics(), window)
        found = await history.load(60)
        assert found is not None
        assert found.get_contents()[-2].text == "question 19"
        found.configured("chatml", None, 50).regenerate()
        await history.release()
    await store.aclose()


async def test_a_reply_whose_input_made_room_is_left_out_of_the_prompt() -> None:
    store, limit = MemoryStore(), 5
    async with turn(store, None, WHOLE) as (session, prompt):
        prompt._journal = Journal(limit=limit)
        for number in range(3):
            prompt.add_requester_msg(f"question {number}")
            prompt.add_responder_msg(f"answer {number}")
    async with turn(store, session.id, WHOLE) as (_, prompt):
        assert len(prompt.journal) == limit
        assert prompt.get_contents()[0].text == "question 1"
    await store.aclose()
