r"""How messages become a prompt, by preset.

No message can open a turn of its own: what a template would read as a marker loses its form when it is
rendered (`<|im_end|>` becomes `<| im_end |>`, a speaker's name at the start of a line is indented). What is
stored stays as it was typed. The beginning-of-text token is left out: TGI's tokenizer adds it.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from chatstream.prompts.message import Message, Role

TemplateName = Literal["chatml", "llama3", "plain"]
Speaker = Role | Literal["system"]

_SPECIAL = re.compile(r"<\|(\w+)\|>")
_SPEAKER = re.compile(
    r"(^|[\n\r\v\f\x1c-\x1e\x85\u2028\u2029])(?=(?:user|assistant|system)[ \t]*[:\uff1a])", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Template:
    """`stops` end a reply: they go to the engine and are never shown."""

    message: str
    opening: str
    marker: re.Pattern[str]
    disguise: str
    stops: tuple[str, ...]
    names: Mapping[Speaker, str]

    def render(self, system: str | None, messages: Iterable[Message]) -> str:
        parts = [self._part("system", system)] if system else []
        parts += [self._part(message.role, self.neutralised(message.text)) for message in messages]
        return "".join(parts) + self.opening

    def neutralised(self, text: str) -> str:
        return self.marker.sub(self.disguise, text)

    def _part(self, speaker: Speaker, text: str) -> str:
        return self.message.format(name=self.names[speaker], text=text)


_LOWER: Mapping[Speaker, str] = {"system": "system", "user": "user", "assistant": "assistant"}
_TITLE: Mapping[Speaker, str] = {"system": "System", "user": "User", "assistant": "Assistant"}

TEMPLATES: dict[TemplateName, Template] = {
    "chatml": Template(
        message="<|im_start|>{name}\n{text}<|im_end|>\n",
        opening="<|im_start|>assistant\n",
        marker=_SPECIAL,
        disguise=r"<| \1 |>",
        stops=("<|im_end|>", "<|im_start|>"),
        names=_LOWER,
    ),
    "llama3": Template(
        message="<|start_header_id|>{name}<|end_header_id|>\n\n{text}<|eot_id|>",
        opening="<|start_header_id|>assistant<|end_header_id|>\n\n",
        marker=_SPECIAL,
        disguise=r"<| \1 |>",
        stops=("<|eot_id|>", "<|start_header_id|>"),
        names=_LOWER,
    ),
    "plain": Template(
        message="{name}: {text}\n",
        opening="Assistant:",
        marker=_SPEAKER,
        disguise=r"\1 ",
        stops=("\nUser:", "\nAssistant:", "\nSystem:"),
        names=_TITLE,
    ),
}
