"""docs/server.md says all of the surface, and its code runs."""

import re
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from starlette.requests import Request

from chatstream import ChatPrompt, ChatStream, History, engines
from chatstream.errors import EngineError, TurnError, problem_of
from chatstream.metrics import Metrics
from chatstream.turns.outcome import ClientGone
from tests.server.support.live import Browser, serving

PAGE = (Path(__file__).parents[2] / "docs" / "server.md").read_text()
SNIPPETS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


def all_errors() -> dict[str, int]:
    """Every code that a client can see, with its status."""
    ours = {kind.code: kind.status for kind in TurnError.__subclasses__() if kind is not ClientGone}
    theirs = {kind.code: problem_of(kind("x")).status for kind in EngineError.__subclasses__()}
    return {**ours, **theirs, "internal_error": problem_of(ValueError()).status}


def test_every_error_is_on_the_page_with_its_status() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (\d+|\S) \|", PAGE, re.MULTILINE)
    documented = {code: int(status) for code, status in rows if status.isdigit()}
    assert documented | {"reader_stalled": 500} == all_errors()


def test_every_metric_is_on_the_page() -> None:
    metrics = Metrics()
    metrics.watch(ChatStream(engines.DemoEngine()).load)
    names = {family.name.removeprefix("chatstream_") for family in metrics.registry.collect()}
    assert {name for name in names if f"`{name}" not in PAGE} == set()


async def test_the_application_on_the_page_runs() -> None:
    names: dict[str, Any] = {}
    without_model = SNIPPETS[0].replace('TGIEngine("http://127.0.0.1:3000")', "DemoEngine()")
    exec(compile(without_model, "server.md", "exec"), names)
    app = names["app"]
    assert isinstance(app, FastAPI)
    async with serving(app) as base, Browser(base) as browser:
        assert (await browser.turn("[[tokens=2]]")).text == "tok1 tok2 "


async def test_the_history_on_the_page_serves_a_turn() -> None:
    names: dict[str, Any] = {"History": History, "ChatPrompt": ChatPrompt}
    exec(compile(SNIPPETS[1], "server.md", "exec"), names)
    table: dict[str, Any] = {}

    def history(request: Request, metrics: Metrics) -> History:
        made = names["TableHistory"](table, "ada")
        assert isinstance(made, History)
        return made

    chat_stream = ChatStream(engines.DemoEngine(), history=history)
    app = FastAPI()

    @app.post("/chat_stream")
    async def stream_api(request: Request) -> Any:  # noqa: ANN401 - as an application would write it
        return await chat_stream.handle_chat_stream_request(request)

    async with serving(app) as base, Browser(base) as browser:
        await browser.turn("my word is heron")
        assert "heron" in (await browser.turn("[[echo]]")).text
    assert len(table["ada"]["messages"]) == 4
