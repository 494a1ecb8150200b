"""A ring of keys as the Secret holds it: a JSON list. The first is used, all of them are accepted."""

from __future__ import annotations

import hashlib
import json

Ring = tuple[str, ...]
PURPOSE = b"fastersession.key-fingerprint:"
LEAST_BYTES = 16
"""Servers refuse shorter keys."""


class InvalidKeys(ValueError):
    """Not a ring that servers take. The message shows nothing of it."""


def fingerprint(key: str) -> str:
    """8 hex digits that tell keys apart and may be shown: the same as servers report."""
    return hashlib.sha256(PURPOSE + key.encode()).hexdigest()[:8]


def read_ring(text: str) -> Ring:
    """Raises InvalidKeys."""
    try:
        keys = json.loads(text)
    except (ValueError, RecursionError):
        keys = None
    if not isinstance(keys, list) or not keys or not all(isinstance(key, str) for key in keys):
        raise InvalidKeys("is no JSON list of keys")
    if any(_size(key) < LEAST_BYTES for key in keys):
        raise InvalidKeys(f"holds a key under {LEAST_BYTES} bytes")
    return tuple(keys)


def write_ring(ring: Ring) -> str:
    return json.dumps(list(ring))


def _size(key: str) -> int:
    """0 for what is no text, such as half of a surrogate pair."""
    try:
        return len(key.encode())
    except UnicodeEncodeError:
        return 0
