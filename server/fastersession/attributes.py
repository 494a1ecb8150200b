"""A session's live attributes, and what of them is known to be stored."""

from collections.abc import Mapping
from typing import Any

from fastersession.codec import parse, registry

Encoded = dict[str, str]
"""The JSON text of each attribute by its name."""


class Attributes:
    """A dict that programs write to, beside the encoded form in which it was last read or written."""

    def __init__(self) -> None:
        self.live: dict[str, Any] = {}
        self.stored: Encoded = {}

    def encode(self) -> Encoded:
        """The live attributes as they would be stored. Raises InvalidSessionData."""
        return registry.encode(self.live).texts

    def reset(self, text: str | None) -> None:
        """Take over what was read; None for nothing. The dict stays the same one."""
        fresh = {} if text is None else registry.decode(parse(text))
        stored = registry.encode(fresh).texts
        self.live.clear()
        self.live.update(fresh)
        self.stored = stored

    def merge(self, text: str) -> bool:
        """Take over what somebody else stored since. False, and nothing done, where both changed the same."""
        fresh = registry.decode(parse(text))
        theirs = registry.encode(fresh).texts
        names = foreign_changes(self.stored, self.encode(), theirs)
        if names is None:
            return False
        for name in names:
            if name in fresh:
                self.live[name] = fresh[name]
            else:
                self.live.pop(name, None)
        self.stored = theirs
        return True


def foreign_changes(
    base: Mapping[str, str], mine: Mapping[str, str], theirs: Mapping[str, str]
) -> set[str] | None:
    """The names that only they changed; None where an attribute was changed on both sides, differently."""
    changed = {name for name in base.keys() | theirs.keys() if base.get(name) != theirs.get(name)}
    for name in changed:
        if mine.get(name) != base.get(name) and mine.get(name) != theirs.get(name):
            return None
    return changed
