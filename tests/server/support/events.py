"""Server-sent events, read as a browser reads them."""

import json
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Event:
    name: str
    data: dict[str, Any]


def parse_events(text: str) -> list[Event]:
    """Whole events of a stream; comments are left out."""
    return [event for block in text.split("\n\n") if (event := _parse(block)) is not None]


def _parse(block: str) -> Event | None:
    fields = [line.partition(": ")[::2] for line in block.split("\n") if line and not line.startswith(":")]
    values = dict(fields)
    if "data" not in values:
        return None
    return Event(values.get("event", "message"), json.loads(values["data"]))


def text_of(events: list[Event]) -> str:
    return "".join(event.data["delta"] for event in events if event.name == "message")


def names_of(events: list[Event]) -> list[str]:
    """Their names, deltas left out."""
    return [event.name for event in events if event.name != "message"]
