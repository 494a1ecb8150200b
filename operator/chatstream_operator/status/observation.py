"""What was seen of one ChatStream's children: the only input of the conditions, beside the resource."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from chatstream_operator.status.pods import PodView


@dataclass(frozen=True, slots=True)
class DeploymentView:
    """settled: the Deployment's controller has seen its newest generation."""

    settled: bool
    replicas: int
    updated: int
    ready: int
    available: int
    failure: str


@dataclass(frozen=True, slots=True)
class MissingSecret:
    """A Secret, or a key of it, that the spec refers to and that is not there. field: a path in the spec."""

    field: str
    name: str
    key: str
    whole: bool

    @property
    def message(self) -> str:
        if self.whole:
            return f"{self.field}: there is no Secret {self.name}: create it, with the key {self.key}"
        return f"{self.field}: the Secret {self.name} has no key {self.key}: add it"


@dataclass(frozen=True, slots=True)
class Probe:
    """What one server said at /status. error: why it said nothing, or why its session store is away.

    session_keys, encryption_keys: fingerprints of the keys that it has read, the one that it uses first.
    """

    pod: str
    answered: bool
    store_reachable: bool
    error: str
    plain_http: int
    session_keys: tuple[str, ...] = ()
    encryption_keys: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Observation:
    """deployment is None before it is there. problems: (reason, message) of what kept children from being
    applied. store_away_seconds: for how long pods have said that they do not reach a Redis that is up.
    rotation: what a rotation of the keys waits for. keys_problem: why servers cannot take the keys."""

    deployment: DeploymentView | None = None
    pods: tuple[PodView, ...] = ()
    redis_ready: bool = False
    redis_pods: tuple[PodView, ...] = ()
    probes: tuple[Probe, ...] = ()
    store_away_seconds: float = 0.0
    missing_secrets: tuple[MissingSecret, ...] = ()
    problems: tuple[tuple[str, str], ...] = field(default=())
    rotation: str = ""
    keys_problem: str = ""


def read_deployment(raw: Mapping[str, Any] | None) -> DeploymentView | None:
    if raw is None:
        return None
    status = raw.get("status") or {}
    conditions = {condition["type"]: condition for condition in status.get("conditions") or ()}
    failure = conditions.get("ReplicaFailure", {})
    return DeploymentView(
        settled=status.get("observedGeneration", 0) >= raw["metadata"].get("generation", 0),
        replicas=status.get("replicas", 0),
        updated=status.get("updatedReplicas", 0),
        ready=status.get("readyReplicas", 0),
        available=status.get("availableReplicas", 0),
        failure=failure.get("message", "") if failure.get("status") == "True" else "",
    )


def read_redis_ready(raw: Mapping[str, Any] | None) -> bool:
    """Whether the managed Redis' StatefulSet has its one pod ready."""
    return raw is not None and (raw.get("status") or {}).get("readyReplicas", 0) >= 1
