"""Operations on a conversation, and a model of it: plain lists that are changed in place."""

from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st

from chatstream import ChatPrompt
from chatstream.errors import NothingToRegenerate
from chatstream.prompts import Message

Operation = tuple[str, *tuple[Any, ...]]
TEXTS = st.text("ab\n{é😀", min_size=1, max_size=8)
OPERATIONS = st.lists(
    st.one_of(
        st.tuples(st.just("ask"), TEXTS),
        st.tuples(st.just("ask"), TEXTS),
        st.tuples(st.just("answer"), TEXTS, st.booleans()),
        st.tuples(st.just("answer"), TEXTS, st.booleans()),
        st.tuples(st.just("regenerate")),
        st.tuples(st.just("clear")),
        st.tuples(st.just("example"), TEXTS),
        st.tuples(st.just("system"), TEXTS),
    ),
    max_size=40,
)
Line = tuple[str, str, bool]


@dataclass
class Model:
    """The same conversation as lists that are changed in place."""

    system: str | None = None
    examples: list[Line] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)

    def apply(self, operation: Operation) -> None:
        match operation:
            case ("ask", text):
                self.lines.append(("user", text, False))
            case ("answer", text, incomplete):
                self.lines.append(("assistant", text, incomplete))
            case ("regenerate",):
                if any(role == "user" for role, _, _ in self.lines) and self.lines[-1][0] == "assistant":
                    self.lines.pop()
            case ("clear",):
                self.lines.clear()
            case ("example", text):
                self.examples += [("user", text, False), ("assistant", text, False)]
            case ("system", text):
                self.system = text

    def last_turns(self, most: int | None) -> list[Line]:
        starts = [index for index, line in enumerate(self.lines) if line[0] == "user"]
        left_out = starts[-most] if most is not None and len(starts) > most else 0
        return self.lines[left_out:]


def apply(prompt: ChatPrompt, operation: Operation) -> None:
    match operation:
        case ("ask", text):
            prompt.add_requester_msg(text)
        case ("answer", text, incomplete):
            prompt.add_responder_msg(text, incomplete=incomplete)
        case ("regenerate",):
            with suppress(NothingToRegenerate):
                prompt.regenerate()
        case ("clear",):
            prompt.clear_context()
        case ("example", text):
            prompt.add_example(text, text)
        case ("system", text):
            prompt.set_system(text)


def played(operations: list[Operation], most: int | None = None) -> tuple[ChatPrompt, Model]:
    prompt, model = ChatPrompt(max_turns=most), Model()
    for operation in operations:
        apply(prompt, operation)
        model.apply(operation)
    return prompt, model


def lines(messages: list[Message]) -> list[Line]:
    return [(message.role, message.text, message.incomplete) for message in messages]
