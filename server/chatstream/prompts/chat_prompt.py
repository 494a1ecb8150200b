"""ChatPrompt: one conversation, with a JSON form that outlives the process."""

from typing import Any

from chatstream.errors import NothingToRegenerate
from chatstream.prompts.message import Message, new_id
from chatstream.prompts.templates import TEMPLATES, TemplateName

VERSION = 1


class ChatPrompt:
    """Messages in order; few-shot examples first. Not safe for threads that write at the same time."""

    def __init__(
        self, template: TemplateName = "chatml", system: str | None = None, max_turns: int | None = None
    ) -> None:
        """`max_turns` older turns are forgotten; None keeps all."""
        if template not in TEMPLATES:
            raise ValueError(f"no template is called {template!r}; there are {', '.join(TEMPLATES)}")
        if max_turns is not None and max_turns < 1:
            raise ValueError(f"max_turns must be at least 1, not {max_turns}")
        self.template = template
        self.max_turns = max_turns
        self.system = system
        self.own_system = False
        """Whether `set_system` was called: then no configuration overrides it."""
        self._messages: list[Message] = []

    # --- writing ---

    def set_system(self, text: str | None) -> None:
        self.system = text
        self.own_system = True

    def add_example(self, requester: str, responder: str) -> None:
        """A few-shot example: never dropped, counted, regenerated or cleared."""
        examples = sum(message.example for message in self._messages)
        pair = [
            Message(new_id(), "user", requester, example=True),
            Message(new_id(), "assistant", responder, example=True),
        ]
        self._messages[examples:examples] = pair

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
        last = self._messages[-1] if self._messages else None
        if last is None or last.example:
            raise NothingToRegenerate("There is no reply yet that could be made again.")
        return self._messages.pop() if last.role == "assistant" else None

    def clear_context(self) -> None:
        """Forget every turn. The system message and the examples stay."""
        self._messages = [message for message in self._messages if message.example]

    def drop_oldest_turn(self) -> None:
        """Forget the first turn with all that answers it, unless it is the last one."""
        starts = self._turn_starts()
        if len(starts) > 1:
            del self._messages[starts[0] : starts[1]]

    # --- reading ---

    @property
    def turns(self) -> int:
        """Inputs, examples left out."""
        return len(self._turn_starts())

    @property
    def replies(self) -> int:
        return sum(message.role == "assistant" and not message.example for message in self._messages)

    @property
    def stops(self) -> tuple[str, ...]:
        return TEMPLATES[self.template].stops

    def get_contents(
        self, omit_last_message: bool = False, to_message_id: str | None = None
    ) -> list[Message]:
        """The messages in order, up to and including `to_message_id`. Raises KeyError for an unknown id."""
        messages = list(self._messages)
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
        twin = ChatPrompt(self.template, self.system, self.max_turns)
        twin.own_system = self.own_system
        twin._messages = list(self._messages)
        return twin

    # --- JSON ---

    def to_json(self) -> dict[str, Any]:
        return {
            "version": VERSION,
            "template": self.template,
            "system": self.system,
            "own_system": self.own_system,
            "max_turns": self.max_turns,
            "messages": [message.to_json() for message in self._messages],
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "ChatPrompt":
        """Raises ValueError for another version, or what `to_json` did not make."""
        if data.get("version") != VERSION:
            raise ValueError(f"a stored conversation has version {data.get('version')!r}, not {VERSION}")
        prompt = cls(data.get("template", "chatml"), data.get("system"), data.get("max_turns"))
        prompt.own_system = data.get("own_system") is True
        prompt._messages = [Message.from_json(message) for message in data.get("messages", [])]
        return prompt

    def configured(self, template: TemplateName, system: str | None, max_turns: int | None) -> "ChatPrompt":
        """A copy under today's configuration; a system message of the conversation's own stays."""
        twin = self.copy()
        twin.template, twin.max_turns = template, max_turns
        twin.system = self.system if self.own_system else system
        return twin

    # --- inside ---

    def _add(self, message: Message) -> Message:
        self._messages.append(message)
        while self.max_turns is not None and self.turns > self.max_turns:
            self.drop_oldest_turn()
        return message

    def _turn_starts(self) -> list[int]:
        return [
            index
            for index, message in enumerate(self._messages)
            if message.role == "user" and not message.example
        ]
