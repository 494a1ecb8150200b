"""A generation as data: which tokens, when, and how it ends. Pure; the engine and the server both play it."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from chatstream.engines.base import FinishReason
from chatstream.engines.demo.directives import (
    Directives,
    last_user_message,
    parse_directives,
    without_directives,
)
from chatstream.engines.demo.script import Script, Token
from chatstream.engines.demo.tokenizer import EOS_ID

Ending = Literal["end", "fail", "hang"]
GENERATION_ERROR = "Request failed during generation: Server error: the script of this demonstration says so"
_EOS = Token(EOS_ID, "</s>", -0.25, special=True)


@dataclass(frozen=True, slots=True)
class Plan:
    """Token i (from 0) is due `prefill + i * delay` seconds after the start."""

    tokens: tuple[Token, ...]
    ending: Ending
    finish_reason: FinishReason
    text: str
    """All tokens but the special ones; a stop sequence that ended it is still there, as TGI leaves it."""
    prefill: float
    delay: float

    def due(self, index: int) -> float:
        return self.prefill + index * self.delay


def build_plan(script: Script, prompt: str, *, max_new_tokens: int, stop: Iterable[str] = ()) -> Plan:
    message = last_user_message(prompt)
    directives = parse_directives(message)
    reply = _reply(script, directives, prompt, message)
    tokens, reason = _cut(reply, max_new_tokens, () if directives.echo else tuple(stop))
    tokens, ending = _interrupt(tokens, directives)
    return Plan(
        tokens=tokens,
        ending=ending,
        finish_reason=reason,
        text="".join(token.text for token in tokens if not token.special),
        prefill=script.prefill_ms / 1000 if directives.prefill is None else directives.prefill,
        delay=script.delay_ms / 1000 if directives.delay is None else directives.delay,
    )


def _reply(script: Script, directives: Directives, prompt: str, message: str) -> Iterable[Token]:
    if directives.echo:
        return _tokens_of(script, prompt)
    if directives.tokens is not None:
        return _numbered(script, directives.tokens)
    scripted = script.reply_to(prompt)
    if scripted is None:
        return _tokens_of(script, _friendly(without_directives(message)))
    return (*scripted.tokens, _EOS) if scripted.tokens else _tokens_of(script, scripted.text)


def _friendly(asked: str) -> str:
    return (
        f"You asked: {asked}\n\nI am the demonstration engine: there is no model behind me, so I can only "
        "repeat your words. Put a real engine in my place and this same stream will carry its answers."
    )


def _tokens_of(script: Script, text: str) -> Iterable[Token]:
    tokenizer = script.tokenizer()
    for piece in tokenizer.split(text):
        yield _token(tokenizer.id_of(piece), piece)
    yield _EOS


def _numbered(script: Script, count: int) -> Iterable[Token]:
    tokenizer = script.tokenizer()
    for number in range(1, count + 1):
        text = f"tok{number} "
        yield _token(tokenizer.id_of(text), text)


def _token(identity: int, text: str) -> Token:
    return Token(identity, text, -(1 + identity % 64) / 16)


def _cut(reply: Iterable[Token], limit: int, stop: tuple[str, ...]) -> tuple[tuple[Token, ...], FinishReason]:
    """Apply TGI's stopping criteria, in its order: length, end of sequence, stop sequences."""
    tokens: list[Token] = []
    longest_stop = max((len(text) for text in stop), default=0)
    tail = ""
    for token in reply:
        tokens.append(token)
        if len(tokens) >= limit:
            return tuple(tokens), "length"
        if token.special and token.id == EOS_ID:
            break
        if stop:
            tail = (tail + token.text)[-longest_stop - len(token.text) :]
            if tail.endswith(stop):
                return tuple(tokens), "stop_sequence"
    return tuple(tokens or (_EOS,)), "eos_token"


def _interrupt(tokens: tuple[Token, ...], directives: Directives) -> tuple[tuple[Token, ...], Ending]:
    """A failure or a hang comes in place of the natural end, at the latest after the last token."""
    if directives.fail is not None and (directives.hang is None or directives.fail <= directives.hang):
        return tokens[: directives.fail], "fail"
    if directives.hang is not None:
        return tokens[: directives.hang], "hang"
    return tokens, "end"
