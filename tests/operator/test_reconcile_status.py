"""What reconcile reports: the status, only when it changed; events, only on transitions; metrics."""

from __future__ import annotations

from typing import Any

import pytest

from chatstream_operator.errors import Unavailable
from chatstream_operator.kube.kinds import CHATSTREAM, DEPLOYMENT, EVENT, STATEFULSET
from tests.operator.bench import Bench
from tests.operator.pods import ended, pending_pod, raw_pod, running, waiting
from tests.operator.samples import DEMO, KEY, TGI


@pytest.fixture
def bench() -> Bench:
    return Bench()


def serve(bench: Bench, replicas: int = 1) -> None:
    """As the controllers and the kubelet do: everything runs."""
    deployment = bench.get(DEPLOYMENT, "demo")
    counts = dict.fromkeys(("replicas", "updatedReplicas", "readyReplicas", "availableReplicas"), replicas)
    observed = {"observedGeneration": deployment["metadata"]["generation"]}
    bench.kube.put({**deployment, "status": {**counts, **observed}})
    bench.kube.put(raw_pod(running("engine"), running("server")))
    redis(bench, ready=1)


def redis(bench: Bench, ready: int) -> None:
    bench.kube.put({**bench.get(STATEFULSET, "demo-redis"), "status": {"readyReplicas": ready}})


async def make_ready(bench: Bench, spec: dict[str, Any] | None = None) -> None:
    bench.put(spec)
    await bench.settle()
    serve(bench)
    await bench.settle()
    assert bench.condition("Ready")["status"] == "True"


async def test_a_resource_becomes_ready(bench: Bench) -> None:
    await make_ready(bench)
    status = bench.status()
    assert (status["observedGeneration"], status["replicas"], status["readyReplicas"]) == (1, 1, 1)
    assert (status["url"], status["model"], status["gpu"]) == ("http://demo.team.svc", "demo", 0)
    assert status["image"] == "server:1"
    assert status["selector"].split(",")[1] == "app.kubernetes.io/instance=demo"


async def test_a_status_that_is_the_same_is_not_written(bench: Bench) -> None:
    await make_ready(bench)
    bench.seconds += 20
    await bench.reconcile()
    assert bench.kube.writes() == []


async def test_the_generation_that_was_seen_is_told(bench: Bench) -> None:
    await make_ready(bench)
    bench.put({**DEMO, "replicas": 2})
    await bench.reconcile()
    assert bench.status()["observedGeneration"] == 2
    assert bench.condition("Ready")["status"] == "False"
    assert {one["observedGeneration"] for one in bench.status()["conditions"]} == {2}


async def test_the_schedulers_words_reach_the_status(bench: Bench) -> None:
    bench.put(TGI)
    await bench.settle()
    redis(bench, ready=1)
    bench.kube.put(pending_pod())
    await bench.settle()
    for name in ("Ready", "GPUScheduled", "EngineReady"):
        assert bench.condition(name)["reason"] == "InsufficientGPU"
        assert "1 Insufficient nvidia.com/gpu" in bench.condition(name)["message"]


async def test_an_invalid_resource_changes_nothing_and_says_so(bench: Bench) -> None:
    await make_ready(bench)
    bench.put({"engine": {"type": "Demo", "env": [{"name": "PORT", "value": "1"}]}})
    assert await bench.reconcile() is None
    assert [request[0] for request in bench.kube.writes()] == ["apply_status", "create"]
    assert bench.condition("Ready")["reason"] == "InvalidSpec"
    assert "spec.engine.env[PORT]" in bench.condition("Ready")["message"]
    assert bench.status()["observedGeneration"] == 2
    await bench.reconcile()
    assert bench.kube.writes() == []
    bench.put()
    await bench.reconcile()
    assert bench.condition("Reconciled")["status"] == "True"


async def test_a_status_that_comes_too_late_is_no_error(bench: Bench) -> None:
    bench.put()
    applying = bench.kube.apply_status

    async def apply_status(obj: dict[str, Any]) -> dict[str, Any]:
        bench.kube.remove(CHATSTREAM, KEY.namespace, KEY.name)
        return await applying(obj)

    bench.kube.apply_status = apply_status  # type: ignore[method-assign]
    await bench.reconcile()
    assert bench.events() == []


async def test_events_tell_of_changes_only(bench: Bench) -> None:
    await make_ready(bench)
    bench.seconds += 1
    await bench.reconcile()
    assert bench.events() == [("Normal", "RedisNotReady"), ("Normal", "Available")]


async def test_other_words_for_the_same_reason_are_no_event(bench: Bench) -> None:
    bench.put(TGI)
    await bench.settle()
    redis(bench, ready=1)
    for count in (1, 2, 3):
        bench.seconds += 1
        bench.kube.put(pending_pod(f"0/{count} nodes are available: {count} Insufficient nvidia.com/gpu."))
        await bench.settle()
        assert f"0/{count} nodes" in bench.condition("Ready")["message"]
    assert bench.events().count(("Warning", "InsufficientGPU")) == 1


