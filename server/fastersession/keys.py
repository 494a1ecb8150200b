"""Secret keys: the first is used for what is made, every one for what is read; replaceable while serving."""

import hashlib
import hmac
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field

logger = logging.getLogger(__name__)

MIN_KEY_BYTES = 16
PLACEHOLDERS = frozenset({"your-session-secret-key", "your-session-secret-key-here", "your-secret-key-here"})
_FINGERPRINT = b"fastersession.key-fingerprint:"
_REMEDY = "make one with `openssl rand -base64 32`"


@dataclass(frozen=True, slots=True)
class _Generation:
    """The keys of one moment, with what was derived from them: never changed but replaced as a whole."""

    keys: tuple[str, ...] = field(repr=False)
    derived: dict[bytes, tuple[bytes, ...]] = field(default_factory=dict, repr=False)


class KeyRing:
    """One or more keys. Share one ring among all that use the same keys, then `replace` reaches all of them.

    No key is used as it is: each purpose has its own, derived from it. Raises ValueError, as `replace` does,
    for an empty list and for a key under 16 bytes; no message and no repr shows a key.
    """

    def __init__(self, keys: str | Sequence[str]) -> None:
        self._generation = _Generation(_checked(keys))
        self._warned = False
        self._warn()

    @classmethod
    def of(cls, keys: "str | Sequence[str] | KeyRing") -> "KeyRing":
        """The ring itself, or one of the keys."""
        return keys if isinstance(keys, KeyRing) else cls(keys)

    def replace(self, keys: str | Sequence[str]) -> None:
        """Swap all keys at once: who uses the ring sees the old ones or the new ones, never a mixture.

        Raises ValueError for keys that would be refused at the start; the old ones stay then.
        """
        checked = _checked(keys)
        if checked != self._generation.keys:
            self._generation = _Generation(checked)
            self._warn()

    def derived(self, purpose: bytes) -> tuple[bytes, ...]:
        """32 bytes for each key in the ring's order: HMAC-SHA-256 of `purpose` under it.

        The same tuple, not only an equal one, until the keys are replaced: callers may cache what they build
        from it. `purpose` is a constant of the program.
        """
        generation = self._generation
        known = generation.derived.get(purpose)
        if known is None:
            derived = tuple(hmac.digest(key.encode(), purpose, "sha256") for key in generation.keys)
            known = generation.derived.setdefault(purpose, derived)
        return known

    def fingerprints(self) -> tuple[str, ...]:
        """8 hex digits for each key in the ring's order, which tell keys apart and may be shown."""
        return tuple(fingerprint(key) for key in self._generation.keys)

    def __len__(self) -> int:
        """How many keys there are."""
        return len(self._generation.keys)

    def __repr__(self) -> str:
        """The fingerprints only."""
        return f"KeyRing({', '.join(self.fingerprints())})"

    def _warn(self) -> None:
        if not self._warned and not PLACEHOLDERS.isdisjoint(self._generation.keys):
            self._warned = True
            logger.warning("a secret key is the placeholder of the documentation: anybody can forge sessions")


def fingerprint(key: str) -> str:
    """The first 8 hex digits of SHA-256 over a purpose and the key's UTF-8 bytes."""
    return hashlib.sha256(_FINGERPRINT + key.encode()).hexdigest()[:8]


def _checked(keys: str | Sequence[str]) -> tuple[str, ...]:
    listed = (keys,) if isinstance(keys, str) else tuple(keys)
    if not listed:
        raise ValueError(f"there is no secret key; {_REMEDY}")
    if not all(isinstance(key, str) for key in listed):
        raise ValueError(f"every secret key is a str; {_REMEDY}")
    if any(len(_bytes(key)) < MIN_KEY_BYTES for key in listed):
        raise ValueError(f"every secret key needs {MIN_KEY_BYTES} bytes; {_REMEDY}")
    return listed


def _bytes(key: str) -> bytes:
    try:
        return key.encode()
    except UnicodeEncodeError:
        # From None: the original error holds the key.
        raise ValueError(f"a secret key is no text that UTF-8 can hold; {_REMEDY}") from None
