"""Journals in sessions: what is appended is stored once, read from its end, and lost by nobody."""

import asyncio
from collections.abc import Callable
from copy import copy, deepcopy
from dataclasses import dataclass
from typing import Any

import pytest

from fastersession import (
    FasterSessionMiddleware,
    InvalidSessionData,
    Journal,
    Session,
    StoreUnavailable,
    VersionConflict,
    Window,
    register_type,
)
from fastersession.asgi import Receive, Scope, Send
from fastersession.cookies import IdSigner
from tests.fastersession.apps import the_session
from tests.fastersession.browser import KEY, Browser, reply_with
from tests.fastersession.spy import SpyStore
from tests.fastersession.stores import written
from tests.fastersession.test_session import LEASE, reloaded, session, stored


@dataclass
class Room:
    topic: str
    said: Journal


register_type(
    Room,
    "tests.Room",
    lambda room: {"topic": room.topic, "said": room.said},
    lambda data: Room(data["topic"], data["said"]),
)


@dataclass
class Tags:
    """Written in another spelling than one in which it may be stored."""

    names: list[str]


register_type(Tags, "tests.Tags", lambda tags: sorted(tags.names), Tags)


def journal_of(of: Session, name: str = "j") -> Journal:
    found = of.get_session()[name]
    assert isinstance(found, Journal)
    return found


async def with_entries(store: SpyStore, *entries: object, limit: int = 10_000, **more: object) -> str:
    """The id of a session with these entries in its journal `j`."""
    journal = Journal(limit=limit)
    journal.extend(entries)
    return await stored(store, j=journal, **more)


async def entries_of(store: SpyStore, id_: str) -> list[Any]:
    return list(journal_of(await reloaded(store, id_)))


async def test_25_20_an_append_writes_the_new_entries_and_nothing_else() -> None:
    store = SpyStore()
    id_ = await with_entries(store, "a", big="x" * 1000)
    turn = session(store, id_)
    await turn.load(lease_seconds=LEASE)
    journal_of(turn).append("b")
    await turn.save()
    await turn.save()
    assert store.calls == ["load+lease", "append+release"]
    again = await reloaded(store, id_)
    assert list(journal_of(again)) == ["a", "b"]
    assert again.get_session()["big"] == "x" * 1000


async def test_25_21_a_load_reads_the_window() -> None:
    store = SpyStore()
    id_ = await with_entries(store, *range(10))
    turn = session(store, id_)
    await turn.load(window=Window(entries=3))
    journal = journal_of(turn)
    assert (list(journal), journal.skipped, journal.total) == ([7, 8, 9], 7, 10)
    journal.append(10)
    await turn.save()
    assert await entries_of(store, id_) == list(range(11))
    await turn.load(window=Window(entries=5))
    assert list(journal) == [6, 7, 8, 9, 10]
    await turn.load(window=Window(bytes=1))
    assert list(journal) == [10]


async def test_25_22_entries_gives_all_whatever_the_window() -> None:
    store = SpyStore()
    id_ = await with_entries(store, *range(1_300))
    turn = session(store, id_)
    await turn.load(window=Window(entries=3))
    journal_of(turn).append("new")
    store.calls.clear()
    assert [entry async for entry in turn.entries(journal_of(turn))] == [*range(1_300), "new"]
    assert store.calls == ["read"] * 3


async def test_25_23_entries_of_a_session_that_ends_meanwhile_are_not_just_fewer() -> None:
    store = SpyStore()
    id_ = await with_entries(store, *range(1_300))
    turn = session(store, id_)
    await turn.load(window=Window(entries=3))
    older = turn.entries(journal_of(turn))
    assert [await anext(older) for _ in range(500)] == list(range(500))
    await store.delete(id_)
    with pytest.raises(VersionConflict):
        await anext(older)


