"""Entries of journals: JSON by the shortest way, typed values all the same."""

from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastersession import InvalidSessionData, register_type
from fastersession.codec import UnknownTyped, registry


@dataclass(frozen=True)
class Price:
    cents: int


register_type(Price, "tests.Price", lambda price: price.cents, Price)

TEXT = st.text(st.characters() | st.sampled_from('$"\\{}[]:,'))
LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT
KEYS = TEXT | st.sampled_from(["$type", "$data", "$dict", "tests.Price"])
VALUES = st.recursive(
    LEAVES | st.builds(Price, st.integers()),
    lambda inner: st.lists(inner) | st.dictionaries(KEYS, inner),
)


@given(VALUES)
def test_an_entry_comes_back_as_it_was(value: Any) -> None:  # noqa: ANN401
    assert registry.decode_entry(registry.encode_entry(value)) == value


@pytest.mark.parametrize(
    "text",
    [
        '"$type"',
        '{"text":"$type"}',
        '{"text":"it costs $5, \\"$type\\" or not"}',
        '{"\\u0024type":"tests.Price"}',
    ],
)
def test_text_about_types_is_no_typed_value(text: str) -> None:
    value = registry.decode_entry(text)
    assert isinstance(value, str | dict)
    assert not isinstance(value, UnknownTyped)


def test_a_typed_value_of_somebody_else_is_kept() -> None:
    assert isinstance(registry.decode_entry('{"$type":"elsewhere.Thing","$data":1}'), UnknownTyped)


@pytest.mark.parametrize("text", [' {"a": 1}', '{"a":1}\n', '\t{"a":1} '])
def test_white_space_around_an_entry_is_fine(text: str) -> None:
    assert registry.decode_entry(text) == {"a": 1}


@pytest.mark.parametrize("text", ["", " ", "{", "1 2", "1,2", "NaN", "[Infinity]", "{} x", "[" * 100_000])
def test_what_is_no_json_is_refused(text: str) -> None:
    with pytest.raises(InvalidSessionData):
        registry.decode_entry(text)
