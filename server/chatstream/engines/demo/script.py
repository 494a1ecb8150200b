"""What the demonstration engine says, and how fast: a JSON file, or the built-in friendly echo."""

from dataclasses import dataclass, field
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from chatstream.engines.demo.tokenizer import Tokenizer


@dataclass(frozen=True, slots=True)
class Token:
    """One generated token. `top_tokens` are its alternatives, likeliest first."""

    id: int
    text: str
    logprob: float = -1.0
    special: bool = False
    top_tokens: tuple["Token", ...] = field(default=())


class Reply(BaseModel):
    """An answer to every prompt that contains `contains`: plain text, or tokens exactly as given."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    contains: str = ""
    text: str = ""
    tokens: tuple[Token, ...] = ()


class Script(BaseModel):
    """The first matching reply is given; without one, a friendly text that repeats what was asked."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    delay_ms: float = Field(default=20.0, ge=0)
    """Milliseconds from one token to the next."""
    prefill_ms: float = Field(default=50.0, ge=0)
    """Milliseconds of silence before the first token."""
    replies: tuple[Reply, ...] = ()
    vocabulary: dict[str, int] = {}
    """Ids of single tokens; every other token's id is derived from its text."""
    pieces: dict[str, tuple[str, ...]] = {}
    """Words that are several tokens."""

    def reply_to(self, prompt: str) -> Reply | None:
        return next((reply for reply in self.replies if reply.contains in prompt), None)

    def tokenizer(self) -> Tokenizer:
        return Tokenizer(self.vocabulary, self.pieces)


def load_script(path: Path | None) -> Script:
    """The script in the file, or the built-in one. Raises OSError, or ValueError where the file is wrong."""
    if path is None:
        return Script()
    return Script.model_validate_json(path.read_bytes())
