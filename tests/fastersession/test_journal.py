"""Journals by themselves: sequences that fork, and their form in JSON."""

from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastersession import InvalidSessionData, Journal, register_type
from fastersession.codec import UnknownTyped, join, parse, registry
from fastersession.records import Tail, Window

ENTRIES = st.lists(st.integers() | st.text() | st.dictionaries(st.text(max_size=3), st.none()), max_size=8)
KEY = "k" * 22


@dataclass
class Talk:
    """A value that holds a journal."""

    title: str
    lines: Journal


register_type(
    Talk,
    "tests.Talk",
    lambda talk: {"title": talk.title, "lines": talk.lines},
    lambda data: Talk(data["title"], data["lines"]),
)


def stored(*, key: str = KEY, limit: object = 10) -> str:
    return f'{{"$type":"fastersession.Journal","$data":{{"key":"{key}","limit":{limit}}}}}'


def read(tail: Tail, *, limit: int = 10) -> Journal:
    found = registry.decode(parse(f'{{"j":{stored(limit=limit)}}}'), {KEY: tail}).values["j"]
    assert isinstance(found, Journal)
    found.log.bind(registry.decode_entry, "owner")
    return found


@given(ENTRIES, ENTRIES)
def test_25y_a_journal_is_a_sequence(first: list[Any], second: list[Any]) -> None:
    journal = Journal()
    for entry in first:
        journal.append(entry)
    journal.extend(second)
    both = first + second
    assert list(journal) == both
    assert list(reversed(journal)) == both[::-1]
    assert (len(journal), journal.total, journal.skipped) == (len(both), len(both), 0)
    assert [journal[i] for i in range(-len(both), len(both))] == both * 2
    assert journal[1:-1] == both[1:-1]
    with pytest.raises(IndexError):
        journal[len(both)]
    with pytest.raises(IndexError):
        journal[-len(both) - 1]


@given(ENTRIES, ENTRIES, ENTRIES)
def test_25z_forks_share_the_past_and_not_the_future(
    past: list[Any], mine: list[Any], other: list[Any]
) -> None:
    journal = read(Tail(0, tuple(registry.encode_entry(entry) for entry in past)))
    journal.append("shared")
    fork = journal.copy()
    journal.extend(mine)
    fork.extend(other)
    assert list(journal) == [*past, "shared", *mine]
    assert list(fork) == [*past, "shared", *other]
    assert fork.key == journal.key


@given(ENTRIES)
def test_25_2_entries_round_trip(entries: list[Any]) -> None:
    assert list(read(Tail(3, tuple(registry.encode_entry(entry) for entry in entries)))) == entries


def test_25_3_appending_does_not_change_what_stands_for_a_journal() -> None:
    journal = Journal(limit=7)
    before = registry.encode({"talk": Talk("t", journal), "more": [1]})
    journal.append("hi")
    after = registry.encode({"talk": Talk("t", journal), "more": [1]})
    assert before.texts == after.texts
    assert after.journals == {journal.key: journal}
    assert f'{{"key":"{journal.key}","limit":7}}' in after.texts["talk"]


def test_25_4_a_journal_comes_back_inside_a_registered_type() -> None:
    encoded = registry.encode({"talk": Talk("t", Journal(limit=7))})
    talk = registry.decode(parse(join(encoded.texts))).values["talk"]
    assert (type(talk), talk.lines.key, talk.lines.limit) == (Talk, encoded.keys[0], 7)


def test_25_5_what_was_not_read_is_counted() -> None:
    assert (read(Tail(5, ("1", "2"))).skipped, read(Tail(5, ("1", "2"))).total) == (5, 7)
    assert (read(Tail(90, ("1", "2"))).skipped, read(Tail(90, ("1", "2"))).total) == (8, 10)


def test_25_6_entries_are_read_at_their_first_use() -> None:
    journal = read(Tail(0, ('{"broken', '"whole"')))
    assert (len(journal), journal[1]) == (2, "whole")
    with pytest.raises(InvalidSessionData, match="entry"):
        journal[0]
    first = read(Tail(0, ('["one"]',)))
    assert first[0] is first.copy()[0]


