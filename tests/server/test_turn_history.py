"""What a turn leaves in the history."""

import asyncio

import pytest

from chatstream.errors import EngineFailed
from chatstream.turns import ChatOptions
from fastersession import Window
from tests.server.support.client import ScriptedClient
from tests.server.support.engine import End, Fail, FakeEngine, Hang, Step, say
from tests.server.support.virtual import run_virtual
from tests.server.support.world import World

ANSWERED = [("user", "hi", False), ("assistant", "Hello", False)]


class Changing(FakeEngine):
    """Plays `steps`, which a test may change between turns."""

    steps: tuple[Step, ...] = (say("Hel", "lo"), End())

    def __init__(self) -> None:
        super().__init__(script=lambda request: self.steps)


def test_19a_the_second_turn_sees_the_first() -> None:
    async def main() -> None:
        world = World(options={"system_prompt": "Be kind."})
        await world.turn("one")
        await world.turn("two")
        assert world.engine.requests[1].prompt == (
            "System: Be kind.\nUser: one\nAssistant: Hello\nUser: two\nAssistant:"
        )

    run_virtual(main())


def test_20b_regenerate_replaces_the_last_reply_and_ignores_the_input() -> None:
    async def main() -> None:
        world = World(Changing())
        await world.turn("hi")
        for ignored in (None, "ignored"):
            world.engine.steps = (say("Other"), End())  # type: ignore[attr-defined]
            client = await world.turn(ignored, regenerate=True)
            assert client.text == "Other"
            assert world.history == [("user", "hi", False), ("assistant", "Other", False)]
        assert world.engine.requests[0].prompt == world.engine.requests[2].prompt

    run_virtual(main())


def test_20c_regenerate_on_a_fresh_session_is_a_conflict() -> None:
    async def main() -> None:
        world = World()
        client = await world.turn(None, regenerate=True)
        assert (client.status, client.json["error"]) == (409, "nothing_to_regenerate")
        assert world.heard == []
        assert world.metric("rejected_total", reason="nothing_to_regenerate") == 1
        world.assert_at_rest()

    run_virtual(main())


@pytest.mark.parametrize("said", [(), (say("half"),)])
def test_20d_a_regeneration_that_fails_brings_the_old_reply_back(said: tuple[Step, ...]) -> None:
    async def main() -> None:
        engine = Changing()
        world = World(engine)
        await world.turn("hi")
        engine.steps = (*said, Fail(EngineFailed("broke")))
        await world.turn(None, regenerate=True)
        assert world.history == ANSWERED

    run_virtual(main())


def test_20e_an_example_is_never_regenerated() -> None:
    async def main() -> None:
        world = World()
        await world.turn("hi")
        world.prompt.add_example("2+2?", "4")
        world.prompt.clear_context()
        client = await world.turn(None, regenerate=True)
        assert client.status == 409
        assert [text for _, text, _ in world.history] == ["2+2?", "4"]

    run_virtual(main())


def test_21b_a_partial_reply_is_kept_and_marked() -> None:
    async def main() -> None:
        engine = Changing()
        engine.steps = (say("par"), Hang())
        world = World(engine)
        client = world.client("hi")
        await asyncio.sleep(1)
        client.leave()
        await client.over()
        assert world.history == [("user", "hi", False), ("assistant", "par", True)]
        engine.steps = (say("next"), End())
        await world.turn("more")
        assert [role for role, _, _ in world.history] == ["user", "assistant"] * 2

    run_virtual(main())


def test_21c_no_empty_turn_is_left_by_whatever_came_before_the_first_token() -> None:
    async def main() -> None:
        engine = Changing()
        world = World(engine)
        await world.turn("hi")
        engine.steps = (Hang(),)
        client = world.client("again")
        await asyncio.sleep(1)
        client.leave()
        await client.over()
        engine.steps = (Fail(EngineFailed("broke")),)
        await world.turn("again")
        assert world.history == ANSWERED

    run_virtual(main())


def test_23i_the_engine_gets_no_more_than_the_budget() -> None:
    async def main() -> None:
        world = World(options={"max_input_tokens": 30, "max_total_tokens": 60, "max_new_tokens": 40})
        for number in range(8):
            await world.turn(f"question number {number}")
        assert all(len(request.prompt.split()) <= 20 for request in world.engine.requests)
        assert "question number 7" in world.engine.requests[-1].prompt
        client = await world.turn("word " * 30)
        assert (client.status, client.json["error"]) == (422, "input_too_long")
        assert ("unknown_error_occurred", "input_too_long") not in world.heard
        assert world.history[-1] == ("assistant", "Hello", False)
        world.assert_at_rest()

    run_virtual(main())


