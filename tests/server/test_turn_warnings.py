"""Warnings: by event and by header, several at once, and none that ends the turn."""

import asyncio
from typing import Any

from starlette.requests import Request

from chatstream.metrics import Metrics
from chatstream.turns import History
from tests.server.support.client import MemoryHistory, ScriptedClient
from tests.server.support.engine import Fail, FakeEngine, Hang
from tests.server.support.virtual import run_virtual
from tests.server.support.world import World


def codes(client: ScriptedClient) -> list[str]:
    return [event.data["code"] for event in client.events if event.name == "warning"]


def ended(**kept: Any) -> World:  # noqa: ANN401 - whatever is kept
    return World(kept={"ended": True, **kept})


def test_28h_a_conversation_that_is_no_more_is_told_before_the_first_token() -> None:
    async def main() -> None:
        client = await ended().turn()
        assert client.headers["x-chatstream-warning"] == "session-ended"
        assert client.names == ["warning", "done"]
        assert client.events[0].data == {
            "code": "session_ended",
            "detail": "The earlier conversation of this browser has ended or was lost; this is a new one.",
        }
        assert client.text == "Hello"
        assert "x-chatstream-warning" not in (await World().turn()).headers

    run_virtual(main())


def test_28i_several_warnings_stand_together() -> None:
    class Insecure(MemoryHistory):
        insecure_cookie = True

    def away(operation: str) -> None:
        if operation == "save":
            raise OSError("away")

    def history(request: Request, metrics: Metrics) -> History:
        return Insecure({"ended": True}, away)

    async def main() -> None:
        client = await World(options={"history": history}).turn()
        assert client.headers["x-chatstream-warning"] == "secure-cookie-over-plain-http, session-ended"
        assert codes(client) == ["secure_cookie_over_plain_http", "session_ended", "history_not_saved"]
        assert client.names[-2:] == ["warning", "done"]

    run_virtual(main())


def test_28j_who_waits_for_a_slot_is_told_at_once() -> None:
    async def main() -> None:
        world = World(
            FakeEngine(script=lambda request: (Hang(),)),
            {"num_of_concurrent_executions": 1},
            kept={"ended": True},
        )
        first, second = world.client(), world.client()
        await asyncio.sleep(1)
        assert (second.names, codes(second)) == (["warning", "queued"], ["session_ended"])
        for client in (first, second):
            client.leave()
            await client.over()

    run_virtual(main())


def test_28k_a_load_slower_than_the_first_comment_is_told_by_event_alone() -> None:
    async def main() -> None:
        world = ended()
        world.trouble = lambda operation: 15.0 if operation == "load" else None
        client = await world.turn()
        assert "x-chatstream-warning" not in client.headers
        assert client.names == ["warning", "done"]

    run_virtual(main())


def test_28l_a_turn_that_fails_says_it_in_its_header() -> None:
    async def main() -> None:
        world = ended()
        world.engine.opening = Fail(ValueError("broke"))
        client = await world.turn()
        assert (client.status, client.json["error"]) == (500, "internal_error")
        assert client.headers["x-chatstream-warning"] == "session-ended"

    run_virtual(main())