async def test_25_24_entries_that_were_dropped_meanwhile_are_passed_over() -> None:
    store = SpyStore()
    id_ = await with_entries(store, *range(1_000), limit=1_000)
    turn = session(store, id_)
    await turn.load(window=Window(entries=3))
    other = await reloaded(store, id_)
    journal_of(other).extend(range(1_000, 1_998))
    await other.save()
    assert [entry async for entry in turn.entries(journal_of(turn))] == [997, 998, 999]  # none is there twice
    assert [entry async for entry in other.entries(journal_of(other))] == list(range(1_998))


async def test_25_25_both_appended_theirs_come_first() -> None:
    store = SpyStore()
    id_ = await with_entries(store, "a")
    mine, theirs = await reloaded(store, id_), await reloaded(store, id_)
    journal_of(mine).extend(["m1", "m2"])
    journal_of(theirs).append("t")
    await theirs.save()
    await mine.save()
    assert await entries_of(store, id_) == ["a", "t", "m1", "m2"]


async def test_25_26_attributes_that_others_wrote_survive_an_append() -> None:
    store = SpyStore()
    id_ = await with_entries(store, "a", n=1)
    mine, theirs = await reloaded(store, id_), await reloaded(store, id_)
    theirs.get_session()["n"] = 2
    await theirs.save()
    journal_of(mine).append("m1")
    await mine.save()
    mine.get_session()["more"] = True  # upon attributes that are not the newest
    journal_of(mine).append("m2")
    await mine.save()
    again = await reloaded(store, id_)
    assert (again.get_session()["n"], again.get_session()["more"]) == (2, True)
    assert list(journal_of(again)) == list(journal_of(mine)) == ["a", "m1", "m2"]


async def test_25_27_a_merge_of_attributes_carries_the_entries_along() -> None:
    store = SpyStore()
    id_ = await with_entries(store, "a", n=1, m=1)
    mine, theirs = await reloaded(store, id_), await reloaded(store, id_)
    theirs.get_session()["n"] = 2
    journal_of(theirs).append("t")
    await theirs.save()
    held = journal_of(mine)
    mine.get_session()["m"] = 2
    held.append("m1")
    await mine.save()
    held.append("m2")  # who kept the journal at hand goes on writing to it
    await mine.save()
    again = await reloaded(store, id_)
    assert (again.get_session()["n"], again.get_session()["m"]) == (2, 2)
    assert list(journal_of(again)) == list(held) == ["a", "t", "m1", "m2"]


async def test_25_28_a_conflict_of_attributes_appends_nothing() -> None:
    store = SpyStore()
    id_ = await with_entries(store, "a", n=1)
    mine, theirs = await reloaded(store, id_), await reloaded(store, id_)
    theirs.get_session()["n"] = 2
    await theirs.save()
    mine.get_session()["n"] = 3
    journal_of(mine).append("m")
    for _ in range(2):
        with pytest.raises(VersionConflict):
            await mine.save()
    assert await entries_of(store, id_) == ["a"]


async def test_25_29_a_registered_type_can_hold_a_journal_that_both_write_to() -> None:
    store = SpyStore()
    id_ = await stored(store, room=Room("old", Journal()))
    mine, theirs = await reloaded(store, id_), await reloaded(store, id_)
    theirs.get_session()["room"].topic = "new"
    theirs.get_session()["room"].said.append("t")
    await theirs.save()
    room = mine.get_session()["room"]
    room.said.append("m")
    mine.get_session()["more"] = 1
    await mine.save()
    room.said.append("later")
    await mine.save()
    again = (await reloaded(store, id_)).get_session()
    assert (again["room"].topic, list(again["room"].said), again["more"]) == ("new", ["t", "m", "later"], 1)


@pytest.mark.parametrize("how", ["pop", "replace"])
async def test_27_20_a_journal_that_is_removed_goes_with_its_entries(how: str) -> None:
    store = SpyStore()
    id_ = await with_entries(store, "a")
    turn = await reloaded(store, id_)
    key = journal_of(turn).key
    if how == "pop":
        del turn.get_session()["j"]
    else:
        turn.get_session()["j"] = Journal()
        journal_of(turn).append("b")
    await turn.save()
    assert (await store.read(id_, key, start=0, limit=9)).entries == ()
    if how == "replace":
        assert await entries_of(store, id_) == ["b"]