async def test_a_redis_that_was_ready_and_is_away_is_a_warning(bench: Bench) -> None:
    await make_ready(bench)
    bench.seconds += 1
    redis(bench, ready=0)
    await bench.settle()
    bench.seconds += 1
    redis(bench, ready=1)
    await bench.settle()
    assert bench.events()[2:] == [("Warning", "RedisNotReady"), ("Normal", "Available")]


async def test_a_crash_loop_does_not_flood(bench: Bench) -> None:
    await make_ready(bench)
    crash = waiting("engine", "CrashLoopBackOff", "x", 3, lastState=ended("Error", 1))
    for _ in range(20):
        bench.seconds += 1
        bench.kube.put(raw_pod(crash, running("server")))
        await bench.settle()
        bench.seconds += 1
        bench.kube.put(raw_pod(running("engine"), running("server")))
        await bench.settle()
    assert bench.events().count(("Warning", "EngineCrashed")) == 3
    bench.seconds += 301
    bench.kube.put(raw_pod(crash, running("server")))
    await bench.settle()
    assert bench.events().count(("Warning", "EngineCrashed")) == 4


async def test_an_event_names_the_resource_and_who_says_so(bench: Bench) -> None:
    bench.put()
    await bench.reconcile()
    event = next(obj for place, obj in bench.kube.objects.items() if place[0] == EVENT)
    assert event["regarding"]["kind"] == "ChatStream"
    assert event["regarding"]["name"] == "demo"
    assert event["reportingController"] == "chatstream.dev/operator"
    assert event["reportingInstance"] == "operator-0"
    assert event["eventTime"] == "2026-01-01T00:00:00.000000Z"


async def test_an_event_that_fails_is_no_error(bench: Bench) -> None:
    bench.put()
    bench.kube.fail("create", EVENT, Unavailable("full"))
    await bench.settle()
    assert bench.events() == []


async def test_redis_that_the_pods_lose_is_seen_at_the_next_resync_and_again_soon(bench: Bench) -> None:
    await make_ready(bench)
    bench.prober.reachable = False
    assert await bench.reconcile() is None
    assert bench.condition("Ready")["status"] == "True"
    bench.seconds += 30
    assert await bench.reconcile() == 4.0
    assert bench.condition("SessionsReady")["reason"] == "RedisNotReady"
    for _ in range(2):
        bench.seconds += 4
        assert await bench.reconcile() == 4.0
    assert bench.condition("SessionsReady")["reason"] == "RedisUnreachable"
    assert "connection refused" in bench.condition("Ready")["message"]
    bench.prober.reachable = True
    bench.seconds += 4
    assert await bench.reconcile() is None
    assert bench.condition("Ready")["status"] == "True"


@pytest.mark.parametrize("before", [0, 60])
async def test_redis_that_just_came_up_gives_no_warning(bench: Bench, before: int) -> None:
    """The server asked before Redis answered: that is no fault, however long Redis took."""
    bench.put()
    await bench.settle()
    serve(bench)
    redis(bench, ready=0)
    bench.prober.reachable = False
    await bench.settle()
    bench.seconds += before
    await bench.settle()
    redis(bench, ready=1)
    await bench.settle()
    bench.seconds += 4
    await bench.reconcile()
    bench.prober.reachable = True
    bench.seconds += 4
    await bench.settle()
    assert bench.events() == [("Normal", "RedisNotReady"), ("Normal", "Available")]


async def test_when_redis_is_up_the_pods_are_asked_at_once(bench: Bench) -> None:
    await make_ready(bench)
    redis(bench, ready=0)
    bench.prober.reachable = False
    await bench.settle()
    redis(bench, ready=1)
    bench.prober.reachable = True
    await bench.settle()
    assert bench.condition("Ready")["status"] == "True"


async def test_pods_are_asked_when_they_come_and_then_at_resyncs_only(bench: Bench) -> None:
    await make_ready(bench)
    asked = len(bench.prober.asked)
    for _ in range(5):
        bench.seconds += 1
        await bench.reconcile()
    assert len(bench.prober.asked) == asked == 1
    bench.seconds += 30
    await bench.reconcile()
    assert len(bench.prober.asked) == 2


def gauge(bench: Bench, condition: str) -> float | None:
    return bench.registry.get_sample_value("chatstream_resources", {"condition": condition})


async def test_the_metric_counts_resources_by_condition(bench: Bench) -> None:
    assert gauge(bench, "Ready") == 0
    await make_ready(bench)
    assert (gauge(bench, "Ready"), gauge(bench, "Progressing")) == (1, 0)
    bench.kube.remove(CHATSTREAM, KEY.namespace, KEY.name)
    await bench.reconcile()
    assert gauge(bench, "Ready") == 0
