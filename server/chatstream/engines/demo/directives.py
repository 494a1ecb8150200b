"""Directives: what a prompt's last user message tells the demonstration engine to do, as [[name=value]].

[[tokens=N]]    the reply is exactly N tokens: "tok1 tok2 … tokN "
[[delay=MS]]    milliseconds from one token to the next
[[prefill=MS]]  milliseconds of silence before the first token
[[echo]]        the reply is exactly the whole prompt; stop sequences do not cut it
[[fail=K]]      a generation error after K tokens
[[hang=K]]      silence for ever after K tokens
"""

import re
from dataclasses import dataclass

_DIRECTIVE = re.compile(
    r"\[\[(tokens|fail|hang)=(\d{1,7})\]\]|\[\[(delay|prefill)=(\d{1,9}(?:\.\d{1,6})?)\]\]|\[\[(echo)\]\]"
)
_USER_MESSAGES = (
    # ChatML, Llama 3, Zephyr, Llama 2, and last plain text with speakers at the line's start.
    re.compile(r"<\|im_start\|>user\n(.*?)(?:<\|im_end\|>|\Z)", re.DOTALL),
    re.compile(r"<\|start_header_id\|>user<\|end_header_id\|>\n\n(.*?)(?:<\|eot_id\|>|\Z)", re.DOTALL),
    re.compile(r"<\|user\|>\n(.*?)(?:<\|end\|>|<\|assistant\|>|</s>|\Z)", re.DOTALL),
    re.compile(r"\[INST\](.*?)(?:\[/INST\]|\Z)", re.DOTALL),
    re.compile(
        r"^(?:user|human): ?(.*?)(?=^(?:assistant|bot|user|human|system):|\Z)",
        re.DOTALL | re.IGNORECASE | re.MULTILINE,
    ),
)


@dataclass(frozen=True, slots=True)
class Directives:
    """None: not asked for. Times are in seconds."""

    tokens: int | None = None
    delay: float | None = None
    prefill: float | None = None
    echo: bool = False
    fail: int | None = None
    hang: int | None = None


def last_user_message(prompt: str) -> str:
    """The text of the prompt's last user turn; the whole prompt where no template is recognised."""
    for pattern in _USER_MESSAGES:
        messages = pattern.findall(prompt)
        if messages:
            return str(messages[-1]).strip()
    return prompt.strip()


def parse_directives(message: str) -> Directives:
    """The last one of each name counts."""
    counts: dict[str, int] = {}
    seconds: dict[str, float] = {}
    echo = False
    for match in _DIRECTIVE.finditer(message):
        count, number, timing, milliseconds, echoed = match.groups()
        if count:
            counts[count] = int(number)
        elif timing:
            seconds[timing] = float(milliseconds) / 1000
        echo = echo or echoed is not None
    return Directives(
        tokens=counts.get("tokens"),
        delay=seconds.get("delay"),
        prefill=seconds.get("prefill"),
        echo=echo,
        fail=counts.get("fail"),
        hang=counts.get("hang"),
    )


def without_directives(message: str) -> str:
    return _DIRECTIVE.sub("", message).strip()
