"""The token budget: the oldest whole turns go, the system message, the examples and the last input stay."""

from collections.abc import Awaitable, Callable

from chatstream.errors import EngineRejected, InputTooLong
from chatstream.prompts.chat_prompt import ChatPrompt

ADDED_BY_TOKENIZER = 8
"""Tokens that an engine may put around a text (the beginning of the text, for one), with room to spare."""


async def fit(prompt: ChatPrompt, budget: int, count: Callable[[str], Awaitable[int]]) -> str:
    """The prompt's text in at most `budget` tokens, oldest turns left out where it must be.

    A token is never shorter than a byte, so a text of no more bytes than the budget needs no count; where one
    is needed, the number of turns to drop is found by halving. Raises InputTooLong where the last input does
    not fit even alone, and whatever `count` raises.
    """

    async def fits(text: str) -> bool:
        if len(text.encode("utf-8", "replace")) + ADDED_BY_TOKENIZER <= budget:
            return True
        try:
            return await count(text) <= budget
        except EngineRejected:
            # Too much even to be counted (TGI takes 2 MB): a long history must not shut its session out.
            return False

    text = prompt.create_prompt()
    if await fits(text):
        return text
    least, most = 1, prompt.turns - 1
    shortest = None
    while least <= most:
        dropped = (least + most) // 2
        text = _without(prompt, dropped)
        if await fits(text):
            shortest, most = text, dropped - 1
        else:
            least = dropped + 1
    if shortest is None:
        raise InputTooLong(f"The input does not fit into {budget} tokens, even without the earlier turns.")
    return shortest


def _without(prompt: ChatPrompt, turns: int) -> str:
    shorter = prompt.copy()
    for _ in range(turns):
        shorter.drop_oldest_turn()
    return shorter.create_prompt()
