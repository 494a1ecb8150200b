"""Durations: what is accepted, and what it means."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatstream_operator.spec.durations import parse_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30s", 30.0), ("5m", 300.0), ("24h", 86400.0), ("1h30m", 5400.0), ("250ms", 0.25), ("0s", 0.0)],
)
def test_a_duration_is_seconds(text: str, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "30", "s", "1.5h", "-1s", "30 s", "1d", "30s ", 30, None, "1234567s"])
def test_what_is_no_duration_is_refused_with_an_example(text: object) -> None:
    with pytest.raises(ValueError, match="30s, 5m or 1h"):
        parse_duration(text)


@given(st.lists(st.tuples(st.integers(0, 999_999), st.sampled_from(["ms", "s", "m", "h"])), min_size=1))
def test_the_parts_add_up(parts: list[tuple[int, str]]) -> None:
    unit = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
    text = "".join(f"{number}{name}" for number, name in parts)
    assert parse_duration(text) == pytest.approx(sum(number * unit[name] for number, name in parts))
