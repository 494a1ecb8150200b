"""ChatPrompt: one conversation, with a JSON form that outlives the process."""

from collections.abc import Iterable
from typing import Any

from chatstream.errors import NothingToRegenerate
from chatstream.prompts.fold import folded, taking_back
from chatstream.prompts.message import Message, new_id
from chatstream.prompts.templates import TEMPLATES, TemplateName
from fastersession import InvalidSessionData, Journal

VERSION = 2
"""Version 1 had the examples among its messages, all of them in one list; it is still read."""


class ChatPrompt:
    """Messages in order; few-shot examples first. Not safe for threads that write at the same time.

    The messages are kept in a journal: in a session each is written once, and only the newest are read again.
    All methods work on what was read; the first one may raise InvalidSessionData for what cannot be.
    """

    def __init__(
        self, template: TemplateName = "chatml", system: str | None = None, max_turns: int | None = None
    ) -> None:
        """Turns before the last `max_turns` are left out; None leaves out none."""
        if template not in TEMPLATES:
            raise ValueError(f"no template is called {template!r}; there are {', '.join(TEMPLATES)}")
        if max_turns is not None and max_turns < 1:
            raise ValueError(f"max_turns must be at least 1, not {max_turns}")
        self.template = template
        self.max_turns = max_turns
        self.system = system
        self.own_system = False
        """Whether `set_system` was called: then no configuration overrides it."""
        self._examples: list[Message] = []
        self._journal = Journal()
        self._folded: list[Message] = []  # what the journal comes to
        self._seen: tuple[int, object] = (0, None)  # of the journal, when it was folded
        self._first = 0  # of the messages, those before it are left out
        self._origin: tuple[dict[str, Any], dict[str, Any]] | None = None  # version 1, what it says

    # --- writing ---

    def set_system(self, text: str | None) -> None:
        self.system = text
        self.own_system = True

    def add_example(self, requester: str, responder: str) -> None:
        """A few-shot example: never dropped, counted, regenerated or cleared."""
        self._examples += [
            Message(new_id(), "user", requester, example=True),
            Message(new_id(), "assistant", responder, example=True),
        ]

    def add_requester_msg(self, text: str) -> Message:
        return self._add(Message(new_id(), "user", text))

    def add_responder_msg(
        self, text: str, *, incomplete: bool = False, message_id: str | None = None
    ) -> Message:
        """Raises ValueError for an empty text: an empty turn is never kept."""
        if not text:
            raise ValueError("a reply without text is no message")
        return self._add(Message(message_id or new_id(), "assistant", text, incomplete=incomplete))

    def regenerate(self) -> Message | None:
        """Take the last reply out, so that the same input can be answered again; returns it.

        None where the last input has no reply yet. Raises NothingToRegenerate where there was no input.
        """
        messages, starts = self._messages(), self._turn_starts()
        if not starts:
            raise NothingToRegenerate("There is no reply yet that could be made again.")
        turn = messages[starts[-1] :]
        if turn[-1].role != "assistant":
            return None
        # With its input, so that however often it is answered, who reads the newest entries finds both.
        self._journal.append(taking_back(turn))
        self._journal.extend(message.to_json() for message in turn[:-1])
        self._seen = self._end()
        return messages.pop()

    def clear_context(self) -> None:
        """Forget every turn, in the session too. The system message and the examples stay."""
        self._journal, self._folded, self._first = Journal(), [], 0
        self._seen = self._end()

    def drop_oldest_turn(self) -> None:
        """Leave the first turn with all that answers it out, unless it is the last one.

        A session keeps it: it is this object, its copies and its `to_json` that know of it no more.
        """
        starts = self._turn_starts()
        if len(starts) > 1:
            self._first = starts[1]

    # --- reading ---

    @property
    def turns(self) -> int:
        """Inputs, examples left out."""
        return len(self._turn_starts())

    @property
    def replies(self) -> int:
        return sum(message.role == "assistant" for message in self._shown())

    @property
    def stops(self) -> tuple[str, ...]:
        return TEMPLATES[self.template].stops

    @property
    def journal(self) -> Journal:
        """All that is kept, as entries (see `Fold`): a session can read those that were not read too."""
        return self._journal

    def get_contents(
        self, omit_last_message: bool = False, to_message_id: str | None = None
    ) -> list[Message]:
        """The messages in order, up to and including `to_message_id`. Raises KeyError for an unknown id."""
        messages = self._examples + self._shown()
        if to_message_id is not None:
            ids = [message.id for message in messages]
            if to_message_id not in ids:
                raise KeyError(to_message_id)
            messages = messages[: ids.index(to_message_id) + 1]
        return messages[:-1] if omit_last_message else messages

    def create_prompt(self, omit_last_message: bool = False) -> str:
        """The text for an engine: it ends where the reply begins."""
        return TEMPLATES[self.template].render(self.system, self.get_contents(omit_last_message))

    def copy(self) -> "ChatPrompt":
        """One that goes its own way from here; of two that were saved in a session the last one counts."""
        twin = ChatPrompt(self.template, self.system, self.max_turns)
        twin.own_system = self.own_system
        twin._examples = list(self._examples)
        twin._journal = self._journal.copy()
        twin._folded, twin._first, twin._seen = list(self._folded), self._first, self._seen
        return twin

    def configured(self, template: TemplateName, system: str | None, max_turns: int | None) -> "ChatPrompt":
        """A copy under today's configuration; a system message of the conversation's own stays."""
        twin = self.copy()
        twin.template = template
        twin.system = self.system if self.own_system else system
        if max_turns != self.max_turns:
            twin.max_turns, twin._first = max_turns, 0
            twin._leave_out(twin._messages())
        return twin

    # --- JSON ---

    def to_json(self) -> dict[str, Any]:
        """JSON for a place of your own; a session keeps `to_stored`."""
        return self._head() | {"messages": [message.to_json() for message in self._shown()]}

    def to_stored(self) -> dict[str, Any]:
        """The same with the journal in place of the messages: adding one changes nothing of it.

        What was read without a journal is rewritten once it changes: to look at it is no change.
        """
        if self._origin is not None and self._origin[1] == self.to_json():
            return self._origin[0]
        return self._head() | {"messages": self._journal}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "ChatPrompt":
        """What `to_json`, `to_stored` or version 1 made.

        Raises ValueError for another version, or what none of them made.
        """
        if data.get("version") not in (1, VERSION):
            raise ValueError(f"a stored conversation has version {data.get('version')!r}, not {VERSION}")
        system, max_turns = data.get("system"), data.get("max_turns")
        if not isinstance(system, str | None) or type(max_turns) not in (int, type(None)):
            raise ValueError("a stored conversation has a setting of the wrong type")
        prompt = cls(data.get("template", "chatml"), system, max_turns)
        prompt.own_system = data.get("own_system") is True
        messages = data.get("messages", [])
        if isinstance(messages, Journal):
            prompt._examples = [Message.from_json(message) for message in data.get("examples", [])]
            prompt._journal = messages
        else:
            prompt._take(Message.from_json(message) for message in (*data.get("examples", []), *messages))
            prompt._origin = data, prompt.to_json()
        return prompt

    # --- inside ---

    def _head(self) -> dict[str, Any]:
        return {
            "version": VERSION,
            "template": self.template,
            "system": self.system,
            "own_system": self.own_system,
            "max_turns": self.max_turns,
            "examples": [message.to_json() for message in self._examples],
        }

    def _take(self, messages: Iterable[Message]) -> None:
        for message in messages:
            if message.example:
                self._examples.append(message)
            else:
                self._add(message)

    def _add(self, message: Message) -> Message:
        messages = self._messages()
        messages.append(message)
        self._journal.append(message.to_json())
        self._seen = self._end()
        self._leave_out(messages)
        return message

    def _messages(self) -> list[Message]:
        """The live list. Read again where the session was: others may have added to the journal."""
        seen, end = self._seen, self._end()
        if end[0] != seen[0] or end[1] is not seen[1]:
            try:
                self._folded = folded(self._journal, begins_anywhere=self._lacks_entries())
            except ValueError as error:
                raise InvalidSessionData(f"a stored conversation cannot be read: {error}") from error
            self._first, self._seen = 0, end
            self._leave_out(self._folded)
        return self._folded

    def _lacks_entries(self) -> bool:
        """Whether older ones were not read, or may have made room for newer ones."""
        return self._journal.skipped > 0 or self._journal.total >= self._journal.limit

    def _end(self) -> tuple[int, object]:
        """Other than before once the journal was read anew: how many entries there are, and the last one."""
        return self._journal.total, self._journal[-1] if self._journal else None

    def _shown(self) -> list[Message]:
        return self._messages()[self._first :]

    def _leave_out(self, messages: list[Message]) -> None:
        if self.max_turns is None:
            return
        starts = _inputs(messages, self._first)
        if len(starts) > self.max_turns:
            self._first = starts[-self.max_turns]

    def _turn_starts(self) -> list[int]:
        return _inputs(self._messages(), self._first)


def _inputs(messages: list[Message], first: int) -> list[int]:
    return [index for index in range(first, len(messages)) if messages[index].role == "user"]
