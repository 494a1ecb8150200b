"""Events: one when Ready changes its reason, and none when the same is only said again; and of keys."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from chatstream_operator.spec import API_VERSION, KIND, Key
from chatstream_operator.status.problems import WAITING_REASONS

CONTROLLER = "chatstream.dev/operator"
NORMAL_REASONS = WAITING_REASONS | {"Available", "CleaningUp", "RollingOut", "ScaledToZero"}
QUIET_SECONDS = 300.0
AT_MOST = 3
"""The same reason of the same resource is told so often in this time: a crash loop must not flood."""
_NOTE_LIMIT = 1000

Raw = Mapping[str, Any]


class EventGate:
    """Says whether a change of Ready is worth an event."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._told: dict[Key, dict[str, list[float]]] = {}

    def admits(self, key: Key, before: Raw | None, after: Raw) -> bool:
        """before, after: the condition Ready, None where there was none."""
        if before is not None and _shown(before) == _shown(after):
            return False
        told = self._told.setdefault(key, {})
        now = self._clock()
        recent = [at for at in told.get(after["reason"], ()) if now - at < QUIET_SECONDS]
        told[after["reason"]] = recent if len(recent) >= AT_MOST else [*recent, now]
        return len(recent) < AT_MOST

    def forget(self, key: Key) -> None:
        self._told.pop(key, None)


def ready_of(status: Raw) -> Raw | None:
    return next((one for one in status.get("conditions") or () if one["type"] == "Ready"), None)


def event_type(before: Raw | None, after: Raw) -> str:
    """Normal or Warning. A Redis that is not ready yet is no fault; one that was, is."""
    was_ready = before is not None and before["status"] == "True"
    passing = after["reason"] in NORMAL_REASONS or (after["reason"] == "RedisNotReady" and not was_ready)
    return "Normal" if passing else "Warning"


@dataclass(frozen=True, slots=True)
class News:
    """type: Normal or Warning."""

    type: str
    reason: str
    note: str


def news_of(before: Raw | None, condition: Raw) -> News:
    """before, condition: Ready as it was and is."""
    return News(event_type(before, condition), condition["reason"], condition["message"])


def build_event(raw: Raw, news: News, *, now: str, instance: str) -> dict[str, Any]:
    """raw: the ChatStream. now: RFC 3339 with microseconds. instance: which operator says so."""
    meta = raw["metadata"]
    return {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {"name": f"{meta['name']}.{secrets.token_hex(8)}", "namespace": meta["namespace"]},
        "eventTime": now,
        "reportingController": CONTROLLER,
        "reportingInstance": instance[:128],
        "action": "Reconcile",
        "reason": news.reason,
        "type": news.type,
        "note": news.note[:_NOTE_LIMIT],
        "regarding": {
            "apiVersion": API_VERSION,
            "kind": KIND,
            "name": meta["name"],
            "namespace": meta["namespace"],
            "uid": meta["uid"],
            "resourceVersion": meta.get("resourceVersion", ""),
        },
    }


def _shown(condition: Raw) -> tuple[str, str]:
    return condition["status"], condition["reason"]
