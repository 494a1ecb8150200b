"""Which pods a rotation of the keys asks, waits for and names; and for how long."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from chatstream_operator.reconcile.rotator import AT_ONCE
from tests.operator.bench import Bench
from tests.operator.pods import pending_pod, raw_pod, running, waiting
from tests.operator.rotating import ask, read_by_pods, state
from tests.operator.samples import DEMO, KEY
from tests.operator.test_reconcile_status import make_ready


@pytest.fixture
def bench() -> Bench:
    return Bench()


async def test_every_pod_is_asked_however_many_there_are(bench: Bench) -> None:
    await make_ready(bench)
    names = [f"demo-{number}" for number in range(1, 3 * AT_ONCE)]
    for name in names:
        bench.kube.put(raw_pod(running("engine"), running("server"), name=name))
    await ask(bench)
    read_by_pods(bench)
    bench.prober.silent = set(names)
    bench.prober.asked.clear()
    await bench.reconcile()
    assert set(bench.prober.asked) == set(names)
    message = bench.condition("SessionsReady")["message"]
    assert "waits for pod demo-1 (does not answer), demo-10 (does not answer)" in message
    assert message.endswith(f"and {len(names) - 5} more")
    bench.prober.silent = {names[-1]}
    await bench.settle()
    assert state(bench).phase == "adding"
    bench.prober.silent = set()
    await bench.settle()
    assert state(bench).phase == "switching"


def gone_at(bench: Bench, seconds: float) -> str:
    at = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=bench.seconds + seconds)
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


PODS: Mapping[str, tuple[dict[str, Any], bool]] = {
    "one whose server does not run yet": (raw_pod(waiting("engine", "x"), name="demo-2"), True),
    "one whose engine loads": (raw_pod(running("engine"), name="demo-2"), True),
    "one that no node takes": (pending_pod(name="demo-2"), False),
    "one that has ended": (raw_pod(running("engine"), name="demo-2", phase="Failed"), False),
    "one of Redis": (raw_pod(running("redis"), name="demo-redis-0", component="redis"), False),
}


@pytest.mark.parametrize("name", PODS)
async def test_pods_that_may_serve_with_old_keys_are_waited_for(bench: Bench, name: str) -> None:
    pod, waits = PODS[name]
    await make_ready(bench)
    bench.kube.put(pod)
    await ask(bench)
    read_by_pods(bench)
    await bench.settle()
    assert state(bench).phase == ("adding" if waits else "switching")
    said = "demo-2 (its server does not run yet)" in bench.condition("SessionsReady")["message"]
    assert said == waits


@pytest.mark.parametrize(("seconds", "phase"), [(60, "adding"), (0, "switching"), (-60, "switching")])
async def test_a_pod_that_goes_is_waited_for_until_its_time_is_over(
    bench: Bench, seconds: float, phase: str
) -> None:
    await make_ready(bench)
    await ask(bench)
    going = raw_pod(running("engine"), running("server"), name="demo-2")
    going["metadata"]["deletionTimestamp"] = gone_at(bench, seconds)
    bench.kube.put(going)
    read_by_pods(bench)
    bench.prober.silent = {"demo-2"}
    await bench.settle()
    assert state(bench).phase == phase


async def test_pods_of_other_resources_and_namespaces_are_not_waited_for(bench: Bench) -> None:
    await make_ready(bench)
    elsewhere = raw_pod(running("engine"), running("server"), name="demo-9")
    elsewhere["metadata"]["namespace"] = "other"
    bench.kube.put(elsewhere)
    await ask(bench)
    read_by_pods(bench)
    bench.prober.silent = {"demo-9"}
    await bench.settle()
    assert state(bench).phase == "switching"


async def test_a_pod_that_the_cache_does_not_know_yet_is_waited_for(bench: Bench) -> None:
    await make_ready(bench)
    await ask(bench)
    read_by_pods(bench)
    bench.sync()
    bench.kube.put(raw_pod(running("engine"), running("server"), name="demo-2"))
    bench.prober.silent = {"demo-2"}
    await bench.reconciler.reconcile(KEY)
    assert state(bench).phase == "adding"


async def test_without_pods_it_goes_on_once_no_pod_can_start_with_what_was(bench: Bench) -> None:
    bench.put({**DEMO, "replicas": 0})
    await bench.settle()
    bench.annotate(rotate_keys="a")
    again = await bench.settle()
    assert again is not None
    assert 0 < again <= 10
    assert state(bench).phase == "adding"
    bench.seconds += 10
    await bench.settle()
    assert state(bench).phase == "switching"


async def test_a_pod_that_stays_silent_is_asked_at_resyncs_only_in_the_end(bench: Bench) -> None:
    await make_ready(bench)
    await ask(bench)
    bench.prober.silent = {"demo-1"}
    assert await bench.settle() == 4.0
    bench.seconds += 600
    assert await bench.settle() is None
    assert "demo-1 (does not answer)" in bench.condition("SessionsReady")["message"]
