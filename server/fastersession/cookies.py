"""The cookie: a signed random id and nothing else. Whatever a client sends is parsed without ever raising."""

import hashlib
import re
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from itsdangerous import BadSignature, Signer

from fastersession.keys import KeyRing

SameSite = Literal["lax", "strict", "none"]

_PURPOSE = b"fastersession.session-id"
# 256 bits of id, 256 bits of signature. The last character holds 4 bits of these: a base64 decoder ignores
# its other 2, which would let four spellings of one signature pass.
_SHAPE = re.compile(rb"[A-Za-z0-9_-]{43}\.[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]")
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_PATH = re.compile(r"/[\x20-\x3a\x3c-\x7e]*")
_SPACE = b" \t"  # what HTTP calls so; bytes.strip() takes more, and who reads otherwise can be deceived
_MAX_TRIED = 8  # cookies of our name in one request; each costs a signature check
_MAX_LOADED = 3  # of them that we signed; each may cost a call of the store


def new_id() -> str:
    """256 random bits, 43 characters."""
    return secrets.token_urlsafe(32)


class IdSigner:
    """Signs ids with the first key of a ring, accepts what any of its keys signed."""

    def __init__(self, keys: str | Sequence[str] | KeyRing) -> None:
        self._keys = KeyRing.of(keys)
        derived = self._keys.derived(_PURPOSE)
        self._made = (derived, _signer(derived))

    def sign(self, id_: str) -> str:
        """The cookie's value for an id."""
        return self._current().sign(id_).decode()

    def verify(self, value: bytes) -> str | None:
        """The id in a cookie's value, None where we did not sign it."""
        if _SHAPE.fullmatch(value) is None:
            return None
        try:
            return self._current().unsign(value).decode()
        except BadSignature:
            return None

    def _current(self) -> Signer:
        """The signer for the keys of now; it is built again only where they were replaced."""
        derived = self._keys.derived(_PURPOSE)
        if derived is not self._made[0]:
            self._made = (derived, _signer(derived))
        return self._made[1]


def _signer(derived: tuple[bytes, ...]) -> Signer:
    # itsdangerous signs with the last of its keys, and compares in constant time.
    return Signer(derived[::-1], sep=".", key_derivation="none", digest_method=hashlib.sha256)


@dataclass(frozen=True, slots=True)
class CookiePolicy:
    """Name and attributes. Refuses what a browser would drop, and what could break out of the header."""

    name: str
    path: str = "/"
    http_only: bool = True
    secure: bool = False
    same_site: SameSite = "lax"
    partitioned: bool = False

    def __post_init__(self) -> None:
        if _TOKEN.fullmatch(self.name) is None:
            raise ValueError(f"cookie_name {self.name!r} is not a valid cookie name")
        if _PATH.fullmatch(self.path) is None:
            raise ValueError(f"path {self.path!r} is not a valid cookie path")
        if self.same_site not in ("lax", "strict", "none"):
            raise ValueError("same_site is one of lax, strict, none")
        if self.same_site == "none" and not self.secure:
            raise ValueError("browsers drop SameSite=None cookies without Secure: set secure=True")
        if self.partitioned and not self.secure:
            raise ValueError("browsers drop Partitioned cookies without Secure: set secure=True")
        if self.name.startswith(("__Secure-", "__Host-")) and not self.secure:
            raise ValueError(f"browsers drop {self.name} without Secure: set secure=True")
        if self.name.startswith("__Host-") and self.path != "/":
            raise ValueError(f"browsers drop {self.name} with a path other than /")

    def set(self, value: str) -> bytes:
        """A Set-Cookie value for a cookie that lives while the browser is open."""
        return self._header(f"{self.name}={value}")

    def expire(self) -> bytes:
        """A Set-Cookie value that makes the browser forget the cookie."""
        return self._header(f"{self.name}=; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT")

    def _header(self, pair: str) -> bytes:
        parts = [pair, f"Path={self.path}"]
        if self.http_only:
            parts.append("HttpOnly")
        if self.secure:
            parts.append("Secure")
        parts.append(f"SameSite={self.same_site.capitalize()}")
        if self.partitioned:
            parts.append("Partitioned")
        return "; ".join(parts).encode("latin-1")


def default_name(secure: bool, path: str) -> str:
    """The strictest prefix that browsers allow: __Host- keeps sibling domains from planting the cookie."""
    if not secure:
        return "session"
    return "__Host-session" if path == "/" else "__Secure-session"


def cookie_values(headers: Iterable[tuple[bytes, bytes]], name: str) -> list[bytes]:
    """The values of all cookies of that name, as sent, the first few only. Never raises."""
    wanted = name.encode()
    found: list[bytes] = []
    for header, line in headers:
        if header.lower() != b"cookie":
            continue
        for pair in line.split(b";"):
            key, separator, value = pair.partition(b"=")
            if separator and key.strip(_SPACE) == wanted:
                found.append(value.strip(_SPACE).strip(b'"'))
    return found[:_MAX_TRIED]


@dataclass(frozen=True, slots=True)
class Presented:
    """What the client brought: the verified ids, the first one's cookie, whether any cookie had our name."""

    ids: tuple[str, ...]
    value: str | None
    any: bool


def read_cookie(headers: Iterable[tuple[bytes, bytes]], name: str, signer: IdSigner) -> Presented:
    """The cookies that we signed, as browsers order them: the most specific first, of those the oldest."""
    values = cookie_values(headers, name)
    verified = [(id_, value.decode()) for value in values if (id_ := signer.verify(value)) is not None]
    ids = tuple(dict.fromkeys(id_ for id_, _ in verified))
    return Presented(ids[:_MAX_LOADED], verified[0][1] if verified else None, any=bool(values))
