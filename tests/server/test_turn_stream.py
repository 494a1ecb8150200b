"""A turn that goes well, and one that fails: what the client reads, and when."""

import asyncio

import pytest

from chatstream.errors import (
    EngineError,
    EngineFailed,
    EngineOverloaded,
    EngineRejected,
    EngineTimeout,
    EngineUnavailable,
    problem_of,
)
from tests.server.support.engine import End, Fail, FakeEngine, Hang, Pause, Step, say
from tests.server.support.virtual import run_virtual
from tests.server.support.world import World


def speaking(*steps: Step) -> FakeEngine:
    return FakeEngine(script=lambda request: steps)


def test_02a_the_first_byte_leaves_with_the_first_token() -> None:
    async def main() -> None:
        world = World(speaking(Pause(3), say("a"), Pause(2), say("b"), Pause(4), End()))
        client = await world.turn()
        assert [at for at, _ in client.writes] == [3, 5, 9]
        assert client.text == "ab"

    run_virtual(main())


def test_02b_the_response_starts_only_then() -> None:
    async def main() -> None:
        world = World(speaking(Pause(3), say("a"), End()))
        client = world.client()
        await asyncio.sleep(2.9)
        assert client.status is None
        await client.over()
        assert client.status == 200

    run_virtual(main())


def test_02c_the_endpoint_returns_before_generation_begins() -> None:
    async def main() -> None:
        world = World()
        client = world.client()
        response = await world.chat_stream.handle_chat_stream_request(None)  # type: ignore[arg-type]
        assert response is not None
        assert world.engine.requests == []
        await client.over()

    run_virtual(main())


def test_04a_deltas_then_done_with_reason_id_and_usage() -> None:
    async def main() -> None:
        world = World()
        client = await world.turn()
        assert [event.data for event in client.events[:-1]] == [{"delta": "Hel"}, {"delta": "lo"}]
        done = client.events[-1]
        assert done.name == "done"
        assert list(done.data) == ["finish_reason", "message_id", "usage"]
        assert done.data["finish_reason"] == "stop"
        assert done.data["message_id"] == world.prompt.get_contents()[-1].id
        assert done.data["usage"] == {"prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 9}
        assert client.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert client.headers["cache-control"] == "no-cache"
        assert client.headers["x-accel-buffering"] == "no"

    run_virtual(main())


def test_04b_one_write_for_all_tokens_of_a_wake_up_and_one_event_for_each() -> None:
    async def main() -> None:
        client = await World(speaking(say("a", "b", "c"), End("length"))).turn()
        assert len(client.writes) == 2
        assert [event.name for event in client.events] == ["message"] * 3 + ["done"]
        assert client.events[-1].data["finish_reason"] == "length"

    run_virtual(main())


def test_04c_silence_is_broken_by_a_comment() -> None:
    async def main() -> None:
        client = await World(speaking(say("a"), Pause(25), say("b"), End()), {"keep_alive": 10.0}).turn()
        assert [(round(at), data) for at, data in client.writes][1:3] == [
            (10, b": keep-alive\n\n"),
            (20, b": keep-alive\n\n"),
        ]
        assert client.text == "ab"

    run_virtual(main())


def test_04d_the_first_keep_alive_starts_the_response() -> None:
    async def main() -> None:
        world = World(speaking(Pause(15), Fail(EngineFailed("broke"))), {"keep_alive": 10.0})
        client = world.client()
        await asyncio.sleep(11)
        assert (client.status, client.sent) == (200, b": keep-alive\n\n")
        await client.over()
        assert client.names == ["error"]

    run_virtual(main())


def test_04e_the_bytes_grow_linearly() -> None:
    async def size(tokens: int) -> int:
        return len((await World(speaking(say(*["word "] * tokens), End())).turn()).sent)

    small, large = run_virtual(size(100)), run_virtual(size(1000))
    assert large < 10.5 * small


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (EngineUnavailable("refused"), 503, "engine_unavailable"),
        (EngineOverloaded("full"), 429, "engine_overloaded"),
        (EngineRejected("wrong"), 422, "engine_rejected"),
        (EngineFailed("broke"), 502, "engine_failed"),
        (EngineTimeout("silent"), 504, "engine_timeout"),
    ],
)
def test_06a_a_failure_before_the_first_byte_is_an_http_error(
    error: EngineError, status: int, code: str
) -> None:
    async def main() -> None:
        for world in (World(FakeEngine(opening=Fail(error))), World(speaking(Pause(1), Fail(error)))):
            client = await world.turn()
            assert (client.status, client.json) == (
                status,
                {"error": code, "detail": problem_of(error).detail},
            )
            assert ("retry-after" in client.headers) == (status in (429, 503))
            assert world.heard == [("unknown_error_occurred", code)]
            assert world.history == []
            world.assert_at_rest()

    run_virtual(main())


