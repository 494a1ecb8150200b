"""Why a pod does not serve: one reason, and the words of whoever knows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from chatstream_operator.status.pods import ContainerView, PodView

IMAGE_REASONS = frozenset(
    {"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "ImageInspectError"}
)
CONFIG_REASONS = frozenset({"CreateContainerConfigError", "CreateContainerError", "RunContainerError"})
WAITING_REASONS = frozenset({"Starting", "Loading"})
"""Reasons that pass by themselves."""
UNKNOWN_ENDS = frozenset({"Unknown", "ContainerStatusUnknown"})
"""What the kubelet says of containers that ended with their node."""
_CRASHED = {"engine": "EngineCrashed", "server": "ServerCrashed", "redis": "RedisCrashed"}
_ORDER = (
    "InsufficientGPU",
    "Unschedulable",
    "SecretMissing",
    "ImagePullFailed",
    "ContainerFailed",
    "OutOfMemory",
    "EngineCrashed",
    "ServerCrashed",
    "RedisCrashed",
    "Loading",
    "Starting",
)


@dataclass(frozen=True, slots=True)
class Problem:
    """reason: one of _ORDER. container: empty where it is the whole pod's problem."""

    reason: str
    message: str
    container: str = ""


def find_problem(pod: PodView, resource_name: str) -> Problem | None:
    """The first thing that keeps a pod from being ready; None where it is ready or going."""
    if pod.deleting or pod.ready:
        return None
    if pod.scheduled is False:
        words = pod.unscheduled_message or "the scheduler gives no reason"
        gpu = f"Insufficient {resource_name}" in words
        return Problem("InsufficientGPU" if gpu else "Unschedulable", f"pod {pod.name} waits: {words}")
    for container in pod.containers:
        if problem := _of_container(pod.name, container):
            return problem
    return Problem("Starting", f"pod {pod.name} is starting")


def worst(problems: Iterable[Problem]) -> Problem | None:
    """The one that a user has to act on first."""
    return min(problems, key=lambda problem: _ORDER.index(problem.reason), default=None)


def _of_container(pod: str, container: ContainerView) -> Problem | None:
    name = container.name
    if container.ready and container.started:
        return None
    where = f"container {name} of pod {pod}"
    if reason := _waiting(container):
        return Problem(reason, f"{where}: {container.waiting_message or container.waiting_reason}", name)
    if container.ended_reason == "OOMKilled":
        return Problem("OutOfMemory", f"{where} ran out of memory; {_count(container)}", name)
    if _has_crashed(container):
        crashed = _CRASHED.get(name, "ContainerFailed")
        return Problem(crashed, f"{where} ended with {container.ended_code}; {_count(container)}", name)
    if container.waiting_reason:
        return Problem("Starting", f"{where}: {container.waiting_reason}", name)
    if name == "engine":
        return Problem("Loading", f"the engine of pod {pod} is loading the model", name)
    return Problem("Starting", f"{where} is starting", name)


def _has_crashed(container: ContainerView) -> bool:
    """One that was told to end, or whose node went, has not: unless it comes to that again and again."""
    if container.ended_code is None:
        return False
    told_to_end = container.ended_code == 0 or container.ended_reason in UNKNOWN_ENDS
    return not told_to_end or container.waiting_reason == "CrashLoopBackOff"


def _waiting(container: ContainerView) -> str:
    if container.waiting_reason in IMAGE_REASONS:
        return "ImagePullFailed"
    if container.waiting_reason in CONFIG_REASONS:
        secret = "secret" in container.waiting_message.lower()
        return "SecretMissing" if secret else "ContainerFailed"
    return ""


def _count(container: ContainerView) -> str:
    return f"it was restarted {container.restarts} times; see its log with kubectl logs --previous"
