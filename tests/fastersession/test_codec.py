"""Attributes to JSON and back, merged where two wrote."""

import math
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastersession import InvalidSessionData, StoredSession, register_type
from fastersession.attributes import foreign_changes
from fastersession.codec import UnknownTyped, join, parse, registry, texts_of


@dataclass
class Point:
    x: int
    label: Any


@dataclass
class Secret:
    value: str


def _point(data: dict[str, Any]) -> Point:
    return Point(data["x"], data["label"])


register_type(Point, "tests.Point", lambda point: {"x": point.x, "label": point.label}, _point)


def encoded(attributes: dict[str, Any]) -> dict[str, str]:
    return registry.encode(attributes).texts


def decoded(text: str) -> dict[str, Any]:
    raw = parse(text)
    texts_of(raw)
    return registry.decode(raw).values


DEEP = '{"a":' * 100_000 + "1" + "}" * 100_000
KEYS = st.text(max_size=5) | st.just("$type") | st.just("$data")
SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
)
VALUES: st.SearchStrategy[Any] = st.recursive(
    SCALARS | st.sampled_from(["$dict", "tests.Point"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(KEYS, inner, max_size=3)
        | st.builds(Point, st.integers(), inner)
    ),
    max_leaves=10,
)


@given(st.dictionaries(st.text(max_size=5), VALUES, max_size=4))
def test_25l_typed_values_round_trip(attributes: dict[str, Any]) -> None:
    assert decoded(join(encoded(attributes))) == attributes


@given(st.dictionaries(st.text(max_size=5), VALUES, max_size=4))
def test_25m_what_was_just_loaded_counts_as_unchanged(attributes: dict[str, Any]) -> None:
    texts = encoded(attributes)
    assert texts_of(parse(join(texts))) == texts
    assert encoded(decoded(join(texts))) == texts


def test_25n_text_that_looks_like_a_typed_value_stays_text() -> None:
    planted = {"from_user": {"$type": "tests.Point", "$data": {"x": 1, "label": ""}}}
    again = decoded(join(encoded(planted)))
    assert again == planted
    assert type(again["from_user"]) is dict


def test_25o_an_unknown_type_stays_what_it_was() -> None:
    text = '{"a":{"$type":"of.a.newer.version","$data":[1]}}'
    again = decoded(text)
    assert again == {"a": {"$type": "of.a.newer.version", "$data": [1]}}
    assert isinstance(again["a"], UnknownTyped)
    assert join(encoded(again)) == text


@pytest.mark.parametrize(
    "value", [object(), b"bytes", math.nan, math.inf, {1: "int key"}, {1, 2}, Secret("x")]
)
def test_25p_what_is_no_json_is_refused_by_name(value: object) -> None:
    with pytest.raises(InvalidSessionData, match="'odd'"):
        registry.encode({"odd": [value]})


def test_a_name_that_means_encrypted_attributes_is_refused() -> None:
    with pytest.raises(InvalidSessionData, match="sealed"):
        registry.encode({"$sealed": "mine"})
    with pytest.raises(InvalidSessionData, match="EncryptedStore"):
        decoded('{"$sealed":"0a1b2c3d.AAAA"}')


def test_25q_a_cycle_is_refused() -> None:
    cycle: list[Any] = []
    cycle.append(cycle)
    with pytest.raises(InvalidSessionData):
        registry.encode({"cycle": cycle})


@pytest.mark.parametrize(
    "text", ["", "[]", "{", "1", '{"a":NaN}', '{"a":1e999}', DEEP, '{"a":{"$type":"tests.Point","$data":{}}}']
)
def test_25r_what_cannot_be_read_says_so(text: str) -> None:
    with pytest.raises(InvalidSessionData):
        decoded(text)


def test_25s_names_are_taken_once() -> None:
    register_type(Point, "tests.Point", lambda point: {"x": point.x, "label": point.label}, _point)
    with pytest.raises(ValueError, match="taken"):
        register_type(Secret, "tests.Point", lambda secret: secret.value, Secret)
    with pytest.raises(ValueError, match="taken"):
        register_type(Secret, "$dict", lambda secret: secret.value, Secret)
    with pytest.raises(ValueError, match="registered as"):
        register_type(Point, "tests.Other", lambda point: point.x, _point)


RECORDS = st.builds(
    StoredSession,
    attributes=st.dictionaries(st.text(max_size=5), SCALARS, max_size=3).map(lambda d: join(encoded(d))),
    created_at=st.floats(0, 4e9),
    last_accessed_at=st.floats(0, 4e9),
    max_inactive_interval=st.floats(1, 1e9),
    version=st.integers(0, 2**40),
)


@given(RECORDS)
def test_25t_records_round_trip(record: StoredSession) -> None:
    assert StoredSession.from_json(record.to_json(), version=record.version) == record


@given(st.text() | st.binary())
def test_25u_a_broken_record_is_an_error_of_ours(text: str | bytes) -> None:
    with pytest.raises(InvalidSessionData):
        StoredSession.from_json(text, version=1)


def test_25v_a_record_of_an_unknown_schema_is_not_guessed_at() -> None:
    record = StoredSession("{}", 1.0, 1.0, 1.0).to_json().replace('"schema": 1', '"schema": 99')
    with pytest.raises(InvalidSessionData, match="schema 99"):
        StoredSession.from_json(record, version=1)


def test_25w_users_words_are_in_no_representation() -> None:
    assert "hush" not in repr(StoredSession('{"a":"hush"}', 1.0, 1.0, 1.0))


NAMED = st.dictionaries(st.sampled_from("abc"), st.sampled_from("123"))


@given(NAMED, NAMED, NAMED)
def test_25x_a_merge_keeps_both_sides_or_refuses(
    base: dict[str, str], mine: dict[str, str], theirs: dict[str, str]
) -> None:
    taken = foreign_changes(base, mine, theirs)
    for name in "abc":
        their_change = theirs.get(name) != base.get(name)
        my_change = mine.get(name) != base.get(name)
        if their_change and my_change:
            assert taken is None
        elif taken is not None:
            assert (name in taken) == their_change
