"""Texts sealed with AES-256-GCM: without the key they cannot be read, and nowhere else than here be used."""

import base64
import binascii
import json
import re
import secrets
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from fastersession.errors import InvalidSessionData
from fastersession.keys import KeyRing

_PURPOSE = b"fastersession.encryption"
_NONCE = 12
_NAME = re.compile(r"([0-9a-f]{8})\.")

OVERHEAD = 53
"""At most so many bytes, and a third, is a sealed text longer than a text, with the quotes around it."""


@dataclass(frozen=True, slots=True)
class _Ciphers:
    """What was made of the keys of one moment."""

    derived: tuple[bytes, ...] = field(repr=False)
    in_order: tuple[tuple[str, AESGCM], ...] = field(repr=False)


class Sealer:
    """Seals with the first key of a ring, opens what any of its keys sealed.

    A sealed text is `<fingerprint of the key>.<base64 of nonce, ciphertext and tag>`. Nonces are 96 random
    bits: one key seals 2^32 texts before the odds of a repeated one reach 2^-33, so rotate it earlier.
    """

    def __init__(self, keys: KeyRing) -> None:
        self._keys = keys
        self._made = _make(keys)

    def place(self, *parts: str) -> "Place":
        """Where texts are sealed and opened: what is sealed at one place opens at no other."""
        return Place(self._current(), json.dumps(parts).encode())

    def _current(self) -> tuple[tuple[str, AESGCM], ...]:
        """The ciphers for the keys of now; they are made again only where the keys were replaced."""
        made = self._made
        if made.derived is not self._keys.derived(_PURPOSE):
            made = self._made = _make(self._keys)
        return made.in_order


class Place:
    """One place, for a short while: it keeps the keys with which it was made."""

    def __init__(self, ciphers: tuple[tuple[str, AESGCM], ...], bound: bytes) -> None:
        self._ciphers = ciphers
        self._bound = bound

    def seal(self, text: str) -> str:
        """`text`, for this place alone."""
        name, cipher = self._ciphers[0]
        nonce = secrets.token_bytes(_NONCE)
        sealed = nonce + cipher.encrypt(nonce, text.encode(), self._bound)
        return f"{name}.{base64.b64encode(sealed).decode()}"

    def open(self, sealed: str) -> str:
        """The inverse. Raises InvalidSessionData, which shows neither text nor key, for anything else."""
        shape = _NAME.match(sealed)
        if shape is None:
            raise InvalidSessionData("what is stored is not encrypted")
        name, data = shape[1], _exactly_decoded(sealed[shape.end() :])
        ciphers = [cipher for known, cipher in self._ciphers if known == name]
        if not ciphers:
            raise InvalidSessionData(f"what is stored is encrypted with the key {name}, which is not there")
        for cipher in ciphers:
            try:
                return cipher.decrypt(data[:_NONCE], data[_NONCE:], self._bound).decode()
            except (InvalidTag, ValueError):  # ValueError: it is shorter than a nonce and a tag
                continue
        raise InvalidSessionData("what is stored was changed, or belongs elsewhere: it does not decrypt")


def _make(keys: KeyRing) -> _Ciphers:
    while True:
        derived, names = keys.derived(_PURPOSE), keys.fingerprints()
        if keys.derived(_PURPOSE) is derived:  # else another thread replaced them between the two
            return _Ciphers(derived, tuple(zip(names, map(AESGCM, derived), strict=True)))


def _exactly_decoded(text: str) -> bytes:
    """Base64 has several spellings of the same bytes; only the one that we write is taken."""
    try:
        data = binascii.a2b_base64(text, strict_mode=True)
    except ValueError:
        data = b""
    # Those that strict_mode lets pass differ in the bits that the last four characters have to spare.
    if not data or base64.b64encode(data[-1 - (len(data) - 1) % 3 :]).decode() != text[-4:]:
        raise InvalidSessionData("what is stored was changed: it is no proper base64")
    return data
