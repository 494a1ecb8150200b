"""Why a pod does not serve: every cause by its own name, in the words of whoever knows."""

from __future__ import annotations

import pytest

from chatstream_operator.status.pods import read_pod
from chatstream_operator.status.problems import Problem, find_problem, worst
from tests.operator.pods import (
    WORDS,
    Raw,
    container,
    ended,
    good_pod,
    loading,
    pending_pod,
    pod,
    raw_pod,
    running,
    waiting,
)

GPU = "nvidia.com/gpu"
INITIALIZING = waiting("server", "PodInitializing")
CASES: list[tuple[str, list[Raw], str, str]] = [
    ("image", [waiting("engine", "ErrImagePull", "not found")], "ImagePullFailed", "not found"),
    ("image", [waiting("engine", "ImagePullBackOff", "back-off")], "ImagePullFailed", "back-off"),
    ("image", [waiting("engine", "ErrImageNeverPull")], "ImagePullFailed", "ErrImageNeverPull"),
    ("name", [waiting("engine", "InvalidImageName", "bad")], "ImagePullFailed", "bad"),
    ("server's image", [running(), waiting("server", "ErrImagePull", "no")], "ImagePullFailed", "server"),
    (
        "secret",
        [waiting("engine", "CreateContainerConfigError", 'secret "hf" not found')],
        "SecretMissing",
        'secret "hf" not found',
    ),
    (
        "key",
        [waiting("engine", "CreateContainerConfigError", "couldn't find key token in Secret team/hf")],
        "SecretMissing",
        "key token",
    ),
    (
        "other",
        [waiting("engine", "CreateContainerConfigError", "no such file")],
        "ContainerFailed",
        "no such",
    ),
    ("memory", [container(state=ended("OOMKilled", 137))], "OutOfMemory", "ran out of memory"),
    (
        "memory before",
        [waiting("engine", "CrashLoopBackOff", "back-off", 3, lastState=ended("OOMKilled", 137))],
        "OutOfMemory",
        "restarted 3 times",
    ),
    (
        "crash loop",
        [waiting("engine", "CrashLoopBackOff", "back-off", 5, lastState=ended("Error", 1)), INITIALIZING],
        "EngineCrashed",
        "ended with 1; it was restarted 5 times",
    ),
    (
        "starts again",
        [container(restarts=1, state={"running": {}}, lastState=ended("Error", 2))],
        "EngineCrashed",
        "ended with 2",
    ),
    ("told to end", [container(state=ended("Completed", 0)), INITIALIZING], "Loading", "engine"),
    (
        "told to end before",
        [container(restarts=1, state={"running": {}}, lastState=ended("Completed", 0))],
        "Loading",
        "engine",
    ),
    (
        "its node started again",
        [container(restarts=1, state={"running": {}}, lastState=ended("Unknown", 255))],
        "Loading",
        "engine",
    ),
    (
        "ends with 0 again and again",
        [waiting("engine", "CrashLoopBackOff", "b", 4, lastState=ended("Completed", 0))],
        "EngineCrashed",
        "ended with 0",
    ),
    ("first end", [container(state=ended("Error", 3))], "EngineCrashed", "ended with 3"),
    (
        "server",
        [running(), waiting("server", "CrashLoopBackOff", "b", 2, lastState=ended("Error", 1))],
        "ServerCrashed",
        "container server",
    ),
    (
        "redis",
        [waiting("redis", "CrashLoopBackOff", "b", 2, lastState=ended("Error", 1))],
        "RedisCrashed",
        "redis",
    ),
    ("loading", [loading(), INITIALIZING], "Loading", "loading the model"),
    ("server starts", [running(), loading("server")], "Starting", "server"),
    ("creating", [waiting("engine", "ContainerCreating"), INITIALIZING], "Starting", "ContainerCreating"),
    ("nothing known", [], "Starting", "is starting"),
]


@pytest.mark.parametrize(("name", "containers", "reason", "words"), CASES)
def test_every_cause_has_its_name(name: str, containers: list[Raw], reason: str, words: str) -> None:
    conditions = [{"type": "PodScheduled", "status": "True"}]
    problem = find_problem(pod(*containers, conditions=conditions), GPU)
    assert problem is not None, name
    assert problem.reason == reason
    assert words in problem.message
    assert "demo-1" in problem.message


def test_no_gpu_is_told_in_the_schedulers_words() -> None:
    problem = find_problem(read_pod(pending_pod()), GPU)
    assert problem == Problem("InsufficientGPU", f"pod demo-1 waits: {WORDS}")


def test_another_resource_that_is_short_is_no_gpu() -> None:
    problem = find_problem(read_pod(pending_pod("0/1 nodes are available: 1 Insufficient memory.")), GPU)
    assert problem is not None
    assert problem.reason == "Unschedulable"


def test_the_gpus_name_is_the_resources_own() -> None:
    raw = pending_pod("0/1 nodes are available: 1 Insufficient amd.com/gpu.")
    problem = find_problem(read_pod(raw), "amd.com/gpu")
    assert problem is not None
    assert problem.reason == "InsufficientGPU"


def test_a_ready_pod_has_no_problem() -> None:
    assert find_problem(good_pod(), GPU) is None


@pytest.mark.parametrize("phase", ["Failed", "Succeeded"])
def test_a_pod_that_has_ended_is_replaced_already(phase: str) -> None:
    assert find_problem(pod(container(state=ended("Error", 1)), phase=phase), GPU) is None


def test_a_pod_that_goes_has_no_problem() -> None:
    raw = raw_pod(container(state=ended("Error", 1)))
    raw["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert find_problem(read_pod(raw), GPU) is None


def test_the_worst_problem_is_the_one_to_act_on() -> None:
    found = [Problem("Loading", "a"), Problem("OutOfMemory", "b"), Problem("InsufficientGPU", "c")]
    assert worst(found) == found[2]
    assert worst(found[:2]) == found[1]
    assert worst([]) is None
