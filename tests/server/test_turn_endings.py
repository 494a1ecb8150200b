"""However a turn ends: the slot, the engine, the history, the figures and the callback, each exactly once."""

import asyncio
from dataclasses import replace

import pytest

from chatstream.engines import Batch, GenerationRequest
from chatstream.errors import EngineFailed
from tests.server.support.client import ScriptedClient
from tests.server.support.engine import End, Fail, FakeEngine, FakeStream, Hang, Pause, Step, say
from tests.server.support.virtual import now, run_virtual, settle
from tests.server.support.world import World

BEFORE, WHILE = "client_disconnected_before_streaming", "client_disconnected_while_streaming"


def speaking(*steps: Step) -> FakeEngine:
    return FakeEngine(script=lambda request: steps)


def test_09a_a_success_calls_once_and_the_reply_is_saved_by_then() -> None:
    async def main() -> None:
        world = World()
        seen: list[object] = []
        client = ScriptedClient({"user_input": "hi"})
        client.start(world.chat_stream, lambda request, message: seen.append((message, world.history)))
        await client.over()
        assert seen == [("success", [("user", "hi", False), ("assistant", "Hello", False)])]

    run_virtual(main())


def test_09b_a_rejected_request_has_no_callback() -> None:
    async def main() -> None:
        world = World(options={"num_of_concurrent_executions": 1, "max_queue_size": 0})
        first, second = world.client(), world.client()
        await second.over()
        assert second.status == 429
        await first.over()
        for body in ({"user_input": 5}, b"{"):
            bad = ScriptedClient(body)
            bad.start(world.chat_stream, world.callback)
            await bad.over()
        await world.turn(None, regenerate=True)
        assert world.heard == [("success", None), ("success", None)]

    run_virtual(main())


def test_10a_a_coroutine_callback_is_awaited() -> None:
    async def main() -> None:
        world, seen = World(), []

        async def callback(request: object, message: str) -> None:
            await asyncio.sleep(1)
            seen.append(message)

        client = ScriptedClient({"user_input": "hi"})
        client.start(world.chat_stream, callback)
        await client.over()
        assert seen == ["success"]

    run_virtual(main())


def test_10b_a_callback_that_raises_is_logged_and_harms_nothing(caplog: pytest.LogCaptureFixture) -> None:
    def callback(request: object, message: str) -> None:
        raise ZeroDivisionError

    async def main() -> None:
        world = World()
        client = ScriptedClient({"user_input": "hi"})
        client.start(world.chat_stream, callback)
        await client.over()
        assert client.names == ["done"]
        world.assert_at_rest()

    run_virtual(main())
    assert [record.message for record in caplog.records if record.levelname == "ERROR"] == ["callback failed"]


def test_10c_a_callback_that_hangs_is_timed_out_and_holds_no_slot(caplog: pytest.LogCaptureFixture) -> None:
    async def callback(request: object, message: str) -> None:
        await asyncio.Event().wait()

    async def main() -> None:
        world = World(options={"num_of_concurrent_executions": 1, "callback_timeout": 100.0})
        client = ScriptedClient({"user_input": "hi"})
        client.start(world.chat_stream, callback)
        await asyncio.sleep(10)
        assert client.complete
        assert world.busy == (0, 0)
        await client.over()
        assert now() == pytest.approx(103)

    run_virtual(main())
    assert "callback timed out" in caplog.messages


def test_10d_a_synchronous_callback_blocks_no_stream() -> None:
    async def main() -> None:
        world, threads = World(), []

        def callback(request: object, message: str) -> None:
            import threading

            threads.append(threading.current_thread() is threading.main_thread())

        client = ScriptedClient({"user_input": "hi"})
        client.start(world.chat_stream, callback)
        await client.over()
        assert threads == [False]

    run_virtual(main())


def test_11a_the_cause_goes_through_its_own_argument() -> None:
    async def main() -> None:
        world = World(speaking(say("x"), Fail(EngineFailed("broke"))))
        with_keywords: list[dict[str, object]] = []
        client = ScriptedClient({"user_input": "hi"})
        client.start(
            world.chat_stream,
            lambda request, message, **more: with_keywords.append({"message": message, **more}),
        )
        await client.over()
        assert with_keywords == [{"message": "unknown_error_occurred", "cause": "engine_failed"}]
        assert world.metric("turns_total", outcome="unknown_error_occurred") == 1

    run_virtual(main())


