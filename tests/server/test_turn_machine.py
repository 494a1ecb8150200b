"""A hundred mixed faults at random times: afterwards nothing is held, and each turn ended exactly once."""

import asyncio
from collections import Counter
from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st

from chatstream.errors import EngineFailed
from tests.server.support.client import ScriptedClient
from tests.server.support.engine import End, Fail, FakeEngine, Hang, Pause, Step, say
from tests.server.support.virtual import run_virtual
from tests.server.support.world import World

times = st.floats(0, 12).map(lambda at: round(at, 1))

SCRIPTS: dict[str, tuple[Step, ...]] = {
    "speaks": (Pause(1), say("a"), Pause(1), say("b", "c"), Pause(1), End()),
    "at once": (say("a"), End()),
    "fails early": (Pause(1), Fail(EngineFailed("broke"))),
    "fails late": (say("a"), Pause(2), Fail(EngineFailed("broke"))),
    "has a bug": (say("a"), Pause(1), Fail(ZeroDivisionError())),
    "hangs": (say("a"), Hang()),
    "says nothing": (Hang(),),
}


@dataclass(frozen=True)
class Visit:
    """One client: when it comes, what its engine does, and what it does itself (and when)."""

    at: float
    script: str
    deed: str
    deed_at: float


VISITS = st.lists(
    st.builds(
        Visit,
        times,
        st.sampled_from(list(SCRIPTS)),
        st.sampled_from(["waits", "leaves", "stalls", "dies"]),
        times,
    ),
    min_size=1,
    max_size=14,
)


async def visit(world: World, plan: Visit) -> ScriptedClient:
    await asyncio.sleep(plan.at)
    client = world.client(plan.script)
    await asyncio.sleep(plan.deed_at)
    if plan.deed == "leaves":
        client.leave()
    elif plan.deed == "stalls":
        client.stall()
    elif plan.deed == "dies" and client.task is not None:
        client.task.cancel()
    assert client.task is not None
    await asyncio.wait((client.task,))
    return client


def build_world() -> World:
    def script(prompt: str) -> tuple[Step, ...]:
        asked = prompt.rpartition("User: ")[2].partition("\n")[0]
        return SCRIPTS[asked]

    options = {
        "num_of_concurrent_executions": 2,
        "max_queue_size": 3,
        "queue_timeout": 7.0,
        "write_timeout": 5.0,
        "turn_timeout": 20.0,
        "keep_alive": 3.0,
    }
    return World(FakeEngine(script=lambda request: script(request.prompt)), options)


async def live_through(plans: list[Visit]) -> None:
    world = build_world()
    clients = await asyncio.gather(*(visit(world, plan) for plan in plans))
    for client in clients:
        terminal = [name for name in client.names if name in ("done", "error")]
        assert len(terminal) <= 1
        assert not terminal or client.names[-1] == terminal[0]
    accepted = sum(
        world.metric("turns_total", outcome=outcome)
        for outcome in (
            "success",
            "client_disconnected_while_streaming",
            "client_disconnected_before_streaming",
            "unknown_error_occurred",
        )
    )
    assert len(world.heard) == accepted
    refused = Counter(client.status for client in clients)[429]
    assert len(clients) - refused - accepted <= sum(plan.deed in ("leaves", "dies") for plan in plans)
    assert world.engine.running_max <= 2
    assert all(stream.closed_at is not None for stream in world.engine.streams)
    assert world.chat_stream.load().limit == 2
    world.assert_at_rest()


@settings(max_examples=150, deadline=None)
@given(VISITS)
def test_14f_after_any_mix_of_faults_nothing_is_held(plans: list[Visit]) -> None:
    run_virtual(live_through(plans))


def test_14g_after_a_hundred_mixed_faults_nothing_is_held() -> None:
    names, deeds = list(SCRIPTS), ["waits", "leaves", "stalls", "dies"]
    plans = [
        Visit(number / 3, names[number % len(names)], deeds[number // 3 % 4], number * 7 % 5 / 2)
        for number in range(100)
    ]
    run_virtual(live_through(plans))
