"""A session's live attributes, and what of them is known to be stored."""

from collections.abc import Iterable, Mapping
from typing import Any

from fastersession.codec import Snapshot, join, parse, registry, texts_of
from fastersession.errors import InvalidSessionData
from fastersession.journal import Fresh, Journal
from fastersession.records import StoredSession, Tail


class Attributes:
    """A dict that programs write to, beside the texts in which it was last read or written."""

    def __init__(self) -> None:
        self.live: dict[str, Any] = {}
        self._stored: dict[str, str] = {}
        self._spelled: dict[str, str] = {}  # a stored text as this process would write it, where that differs
        self._ends: dict[str, int] = {}  # of the journals as they were last read or written
        self._owner = object()

    def encode(self) -> Snapshot:
        """The live attributes as they would be stored. Raises InvalidSessionData."""
        snapshot = registry.encode(self.live)
        for name, text in snapshot.texts.items():
            stored = self._stored.get(name)
            if stored is not None and text != stored and text == self._respelled(name, stored):
                snapshot.texts[name] = stored
        return snapshot

    def differ(self, snapshot: Snapshot) -> bool:
        """Whether the attributes are other ones than those that are stored; new entries do not count."""
        return snapshot.texts != self._stored

    def reset(self, record: StoredSession) -> None:
        """Take over what was read. The dict stays the same one."""
        raw, tails = parse(record.attributes), record.journals
        texts, fresh = texts_of(raw), registry.decode(raw, tails)
        self._owner = object()
        self._bind(fresh.journals)
        self.live.clear()
        self.live.update(fresh.values)
        self._know(texts, _ends(tails))

    def successor(self) -> "Attributes":
        """Those of another session, none yet, in the same dict; these keep theirs for who is at work."""
        successor = Attributes()
        successor.live, self.live = self.live, dict(self.live)
        successor.live.clear()
        return successor

    def show(self, record: StoredSession) -> None:
        """Let the journals show what was read of them this time, of the version that is known."""
        _rebase(self.encode().journals, record.journals)

    def merge(self, newer: StoredSession, *, alone: bool = False) -> bool:
        """Take over what somebody else stored since: their entries, then ours.

        False, and nothing done, where both changed the same attribute, or one removed a journal that the
        other appended to, or (with `alone`) both appended to one. Raises InvalidSessionData.
        """
        raw, mine = parse(newer.attributes), self.encode()
        theirs = texts_of(raw)
        names = foreign_changes(self._stored, mine.texts, theirs)
        if names is None:
            return False
        fresh = registry.decode({n: raw[n] for n in raw if n in names}, newer.journals, mine.journals)
        merged = {name: value for name, value in self.live.items() if name not in names} | fresh.values
        if not self._loses_nothing(mine.journals, merged, newer.journals, alone=alone):
            return False
        self._bind(fresh.journals)
        self.live.clear()
        self.live.update(merged)
        _rebase(mine.journals, newer.journals)
        self._know(theirs, _ends(newer.journals))
        return True

    def pending(self, snapshot: Snapshot) -> dict[str, list[Fresh]]:
        """The entries that are not stored, by the keys of their journals."""
        found = {key: journal.log.pending() for key, journal in snapshot.journals.items()}
        return {key: pending for key, pending in found.items() if pending}

    def claim(self, snapshot: Snapshot) -> None:
        """Say whose the journals are. Raises InvalidSessionData where one is stored in another session."""
        self._bind(snapshot.journals.values())

    def stored(self, texts: dict[str, str] | None, ends: Mapping[str, int]) -> None:
        """These texts (None: the same as before) and the journals up to these ends are stored now."""
        self._know(self._stored if texts is None else texts, {**self._ends, **ends})

    def _know(self, texts: dict[str, str], ends: dict[str, int]) -> None:
        if texts is not self._stored:
            self._spelled.clear()
        self._stored, self._ends = texts, ends

    def _bind(self, journals: Iterable[Journal]) -> None:
        for journal in journals:
            journal.log.bind(registry.decode_entry, self._owner)

    def _respelled(self, name: str, stored: str) -> str:
        if name not in self._spelled:
            values = registry.decode(parse(join({name: stored}))).values
            self._spelled[name] = registry.encode(values).texts[name]
        return self._spelled[name]

    def _loses_nothing(
        self,
        mine: Mapping[str, Journal],
        merged: Mapping[str, Any],
        tails: Mapping[str, Tail],
        *,
        alone: bool,
    ) -> bool:
        try:
            kept = set(registry.encode(merged).keys)
        except InvalidSessionData:  # each side moved the same journal to another place
            return False
        appended = {key for key, journal in mine.items() if journal.log.pending()}
        theirs = {key for key, end in _ends(tails).items() if end > self._ends.get(key, 0)}
        return appended | theirs <= kept and not (alone and appended & theirs)


def foreign_changes(
    base: Mapping[str, str], mine: Mapping[str, str], theirs: Mapping[str, str]
) -> set[str] | None:
    """The names that only they changed; None where an attribute was changed on both sides.

    To the same value too: of two requests that counted from 5 to 6 one would be lost.
    """
    changed = {name for name in base.keys() | theirs.keys() if base.get(name) != theirs.get(name)}
    return changed if all(mine.get(name) == base.get(name) for name in changed) else None


def _ends(tails: Mapping[str, Tail]) -> dict[str, int]:
    return {key: tail.start + len(tail.entries) for key, tail in tails.items()}


def _rebase(journals: Mapping[str, Journal], tails: Mapping[str, Tail]) -> None:
    for key, tail in tails.items():
        if key in journals:
            journals[key].log.rebase(tail)
