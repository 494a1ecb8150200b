"""One line of a watch, as an event."""

from __future__ import annotations

import json

from chatstream_operator.errors import Unavailable
from chatstream_operator.kube.answers import error_of
from chatstream_operator.kube.protocol import WatchEvent


def parse_event(line: bytes) -> WatchEvent:
    """Raises the KubeError of an ERROR event; Gone means: list again."""
    try:
        raw = json.loads(line)
        kind, obj = raw["type"], raw["object"]
    except (ValueError, KeyError, TypeError) as error:
        raise Unavailable(f"a watch sent what is no event: {line[:200]!r}") from error
    if kind == "ERROR":
        raise error_of(int(obj.get("code") or 500), json.dumps(obj).encode())
    return WatchEvent(type=kind, object=obj)