def test_06b_a_failure_after_the_first_byte_is_an_error_event() -> None:
    async def main() -> None:
        world = World(speaking(say("half"), Pause(1), Fail(EngineFailed("broke"))))
        client = await world.turn()
        assert client.names == ["error"]
        assert client.events[-1].data == {
            "code": "engine_failed",
            "detail": "The engine failed at this reply.",
            "status": 502,
        }
        assert client.complete
        assert world.history == [("user", "hi", False), ("assistant", "half", True)]
        world.assert_at_rest()

    run_virtual(main())


def test_06c_a_bug_of_ours_is_visible_and_tells_nothing_of_itself() -> None:
    async def main() -> None:
        world = World(speaking(say("half"), Fail(ZeroDivisionError("secret"))))
        client = await world.turn()
        assert client.names == ["error"]
        assert client.events[-1].data["code"] == "internal_error"
        assert b"secret" not in client.sent
        assert world.heard == [("unknown_error_occurred", "internal_error")]

    run_virtual(main())


def test_06d_multi_byte_characters_are_whole_in_every_write() -> None:
    async def main() -> None:
        world = World(speaking(say("日", "本"), Pause(1), say("🎉é"), End()))
        client = await world.turn()
        assert "".join(data.decode() for _, data in client.writes) == client.sent.decode()
        assert client.text == "日本🎉é"

    run_virtual(main())


def test_06e_stop_strings_are_never_shown_not_even_in_part() -> None:
    async def main() -> None:
        steps = (say("Hi", "\nUs"), Pause(1), say("er: more", "junk"), Pause(1), Hang())
        world = World(speaking(*steps), {"stop": ["END"]})
        client = await world.turn()
        assert client.text == "Hi"
        assert client.names == ["done"]
        assert world.history[-1] == ("assistant", "Hi", False)
        assert world.engine.streams[0].closed_at == 1

    run_virtual(main())


def test_06f_what_only_began_like_a_stop_string_is_shown() -> None:
    async def main() -> None:
        for reason, shown in (("eos_token", "Hi EN"), ("length", "Hi "), ("stop_sequence", "Hi ")):
            world = World(speaking(say("Hi ", "EN"), End(reason)), {"stop": ["END"]})  # type: ignore[arg-type]
            assert (await world.turn()).text == shown

    run_virtual(main())


def test_an_empty_reply_is_done_without_a_message() -> None:
    async def main() -> None:
        world = World(speaking(Pause(1), End()))
        client = await world.turn()
        assert client.names == ["done"]
        assert client.events[-1].data["message_id"] is None
        assert world.history == []
        assert world.heard == [("success", None)]

    run_virtual(main())


def test_a_turn_that_takes_too_long_ends() -> None:
    async def main() -> None:
        world = World(speaking(say("a"), Hang()), {"turn_timeout": 60.0})
        client = await world.turn()
        assert client.events[-1].data["code"] == "turn_timeout"
        assert world.heard == [("unknown_error_occurred", "turn_timeout")]
        world.assert_at_rest()

    run_virtual(main())
