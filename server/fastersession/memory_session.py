"""One session as the memory store keeps it."""

from collections import deque
from dataclasses import dataclass, field, replace

from fastersession.errors import VersionConflict
from fastersession.records import Append, Change, StoredSession, Tail, Window

_MARKS = 16


@dataclass(slots=True)
class KeptJournal:
    """Entries `first`, `first` + 1, …; beside each the mark of the write that it came with."""

    first: int = 0
    texts: list[str] = field(default_factory=list)
    marks: list[str] = field(default_factory=list)

    @property
    def end(self) -> int:
        """How many entries there ever were."""
        return self.first + len(self.texts)

    def append(self, append: Append, mark: str) -> None:
        """Add entries, and drop the oldest beyond the limit."""
        self.texts += append.entries
        self.marks += [mark] * len(append.entries)
        dropped = max(0, len(self.texts) - append.limit)
        del self.texts[:dropped], self.marks[:dropped]
        self.first += dropped

    def has(self, append: Append, mark: str) -> bool:
        """Whether this very write stands here already."""
        return bool(append.entries) and mark in self.marks[max(0, append.after - self.first) :]

    def newest(self, window: Window) -> Tail:
        """What lies in the window."""
        left, at = window.bytes, len(self.texts)
        oldest = max(0, at - window.entries)
        while at > oldest:
            left -= _size(self.texts[at - 1])
            if left < 0 and at < len(self.texts):
                break
            at -= 1
        return Tail(self.first + at, tuple(self.texts[at:]))

    def part(self, start: int, limit: int) -> Tail:
        """At most `limit` entries from number `start` on."""
        at = max(0, start - self.first)
        return Tail(self.first + at, tuple(self.texts[at : at + limit]))

    def copy(self) -> "KeptJournal":
        return KeptJournal(self.first, list(self.texts), list(self.marks))


@dataclass(slots=True)
class KeptSession:
    """A session, until `expires_at` (unix seconds); `writers` are the marks of its last writes."""

    record: StoredSession
    expires_at: float
    writers: deque[str] = field(default_factory=lambda: deque(maxlen=_MARKS))
    journals: dict[str, KeptJournal] = field(default_factory=dict)

    def within(self, window: Window) -> StoredSession:
        """The record with what lies in the window."""
        if not self.journals:
            return self.record
        return replace(
            self.record, journals={key: each.newest(window) for key, each in self.journals.items()}
        )

    def has(self, change: Change) -> bool:
        """Whether the change was carried out already."""
        return change.mark in self.writers or any(
            key in self.journals and self.journals[key].has(append, change.mark)
            for key, append in change.appends.items()
        )

    def carry_out(self, change: Change) -> None:
        """Do what `check` found possible."""
        version = self.record.version + 1
        if change.record is None:
            self.record = replace(self.record.touched(change.accessed_at), version=version)
        else:
            self.record = replace(change.record, version=version, journals={})
            self.journals = {key: self.journals.get(key) or KeptJournal() for key in change.journals}
        for key, append in change.appends.items():
            self.journals[key].append(append, change.mark)
        self.writers.append(change.mark)

    def copy(self, expires_at: float) -> "KeptSession":
        """The same under another id."""
        journals = {key: each.copy() for key, each in self.journals.items()}
        return KeptSession(self.record, expires_at, self.writers.copy(), journals)


def check(kept: KeptSession | None, change: Change) -> None:
    """Raise VersionConflict where the change cannot be carried out."""
    journals = kept.journals if kept else {}
    if change.record is not None:
        check_version(kept, change.expected_version)
        known = set(change.journals)
    elif kept is None:
        raise VersionConflict("the session has ended")
    else:
        known = set(journals)
    for key, append in change.appends.items():
        if key not in known or append.after > (journals[key].end if key in journals else 0):
            raise VersionConflict("the session does not have these entries' journal any more")


def check_version(kept: KeptSession | None, expected: int) -> None:
    """Raise VersionConflict where the version is not the expected one (0: none)."""
    actual = 0 if kept is None else kept.record.version
    if actual != expected:
        raise VersionConflict(f"the session is at version {actual}, not {expected}")


def _size(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode(errors="surrogatepass"))
