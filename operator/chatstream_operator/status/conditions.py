"""The conditions: a pure function of the resource and of what was observed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from chatstream_operator.spec import ChatStream
from chatstream_operator.status.observation import DeploymentView, Observation
from chatstream_operator.status.problems import WAITING_REASONS, Problem, find_problem, worst
from chatstream_operator.status.sessions import build_sessions_ready

Truth = Literal["True", "False", "Unknown"]
NO_DEPLOYMENT = DeploymentView(settled=False, replicas=0, updated=0, ready=0, available=0, failure="")


@dataclass(frozen=True, slots=True)
class Condition:
    """Without its time and generation: those are added where it is compared with the one before."""

    type: str
    status: Truth
    reason: str
    message: str


def build_conditions(chatstream: ChatStream, seen: Observation) -> list[Condition]:
    """All six, in the order in which they are shown."""
    problem = _pod_problem(chatstream, seen)
    sessions = Condition("SessionsReady", *build_sessions_ready(chatstream, seen))
    reconciled = _reconciled(seen)
    return [
        _ready(chatstream, seen, problem, [reconciled, sessions]),
        _progressing(chatstream, seen),
        _engine_ready(chatstream, seen, problem),
        sessions,
        _gpu_scheduled(chatstream, seen),
        reconciled,
    ]


def is_complete(chatstream: ChatStream, seen: Observation) -> bool:
    """Every wanted pod is of the newest template and answers, and no old one is left."""
    view = seen.deployment or NO_DEPLOYMENT
    wanted = chatstream.spec.replicas
    return view.settled and view.updated == view.replicas == view.available == wanted


def _pod_problem(chatstream: ChatStream, seen: Observation) -> Problem | None:
    if seen.missing_secrets:
        return Problem("SecretMissing", "; ".join(missing.message for missing in seen.missing_secrets))
    resource = chatstream.spec.engine.gpu.resource_name
    found = [problem for pod in seen.pods if (problem := find_problem(pod, resource))]
    if seen.deployment and seen.deployment.failure and not found:
        return Problem("ContainerFailed", f"pods cannot be made: {seen.deployment.failure}")
    return worst(found)


def _ready(
    chatstream: ChatStream, seen: Observation, problem: Problem | None, others: list[Condition]
) -> Condition:
    def no(reason: str, message: str) -> Condition:
        return Condition("Ready", "False", reason, message)

    reconciled, sessions = others
    if reconciled.status == "False":
        return no(reconciled.reason, reconciled.message)
    if chatstream.spec.replicas == 0:
        return no("ScaledToZero", "no pods are wanted: raise spec.replicas")
    if problem and problem.reason not in WAITING_REASONS:
        return no(problem.reason, problem.message)
    if sessions.status == "False":
        return no(sessions.reason, sessions.message)
    if problem and not is_complete(chatstream, seen):
        return no(problem.reason, problem.message)
    if not is_complete(chatstream, seen):
        return no("RollingOut", _counts(chatstream, seen))
    return Condition("Ready", "True", "Available", f"{_counts(chatstream, seen)} at {chatstream.url}")


def _progressing(chatstream: ChatStream, seen: Observation) -> Condition:
    if is_complete(chatstream, seen):
        return Condition("Progressing", "False", "Complete", _counts(chatstream, seen))
    return Condition("Progressing", "True", "RollingOut", _counts(chatstream, seen))


def _engine_ready(chatstream: ChatStream, seen: Observation, problem: Problem | None) -> Condition:
    pods = [pod for pod in seen.pods if not pod.deleting]
    engines = [engine for pod in pods if (engine := pod.container("engine"))]
    ready = sum(engine.ready and engine.started for engine in engines)
    wanted = chatstream.spec.replicas
    # A rollout has more pods for a while than are wanted.
    counts = f"{ready} of {max(wanted, len(pods))} engines run"
    if wanted == 0:
        return Condition("EngineReady", "False", "ScaledToZero", "no pods are wanted: raise spec.replicas")
    if ready >= wanted and ready == len(pods):
        return Condition("EngineReady", "True", "Running", counts)
    if problem:
        return Condition("EngineReady", "False", problem.reason, problem.message)
    return Condition("EngineReady", "False", "Starting", counts)


def _gpu_scheduled(chatstream: ChatStream, seen: Observation) -> Condition:
    if chatstream.gpu_count == 0:
        return Condition("GPUScheduled", "True", "NotNeeded", "the pods ask for no GPU")
    resource = chatstream.spec.engine.gpu.resource_name
    pods = [pod for pod in seen.pods if not pod.deleting]
    waiting = [problem for pod in pods if (problem := find_problem(pod, resource))]
    stuck = worst(one for one in waiting if one.reason in {"InsufficientGPU", "Unschedulable"})
    if stuck:
        return Condition("GPUScheduled", "False", stuck.reason, stuck.message)
    placed = sum(pod.scheduled is True for pod in pods)
    there = max(chatstream.spec.replicas, len(pods))
    message = f"{placed} of {there} pods have their {chatstream.gpu_count} {resource}"
    if placed >= chatstream.spec.replicas:
        return Condition("GPUScheduled", "True", "Scheduled", message)
    return Condition("GPUScheduled", "Unknown", "Scheduling", message)


def _reconciled(seen: Observation) -> Condition:
    if seen.problems:
        message = "; ".join(message for _, message in seen.problems)
        return Condition("Reconciled", "False", seen.problems[0][0], message)
    return Condition("Reconciled", "True", "Applied", "all parts are applied")


def _counts(chatstream: ChatStream, seen: Observation) -> str:
    view = seen.deployment or NO_DEPLOYMENT
    return f"{view.available} of {max(chatstream.spec.replicas, view.replicas)} pods answer"
