"""A pod's status, read once into what the conditions need."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Raw = Mapping[str, Any]
ENDED = frozenset({"Succeeded", "Failed"})
"""Phases of pods that the Deployment has replaced already."""


@dataclass(frozen=True, slots=True)
class ContainerView:
    """What the kubelet says of one container. Empty strings where it says nothing.

    ended_*: how it ended, or how it ended the last time where it was started again.
    """

    name: str
    ready: bool
    started: bool
    restarts: int
    waiting_reason: str
    waiting_message: str
    ended_reason: str
    ended_code: int | None


@dataclass(frozen=True, slots=True)
class PodView:
    """deleting: it is going, or has ended and will not come back. scheduled: None where the scheduler has not
    spoken yet; unscheduled_message are its own words."""

    name: str
    uid: str
    ip: str
    ready: bool
    deleting: bool
    scheduled: bool | None
    unscheduled_message: str
    containers: tuple[ContainerView, ...]

    def container(self, name: str) -> ContainerView | None:
        return next((container for container in self.containers if container.name == name), None)


def read_pod(raw: Raw) -> PodView:
    status = raw.get("status") or {}
    conditions = {condition["type"]: condition for condition in status.get("conditions") or ()}
    scheduled = conditions.get("PodScheduled")
    statuses = [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]
    bound = bool((raw.get("spec") or {}).get("nodeName"))
    return PodView(
        name=raw["metadata"]["name"],
        uid=raw["metadata"].get("uid", ""),
        ip=status.get("podIP", ""),
        ready=conditions.get("Ready", {}).get("status") == "True",
        deleting="deletionTimestamp" in raw["metadata"] or status.get("phase") in ENDED,
        scheduled=True if bound else (None if scheduled is None else scheduled["status"] == "True"),
        unscheduled_message=(scheduled or {}).get("message", "") if not bound else "",
        containers=tuple(_read_container(entry) for entry in statuses),
    )


def _read_container(raw: Raw) -> ContainerView:
    state = raw.get("state") or {}
    waiting = state.get("waiting") or {}
    ended = state.get("terminated") or (raw.get("lastState") or {}).get("terminated") or {}
    return ContainerView(
        name=raw["name"],
        ready=bool(raw.get("ready")),
        started=bool(raw.get("started")),
        restarts=int(raw.get("restartCount", 0)),
        waiting_reason=waiting.get("reason", ""),
        waiting_message=waiting.get("message", ""),
        ended_reason=ended.get("reason", ""),
        ended_code=ended.get("exitCode"),
    )
