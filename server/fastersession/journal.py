"""Journals: parts of a session that only grow, read from their end and written at their end."""

import re
import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final, overload

from fastersession.errors import InvalidSessionData
from fastersession.records import Tail

Entry = Any  # a JSON value, or an instance of a registered type

_NOTHING: Final = Tail(0, ())
_KEY = re.compile(r"[A-Za-z0-9_-]{22}")
_UNREAD: Final = object()


class Fresh:
    """An entry that was appended here. Forks share it, so that it is stored once however many have it."""

    __slots__ = ("_text", "is_stored", "value")

    def __init__(self, value: Entry) -> None:
        self.value = value
        self.is_stored = False
        self._text: str | None = None

    def encoded(self, encode: Callable[[Entry], str]) -> str:
        """Its JSON text, made once: entries do not change."""
        if self._text is None:
            self._text = encode(self.value)
        return self._text


class _Identity:
    """What all forks of a journal have in common; `owner` is the session that it is stored in."""

    __slots__ = ("key", "limit", "owner")

    def __init__(self, key: str, limit: int) -> None:
        self.key = key
        self.limit = limit
        self.owner: object | None = None


class Log:
    """A journal from its session's side: what of it was read, what is new, what of that is stored."""

    __slots__ = ("fresh", "identity", "read", "start", "texts", "values")

    def __init__(self, identity: _Identity) -> None:
        self.identity = identity
        self.read: Callable[[str], Entry] = _unbound
        self.fresh: list[Fresh] = []
        self._show(_NOTHING)

    def _show(self, tail: Tail) -> None:
        self.start, self.texts = tail.start, tail.entries
        self.values: list[Entry] = [_UNREAD] * len(tail.entries)  # forks share it: read once for all

    def fork(self) -> "Log":
        """The same contents; what is new from here on is its own."""
        fork = Log(self.identity)
        fork.read, fork.start, fork.texts = self.read, self.start, self.texts
        fork.values, fork.fresh = self.values, list(self.fresh)
        return fork

    def at(self, index: int) -> Entry:
        """One entry; what was read is decoded at its first use. Raises InvalidSessionData."""
        if index >= len(self.texts):
            return self.fresh[index - len(self.texts)].value
        value = self.values[index]
        if value is _UNREAD:
            value = self.values[index] = self.read(self.texts[index])
        return value

    def bind(self, read: Callable[[str], Entry], owner: object) -> None:
        """Make it a part of `owner` from here on. Raises InvalidSessionData where another one stores it."""
        is_stored = bool(self.start or self.texts) or any(fresh.is_stored for fresh in self.fresh)
        if is_stored and self.identity.owner not in (None, owner):
            raise InvalidSessionData("a journal belongs to one session; append its entries to a fresh one")
        self.identity.owner, self.read = owner, read

    def rebase(self, tail: Tail) -> None:
        """Take over what is stored now: theirs, then what is new here."""
        self._show(tail)
        self.fresh = self.pending()

    def pending(self) -> list[Fresh]:
        """The entries that are not stored yet."""
        return [fresh for fresh in self.fresh if not fresh.is_stored]

    def known(self) -> int:
        """How many entries are stored as far as is known, dropped ones included."""
        return self.start + len(self.texts) + sum(fresh.is_stored for fresh in self.fresh)


class Journal(Sequence[Any]):
    """An append-only sequence: an attribute of a session, or anywhere inside one.

    A load reads its newest entries, a save writes those that are new, so its length costs nothing. The store
    keeps the newest `limit` of them. Entries are JSON values or instances of registered types; they are not
    to be changed after they were appended. A journal belongs to one session, and is in it once.
    """

    __slots__ = ("_log",)

    def __init__(self, *, limit: int = 10_000) -> None:
        if limit < 1:
            raise ValueError("the limit of a journal must be at least 1")
        self._log = Log(_Identity(secrets.token_urlsafe(16), limit))

    @property
    def key(self) -> str:
        """Under which the store keeps it; random."""
        return self._log.identity.key

    @property
    def limit(self) -> int:
        """How many entries the store keeps."""
        return self._log.identity.limit

    @property
    def skipped(self) -> int:
        """How many older entries are stored but were not read."""
        return min(self._log.start, max(0, self.limit - len(self._log.texts)))

    @property
    def total(self) -> int:
        """How many entries there are: those that were not read, those that were, and the new ones."""
        return self.skipped + len(self)

    def append(self, entry: Entry) -> None:
        """Add one entry at the end. The next save writes it, and says so where it cannot be stored."""
        self._log.fresh.append(Fresh(entry))

    def extend(self, entries: Iterable[Entry]) -> None:
        """Add entries at the end, in their order."""
        self._log.fresh.extend([Fresh(entry) for entry in entries])

    def copy(self) -> "Journal":
        """A fork: the same journal with the same entries, from here on with new ones of its own.

        Of two forks the one counts that is in the session when it is saved.
        """
        return _showing(self._log.fork())

    def __copy__(self) -> "Journal":
        return self.copy()

    def __deepcopy__(self, memo: object) -> "Journal":
        return self.copy()  # entries do not change, and must not be stored once for each copy

    def __len__(self) -> int:
        return len(self._log.texts) + len(self._log.fresh)

    @overload
    def __getitem__(self, index: int) -> Entry: ...
    @overload
    def __getitem__(self, index: slice) -> list[Entry]: ...
    def __getitem__(self, index: int | slice) -> Entry:
        if isinstance(index, slice):
            return [self._log.at(i) for i in range(*index.indices(len(self)))]
        at = index + len(self) if index < 0 else index
        if not 0 <= at < len(self):
            raise IndexError("no such entry in the journal")
        return self._log.at(at)

    def __iter__(self) -> Iterator[Entry]:
        at = 0
        while at < len(self):
            yield self._log.at(at)
            at += 1

    def __repr__(self) -> str:
        return f"<Journal of {self.total} entries, {len(self)} of them here>"  # users' words are not for logs

    @property
    def log(self) -> Log:
        """The session's side of it, of no use to programs."""
        return self._log


def reference(journal: Journal) -> dict[str, Any]:
    """What stands for a journal in its session's attributes; appending does not change it."""
    return {"key": journal.key, "limit": journal.limit}


def key_in(found: object) -> str:
    """The key in a reference. Raises InvalidSessionData for what is no reference."""
    match found:
        case {"key": str() as key, "limit": int() as limit} if _KEY.fullmatch(key) and limit >= 1:
            if limit is not True:
                return key
    raise InvalidSessionData("the reference to a stored journal cannot be read")


def restored(found: dict[str, Any], tail: Tail | None) -> Journal:
    """The journal of a reference, with what was read of it. Raises InvalidSessionData."""
    log = Log(_Identity(key_in(found), found["limit"]))
    log.rebase(tail or _NOTHING)
    return _showing(log)


def _showing(log: Log) -> Journal:
    journal = Journal.__new__(Journal)
    journal._log = log
    return journal


def _unbound(text: str) -> Entry:
    raise AssertionError("what is in no session has nothing to read")
