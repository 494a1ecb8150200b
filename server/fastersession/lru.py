"""A bounded collection in which what was never asked for again goes first."""

from collections import OrderedDict
from collections.abc import Iterator
from typing import Generic, TypeVar

V = TypeVar("V")


class SegmentedLru(Generic[V]):
    """At most `capacity` values in two segments: the known ones, which came back, and the new ones.

    New ones push each other out and never a known one, of which the least recently used goes when there are
    too many; a tenth is kept free of them. So a flood of values that never come back evicts only itself.
    """

    def __init__(self, capacity: int) -> None:
        if capacity < 1:
            raise ValueError("the capacity must be at least 1")
        self._capacity = capacity
        self._most_known = capacity - capacity // 10
        self._new: OrderedDict[str, V] = OrderedDict()
        self._known: OrderedDict[str, V] = OrderedDict()

    def __len__(self) -> int:
        return len(self._new) + len(self._known)

    def __iter__(self) -> Iterator[tuple[str, V]]:
        yield from self._new.items()
        yield from self._known.items()

    def get(self, key: str) -> V | None:
        """The value, which is the most recently used of its segment now."""
        for segment in (self._known, self._new):
            if key in segment:
                segment.move_to_end(key)
                return segment[key]
        return None

    def is_known(self, key: str) -> bool:
        """Whether it came back."""
        return key in self._known

    def came_back(self, key: str) -> None:
        """Make a new value a known one."""
        if key in self._new:
            self._known[key] = self._new.pop(key)

    def add(self, key: str, value: V, *, known: bool = False) -> None:
        """Add a value that is not there yet."""
        (self._known if known else self._new)[key] = value

    def pop(self, key: str) -> None:
        """Remove a value, if it is there."""
        self._new.pop(key, None)
        self._known.pop(key, None)

    def shrink(self) -> int:
        """Bring it within its bounds. Returns how many values had to go."""
        gone = 0
        while len(self._known) > self._most_known:
            self._known.popitem(last=False)
            gone += 1
        while len(self) > self._capacity:
            # The newest one stays: otherwise nobody could come back to a store that is full of known ones.
            segment = self._new if len(self._new) > 1 or not self._known else self._known
            segment.popitem(last=False)
            gone += 1
        return gone
