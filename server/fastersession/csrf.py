"""Cross-site request forgery: which requests of a browser come from a page that may change something here."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv6Address

from fastersession.asgi import Scope

_SAFE = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
_OWN = frozenset({b"same-origin", b"none"})  # none: the user's own doing, as a bookmark or the address bar
_PORTS = {"http": 80, "https": 443}
_AUTHORITY = r"(?P<host>\[[0-9a-f:.]{2,45}\]|[a-z0-9._-]{1,253})(?::(?P<port>[0-9]{0,5}))?"
_HOST = re.compile(_AUTHORITY, re.IGNORECASE | re.ASCII)
_ORIGIN = re.compile(rf"(?P<scheme>[a-z][a-z0-9+.-]{{0,31}})://{_AUTHORITY}", re.IGNORECASE | re.ASCII)


@dataclass(frozen=True, slots=True)
class Origin:
    """In the one spelling that may be compared; `port` is None where neither text nor scheme gives one."""

    scheme: str
    host: str
    port: int | None

    @classmethod
    def parse(cls, text: str) -> "Origin | None":
        """The origin in `scheme://host[:port]`, None for anything else, such as "null" or one with a path."""
        found = _ORIGIN.fullmatch(text)
        if found is None:
            return None
        scheme, host = found["scheme"].lower(), _host(found["host"])
        return None if host is None else cls(scheme, host, _port(found["port"], scheme))


class OriginCheck:
    """Tells requests of foreign pages by Sec-Fetch-Site, which no page can set, and by Origin without it.

    `allowed`: further origins whose pages may change something, each exactly `scheme://host[:port]`. Raises
    ValueError for anything else, "*" and "null" among it.
    """

    def __init__(self, allowed: Sequence[str] = ()) -> None:
        self._allowed = _parsed(allowed)

    def refusal(self, scope: Scope) -> str | None:
        """Why an HTTP request must not be served, in words for the log; None where it may be.

        A request with neither header is from no browser: no page can make one send it.
        """
        if scope["method"] in _SAFE:
            return None
        sites, origins = _values(scope, b"sec-fetch-site"), _values(scope, b"origin")
        if not sites and not origins:
            return None
        if sites and all(site in _OWN for site in sites):
            return None
        origin = Origin.parse(origins[0].decode("latin-1")) if len(origins) == 1 else None
        if origin is not None and (origin in self._allowed or (not sites and _is_own(origin, scope))):
            return None
        return f"of another origin: Origin {_shown(origins)}, Sec-Fetch-Site {_shown(sites)}"


def _parsed(allowed: Sequence[str]) -> frozenset[Origin]:
    if isinstance(allowed, str):
        raise ValueError("allowed_origins is a list of origins, not one text")
    parsed = {text: Origin.parse(text) for text in allowed}
    for text, origin in parsed.items():
        if origin is None:
            raise ValueError(f"allowed_origins: {text!r} is not of the form scheme://host[:port]")
    return frozenset(origin for origin in parsed.values() if origin is not None)


def _is_own(origin: Origin, scope: Scope) -> bool:
    """Whether the origin's page is of the host that was asked.

    The scheme counts only where this side knows of https: behind a proxy that ends TLS a page of https asks
    for what looks like http here, but never the other way round.
    """
    hosts = _values(scope, b"host")
    if origin.scheme not in _PORTS or len(hosts) != 1:
        return False
    if scope.get("scheme") == "https" and origin.scheme != "https":
        return False
    asked = _HOST.fullmatch(hosts[0].decode("latin-1"))
    if asked is None:
        return False
    return (_host(asked["host"]), _port(asked["port"], origin.scheme)) == (origin.host, origin.port)


def _host(text: str) -> str | None:
    """In lower case, IPv6 in its shortest form; None where that is none."""
    if not text.startswith("["):
        return text.lower()
    try:
        return f"[{IPv6Address(text[1:-1]).compressed}]"
    except ValueError:
        return None


def _port(text: str | None, scheme: str) -> int | None:
    return int(text) if text else _PORTS.get(scheme)


def _values(scope: Scope, name: bytes) -> list[bytes]:
    headers: Iterable[tuple[bytes, bytes]] = scope["headers"]
    return [value.strip(b" \t") for header, value in headers if header.lower() == name]


def _shown(values: list[bytes]) -> str:
    """What a client sent, for a log: bounded, and without anything that could end its line."""
    return repr(b", ".join(values)[:200])[1:] if values else "none"