@pytest.mark.parametrize(
    ("leaves_at", "phase", "message", "kept"),
    [
        (0.5, "prefill", BEFORE, []),
        (1.5, "streaming", WHILE, [("user", "hi", False), ("assistant", "Hel", True)]),
        (2.5, "streaming", WHILE, [("user", "hi", False), ("assistant", "Hello", True)]),
    ],
)
def test_16a_a_disconnect_closes_the_engine_at_once_and_keeps_what_was_said(
    leaves_at: float, phase: str, message: str, kept: list[object]
) -> None:
    async def main() -> None:
        world = World()
        client = world.client()
        await asyncio.sleep(leaves_at)
        client.leave()
        await settle()
        assert world.engine.streams[0].closed_at == leaves_at
        assert world.busy == (0, 0)
        await client.over()
        assert world.heard == [(message, "client_disconnected")]
        assert world.history == kept
        assert {
            p: world.metric("disconnects_total", phase=p) for p in ("queued", "prefill", "streaming")
        } == {
            "queued": 0.0,
            "prefill": 0.0,
            "streaming": 0.0,
            phase: 1.0,
        }
        assert world.metric("disconnect_release_seconds_count") == 1
        world.assert_at_rest()

    run_virtual(main())


def test_16b_a_disconnect_in_the_queue_frees_the_place_at_once() -> None:
    async def main() -> None:
        world = World(options={"num_of_concurrent_executions": 1, "max_queue_size": 2})
        first, second, third = world.client(), world.client(), world.client()
        await settle()
        assert world.busy == (1, 2)
        second.leave()
        await settle()
        assert world.busy == (1, 1)
        assert [event.data for event in third.events] == [{"position": 2}, {"position": 1}]
        await asyncio.gather(first.over(), second.over(), third.over())
        assert world.metric("disconnects_total", phase="queued") == 1
        assert (BEFORE, "client_disconnected") in world.heard
        assert len(world.engine.requests) == 2
        world.assert_at_rest()

    run_virtual(main())


def test_16c_a_disconnect_while_the_engine_is_connected_to() -> None:
    async def main() -> None:
        world = World(FakeEngine(opening=Hang()))
        client = world.client()
        await asyncio.sleep(1)
        client.leave()
        await client.over()
        assert world.heard == [(BEFORE, "client_disconnected")]
        world.assert_at_rest()

    run_virtual(main())


def test_14a_a_reader_that_stalls_loses_its_turn_and_its_connection() -> None:
    async def main() -> None:
        world = World(
            speaking(say("a"), Pause(1), say("b"), Pause(1), say("c"), End()), {"write_timeout": 30.0}
        )
        client = world.client()
        await asyncio.sleep(0.5)
        client.stall()
        await client.over()
        assert world.engine.streams[0].closed_at == pytest.approx(31)
        assert client.aborted
        assert world.heard == [("unknown_error_occurred", "reader_stalled")]
        assert world.history[-1] == ("assistant", "ab", True)
        world.assert_at_rest()

    run_virtual(main())


def test_14b_a_slow_reader_within_the_limit_loses_nothing() -> None:
    async def main() -> None:
        world = World(
            speaking(say("a"), Pause(1), say("b"), Pause(1), say("c"), End()), {"write_timeout": 30.0}
        )
        client = world.client()
        for _ in range(3):
            await asyncio.sleep(0.5)
            client.stall()
            await asyncio.sleep(29)
            client.read_on()
        await client.over()
        assert client.text == "abc"
        assert world.heard == [("success", None)]

    run_virtual(main())


def test_14c_cancellation_of_the_task_at_any_time_frees_everything() -> None:
    async def main(at: float) -> None:
        world = World()
        client = world.client()
        await asyncio.sleep(at)
        assert client.task is not None
        client.task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await client.over()
        assert world.heard == [("unknown_error_occurred", "cancelled")]
        assert client.names == ["error"] if at >= 1 else client.json["error"] == "cancelled"
        world.assert_at_rest()

    for at in (0.5, 1.0, 1.5, 2.5):
        run_virtual(main(at))