@pytest.mark.parametrize("first", ["append", "remove"])
async def test_25_30_what_one_removes_and_the_other_appends_to_is_a_conflict(first: str) -> None:
    store = SpyStore()
    id_ = await with_entries(store, "a", n=1)
    remover, appender = await reloaded(store, id_), await reloaded(store, id_)
    remover.get_session()["j"] = Journal()
    journal_of(appender).append("b")
    winner, loser = (appender, remover) if first == "append" else (remover, appender)
    await winner.save()
    for _ in range(2):
        with pytest.raises(VersionConflict):
            await loser.save()
    assert await entries_of(store, id_) == (["a", "b"] if first == "append" else [])


async def test_25_31_a_removal_that_conflicts_elsewhere_removes_nothing_silently() -> None:
    store = SpyStore()
    id_ = await with_entries(store, "a", n=1)
    mine, theirs = await reloaded(store, id_), await reloaded(store, id_)
    journal_of(mine).append("m")
    mine.get_session()["n"] = 2
    del theirs.get_session()["j"]
    await theirs.save()
    with pytest.raises(VersionConflict):
        await mine.save()


async def test_25_32_journals_of_unknown_types_are_kept() -> None:
    store = SpyStore()
    room = Room("t", Journal())
    room.said.append("a")
    id_ = await stored(store, room=room)
    record = await store.load(id_)
    assert record is not None
    unknown = record.attributes.replace("tests.Room", "of.a.newer.version")
    change = written(1, unknown)
    await store.save(id_, type(change)(1, 0.0, change.record, (room.said.key,)), ttl=60)
    turn = await reloaded(store, id_)
    turn.get_session()["n"] = 1
    await turn.save()
    assert (await store.read(id_, room.said.key, start=0, limit=9)).entries == ('"a"',)


@pytest.mark.parametrize(
    "planted",
    [
        '{"j":{"$type":"fastersession.Journal"}}',
        '{"j":{"$type":"fastersession.Journal","$data":{"key":"../../etc/passwd","limit":5}}}',
        '{"j":{"$type":"fastersession.Journal","$data":{"key":["k"],"limit":5}}}',
        '{"j":{"$type":"x","$data":{"$type":"fastersession.Journal","$data":7}}}',
        '{"a":@,"b":@}'.replace(
            "@", f'{{"$type":"fastersession.Journal","$data":{{"key":"{"k" * 22}","limit":5}}}}'
        ),
    ],
)
async def test_24_20_a_reference_that_cannot_be_read_is_an_error_and_stays(planted: str) -> None:
    store = SpyStore()
    await store.save("s", written(0, planted), ttl=60)
    turn = session(store, "s")
    with pytest.raises(InvalidSessionData):
        await turn.load(lease_seconds=LEASE)
    await turn.save()
    await turn.release()
    record = await store.load("s")
    assert record is not None
    assert (record.attributes, record.version) == (planted, 1)


async def test_25_33_records_without_journals_go_on() -> None:
    store = SpyStore()
    await store.save("s", written(0, '{"n":1}'), ttl=60)
    turn = await reloaded(store, "s")
    turn.get_session()["j"] = Journal()
    journal_of(turn).append("a")
    await turn.save()
    assert await entries_of(store, "s") == ["a"]


async def test_27_21_entries_for_a_session_that_ended_are_a_conflict() -> None:
    store = SpyStore()
    id_ = await with_entries(store, "a")
    turn = await reloaded(store, id_)
    await store.delete(id_)
    journal_of(turn).append("b")
    for _ in range(2):
        with pytest.raises(VersionConflict):
            await turn.save()
    assert await store.load(id_) is None


