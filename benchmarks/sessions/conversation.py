"""A conversation of realistic sizes: a user's line of about 100 characters, a reply of about 800."""

from __future__ import annotations

import random
from collections.abc import Sequence
from functools import cache
from typing import Any

WINDOW = 40
"""How many of the newest messages a turn reads."""

_VOCABULARY = """
the of and a to in is you that it for was on are as with they be at one have this from or had by hot but some
what there we can out other were all your when up use word how said each she which do their "time" café naïve
"""
_WORDS = _VOCABULARY.split()
_LINE, _REPLY = 100, 800
Message = dict[str, Any]


def message(number: int) -> Message:
    """The message of that number, counted from 0; the even ones are the user's. The same one each time."""
    is_user = number % 2 == 0
    text = _text(number, _LINE if is_user else _REPLY)
    return {"id": f"{number:032x}", "role": "user" if is_user else "assistant", "text": text}


@cache
def messages(count: int) -> Sequence[Message]:
    """The first `count` messages of a conversation; made once, not for each client."""
    return tuple(message(number) for number in range(count))


def next_turn(last_message: Message) -> tuple[Message, Message]:
    """A user's line and the reply to it, numbered on from the last message there is."""
    last = int(last_message["id"], 16)
    return _TURNS[last % 16] | {"id": f"{last + 1:032x}"}, _REPLIES[last % 16] | {"id": f"{last + 2:032x}"}


def characters(window: Sequence[Message]) -> int:
    """What there is to read in these messages: who asks for it has used every one."""
    return sum(len(one["text"]) for one in window)


def answer(read: int, turn: tuple[Message, Message]) -> dict[str, int]:
    """What a turn answers: how much was read, and by its number that no turn before it was lost."""
    return {"read": read, "last": int(turn[1]["id"], 16)}


def _text(seed: int, length: int) -> str:
    words = random.Random(seed)
    text = ""
    while len(text) < length:
        text += words.choice(_WORDS) + (".\n" if words.random() < 0.04 else " ")
    return text[:length]


# Made once: making words is no part of what is measured.
_TURNS = tuple(message(2 * number) for number in range(16))
_REPLIES = tuple(message(2 * number + 1) for number in range(16))