def test_07a_what_is_wrong_takes_nothing_and_enters_nothing() -> None:
    cases: list[tuple[object, int, str]] = [
        (b"{", 400, "invalid_json"),
        (b"\xff\xfe", 400, "invalid_json"),
        (b"[" * 60_000, 400, "invalid_json"),
        ([1], 422, "invalid_request"),
        ("text", 422, "invalid_request"),
        ({}, 422, "invalid_request"),
        ({"user_input": None}, 422, "invalid_request"),
        ({"user_input": 5}, 422, "invalid_request"),
        ({"user_input": "  \n"}, 422, "invalid_request"),
        ({"user_input": "\ud800"}, 422, "invalid_request"),
        ({"user_input": "hi", "regenerate": "yes"}, 422, "invalid_request"),
        ({"user_input": "hi", "regenerate": 1}, 422, "invalid_request"),
        ({"user_input": "hi", "regenerate": None}, 422, "invalid_request"),
        ({"user_input": "x" * 70_000}, 413, "body_too_large"),
    ]

    async def main() -> None:
        world = World(options={"num_of_concurrent_executions": 1, "max_queue_size": 0})
        running = world.client()
        for body, status, code in cases:
            client = ScriptedClient(body)
            client.start(world.chat_stream, world.callback)
            await client.over()
            assert (client.status, client.json["error"]) == (status, code), body
            assert set(client.json) == {"error", "detail"}
        await running.over()
        assert world.history == ANSWERED
        assert world.heard == [("success", None)]
        assert world.metric("rejected_total", reason="invalid_json") == 3

    run_virtual(main())


def test_07b_a_missing_session_middleware_is_a_clear_configuration_error() -> None:
    async def main() -> None:
        from chatstream import ChatStream

        client = ScriptedClient({"user_input": "hi"})
        client.start(ChatStream(FakeEngine()))
        await client.over()
        assert (client.status, client.json["error"]) == (500, "session_middleware_missing")
        assert "FasterSessionMiddleware" in client.json["detail"]

    run_virtual(main())


def test_15a_a_half_sent_body_takes_nothing_and_is_given_up() -> None:
    async def main() -> None:
        world = World(options={"num_of_concurrent_executions": 1, "max_queue_size": 0, "body_timeout": 10.0})
        half = ScriptedClient(b'{"user_input": "h', whole=False)
        half.start(world.chat_stream, world.callback)
        await asyncio.sleep(1)
        assert world.busy == (0, 0)
        assert (await world.turn()).text == "Hello"
        await half.over()
        assert (half.status, half.json["error"]) == (408, "body_timeout")
        assert half.headers["connection"] == "close"

        gone = ScriptedClient(b"{", whole=False)
        gone.start(world.chat_stream, world.callback)
        await asyncio.sleep(1)
        gone.leave()
        await gone.over()
        assert gone.status is None
        world.assert_at_rest()

    run_virtual(main())


def test_13e_the_full_queue_refuses_before_the_history_is_read() -> None:
    async def main() -> None:
        operations: list[str] = []
        world = World(options={"num_of_concurrent_executions": 2, "max_queue_size": 5})
        world.trouble = operations.append
        clients = [world.client() for _ in range(8)]
        await clients[-1].over()
        refused = clients[-1]
        assert (refused.status, refused.json["error"]) == (429, "too_many_requests")
        assert int(refused.headers["retry-after"]) >= 1
        assert operations.count("load") == 7
        assert world.busy == (2, 5)
        await asyncio.gather(*(client.over() for client in clients))
        assert [client.status for client in clients[:-1]] == [200] * 7
        assert world.engine.running_max == 2

    run_virtual(main())


def test_13f_a_wait_beyond_the_limit_ends() -> None:
    async def main() -> None:
        world = World(
            FakeEngine(script=lambda request: (Hang(),)),
            {"num_of_concurrent_executions": 1, "queue_timeout": 30.0, "keep_alive": 100.0},
        )
        running, waiting = world.client(), world.client()
        await waiting.over()
        assert asyncio.get_running_loop().time() == pytest.approx(30)
        assert waiting.names == ["queued", "error"]
        assert waiting.events[-1].data["code"] == "queue_timeout"
        assert waiting.events[-1].data["status"] == 503
        assert world.busy == (1, 0)
        running.leave()
        await running.over()
        world.assert_at_rest()

    run_virtual(main())


def test_23w_what_is_read_of_a_conversation_follows_from_what_a_prompt_can_hold() -> None:
    assert ChatOptions().window == Window(200, 8 * (4096 + 1024))
    assert ChatOptions(max_turns=1).window.entries == 16
    assert ChatOptions(max_turns=None).window.entries == 2048
    assert ChatOptions(max_turns=1_000_000).window.entries == 2048
    tight = ChatOptions(max_input_tokens=100, max_total_tokens=40, max_new_tokens=30)
    assert tight.window == Window(16, 8 * 40)