async def test_25_34_a_journal_of_another_session_is_refused() -> None:
    store = SpyStore()
    one = await reloaded(store, await with_entries(store, "a"))
    other = await reloaded(store, await stored(store, n=1))
    other.get_session()["j"] = journal_of(one)
    with pytest.raises(InvalidSessionData, match="belongs to one session"):
        await other.save()
    one.invalidate()
    one.get_session()["j"] = other.get_session().pop("j")
    with pytest.raises(InvalidSessionData, match="belongs to one session"):
        await one.save()


async def test_25_35_a_fresh_journal_belongs_to_whoever_stores_it_first() -> None:
    store, journal = SpyStore(), Journal()
    journal.append("a")
    one, other = (
        await reloaded(store, await stored(store, n=1)),
        await reloaded(store, await stored(store, n=2)),
    )
    one.get_session()["j"] = other.get_session()["j"] = journal
    await one.save()
    with pytest.raises(InvalidSessionData, match="belongs to one session"):
        await other.save()
    assert await entries_of(store, one.id) == ["a"]


async def test_25_36_what_is_appended_while_a_save_runs_is_saved_by_the_next() -> None:
    store = SpyStore()
    id_ = await with_entries(store, "a")
    turn = await reloaded(store, id_)
    journal_of(turn).append("b")
    store.gate.clear()
    saving = asyncio.create_task(turn.save())
    await store.called("append")
    journal_of(turn).append("c")
    store.gate.set()
    await saving
    assert await entries_of(store, id_) == ["a", "b"]
    await turn.save()
    assert await entries_of(store, id_) == ["a", "b", "c"]


async def test_25_37_of_two_forks_the_one_in_the_session_counts() -> None:
    store = SpyStore()
    id_ = await with_entries(store, "a")
    turn = await reloaded(store, id_)
    kept, dropped = journal_of(turn).copy(), journal_of(turn).copy()
    kept.append("kept")
    dropped.append("dropped")
    turn.get_session()["j"] = kept
    await turn.save()
    assert await entries_of(store, id_) == ["a", "kept"]


@pytest.mark.parametrize("make_fork", [Journal.copy, copy, deepcopy])
async def test_25_38_entries_that_forks_share_are_stored_once(
    make_fork: Callable[[Journal], Journal],
) -> None:
    store = SpyStore()
    id_ = await with_entries(store, "a")
    turn = await reloaded(store, id_)
    journal_of(turn).append("asked")
    fork = make_fork(journal_of(turn))
    await turn.save()
    fork.append("answered")
    turn.get_session()["j"] = fork
    await turn.save()
    assert store.calls[-1] == "append"
    assert await entries_of(store, id_) == ["a", "asked", "answered"]


async def test_25_39_the_oldest_make_room_and_the_numbers_go_on() -> None:
    store = SpyStore()
    id_ = await with_entries(store, limit=3)
    for n in range(8):
        turn = await reloaded(store, id_)
        journal_of(turn).append(n)
        await turn.save()
    journal = journal_of(await reloaded(store, id_))
    assert (list(journal), journal.skipped, journal.total) == ([5, 6, 7], 0, 3)
    turn = session(store, id_)
    await turn.load(window=Window(entries=1))
    assert (journal_of(turn).skipped, journal_of(turn).total) == (2, 3)


async def test_25_40_many_at_once_lose_nothing_and_double_nothing() -> None:
    store = SpyStore()
    id_ = await with_entries(store, n=0)
    writers = [await reloaded(store, id_) for _ in range(10)]
    for number, writer in enumerate(writers):
        journal_of(writer).extend([[number, 0], [number, 1]])
        if number % 3 == 0:
            writer.get_session()[f"w{number}"] = number
    await asyncio.gather(*(writer.save() for writer in writers[:5]))
    await asyncio.gather(*(writer.save() for writer in writers[5:]))
    kept = await entries_of(store, id_)
    pairs = [kept[i : i + 2] for i in range(0, len(kept), 2)]
    assert sorted(pairs) == [[[n, 0], [n, 1]] for n in range(10)]


