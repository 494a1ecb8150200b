"""The errors of fastersession.

SessionError
├── StoreUnavailable      the store did not do what was asked, for a cause that lies in it or on the way there
│   ├── StoreUnreachable          "unreachable"  refused, reset, unknown name, no master, cluster down
│   ├── StoreTimeout              "timeout"      no answer within the limit
│   ├── StoreBusy                 "busy"         no connection free, or it loads its data or runs a script
│   ├── StoreDenied               "denied"       wrong password, or a user without the rights
│   ├── StoreCertificateInvalid   "certificate"  its certificate has expired or is not for it or not trusted
│   ├── StoreReadOnly             "read_only"    it takes no writes now: a replica, a disk that fails
│   ├── StoreFull                 "full"         its memory is used up
│   └── StoreFailed               "failed"       any other refusal
├── VersionConflict       somebody else changed, took over or deleted the session meanwhile
├── LeaseHeld             another request works on this session; `retry_after` seconds
├── SessionNotLoaded      the attributes were asked for before `load()`
└── InvalidSessionData    what shall be stored is no JSON, or what was stored cannot be read
"""

from typing import ClassVar


class SessionError(Exception):
    """Root of everything that this package raises on purpose."""


class StoreUnavailable(SessionError):
    """The store did not do what was asked; after an answer that was lost, whether it did is unknown.

    The text names the server and the cause, never a password, a session's id or its content. `reason` is one
    of a few words, for metrics.
    """

    reason: ClassVar[str] = "unavailable"


class StoreUnreachable(StoreUnavailable):
    """No connection: refused, reset, an unknown name, no master known, a cluster that is down."""

    reason = "unreachable"


class StoreTimeout(StoreUnavailable):
    """No answer within the limit."""

    reason = "timeout"


class StoreBusy(StoreUnavailable):
    """No connection is free, here or there, or the store loads its data or runs a script of somebody's."""

    reason = "busy"


class StoreDenied(StoreUnavailable):
    """The password or our certificate was refused or is missing, or the user has not the rights."""

    reason = "denied"


class StoreCertificateInvalid(StoreUnavailable):
    """The server's certificate has expired, is for another host, or is signed by nobody that is trusted."""

    reason = "certificate"


class StoreReadOnly(StoreUnavailable):
    """The store can be read but takes no writes now: it is a replica, or cannot write to its disk."""

    reason = "read_only"


class StoreFull(StoreUnavailable):
    """The store's memory is used up. What is stored can still be read."""

    reason = "full"


class StoreFailed(StoreUnavailable):
    """The store refused for another cause, which the text gives."""

    reason = "failed"


class VersionConflict(SessionError):
    """The record is not the one that was read: changed, deleted or leased by somebody else since."""


class LeaseHeld(SessionError):
    """Another owner holds the session's lease, for `retry_after` more seconds at most."""

    def __init__(self, retry_after: float) -> None:
        super().__init__(f"another request works on this session (its lease ends in {retry_after:.1f} s)")
        self.retry_after = retry_after


class SessionNotLoaded(SessionError):
    """`get_session()` was called before `load()` was awaited (the middleware has autoload=False)."""


class InvalidSessionData(SessionError):
    """An attribute that is neither JSON nor of a registered type, or a stored record that cannot be read."""
