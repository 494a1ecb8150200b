"""A conversation as it is kept: entries that are only ever added, and the messages that they come to."""

from collections.abc import Iterable
from typing import Any

from chatstream.prompts.message import Message

DROP = "drop"


def taking_back(messages: Iterable[Message]) -> dict[str, Any]:
    """The entry that takes these messages, all of the last turn, back."""
    return {DROP: [message.id for message in messages]}


class Fold:
    """Entries go in, messages come out a turn at a time: what may still be taken back is held back.

    An entry is a message, or `{"drop": [id, ...]}`: it takes messages of the turn before it back, and passes
    over those that are not there. A turn is an input with all that answers it; an input that was taken back
    and comes again has the answers that were not, as another request may have added some meanwhile.
    """

    def __init__(self, *, begins_anywhere: bool = False) -> None:
        """`begins_anywhere`: older entries were not read; what stands before the first input is left out."""
        self._turn: list[Message] = []
        self._taken_input: str | None = None
        self._incomplete = begins_anywhere

    def feed(self, entry: object) -> list[Message]:
        """The messages of the turn that this entry ends, mostly none. Raises ValueError for no entry."""
        if not isinstance(entry, dict):
            raise ValueError(f"a stored conversation holds a {type(entry).__name__}, not a message")
        if DROP in entry:
            self._take_back(entry[DROP])
            return []
        message = Message.from_json(entry)
        if message.role == "user":
            comes_again, self._taken_input, self._incomplete = message.id == self._taken_input, None, False
            ended, answers = ([], self._turn) if comes_again else (self._turn, [])
            self._turn = [message, *answers]
            return ended
        if not self._incomplete:
            self._turn.append(message)
        return []

    def rest(self) -> list[Message]:
        """The messages of the turn that no entry has ended."""
        return list(self._turn)

    def _take_back(self, ids: object) -> None:
        if not isinstance(ids, list):
            raise ValueError("a stored conversation takes back what is no list of messages")
        if self._turn and self._turn[0].role == "user" and self._turn[0].id in ids:
            self._taken_input = self._turn[0].id
        self._turn = [message for message in self._turn if message.id not in ids]


def folded(entries: Iterable[object], *, begins_anywhere: bool = False) -> list[Message]:
    """All messages that these entries come to. Raises ValueError."""
    fold = Fold(begins_anywhere=begins_anywhere)
    messages = [message for entry in entries for message in fold.feed(entry)]
    return messages + fold.rest()