@pytest.mark.parametrize("more", [False, True])
@pytest.mark.parametrize("others", [False, True])
async def test_25_41_a_save_whose_answer_was_lost_appends_once(others: bool, more: bool) -> None:
    store = SpyStore()
    id_ = await with_entries(store, "a", n=1)
    turn = session(store, id_)
    await turn.load(lease_seconds=LEASE)
    journal_of(turn).append("b")
    store.lost = {"append"}
    with pytest.raises(StoreUnavailable, match="lost"):
        await turn.save()
    if others:
        other = await reloaded(store, id_)
        journal_of(other).append("other")
        await other.save()
    if more:
        journal_of(turn).append("c")
    if more and others:  # the lease is over, and somebody else wrote since
        with pytest.raises(VersionConflict):
            await turn.save()
        assert await entries_of(store, id_) == ["a", "b", "other"]
        return
    await turn.save()
    assert await entries_of(store, id_) == ["a", "b", *["other"] * others, *["c"] * more]


@pytest.mark.parametrize("lost", [True, False])
async def test_25_42_attributes_and_entries_of_a_repeated_save_are_written_once(lost: bool) -> None:
    store = SpyStore()
    id_ = await with_entries(store, "a", n=1)
    turn = await reloaded(store, id_)
    turn.get_session()["n"] = 2
    journal_of(turn).append("b")
    store.lost, store.broken = ({"save"}, set()) if lost else (set(), {"save"})
    with pytest.raises(StoreUnavailable):
        await turn.save()
    store.broken = set()
    other = await reloaded(store, id_)
    journal_of(other).append("other")
    other.get_session()["theirs"] = True
    await other.save()
    turn.get_session()["n"] = 3
    await turn.save()
    again = await reloaded(store, id_)
    assert list(journal_of(again)) == (["a", "b", "other"] if lost else ["a", "other", "b"])
    assert (again.get_session()["n"], again.get_session()["theirs"]) == (3, True)


async def test_25_46_what_was_stored_without_an_answer_is_not_read_as_somebody_elses() -> None:
    store = SpyStore()
    id_ = await with_entries(store, "a")
    turn = await reloaded(store, id_)
    journal_of(turn).append("b")
    store.lost = {"append"}
    with pytest.raises(StoreUnavailable):
        await turn.save()
    await turn.load(lease_seconds=LEASE)
    assert list(journal_of(turn)) == ["a", "b"]
    journal_of(turn).append("c")
    await turn.save()
    assert await entries_of(store, id_) == ["a", "b", "c"]


async def test_25_43_a_new_session_whose_answer_was_lost_is_created_once() -> None:
    store = SpyStore()
    turn = session(store)
    await turn.load()
    turn.get_session()["j"] = Journal()
    journal_of(turn).append("a")
    store.lost = {"save"}
    with pytest.raises(StoreUnavailable):
        await turn.save()
    journal_of(turn).append("b")
    await turn.save()
    assert await entries_of(store, turn.id) == ["a", "b"]


async def test_17_20_who_lost_the_lease_to_a_writer_appends_nothing() -> None:
    store = SpyStore()
    id_ = await with_entries(store, "a", n=1)
    slow = session(store, id_)
    await slow.load(lease_seconds=10)
    journal_of(slow).append("slow")
    store.clock.now += 11
    fast = session(store, id_)
    await fast.load(lease_seconds=10)
    journal_of(fast).append("fast")
    await fast.save()
    for change in (False, True, False):
        if change:
            slow.get_session()["n"] = 2
        with pytest.raises(VersionConflict):
            await slow.save()
    assert await entries_of(store, id_) == ["a", "fast"]


async def test_17_21_whose_lease_ran_out_appends_while_nobody_wrote() -> None:
    store = SpyStore()
    id_ = await with_entries(store, "a")
    slow = session(store, id_)
    await slow.load(lease_seconds=10)
    journal_of(slow).append("slow")
    store.clock.now += 11
    await slow.save()
    assert await entries_of(store, id_) == ["a", "slow"]