def test_14d_a_bug_of_the_history_frees_everything() -> None:
    def trouble_in(where: str) -> World:
        def trouble(operation: str) -> None:
            if operation == where:
                raise ZeroDivisionError

        return World(trouble=trouble)

    async def main() -> None:
        world = trouble_in("load")
        client = await world.turn()
        assert (client.status, client.json["error"]) == (500, "internal_error")
        assert world.heard == []
        world.assert_at_rest()

        world = trouble_in("save")
        client = await world.turn()
        assert client.names == ["warning", "done"]
        assert client.events[-2].data["code"] == "history_not_saved"
        assert world.heard == [("success", None)]
        world.assert_at_rest()

    run_virtual(main())


def test_a_client_that_leaves_during_the_save_gets_its_whole_reply_kept() -> None:
    async def main() -> None:
        world = World()
        client = ScriptedClient({"user_input": "hi"})
        world.trouble = lambda operation: client.leave() if operation == "save" else None
        client.start(world.chat_stream, world.callback)
        await client.over()
        assert world.history[-1] == ("assistant", "Hello", False)
        assert world.heard == [(WHILE, "client_disconnected")]
        world.assert_at_rest()

    run_virtual(main())


def test_14j_a_slow_save_holds_no_slot_and_done_waits_for_it() -> None:
    async def main() -> None:
        world = World(trouble=lambda operation: 5.0 if operation == "save" else None)
        client = world.client()
        await asyncio.sleep(4)
        assert world.busy == (0, 0)
        assert (client.text, client.names) == ("Hello", [])
        await client.over()
        assert client.names == ["done"]
        assert client.writes[-1][0] == pytest.approx(8)

    run_virtual(main())


def test_14k_a_second_cancellation_stops_neither_the_save_nor_the_callback() -> None:
    async def main() -> None:
        world = World(trouble=lambda operation: 5.0 if operation == "save" else None)
        client = world.client()
        assert client.task is not None
        for _ in range(2):
            await asyncio.sleep(1.5)
            client.task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await client.over()
        await asyncio.sleep(10)
        assert world.history[-1] == ("assistant", "Hel", True)
        assert world.heard == [("unknown_error_occurred", "cancelled")]
        world.assert_at_rest()

    run_virtual(main())


def test_18a_new_work_is_refused_while_draining_and_streams_finish() -> None:
    async def main() -> None:
        world = World(options={"num_of_concurrent_executions": 1})
        first, waiting = world.client(), world.client()
        await asyncio.sleep(0.5)
        drain = asyncio.create_task(world.chat_stream.drain(100))
        await settle()
        late = await world.turn()
        assert (late.status, late.json["error"], late.headers["connection"]) == (503, "draining", "close")
        await drain
        assert [first.text, waiting.text] == ["Hello", "Hello"]
        assert now() == pytest.approx(6)

    run_virtual(main())


def test_18b_what_is_still_running_at_the_limit_ends_with_a_frame_saved_and_called_back() -> None:
    async def main() -> None:
        world = World(speaking(say("half"), Hang()))
        client = world.client()
        await asyncio.sleep(1)
        await world.chat_stream.drain(20)
        await client.over()
        assert client.names == ["error"]
        assert client.events[-1].data["code"] == "shutting_down"
        assert world.history[-1] == ("assistant", "half", True)
        assert world.heard == [("unknown_error_occurred", "shutting_down")]
        assert now() == pytest.approx(21)
        world.assert_at_rest()

    run_virtual(main())


@pytest.mark.parametrize("counted", [-5, 10**400], ids=["negative", "huge"])
def test_09d_figures_that_cannot_be_counted_cost_no_callback(counted: int) -> None:
    class Liar(FakeStream):
        async def read(self) -> Batch:
            batch = await super().read()
            end = batch.end and replace(batch.end, generated_tokens=counted)
            return replace(batch, end=end)

    class LyingEngine(FakeEngine):
        async def open(self, request: GenerationRequest) -> FakeStream:
            stream = Liar(self, self.script(request))
            self.streams.append(stream)
            return stream

    async def main() -> None:
        world = World(LyingEngine())
        client = await world.turn()
        assert client.names == ["done"]
        assert world.heard == [("success", None)]
        world.assert_at_rest()

    run_virtual(main())


def test_14l_an_engine_that_never_stops_is_stopped() -> None:
    async def main() -> None:
        world = World(speaking(*[say("a", "b")] * 1000), {"max_new_tokens": 10})
        client = await world.turn()
        assert client.text == "ab" * 5
        assert client.names == ["error"]
        assert world.heard == [("unknown_error_occurred", "engine_failed")]
        world.assert_at_rest()

    run_virtual(main())
