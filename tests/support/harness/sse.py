"""Server-sent events as a client of the documents reads them; independent of the server's own code."""

import json
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Event:
    """One event: when it was there (monotonic seconds), its name ('message' if unnamed), its JSON."""

    at: float
    name: str
    data: dict[str, Any]


@dataclass(slots=True)
class EventReader:
    """Feed it bytes, in whatever pieces they come; it hands out whole events and counts comments."""

    comments: int = 0
    _rest: bytes = field(default=b"")

    def feed(self, chunk: bytes, at: float) -> list[Event]:
        *blocks, self._rest = (self._rest + chunk).split(b"\n\n")
        return [event for block in blocks if (event := self._parse(block.decode(), at)) is not None]

    @property
    def unfinished(self) -> bytes:
        """What came after the last whole event."""
        return self._rest

    def _parse(self, block: str, at: float) -> Event | None:
        name, data = "message", []
        for line in block.split("\n"):
            key, _, value = line.partition(":")
            if key == "":
                self.comments += 1
            elif key == "event":
                name = value.removeprefix(" ")
            elif key == "data":
                data.append(value.removeprefix(" "))
        return Event(at, name, json.loads("\n".join(data))) if data else None
