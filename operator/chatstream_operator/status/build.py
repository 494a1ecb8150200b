"""The status of a ChatStream, as it is applied."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from chatstream_operator.spec import API_VERSION, KIND, ChatStream, Key
from chatstream_operator.status.conditions import NO_DEPLOYMENT, Condition, build_conditions
from chatstream_operator.status.observation import Observation

Raw = Mapping[str, Any]
_LONGEST = 4096


def build_status(
    chatstream: ChatStream, seen: Observation, *, before: Raw, now: str, image: str, selector: str
) -> dict[str, Any]:
    """before: the status as it was, for the times of the conditions. now: RFC 3339."""
    view = seen.deployment or NO_DEPLOYMENT
    conditions = build_conditions(chatstream, seen)
    return {
        "observedGeneration": chatstream.generation,
        "replicas": view.replicas,
        "readyReplicas": view.ready,
        "selector": selector,
        "url": chatstream.url,
        "model": chatstream.model_id,
        "gpu": chatstream.gpu_count,
        "image": image,
        "conditions": stamp(conditions, before=before, generation=chatstream.generation, now=now),
    }


def build_invalid_status(raw: Raw, message: str, *, now: str) -> dict[str, Any]:
    """Of a resource that cannot be parsed: what was known before stays, all conditions say why it stands."""
    before = raw.get("status") or {}
    generation = raw["metadata"].get("generation", 0)
    conditions = [
        Condition("Ready", "False", "InvalidSpec", message),
        Condition("Reconciled", "False", "InvalidSpec", f"nothing is changed until it is mended: {message}"),
    ]
    known = {"Ready", "Reconciled"}
    kept = [
        Condition(old["type"], "Unknown", "InvalidSpec", "the spec cannot be served")
        for old in before.get("conditions") or ()
        if old["type"] not in known
    ]
    stamped = stamp([*conditions, *kept], before=before, generation=generation, now=now)
    return {**before, "observedGeneration": generation, "conditions": stamped}


def stamp(conditions: Iterable[Condition], *, before: Raw, generation: int, now: str) -> list[dict[str, Any]]:
    """Conditions with their times: the old one where the status is the same, now where it changed."""
    old = {condition["type"]: condition for condition in before.get("conditions") or ()}
    return [
        {
            "type": condition.type,
            "status": condition.status,
            "reason": condition.reason,
            "message": condition.message[:_LONGEST],
            "observedGeneration": generation,
            "lastTransitionTime": _time(old.get(condition.type), condition, now),
        }
        for condition in conditions
    ]


def build_status_patch(key: Key, status: Raw) -> dict[str, Any]:
    """The object whose server-side apply sets the status."""
    meta = {"name": key.name, "namespace": key.namespace}
    return {"apiVersion": API_VERSION, "kind": KIND, "metadata": meta, "status": dict(status)}


def _time(old: Raw | None, new: Condition, now: str) -> str:
    if old is not None and old["status"] == new.status:
        return str(old["lastTransitionTime"])
    return now
