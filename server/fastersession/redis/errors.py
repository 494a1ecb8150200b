"""What redis-py raises and what Redis answers, as errors of this package: the one place that knows both."""

import re
import ssl
from collections.abc import Iterator

from redis.exceptions import (
    AuthenticationError,
    AuthorizationError,
    MaxConnectionsError,
    RedisClusterException,
    RedisError,
)
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from fastersession.errors import (
    InvalidSessionData,
    SessionError,
    StoreBusy,
    StoreCertificateInvalid,
    StoreDenied,
    StoreFailed,
    StoreFull,
    StoreReadOnly,
    StoreTimeout,
    StoreUnreachable,
)

REDIS_ERRORS = (RedisError, RedisClusterException)
"""Whatever a client of redis-py may raise by itself."""

_CODES: dict[str, type[SessionError]] = {
    "OOM": StoreFull,
    "READONLY": StoreReadOnly,
    "MISCONF": StoreReadOnly,
    "NOREPLICAS": StoreReadOnly,
    "LOADING": StoreBusy,
    "BUSY": StoreBusy,
    "TRYAGAIN": StoreBusy,
    "NOAUTH": StoreDenied,
    "NOPERM": StoreDenied,
    "WRONGPASS": StoreDenied,
    "CLUSTERDOWN": StoreUnreachable,
    "MASTERDOWN": StoreUnreachable,
    "WRONGTYPE": InvalidSessionData,
}
# Older servers wrap the code of what fails in a script into a text of their own.
_CODE = re.compile(rf"\b({'|'.join(_CODES)})\b")
_TOO_MANY_CLIENTS = "max number of clients reached"
_NO_CLUSTER = "Cluster mode is not enabled on this node"
_NO_RIGHTS_IN_SCRIPT = re.compile("The user executing the script can't|ACL failure in script")
_REFUSES_OURS = re.compile(r"ALERT_(?:\w*CERTIFICATE\w*|UNKNOWN_CA)")
_LONGEST = 200


def named(error: BaseException, where: str) -> SessionError:
    """The error that says what `error` means. `where` names the server; neither text holds a secret."""
    for link in _chain(error):
        found = _kind(link)
        if found is not None:
            kind, words = found
            return kind(f"{where}: {words}")
    return _of_no_code(error)(f"{where}: {_text(error)}")


def _kind(error: BaseException) -> tuple[type[SessionError], str] | None:
    if isinstance(error, ssl.SSLCertVerificationError):
        return StoreCertificateInvalid, f"its certificate is not valid: {error.verify_message}"
    text = str(error)
    if isinstance(error, MaxConnectionsError) or _TOO_MANY_CLIENTS in text:
        return StoreBusy, text or "no connection is free"
    code = _code(error)
    if code is not None:
        return _CODES[code], _in_words(code, _text(error))
    if text == _NO_CLUSTER:
        return StoreFailed, text
    if _REFUSES_OURS.search(text):
        return StoreDenied, f"it asks for a certificate of ours that it trusts ({_text(error)})"
    if _NO_RIGHTS_IN_SCRIPT.search(text):
        return StoreDenied, _text(error)
    if isinstance(error, AuthenticationError | AuthorizationError):
        return StoreDenied, f"the password was refused ({_text(error)})"
    return None


def _code(error: BaseException) -> str | None:
    if not isinstance(error, RedisError):
        return None
    if error.status_code in _CODES:
        return error.status_code
    found = _CODE.search(str(error))
    return None if found is None else found[1]


def _in_words(code: str, text: str) -> str:
    match code:
        case "WRONGPASS":
            return f"the password was refused ({text})"
        case "WRONGTYPE":
            return "what is stored under the session's key is no session"
        case _:
            return text


def _of_no_code(error: BaseException) -> type[SessionError]:
    if isinstance(error, RedisClusterException):
        return StoreUnreachable if error.__cause__ is None else _of_no_code(error.__cause__)
    if isinstance(error, RedisTimeoutError | TimeoutError):
        return StoreTimeout
    if isinstance(error, RedisConnectionError):
        return StoreUnreachable
    return StoreFailed


def _text(error: BaseException) -> str:
    """For people who run the service. Redis and its client may quote what was sent: that is left out."""
    if isinstance(error, RedisClusterException):
        if error.__cause__ is not None:
            return _text(error.__cause__)
        known = str(error).startswith(("All slots are not covered", "startup_nodes could not agree"))
        return str(error)[:_LONGEST] if known else "the cluster cannot serve this call"
    text = str(error).partition(", with args beginning with")[0]
    return text[:_LONGEST] or type(error).__name__


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error and what it came from: a client's own error often only says that it could not connect."""
    seen: list[BaseException] = []
    link: BaseException | None = error
    while link is not None and link not in seen:
        seen.append(link)
        yield link
        link = link.__cause__ or link.__context__
