"""Durations as the resource writes them (30s, 5m, 24h, 1h30m), in seconds."""

from __future__ import annotations

import re

_PART = re.compile(r"([0-9]{1,6})(ms|s|m|h)")
_WHOLE = re.compile(r"(?:[0-9]{1,6}(?:ms|s|m|h))+")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


def parse_duration(text: object) -> float:
    """Seconds. Raises ValueError where the text is no duration."""
    if not isinstance(text, str) or not _WHOLE.fullmatch(text):
        raise ValueError(f"{text!r} is no duration: write one such as 30s, 5m or 1h")
    return sum(int(number) * _SECONDS[unit] for number, unit in _PART.findall(text))