async def test_17_23_whose_lease_ran_out_merges_what_others_wrote_elsewhere() -> None:
    store = SpyStore()
    id_ = await with_entries(store, "a", n=1)
    slow, other = session(store, id_), await reloaded(store, id_)
    await slow.load(lease_seconds=10)
    journal_of(slow).append("slow")
    store.clock.now += 11
    other.get_session()["n"] = 2
    await other.save()
    await slow.save()
    again = await reloaded(store, id_)
    assert (again.get_session()["n"], list(journal_of(again))) == (2, ["a", "slow"])


async def test_17_24_after_the_save_nobody_is_alone_any_more() -> None:
    store = SpyStore()
    id_ = await with_entries(store, "a", n=1)
    turn, other = session(store, id_), session(store, id_)
    await turn.load(lease_seconds=10)
    journal_of(turn).append("turn")
    await turn.save()
    await other.load(lease_seconds=10)
    journal_of(other).append("other")
    await other.save()
    turn.get_session()["n"] = 2
    journal_of(turn).append("after")
    await turn.save()
    assert await entries_of(store, id_) == ["a", "turn", "other", "after"]


async def test_17_22_others_may_append_beside_the_lease() -> None:
    store = SpyStore()
    id_ = await with_entries(store, "a")
    turn, beside = session(store, id_), await reloaded(store, id_)
    await turn.load(lease_seconds=10)
    journal_of(turn).append("turn")
    journal_of(beside).append("beside")
    await beside.save()
    await turn.save()
    assert await entries_of(store, id_) == ["a", "beside", "turn"]


async def test_25_44_an_entry_that_is_no_json_is_refused_and_nothing_is_written() -> None:
    store = SpyStore()
    id_ = await with_entries(store, "a")
    turn = await reloaded(store, id_)
    journal_of(turn).append(object())
    with pytest.raises(InvalidSessionData, match="entry"):
        await turn.save()
    assert "append" not in store.calls


async def test_25_45_a_lease_taken_later_shows_what_others_appended() -> None:
    store = SpyStore()
    id_ = await with_entries(store, "a")
    turn, other = await reloaded(store, id_), await reloaded(store, id_)
    journal_of(other).append("b")
    await other.save()
    journal_of(turn).append("c")
    await turn.load(lease_seconds=LEASE)
    assert list(journal_of(turn)) == ["a", "b", "c"]
    await turn.save()
    assert await entries_of(store, id_) == ["a", "b", "c"]


async def test_27_22_another_spelling_of_the_same_is_no_change() -> None:
    store = SpyStore()
    as_stored = '{"tags":{"$type":"tests.Tags","$data":["b","a"]},"n":1}'
    await store.save("s", written(0, as_stored), ttl=60)
    turn = await reloaded(store, "s")
    assert turn.get_session()["tags"].names == ["b", "a"]
    await turn.save()
    turn.get_session()["n"] = 2
    await turn.save()
    record = await store.load("s")
    assert record is not None
    assert (record.version, record.attributes) == (2, as_stored.replace("1}", "2}"))
    turn.get_session()["tags"].names.append("c")
    await turn.save()
    assert (await reloaded(store, "s")).get_session()["tags"].names == ["a", "b", "c"]


async def test_25_47_the_middleware_says_how_much_a_load_reads() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await reply_with(send, str(list(journal_of(the_session(scope)))).encode())

    store = SpyStore()
    id_ = await with_entries(store, *range(9))
    guarded = FasterSessionMiddleware(
        app, secret_key=KEY, store=store, clock=store.clock, window=Window(entries=2)
    )
    cookie = b"session=" + IdSigner(KEY).sign(id_).encode()
    assert (await Browser(guarded).ask(cookie=cookie)).body == b"[7, 8]"
