"""What a Redis URL says. No error quotes the URL, which may hold a password."""

from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

Kind = Literal["single", "socket", "sentinel", "cluster"]

_SCHEMES: dict[str, tuple[Kind, bool]] = {
    "redis": ("single", False),
    "rediss": ("single", True),
    "unix": ("socket", False),
    "redis+sentinel": ("sentinel", False),
    "rediss+sentinel": ("sentinel", True),
    "redis+cluster": ("cluster", False),
    "rediss+cluster": ("cluster", True),
}
_FOR_ALL = {"username", "password", "client_name"}
_FOR_DB = {"db"}
_FOR_TLS = {"ssl_ca_certs", "ssl_certfile", "ssl_keyfile"}
_FOR_SENTINELS = {"sentinel_username", "sentinel_password"}
_HINT = "in a user name or a password, write / as %2F, # as %23, ? as %3F"
_REDIS_PORT, _SENTINEL_PORT = 6379, 26379


@dataclass(frozen=True, slots=True)
class RedisUrl:
    """A parsed URL. `options` are those after the `?` that are not fields of their own."""

    kind: Kind
    tls: bool
    hosts: tuple[tuple[str, int], ...] = ()  # the sentinels' for "sentinel"
    path: str = ""
    service: str = ""
    db: int = 0
    username: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    options: dict[str, str] = field(default_factory=dict, repr=False)

    @property
    def where(self) -> str:
        """The server's name in messages."""
        if self.kind == "socket":
            return f"Redis at {self.path}"
        hosts = ", ".join(f"[{host}]:{n}" if ":" in host else f"{host}:{n}" for host, n in self.hosts)
        match self.kind:
            case "sentinel":
                return f"Redis {self.service!r} of the sentinels {hosts}"
            case "cluster":
                return f"the Redis cluster of {hosts}"
            case _:
                return f"Redis at {hosts}"


def parse_redis_url(url: str) -> RedisUrl:
    """Raises ValueError, in words for people, where it is no URL of the kinds in the documentation."""
    parts = _split(url)
    if parts.scheme not in _SCHEMES:
        raise ValueError(f"the Redis URL needs a scheme of these: {', '.join(f'{s}://' for s in _SCHEMES)}")
    kind, tls = _SCHEMES[parts.scheme]
    options = _options(parts, _allowed(kind, tls=tls))
    if parts.fragment:
        raise ValueError(f"the Redis URL has a '#' ({_HINT})")
    user, _, hosts = parts.netloc.rpartition("@")
    name, _, word = user.partition(":")
    username, password = options.pop("username", unquote(name)), options.pop("password", unquote(word))
    service, db = _place(parts, kind, options)
    return RedisUrl(
        kind=kind,
        tls=tls,
        hosts=() if kind == "socket" else _hosts(hosts, kind),
        path=unquote(parts.path) if kind == "socket" else "",
        service=service,
        db=db,
        username=username or None,
        password=password or None,
        options=options,
    )


def _split(url: str) -> SplitResult:
    """As urlsplit, which from Python 3.12 on takes brackets around the only host alone."""
    scheme, _, rest = url.partition("://")
    end = min((rest.index(mark) for mark in "/?#" if mark in rest), default=len(rest))
    return _readable(f"{scheme}://{rest[end:]}")._replace(netloc=rest[:end])


def _readable(url: str) -> SplitResult:
    try:
        return urlsplit(url)
    except ValueError:  # whose text quotes it
        raise ValueError("the Redis URL cannot be read") from None


def _allowed(kind: Kind, *, tls: bool) -> set[str]:
    allowed = _FOR_ALL | (_FOR_TLS if tls else set())
    if kind == "sentinel":
        return allowed | _FOR_SENTINELS
    return allowed | (_FOR_DB if kind in ("single", "socket") else set())


def _options(parts: SplitResult, allowed: set[str]) -> dict[str, str]:
    given = parse_qs(parts.query, keep_blank_values=True)
    if not given.keys() <= allowed:
        raise ValueError(
            "the Redis URL has an option that there is not for its scheme; there are "
            f"{', '.join(sorted(allowed))} (the server's certificate and name are always checked)"
        )
    return {name: values[-1] for name, values in given.items()}


def _place(parts: SplitResult, kind: Kind, options: dict[str, str]) -> tuple[str, int]:
    """The service of the sentinels, and the number of the database."""
    if kind == "socket":
        if not parts.path or parts.netloc.rpartition("@")[2]:
            raise ValueError("a unix:// URL is unix:///path/to/redis.sock")
        return "", _number(options.pop("db", "0"))
    steps = [unquote(step) for step in parts.path.strip("/").split("/") if step]
    service = ""
    if kind == "sentinel":
        if not steps:
            raise ValueError("a sentinel URL names its service: redis+sentinel://host:26379/<service>")
        service = steps.pop(0)
    if len(steps) > 1:
        raise ValueError("the Redis URL has more after its hosts than a database's number")
    db = _number(options.pop("db", steps[0] if steps else "0"))
    if kind == "cluster" and db:
        raise ValueError("a Redis cluster has no database but 0")
    return service, db


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise ValueError(f"the database in the Redis URL is no number ({_HINT})")
    return int(text)


def _hosts(text: str, kind: Kind) -> tuple[tuple[str, int], ...]:
    default = _SENTINEL_PORT if kind == "sentinel" else _REDIS_PORT
    given = text.split(",") if text else ["localhost"]
    if kind == "single" and len(given) > 1:
        raise ValueError("several hosts are for redis+sentinel:// and redis+cluster:// URLs")
    return tuple(_host(one, default) for one in given)


def _host(text: str, default: int) -> tuple[str, int]:
    parts = _readable(f"//{text}")
    try:
        host, port = parts.hostname, parts.port
    except ValueError:
        raise ValueError(f"a port in the Redis URL is no number up to 65535 ({_HINT})") from None
    if not host or parts.path or port == 0:
        raise ValueError("the Redis URL has a host without a name")
    return host, default if port is None else port
