"""The six conditions, as a pure function of what was observed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from chatstream_operator.spec import ChatStream
from chatstream_operator.status import MissingSecret, Observation, Probe
from chatstream_operator.status.conditions import Condition, build_conditions
from chatstream_operator.status.observation import DeploymentView, read_deployment, read_redis_ready
from chatstream_operator.status.pods import PodView, read_pod
from tests.operator.pods import WORDS, ended, good_pod, loading, pending_pod, pod, waiting
from tests.operator.samples import demo, tgi

FULL = DeploymentView(settled=True, replicas=1, updated=1, ready=1, available=1, failure="")
NONE = replace(FULL, ready=0, available=0)
GOOD = Observation(deployment=FULL, pods=(good_pod(),), redis_ready=True)
REACHED = Probe(pod="demo-1", answered=True, store_reachable=True, error="", plain_http=0)
AWAY = replace(REACHED, store_reachable=False, error="connection refused")
SILENT = replace(AWAY, answered=False, error="timeout")
TOKEN = MissingSecret("spec.model.tokenSecretRef", "hf", "token", whole=True)
URL = MissingSecret("spec.sessions.redis.urlSecretRef", "mine", "url", whole=False)


def conditions(seen: Observation, resource: ChatStream | None = None) -> dict[str, Condition]:
    return {one.type: one for one in build_conditions(resource or demo(), seen)}


def short(condition: Condition) -> tuple[str, str]:
    return condition.status, condition.reason


def unready(*pods: PodView, **parts: Any) -> Observation:  # noqa: ANN401
    return replace(GOOD, deployment=NONE, pods=pods, **parts)


def test_all_is_well() -> None:
    assert {name: short(one) for name, one in conditions(GOOD).items()} == {
        "Ready": ("True", "Available"),
        "Progressing": ("False", "Complete"),
        "EngineReady": ("True", "Running"),
        "SessionsReady": ("True", "RedisReady"),
        "GPUScheduled": ("True", "NotNeeded"),
        "Reconciled": ("True", "Applied"),
    }
    assert conditions(GOOD)["Ready"].message == "1 of 1 pods answer at http://demo.team.svc"


def test_a_rotation_says_what_it_waits_for_and_is_no_fault() -> None:
    seen = conditions(replace(GOOD, probes=(REACHED,), rotation="a new key waits for pod demo-1"))
    assert short(seen["SessionsReady"]) == ("True", "Reachable")
    assert seen["SessionsReady"].message == "the pods reach Redis; a new key waits for pod demo-1"
    assert seen["Ready"].status == "True"


def test_keys_that_servers_cannot_take_are_a_fault() -> None:
    seen = conditions(replace(GOOD, probes=(REACHED,), keys_problem="session-keys is no list: write one"))
    for name in ("SessionsReady", "Ready"):
        assert short(seen[name]) == ("False", "KeysInvalid")
        assert seen[name].message == "session-keys is no list: write one"
    away = conditions(replace(GOOD, redis_ready=False, keys_problem="x"))
    assert away["SessionsReady"].reason == "RedisNotReady"


def test_before_anything_is_there_nothing_is_claimed() -> None:
    seen = conditions(Observation())
    assert short(seen["Ready"]) == ("False", "RedisNotReady")
    assert short(seen["EngineReady"]) == ("False", "Starting")
    assert short(seen["Progressing"]) == ("True", "RollingOut")


@pytest.mark.parametrize(
    "view",
    [
        replace(FULL, settled=False),
        replace(FULL, updated=0),
        replace(FULL, replicas=2),
        replace(FULL, available=0),
        None,
    ],
)
def test_a_rollout_is_not_ready_until_all_of_it_is(view: DeploymentView | None) -> None:
    seen = conditions(replace(GOOD, deployment=view))
    assert short(seen["Ready"]) == ("False", "RollingOut")
    assert short(seen["Progressing"]) == ("True", "RollingOut")


def test_a_gpu_that_is_missing_is_named_everywhere() -> None:
    seen = conditions(unready(read_pod(pending_pod())), tgi())
    for name in ("Ready", "EngineReady", "GPUScheduled"):
        assert short(seen[name]) == ("False", "InsufficientGPU"), name
        assert WORDS in seen[name].message


def test_one_of_two_pods_without_a_gpu_is_not_ready() -> None:
    view = DeploymentView(settled=True, replicas=2, updated=2, ready=1, available=1, failure="")
    pods = (good_pod("demo-1"), read_pod(pending_pod(name="demo-2")))
    seen = conditions(replace(GOOD, deployment=view, pods=pods), tgi(replicas=2))
    assert short(seen["Ready"]) == ("False", "InsufficientGPU")
    assert short(seen["GPUScheduled"]) == ("False", "InsufficientGPU")


def test_gpus_that_are_had_are_counted() -> None:
    seen = conditions(GOOD, tgi())
    assert short(seen["GPUScheduled"]) == ("True", "Scheduled")
    assert seen["GPUScheduled"].message == "1 of 1 pods have their 1 nvidia.com/gpu"


def test_before_the_scheduler_has_spoken_nothing_is_known_of_gpus() -> None:
    assert short(conditions(unready(), tgi())["GPUScheduled"]) == ("Unknown", "Scheduling")


def test_a_model_that_loads_is_loading() -> None:
    seen = conditions(unready(pod(loading(), waiting("server", "PodInitializing"))))
    assert short(seen["Ready"]) == ("False", "Loading")
    assert short(seen["EngineReady"]) == ("False", "Loading")


@pytest.mark.parametrize(
    ("container", "reason"),
    [
        (waiting("engine", "ErrImagePull", "x"), "ImagePullFailed"),
        (waiting("engine", "CrashLoopBackOff", "x", 3, lastState=ended("Error", 1)), "EngineCrashed"),
        (waiting("engine", "CrashLoopBackOff", "x", 3, lastState=ended("OOMKilled", 137)), "OutOfMemory"),
    ],
)
def test_what_does_not_pass_by_itself_comes_before_redis(container: dict[str, Any], reason: str) -> None:
    seen = conditions(unready(pod(container), redis_ready=False))
    assert short(seen["Ready"]) == ("False", reason)
    assert short(seen["EngineReady"]) == ("False", reason)


def test_what_passes_by_itself_comes_after_redis() -> None:
    seen = conditions(unready(pod(loading()), redis_ready=False))
    assert short(seen["Ready"]) == ("False", "RedisNotReady")


def test_a_crash_is_never_ready_even_if_the_count_still_says_so() -> None:
    crash = pod(waiting("engine", "CrashLoopBackOff", "x", 3, lastState=ended("Error", 1)))
    assert short(conditions(replace(GOOD, pods=(crash,)))["Ready"]) == ("False", "EngineCrashed")


def test_pods_that_cannot_be_made_are_told() -> None:
    seen = conditions(replace(GOOD, deployment=replace(NONE, failure="exceeded quota"), pods=()))
    assert short(seen["Ready"]) == ("False", "ContainerFailed")
    assert "exceeded quota" in seen["Ready"].message


def test_a_missing_token_is_told_with_name_key_and_remedy() -> None:
    seen = conditions(replace(GOOD, missing_secrets=(TOKEN,)), tgi())
    assert short(seen["Ready"]) == ("False", "SecretMissing")
    assert seen["Ready"].message == (
        "spec.model.tokenSecretRef: there is no Secret hf: create it, with the key token"
    )
    assert seen["SessionsReady"].status == "True"


def test_a_missing_redis_url_is_the_sessions_trouble() -> None:
    resource = demo(sessions={"redis": {"urlSecretRef": {"name": "mine", "key": "url"}}})
    seen = conditions(replace(GOOD, missing_secrets=(URL,)), resource)
    assert short(seen["SessionsReady"]) == ("False", "SecretMissing")
    assert seen["SessionsReady"].message.endswith("the Secret mine has no key url: add it")


def test_redis_that_the_pods_do_not_reach_is_not_ready() -> None:
    seen = conditions(replace(GOOD, probes=(REACHED, AWAY), store_away_seconds=8.0))
    assert short(seen["SessionsReady"]) == short(seen["Ready"]) == ("False", "RedisUnreachable")
    assert "connection refused" in seen["Ready"].message


def test_redis_that_was_not_reached_for_a_moment_is_not_ready_yet() -> None:
    seen = conditions(replace(GOOD, probes=(REACHED, AWAY), store_away_seconds=7.9))
    assert short(seen["SessionsReady"]) == short(seen["Ready"]) == ("False", "RedisNotReady")
    assert "connection refused" in seen["Ready"].message


def test_a_rollouts_pod_too_many_is_counted_against_what_there_is() -> None:
    view = replace(FULL, replicas=2, updated=1, ready=2, available=2)
    pods = (good_pod("demo-1"), good_pod("demo-2"))
    seen = conditions(replace(GOOD, deployment=view, pods=pods))
    assert (short(seen["EngineReady"]), seen["EngineReady"].message) == (
        ("True", "Running"),
        "2 of 2 engines run",
    )
    assert (short(seen["Ready"]), seen["Ready"].message) == (("False", "RollingOut"), "2 of 2 pods answer")
    assert conditions(replace(GOOD, pods=pods), tgi())["GPUScheduled"].message.startswith("2 of 2 pods")


def test_redis_that_the_pods_reach_is_ready() -> None:
    assert short(conditions(replace(GOOD, probes=(REACHED,)))["SessionsReady"]) == ("True", "Reachable")


def test_a_silent_pod_says_nothing_of_redis() -> None:
    assert short(conditions(replace(GOOD, probes=(SILENT,)))["SessionsReady"]) == ("True", "RedisReady")


def test_a_redis_of_the_users_own_is_unknown_until_a_pod_says_so() -> None:
    resource = demo(sessions={"redis": {"urlSecretRef": {"name": "mine", "key": "url"}}})
    assert short(conditions(GOOD, resource)["SessionsReady"]) == ("Unknown", "NotChecked")
    assert short(conditions(GOOD, resource)["Ready"]) == ("True", "Available")


@pytest.mark.parametrize(
    ("container", "reason"),
    [
        (waiting("redis", "ErrImagePull", "x"), "ImagePullFailed"),
        (waiting("redis", "CrashLoopBackOff", "x", 3, lastState=ended("Error", 1)), "RedisCrashed"),
        (waiting("redis", "ContainerCreating"), "RedisNotReady"),
    ],
)
def test_redis_own_troubles_are_named(container: dict[str, Any], reason: str) -> None:
    seen = conditions(replace(GOOD, redis_ready=False, redis_pods=(pod(container),)))
    assert short(seen["SessionsReady"]) == short(seen["Ready"]) == ("False", reason)


def test_redis_without_a_volume_waits_in_the_schedulers_words() -> None:
    words = "0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims."
    seen = conditions(replace(GOOD, redis_ready=False, redis_pods=(read_pod(pending_pod(words)),)))
    assert short(seen["SessionsReady"]) == ("False", "RedisNotReady")
    assert words in seen["SessionsReady"].message


def test_sessions_in_memory_are_always_ready() -> None:
    resource = demo(sessions={"store": "Memory"})
    seen = conditions(replace(GOOD, redis_ready=False), resource)
    assert short(seen["SessionsReady"]) == ("True", "InMemory")
    assert short(seen["Ready"]) == ("True", "Available")


def test_26_a_secure_cookie_over_plain_http_is_reported() -> None:
    seen = conditions(replace(GOOD, probes=(replace(REACHED, plain_http=3),)))
    assert short(seen["SessionsReady"]) == ("True", "SecureCookieOverPlainHTTP")
    assert "spec.sessions.cookie.secure" in seen["SessionsReady"].message


def test_nothing_is_ready_when_nothing_is_wanted() -> None:
    view = DeploymentView(settled=True, replicas=0, updated=0, ready=0, available=0, failure="")
    seen = conditions(Observation(deployment=view, redis_ready=True), demo(replicas=0))
    assert short(seen["Ready"]) == short(seen["EngineReady"]) == ("False", "ScaledToZero")
    assert short(seen["Progressing"]) == ("False", "Complete")


def test_what_could_not_be_applied_comes_first() -> None:
    problems = (("ApplyFailed", "Deployment demo was refused: no"), ("NameTaken", "Service demo is there"))
    seen = conditions(replace(GOOD, problems=problems, missing_secrets=(TOKEN,)))
    assert short(seen["Reconciled"]) == short(seen["Ready"]) == ("False", "ApplyFailed")
    assert "Service demo is there" in seen["Reconciled"].message


def test_pods_that_go_do_not_count_as_engines() -> None:
    going = replace(good_pod("demo-0"), deleting=True)
    assert short(conditions(replace(GOOD, pods=(going, good_pod())))["EngineReady"]) == ("True", "Running")


def test_a_deployment_is_settled_when_its_controller_has_seen_it() -> None:
    raw = {"metadata": {"generation": 2}, "status": {"observedGeneration": 1, "replicas": 1}}
    view = read_deployment(raw)
    assert view is not None
    assert (view.settled, view.replicas, view.available) == (False, 1, 0)


def test_a_deployments_failure_is_read() -> None:
    failure = {"type": "ReplicaFailure", "status": "True", "message": "exceeded quota"}
    view = read_deployment({"metadata": {}, "status": {"conditions": [failure]}})
    assert view is not None
    assert view.failure == "exceeded quota"


@pytest.mark.parametrize(
    ("raw", "ready"), [(None, False), ({}, False), ({"status": {"readyReplicas": 1}}, True)]
)
def test_redis_is_ready_when_its_pod_is(raw: dict[str, Any] | None, ready: bool) -> None:
    assert read_redis_ready(raw) is ready
