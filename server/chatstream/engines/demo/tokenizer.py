"""A deterministic tokenizer: words with their leading space, punctuation, role markers, white space."""

import re
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

BOS_ID = 1
EOS_ID = 2
_FIRST_WORD_ID = 256
_WORD_IDS = 31_744
_PIECE = re.compile(r"<\|\w+\|>| ?[^\W_]{1,12}| ?(?!<\|\w)[^\w\s]|[\s\S]")


@dataclass(frozen=True, slots=True)
class TextPiece:
    """One token of a text; `start` and `stop` count characters."""

    id: int
    text: str
    start: int
    stop: int


@dataclass(frozen=True, slots=True)
class Tokenizer:
    """Same text, same tokens, in every process. `vocabulary` fixes ids, `pieces` splits words further."""

    vocabulary: Mapping[str, int]
    pieces: Mapping[str, tuple[str, ...]]

    def encode(self, text: str, *, bos: bool = True) -> list[TextPiece]:
        """All tokens of `text`, in TGI's manner led by an empty begin-of-sequence token."""
        tokens = [TextPiece(BOS_ID, "", 0, 0)] if bos else []
        start = 0
        for piece in self.split(text):
            stop = start + len(piece)
            tokens.append(TextPiece(self.id_of(piece), piece, start, stop))
            start = stop
        return tokens

    def split(self, text: str) -> Iterator[str]:
        for match in _PIECE.finditer(text):
            piece = match.group()
            yield from self.pieces.get(piece, (piece,))

    def count(self, text: str) -> int:
        """Number of tokens of `text`, begin-of-sequence included."""
        return 1 + sum(1 for _ in self.split(text))

    def id_of(self, piece: str) -> int:
        known = self.vocabulary.get(piece)
        if known is not None:
            return known
        return _FIRST_WORD_ID + zlib.crc32(piece.encode("utf-8", "surrogatepass")) % _WORD_IDS