@pytest.mark.parametrize("key", ["", "short", "k" * 21 + ":", "k" * 23, "ü" * 22])
def test_24_1_a_key_that_is_none_of_ours_is_refused(key: str) -> None:
    with pytest.raises(InvalidSessionData, match="reference"):
        registry.decode(parse(f'{{"j":{stored(key=key)}}}'))


@pytest.mark.parametrize("limit", ["0", "-1", '"7"', "1.5", "null", "[]", "true"])
def test_24_2_a_limit_that_is_none_is_refused(limit: str) -> None:
    with pytest.raises(InvalidSessionData, match="reference"):
        registry.decode(parse(f'{{"j":{stored(limit=limit)}}}'))


@pytest.mark.parametrize("other", [stored(), f'{{"$type":"of.a.newer.version","$data":[{stored()}]}}'])
def test_24_3_two_journals_of_one_key_are_refused(other: str) -> None:
    with pytest.raises(InvalidSessionData, match="same key"):
        registry.decode(parse(f'{{"a":{stored()},"b":{other}}}'))


def test_25_7_a_journal_is_in_a_session_once() -> None:
    journal = Journal()
    with pytest.raises(InvalidSessionData, match=r"'b'.*only once"):
        registry.encode({"a": journal, "b": [journal.copy()]})


def test_25_8_text_that_looks_like_a_journal_stays_text() -> None:
    planted = {"said": {"$type": "fastersession.Journal", "$data": {"key": KEY, "limit": 1}}}
    encoded = registry.encode(planted)
    assert encoded.keys == ()
    assert registry.decode(parse(join(encoded.texts))).values == planted
    unknown = UnknownTyped({"$type": "unknown", "$data": parse(join(encoded.texts))})
    assert registry.encode({"u": unknown}).keys == ()


def test_25_9_the_journals_of_unknown_types_are_told() -> None:
    text = f'{{"a":{{"$type":"of.a.newer.version","$data":{{"x":[{stored()}]}}}}}}'
    encoded = registry.encode(registry.decode(parse(text)).values)
    assert (join(encoded.texts), encoded.keys) == (text, (KEY,))


@pytest.mark.parametrize("entry", [object(), {1: 2}, float("nan"), Journal(), [Talk("t", Journal())]])
def test_25_10_what_cannot_be_an_entry_is_refused(entry: object) -> None:
    with pytest.raises(InvalidSessionData, match="entry"):
        registry.encode_entry(entry)


def test_25_11_a_journal_in_a_stored_entry_is_refused() -> None:
    with pytest.raises(InvalidSessionData, match="holds a journal"):
        registry.decode_entry(f"[{stored()}]")


@pytest.mark.parametrize("text", ["grüße", "你好", "👋", "\ud800", "\x00", '"\\'])
def test_25_12_entries_are_text_that_any_store_can_hold(text: str) -> None:
    encoded = registry.encode_entry({"text": text})
    encoded.encode()
    assert registry.decode_entry(encoded) == {"text": text}


def test_25_13_one_stored_in_a_session_is_of_no_other() -> None:
    journal = read(Tail(0, ("1",)))
    with pytest.raises(InvalidSessionData, match="belongs to one session"):
        journal.copy().log.bind(registry.decode_entry, "somebody else")
    fresh = Journal()
    fresh.append(1)
    fresh.log.bind(registry.decode_entry, "one")
    fresh.log.bind(registry.decode_entry, "another")  # nothing of it is stored yet


def test_25_14_nothing_is_not_a_limit_or_a_window() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        Journal(limit=0)
    for window in ((0, 1), (1, 0)):
        with pytest.raises(ValueError, match="at least 1"):
            Window(*window)


def test_24_4_users_words_are_in_no_representation() -> None:
    journal = read(Tail(0, ('"hush"',)))
    journal.append("hush")
    assert "hush" not in repr(journal) + repr(Tail(0, ('"hush"',)))
    assert repr(journal) == "<Journal of 2 entries, 2 of them here>"
