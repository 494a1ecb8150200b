"""The reference tables: rows, types in words, and what the real ones hold."""

from __future__ import annotations

from typing import Any, Literal

import pytest
from pydantic import BaseModel, Field

from chatstream.settings import Settings
from tools import reference
from tools.reference import Row


class Inner(BaseModel):
    secure: bool = True
    """Over https | only."""


class Sample(BaseModel):
    kind: Literal["a", "b"] = "a"
    limit: float | None = Field(default=None, gt=0)
    """null: no
    limit."""
    inner: Inner = Inner()


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"enum": ["a", None]}, "a, null"),
        ({"type": "integer", "minimum": 0, "maximum": 5}, "integer, at least 0, at most 5"),
        ({"type": "number", "exclusiveMinimum": 0}, "number, above 0"),
        ({"type": "string", "maxLength": 9}, "string, length at most 9"),
        ({}, "any"),
    ],
)
def test_types_are_described_in_words(schema: dict[str, Any], words: str) -> None:
    assert reference.describe_type(schema) == words


def test_settings_with_the_notes_under_them() -> None:
    assert list(reference.iterate_settings(Sample)) == [
        Row("kind", "a, b", '"a"', ""),
        Row("limit", "number, above 0, or null", "null", "null: no\n    limit."),
        Row("inner.secure", "boolean", "true", "Over https | only."),
    ]


def test_a_cell_stays_on_its_line_and_in_its_column() -> None:
    table = reference.build_settings_table(Sample)
    assert "| `limit` | number, above 0, or null | `null` | null: no limit. |\n" in table
    assert "| `inner.secure` | boolean | `true` | Over https \\| only. |\n" in table


def test_the_servers_settings_are_all_there() -> None:
    table = reference.build_settings_table(Settings)
    assert "| `sessions.cookie.secure` | boolean | `true` |" in table
    assert "| `concurrency.max_concurrent` | integer, at least 1 | `2` |" in table
