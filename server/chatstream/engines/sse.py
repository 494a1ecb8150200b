"""A parser of server-sent events for one stream: bytes in, the `data` of each complete event out."""

from chatstream.errors import EngineFailed

LONGEST_EVENT = 4 * 1024 * 1024
"""Bytes. TGI's last event repeats the whole text, so this bounds memory and not what can be said."""


class SSEParser:
    """Lines end with LF or CRLF. Comments, fields other than `data` and an unfinished event are skipped.

    What comes out does not depend on how the bytes were split on their way, and the work is linear in them.
    """

    def __init__(self, longest_event: int = LONGEST_EVENT) -> None:
        self._longest = longest_event
        self._line: list[bytes] = []  # the parts of a line whose end has not come yet
        self._data: list[bytes] = []  # the data lines of an event whose end has not come yet
        self._held = 0

    def feed(self, chunk: bytes) -> list[bytes]:
        """The events that this chunk completes. EngineFailed for one that is longer than allowed."""
        lines = chunk.split(b"\n")
        rest = lines.pop()
        events: list[bytes] = []
        if lines:
            if self._line:
                lines[0] = b"".join((*self._line, lines[0]))
                self._line.clear()
            self._take(lines, events)
        if rest:
            self._line.append(rest)
            self._hold(len(rest))
        return events

    def _take(self, lines: list[bytes], events: list[bytes]) -> None:
        data = self._data
        for line in lines:
            if line.startswith(b"data:"):
                data.append(line)
            elif data and line in (b"", b"\r"):
                events.append(_value(data[0]) if len(data) == 1 else b"\n".join(map(_value, data)))
                data.clear()
        self._held = 0
        self._hold(sum(map(len, data)))

    def _hold(self, size: int) -> None:
        self._held += size
        if self._held > self._longest:
            raise EngineFailed(f"an event of the engine is longer than {self._longest} bytes")


def _value(line: bytes) -> bytes:
    """What follows `data:`, without the one space that may come first and the CR that may come last."""
    end = -1 if line.endswith(b"\r") else None
    return line[6:end] if line.startswith(b" ", 5) else line[5:end]
