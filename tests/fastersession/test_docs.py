"""docs/sessions.md says what the code does."""

import inspect
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import fastersession
from fastersession import FasterSessionMiddleware, RedisStore, Session, SessionStore
from tests.fastersession.browser import Browser

PAGE = Path(__file__).parents[2].joinpath("docs", "sessions.md").read_text()
MIDDLEWARE, STORES = PAGE.split("## The session")[0], PAGE.split("## Stores")[1]
INNER = {
    *[
        "loaded",
        "ended",
        "has_lease",
        "was_read",
        "is_kept",
        "has_changes",
        "before_response",
        "response_started",
    ],
    *["autoload", "touch"],
}


def rows(section: str) -> dict[str, str]:
    """The lines of a section's tables by the names in their first column."""
    lines = [line for line in section.splitlines() if line.startswith("| `")]
    return {name: line for line in lines for name in re.findall(r"`([a-z_]+)", line.split("|")[1])}


def defaults(function: Callable[..., Any], *, without: set[str]) -> dict[str, object]:
    parameters = inspect.signature(function).parameters.values()
    return {p.name: p.default for p in parameters if p.name not in {"self", "app", *without}}


def test_26n_every_argument_of_the_middleware_has_its_row() -> None:
    for name, default in defaults(FasterSessionMiddleware.__init__, without={"clock"}).items():
        assert name in rows(MIDDLEWARE)
        if isinstance(default, (bool, int, float, str)):
            assert str(default).strip('"') in rows(MIDDLEWARE)[name], name


def test_28_5_every_argument_of_the_redis_store_is_told() -> None:
    for name, default in defaults(RedisStore.from_url, without={"url", "prefix", "password"}).items():
        assert str(default) in rows(STORES)[name], name
    prefix = inspect.signature(RedisStore.from_url).parameters["prefix"].default
    assert f'prefix="{prefix}"' in PAGE


@pytest.mark.parametrize(("cls", "inner"), [(Session, INNER), (SessionStore, set())])
def test_26o_every_public_member_is_told(cls: type, inner: set[str]) -> None:
    for name in vars(cls):
        if not name.startswith("_") and name not in inner:
            assert f"`{name}" in PAGE or f"{name}(" in PAGE, name


def test_26p_every_error_is_told() -> None:
    for name in fastersession.__all__:
        item = getattr(fastersession, name)
        if isinstance(item, type) and issubclass(item, Exception):
            assert name in PAGE


async def test_26q_the_first_example_runs(caplog: pytest.LogCaptureFixture) -> None:
    example = re.search(r"```python\n(.*?)```", PAGE, re.DOTALL)
    assert example is not None
    names: dict[str, Any] = {}
    exec(compile(example[1], "docs/sessions.md", "exec"), names)
    browser = Browser(names["app"])
    assert [(await browser.ask("/visits")).body for _ in range(2)] == [b"1", b"2"]
    assert "placeholder" in caplog.text
